"""The hook requests that are measured. All of them are allowed by the policies that ship."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from hookgate.recorded import named

HEADERS = {"Content-Type": "application/json", "X-Claude-User": "alex", "X-Claude-User-Roles": "engineer"}

_KB, _MB = 1000, 1_000_000
#: Quotes, line breaks and a letter beyond ASCII, as source text has them.
_LINE = '    total = sum(row["größe"] for row in rows)\n'
_ROW = {"id": 4711, "kind": "file", "open": True, "size": 0.5}


@dataclass(frozen=True, slots=True)
class Payload:
    """One hook request. `title` says what it is; `body` is the bytes that the client would send."""

    name: str
    title: str
    body: bytes


def payloads() -> tuple[Payload, ...]:
    """Gives all payloads, small to large. They are recorded requests of the client, filled up to their size."""
    return (
        Payload("bash", "Bash call, 0.5 KB", _encoded(named("PreToolUse.Bash").body)),
        Payload("edit-2k", "Edit, 2 KB", _filled("PreToolUse.Edit", _edit, 2 * _KB)),
        Payload("write-50k", "Write, 50 KB", _filled("PreToolUse.Write", _write, 50 * _KB)),
        Payload("values-48k", "48 KB of small values", _filled("PreToolUse.mcp__demo__echo", _rows, 48 * _KB)),
        Payload("write-1m", "Write, 1 MB", _filled("PreToolUse.Write", _write, _MB)),
        Payload("result-2m", "PostToolUse, 2 MB of result", _filled("PostToolUse.Bash", _result, 2 * _MB)),
    )


def _edit(body: dict[str, Any], room: int) -> dict[str, Any]:
    text = _text(room // 2)
    return {**body, "tool_input": {**body["tool_input"], "old_string": text, "new_string": text}}


def _write(body: dict[str, Any], room: int) -> dict[str, Any]:
    return {**body, "tool_input": {**body["tool_input"], "content": _text(room)}}


def _rows(body: dict[str, Any], room: int) -> dict[str, Any]:
    # A person is asked about a server that a project brings along; this one is the user's own.
    server = {**body["mcp_server"], "source": "user"}
    return {**body, "mcp_server": server, "tool_input": {"rows": [_ROW] * (room // (len(_encoded(_ROW)) + 1))}}


def _result(body: dict[str, Any], room: int) -> dict[str, Any]:
    return {**body, "tool_response": {**body["tool_response"], "stdout": _text(room)}}


def _filled(name: str, fill: Callable[[dict[str, Any], int], dict[str, Any]], size_bytes: int) -> bytes:
    body = named(name).body
    return _encoded(fill(body, size_bytes - len(_encoded(fill(body, 0)))))


def _text(size_bytes: int) -> str:
    return _LINE * (size_bytes // (len(_encoded(_LINE)) - 2))


def _encoded(value: Any) -> bytes:
    return msgspec.json.encode(value)
