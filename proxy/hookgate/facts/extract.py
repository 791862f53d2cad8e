"""From an event to the facts about it."""

import re
from typing import Any

from hookgate.facts.ledger import Ledger
from hookgate.facts.model import MAX_ENTRIES, Access, Facts
from hookgate.facts.paths import is_absolute, trimmed
from hookgate.facts.shell.grammar import MAX_BYTES
from hookgate.facts.shell.reader import CommandReader
from hookgate.facts.urls import has_scheme
from hookgate.hooks.event import HookEvent

#: The file tools: which field of their input holds the path, what is done with it, and whether all below it is meant.
_FILE_TOOLS: dict[str, tuple[str, Access, bool]] = {
    "Read": ("file_path", Access.READ, False),
    "Write": ("file_path", Access.WRITE, False),
    "Edit": ("file_path", Access.WRITE, False),
    "MultiEdit": ("file_path", Access.WRITE, False),
    "NotebookEdit": ("notebook_path", Access.WRITE, False),
    "Glob": ("path", Access.SEARCH, True),
    "Grep": ("path", Access.SEARCH, True),
}
_COMMAND_TOOLS = frozenset({"Bash", "Monitor", "PowerShell"})
#: Tools whose input is said to a person, or to the agent itself.
_TALK = frozenset(
    [
        "AskUserQuestion",
        "EnterPlanMode",
        "ExitPlanMode",
        "ListAgents",
        "ReportFindings",
        "SendMessage",
        "TaskCreate",
        "TaskGet",
        "TaskList",
        "TaskStop",
        "TaskUpdate",
        "TodoWrite",
    ]
)
#: What is written there to a model names nothing by itself: what an agent does of it is a call of its own.
_TEXT_KEYS = frozenset(["prompt", "description", "message", "query"])
_MAX_PATH_CHARACTERS = 4096
_MAX_STRINGS = 512
#: Facts of so many command lines are remembered, of so many characters with their directory.
_MAX_KNOWN, _MAX_KNOWN_CHARACTERS = 256, 2048
#: By tool, directory and command, the one that was used last at the end. Facts don't change, and hang on nothing else.
_known: dict[tuple[str, str, str], Facts] = {}
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
#: Marks that turn the direction of writing, or that take no room.
_HIDDEN = re.compile(
    "[\u202a-\u202e\u2066-\u2069\u200b\u200e\u200f\u2060-\u2064\ufeff\u00ad\u115f\u1160\u3164\U000e0000-\U000e007f]"
)
_ZSH = re.compile(
    r"(?:^|[\s;&|(])(?:=\(|=[a-z]+\b|setopt\s|zmodload\s|emulate\s|autoload\s)|\$\{\([a-zA-Z@]+\)|\*\*?\([a-zA-Z.^/@:-]+\)|<<<<"
)
_POWERSHELL = re.compile(
    r"(?i)(?:^|[;|&{(\s])(?:(?:get|set|new|remove|invoke|start|stop|add|import|export|out|select|where|foreach|test|copy|move|rename|clear|enable|"
    r"disable|register|unregister|restart|write|read)-[a-z]{3,}|iex|iwr|irm)\b"
)
_CMDLET = re.compile(r"(?:^|[;|&{(\n])[ \t]*[A-Z][a-z]{1,20}-[A-Z][A-Za-z]+\b")
_PATHLIKE = re.compile(r"^(?:[^\s]*[/\\.][^\s]*|(?:~|\.{0,2}[/\\]|[A-Za-z]:[/\\])[^\n]*)$")
_COMMAND_KEYS = frozenset({"command", "cmd", "script", "shell_command", "commandline", "command_line"})


def facts_of(event: HookEvent) -> Facts:
    """Gives the facts about an event, as `read` does. A command comes up again when it was permitted, and when it has run: the
    facts about the last ones are remembered."""
    command = event.tool_input.get("command")
    if (
        event.tool not in _COMMAND_TOOLS
        or not isinstance(command, str)
        or len(command) + len(event.cwd) > _MAX_KNOWN_CHARACTERS
        or event.altered
        or event.dropped
        or event.truncated
    ):
        return read(event)
    key = (event.tool, event.cwd, command)
    found = _known.pop(key, None)
    if found is None:
        found = read(event)
        if found.opaque:
            # It may be for want of time, which there may be another time.
            return found
        if len(_known) >= _MAX_KNOWN:
            del _known[next(iter(_known))]
    _known[key] = found
    return found


def read(event: HookEvent) -> Facts:
    """Gives the facts about an event; never fails: what can't be told makes it `opaque`."""
    cwd = event.cwd
    tool = event.tool
    reasons: list[str] = []
    if len(cwd) > _MAX_PATH_CHARACTERS:
        # Longer than any system allows; folding megabytes of it would hold up other decisions.
        if tool:
            reasons.append("cwd_too_long")
        cwd = ""
    ledger = Ledger(cwd)
    server = name = ""
    if tool in _FILE_TOOLS:
        _files(ledger, tool, event.tool_input, cwd)
    elif tool in _COMMAND_TOOLS:
        _command(ledger, tool, event.tool_input.get("command"), cwd)
    elif tool == "WebFetch":
        _address(ledger, event.tool_input.get("url"))
    elif tool == "WebSearch":
        _domains(ledger, event.tool_input.get("allowed_domains"))
    elif tool.startswith("mcp__"):
        server, _, name = tool[5:].partition("__")
        _strings(ledger, event.tool_input, cwd)
    elif tool.startswith("ReadMcp"):
        found = event.tool_input.get("server")
        server = found[:256] if isinstance(found, str) else ""
        _strings(ledger, event.tool_input, cwd)
    elif tool and tool not in _TALK:
        # Agent, Skill, EnterWorktree, and tools that are yet to come.
        _strings(ledger, {key: value for key, value in event.tool_input.items() if key not in _TEXT_KEYS}, cwd)
    reasons += [reason for reason in ledger.reasons if reason not in reasons]
    paths = tuple(ledger.paths.values())
    return Facts(
        paths=paths,
        hosts=tuple(ledger.hosts.values()),
        commands=tuple(ledger.commands),
        shapes=tuple(ledger.shapes),
        server=server,
        tool=name,
        inside_project=all(path.inside_project for path in paths),
        opaque=bool(reasons),
        opaque_reasons=tuple(reasons),
        altered=event.altered,
        dropped=event.dropped,
        truncated=event.truncated[:MAX_ENTRIES],
    )


