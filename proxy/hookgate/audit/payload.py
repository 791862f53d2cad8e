"""What a record says of a payload besides the tool's input: sizes, digests, how a call ended, and at level `full` the rest."""

from dataclasses import dataclass, field
from typing import Any

import msgspec

from hookgate.audit.digest import Digests, Purpose
from hookgate.audit.record import CallRecord
from hookgate.hooks.event import HookEvent

#: What has a field of its own in a record, or says nothing.
_ELSEWHERE = frozenset(
    (
        *("session_id", "transcript_path", "cwd", "hook_event_name", "prompt_id", "permission_mode", "effort"),
        *("agent_id", "agent_type", "tool_name", "tool_input", "tool_use_id", "mcp_server", "mcp_server_name"),
        *("duration_ms", "is_interrupt"),
    )
)
_NOTHING = memoryview(b"")
#: Clients put no space around it; however much there is, not more of it is looked at.
_MAX_SPACE = 64
_MAX_PARTS = 32
_MAX_CALLS = 256
_FAILURE = "PostToolUseFailure"
#: What a tool gave back, by event.
_RESPONSES = {"PostToolUse": "tool_response", _FAILURE: "error"}


@dataclass(frozen=True, slots=True)
class Sums:
    """Sizes and digests of one request."""

    body_digest: str = ""
    input_digest: str = ""
    #: Of the input that a policy put in the place of the client's.
    changed_digest: str = ""
    response_bytes: int = 0
    response_digest: str = ""
    calls: tuple[CallRecord, ...] = ()
    content_bytes: dict[str, int] = field(default_factory=dict)
    #: Whether all of it was made, and not a digest alone that was begun early.
    is_whole: bool = False


@dataclass(frozen=True, slots=True)
class Ending:
    """How a call ended, as far as the client tells it."""

    failed: bool | None = None
    interrupted: bool = False
    ran_seconds: float | None = None


class _Responses(msgspec.Struct):
    tool_response: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


def response_in(body: bytes | bytearray, event: HookEvent, span: tuple[int, int] | None) -> memoryview:
    """Gives the JSON of what a tool gave back, as it stands in the body; empty for other events. `span` is where it was seen
    already."""
    name = _RESPONSES.get(event.name)
    if name is None:
        return _NOTHING
    if name != "tool_response" or span is None:
        try:
            return memoryview(getattr(msgspec.json.decode(body, type=_Responses), name))
        except msgspec.DecodeError:
            # What one reader of JSON takes, another may not: better another form of it than none.
            return memoryview(msgspec.json.encode(event.payload.get(name)))
    begin, end = span
    head, tail = bytes(body[begin : begin + _MAX_SPACE]), bytes(body[max(begin, end - _MAX_SPACE) : end])
    return memoryview(body)[begin + len(head) - len(head.lstrip()) : end - len(tail) + len(tail.rstrip())]


def sums_of(
    event: HookEvent,
    digests: Digests,
    *,
    body_digest: str,
    response: memoryview,
    input_digest: str = "",
    response_digest: str = "",
    changed: dict[str, Any] | None = None,
) -> Sums:
    """Gives an event's. `response` is what its tool gave back; digests that are made already are not made again; `changed` is the
    input that a policy put in the place of the client's."""
    payload = event.payload
    if len(response) and not response_digest:
        response_digest = digests.of(Purpose.RESPONSE, response)
    return Sums(
        body_digest=body_digest,
        input_digest=input_digest or input_digest_of(event, digests),
        changed_digest=digests.of_json(Purpose.INPUT, changed) if changed is not None else "",
        response_bytes=len(response),
        response_digest=response_digest,
        calls=_calls(payload.get("tool_calls"), digests) if event.name == "PostToolBatch" else (),
        content_bytes=_sizes(payload, _RESPONSES.get(event.name, ""), len(response)),
        is_whole=True,
    )


def input_digest_of(event: HookEvent, digests: Digests) -> str:
    """Gives the digest of an event's tool input; empty where there is none."""
    if event.written is not None and (json := event.written.take()):
        return digests.of(Purpose.INPUT, json)
    return digests.of_json(Purpose.INPUT, event.tool_input) if "tool_input" in event.payload else ""


def content_of(event: HookEvent) -> dict[str, Any]:
    """Gives all of a payload that has no field of its own in a record."""
    return {name: value for name, value in event.payload.items() if name not in _ELSEWHERE}


def ending_of(event: HookEvent) -> Ending:
    """Gives how a call ended; nothing for events that don't tell."""
    if event.name not in _RESPONSES:
        return Ending()
    payload = event.payload
    response, took = payload.get("tool_response"), payload.get("duration_ms")
    stopped = isinstance(response, dict) and response.get("interrupted") is True
    seconds = None
    if isinstance(took, int | float) and not isinstance(took, bool) and took >= 0:
        seconds = round(took / 1000, 6)
    return Ending(event.name == _FAILURE, payload.get("is_interrupt") is True or stopped, seconds)


def mcp_server_of(event: HookEvent) -> tuple[str, str]:
    """Gives name and source of the MCP server that an event is about; empty where the client does not tell."""
    server, name = event.payload.get("mcp_server"), event.payload.get("mcp_server_name")
    if isinstance(server, dict):
        return _text(server.get("name")), _text(server.get("source"))
    return _text(name), ""


def _sizes(payload: dict[str, Any], response: str, response_bytes: int) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for name, value in payload.items():
        if name in _ELSEWHERE or len(sizes) == _MAX_PARTS:
            continue
        if name == response:
            sizes[name] = response_bytes
        elif isinstance(value, str):
            sizes[name] = len(value.encode("utf-8", "surrogatepass"))
        elif isinstance(value, dict | list):
            sizes[name] = len(msgspec.json.encode(value))
    return sizes


def _calls(calls: Any, digests: Digests) -> tuple[CallRecord, ...]:
    found = [call for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []
    return tuple(
        CallRecord(
            _text(call.get("tool_name")),
            _text(call.get("tool_use_id")),
            digests.of_json(Purpose.INPUT, call.get("tool_input") or {}),
        )
        for call in found[:_MAX_CALLS]
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
