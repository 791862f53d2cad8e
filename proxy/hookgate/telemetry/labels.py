"""Label values of bounded number: what a caller writes must not grow the metrics."""

from hookgate.hooks.catalog import EVENTS

#: Tools of Claude Code 2.1.330 that appear in payloads.
TOOLS = frozenset(
    [
        "Agent",
        "AskUserQuestion",
        "Bash",
        "CronCreate",
        "CronDelete",
        "CronList",
        "Edit",
        "EnterPlanMode",
        "EnterWorktree",
        "ExitPlanMode",
        "ExitWorktree",
        "Glob",
        "Grep",
        "ListAgents",
        "ListMcpResourcesTool",
        "Monitor",
        "NotebookEdit",
        "PowerShell",
        "Read",
        "ReadMcpResourceTool",
        "ReportFindings",
        "ScheduleWakeup",
        "SendMessage",
        "Skill",
        "TaskCreate",
        "TaskGet",
        "TaskList",
        "TaskStop",
        "TaskUpdate",
        "TodoWrite",
        "WebFetch",
        "WebSearch",
        "Workflow",
        "Write",
    ]
)
_MAX_SERVERS = 50


class Labels:
    """Gives label values; remembers the first MCP servers that it meets and calls the rest `mcp:other`."""

    def __init__(self) -> None:
        self._servers: set[str] = set()

    def tool(self, name: str) -> str:
        """`Bash`, `mcp:github`, `other`; empty for an event without a tool."""
        if not name or name in TOOLS:
            return name
        if not name.startswith("mcp__"):
            return "other"
        server = name.split("__", 2)[1][:64]
        if server in self._servers:
            return f"mcp:{server}"
        if (
            len(self._servers) < _MAX_SERVERS
            and server.isascii()
            and server.replace("-", "").replace("_", "").isalnum()
        ):
            self._servers.add(server)
            return f"mcp:{server}"
        return "mcp:other"

    @staticmethod
    def event(name: str) -> str:
        """The event's name, `unknown` for one that is not in the catalog, `none` where it could not be read."""
        return name if name in EVENTS else "unknown" if name else "none"