def _files(ledger: Ledger, tool: str, tool_input: dict[str, Any], cwd: str) -> None:
    field, access, recursive = _FILE_TOOLS[tool]
    for written in _written(tool_input, field, tool, ledger):
        if len(written) > _MAX_PATH_CHARACTERS:
            ledger.reasons["path_too_long"] = None
        found = ledger.path(written, cwd, access, recursive=recursive, trim=True)
        if found is None:
            continue
        if not is_absolute(found.path) and not found.path.startswith("~"):
            ledger.reasons["cwd_missing"] = None
        if "\0" in found.path:
            ledger.reasons["control_character"] = None


def _written(tool_input: dict[str, Any], field: str, tool: str, ledger: Ledger) -> list[str]:
    """Gives the paths that a file tool's input names. A search without one searches the working directory; a search's
    pattern may itself lead elsewhere."""
    written = tool_input.get(field)
    if written is None and tool in ("Glob", "Grep"):
        written = "."
    if not isinstance(written, str):
        ledger.reasons["path_missing"] = None
        return []
    found = [written]
    if tool == "Glob" and isinstance(pattern := tool_input.get("pattern"), str):
        found.append(pattern if pattern.startswith(("/", "~")) else f"{trimmed(written) or '.'}/{pattern}")
    if tool == "Grep" and isinstance(glob := tool_input.get("glob"), str):
        found.append(f"{trimmed(written) or '.'}/{glob}")
    return found


def _command(ledger: Ledger, tool: str, command: object, cwd: str) -> None:
    """Reads the command line of a tool."""
    if not isinstance(command, str):
        ledger.reasons["command_missing"] = None
        return
    if len(command) > MAX_BYTES:
        ledger.reasons["too_long"] = None
        return
    if "\r" in command:
        command = command.replace("\r\n", "\n")
    if "\r" in command or _CONTROL.search(command):
        # What a terminal shows is not what runs, and the parser takes quadratic time for some of them.
        ledger.reasons["control_character"] = None
        return
    if not command.isascii() and _HIDDEN.search(command):
        ledger.reasons["hidden_text"] = None
    if tool == "PowerShell":
        ledger.reasons["powershell"] = None
    else:
        if _CMDLET.search(command) and _POWERSHELL.search(command):
            ledger.reasons["powershell"] = None
        if _ZSH.search(command):
            ledger.reasons["zsh_only"] = None
    if "\\\n" in command and "'" not in command and "<<" not in command:
        # The shell joins these lines before it reads words; the grammar cuts a word there.
        command = command.replace("\\\n", "")
    CommandReader(ledger, cwd).read(command)


def _address(ledger: Ledger, url: object) -> None:
    if not isinstance(url, str):
        ledger.reasons["url_missing"] = None
        return
    if len(url) > _MAX_PATH_CHARACTERS:
        ledger.reasons["url_too_long"] = None
        return
    ledger.url(url)


def _domains(ledger: Ledger, domains: object) -> None:
    """Notes the domains that a search is confined to."""
    for domain in domains if isinstance(domains, list) else ():
        if isinstance(domain, str) and domain.strip():
            ledger.host(domain.strip()[:_MAX_PATH_CHARACTERS].partition("/")[0], url=domain)


def _strings(ledger: Ledger, tool_input: dict[str, Any], cwd: str) -> None:
    """Reads the strings of an MCP tool's input that look like paths, addresses or commands, at any depth."""
    waiting: list[tuple[str, Any]] = list(tool_input.items())
    seen = 0
    while waiting:
        key, value = waiting.pop(0) if len(waiting) < _MAX_STRINGS else waiting.pop()
        if isinstance(value, dict):
            waiting += value.items()
        elif isinstance(value, list):
            waiting += [(key, one) for one in value]
        elif isinstance(value, str):
            seen += 1
            if seen > _MAX_STRINGS:
                ledger.reasons["too_many_strings"] = None
                return
            _string(ledger, key, value, cwd)


def _string(ledger: Ledger, key: str, value: str, cwd: str) -> None:
    if value.startswith("file:"):
        value = value.removeprefix("file://").removeprefix("file:")
        ledger.path(value, cwd, Access.NAMED)
    elif has_scheme(value) and len(value) <= _MAX_PATH_CHARACTERS:
        ledger.url(value)
    elif key.lower() in _COMMAND_KEYS and value.strip():
        _command(ledger, "", value, cwd)
    elif len(value) <= _MAX_PATH_CHARACTERS and value.strip() and _PATHLIKE.match(value):
        ledger.path(value, cwd, Access.NAMED)
