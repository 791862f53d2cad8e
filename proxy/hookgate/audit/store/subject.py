"""What a call is about, in one line: its command, path, URL, pattern or question."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

#: Of each tool the members of its input that say it; what is there of them is put together.
_MEMBERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "Agent": ("subagent_type", "description"),
        "AskUserQuestion": ("questions",),
        "Bash": ("command",),
        "BashOutput": ("bash_id",),
        "Config": ("setting", "value"),
        "Edit": ("file_path",),
        "EnterWorktree": ("name", "path"),
        "Glob": ("pattern", "path"),
        "Grep": ("pattern", "path", "glob"),
        "KillShell": ("shell_id",),
        "LS": ("path",),
        "LSP": ("operation", "filePath"),
        "ListMcpResourcesTool": ("server",),
        "Monitor": ("command",),
        "MultiEdit": ("file_path",),
        "NotebookEdit": ("notebook_path",),
        "NotebookRead": ("notebook_path",),
        "PowerShell": ("command",),
        "Read": ("file_path",),
        "ReadMcpResourceTool": ("server", "uri"),
        "SendMessage": ("to", "summary"),
        "Skill": ("skill", "args"),
        "SlashCommand": ("command",),
        "Task": ("subagent_type", "description"),
        "TaskCreate": ("subject",),
        "TaskOutput": ("task_id",),
        "TaskStop": ("task_id",),
        "TaskUpdate": ("taskId", "status"),
        "ToolSearch": ("query",),
        "WebFetch": ("url",),
        "WebSearch": ("query",),
        "Write": ("file_path",),
    }
)
_MAX_ARGUMENTS = 20


def subject_of(record: Mapping[str, Any]) -> str:
    """Gives what a decision's record is about, as recorded and not cut; empty where the record does not tell."""
    tool, given = record.get("tool"), record.get("input")
    if isinstance(tool, str) and tool:
        return _of_tool(tool, given) if isinstance(given, dict) and given else _paths(record)
    return _calls(record) or _paths(record) or _content(record) or _text(record.get("agent_type"))


def _of_tool(tool: str, given: Mapping[str, Any]) -> str:
    named = [_text(given[member]) for member in _MEMBERS.get(tool, ()) if member in given]
    if said := " · ".join(text for text in named if text):
        return said
    first = list(given.items())[:_MAX_ARGUMENTS]
    return ", ".join(f"{name}={_text(value)}" for name, value in first)


def _paths(record: Mapping[str, Any]) -> str:
    facts = record.get("facts")
    paths = facts.get("paths") if isinstance(facts, dict) else None
    if not isinstance(paths, list):
        return ""
    return ", ".join(_text(path.get("path")) for path in paths[:_MAX_ARGUMENTS] if isinstance(path, dict))


def _calls(record: Mapping[str, Any]) -> str:
    """Of PostToolBatch: which tools ran."""
    calls = record.get("calls")
    if not isinstance(calls, list) or not calls:
        return ""
    tools = ", ".join(_text(call.get("tool")) for call in calls[:_MAX_ARGUMENTS] if isinstance(call, dict))
    return f"{len(calls)} calls: {tools}"


def _content(record: Mapping[str, Any]) -> str:
    """A prompt or another text where it is recorded, else how long it was."""
    content, sizes = record.get("content"), record.get("content_bytes")
    if isinstance(content, dict) and content:
        return ", ".join(_text(value) for value in list(content.values())[:_MAX_ARGUMENTS])
    if isinstance(sizes, dict):
        return ", ".join(f"{name}: {size} bytes" for name, size in list(sizes.items())[:_MAX_ARGUMENTS])
    return ""


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ", ".join(_text(item) for item in value[:_MAX_ARGUMENTS])
    if isinstance(value, dict):
        question = value.get("question")
        if isinstance(question, str):
            return question
        return "{" + ", ".join(f"{name}: {_text(item)}" for name, item in list(value.items())[:_MAX_ARGUMENTS]) + "}"
    return str(value)
