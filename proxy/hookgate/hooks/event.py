"""A hook's payload as one value."""

import re
from typing import Any, Self

import msgspec

from hookgate.errors import ErrorKind, GateError
from hookgate.hooks.catalog import EventSpec, spec_of
from hookgate.hooks.compact import Written
from hookgate.hooks.decode import Read

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
#: In genuine payloads `hook_event_name` comes before anything that a model writes; quotes inside strings are escaped.
_HINT = re.compile(rb'"hook_event_name"\s*+:\s*+"([A-Za-z][A-Za-z0-9_]{0,63})"')
HINT_BYTES = 4096
_MAX_TOOL_CHARACTERS = 512


class HookEvent(msgspec.Struct, frozen=True):
    """One hook request, read and checked.

    `payload` is what the client sent (without a key named `facts`, which is ours), completed by the attributes that
    policies rely on. Identifiers are empty where the payload has none or one that is no text.
    """

    name: str
    spec: EventSpec
    payload: dict[str, Any]
    tool: str = ""
    session_id: str = ""
    prompt_id: str = ""
    tool_use_id: str = ""
    agent_id: str = ""
    agent_type: str = ""
    cwd: str = ""
    permission_mode: str = ""
    altered: bool = False
    dropped: tuple[str, ...] = ()
    truncated: tuple[str, ...] = ()
    #: The tool's input in canonical form, where it was written already.
    written: Written | None = None

    @property
    def action(self) -> str:
        """What Cerbos is asked about: the tool, or `event` where there is none."""
        return self.tool or "event"

    @property
    def tool_input(self) -> dict[str, Any]:
        """The tool's input; empty where the event has none."""
        found = self.payload.get("tool_input")
        return found if isinstance(found, dict) else {}

    def with_input(self, tool_input: dict[str, Any]) -> Self:
        """Gives the same event with another tool input."""
        return msgspec.structs.replace(self, payload={**self.payload, "tool_input": tool_input}, written=None)


def event_from(read: Read) -> HookEvent:
    """Gives the event that a payload tells of. Raises GateError: event_invalid, tool_invalid, payload_malformed."""
    payload = read.value
    name = payload.get("hook_event_name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise GateError(ErrorKind.EVENT_INVALID, "hook_event_name is missing or is no name")
    spec = spec_of(name)
    tool = payload.get("tool_name", "")
    if not isinstance(tool, str) or len(tool) > _MAX_TOOL_CHARACTERS or (spec.tool and not tool):
        raise GateError(ErrorKind.TOOL_INVALID, "tool_name is missing, no text, or too long")
    dropped: tuple[str, ...] = ()
    if "facts" in payload:
        payload = {key: value for key, value in payload.items() if key != "facts"}
        dropped = ("facts",)
    payload = _completed(payload, spec)
    return HookEvent(
        name=name,
        spec=spec,
        payload=payload,
        tool=tool,
        session_id=_text(payload, "session_id"),
        prompt_id=_text(payload, "prompt_id"),
        tool_use_id=_text(payload, "tool_use_id"),
        agent_id=_text(payload, "agent_id"),
        agent_type=_text(payload, "agent_type"),
        cwd=_text(payload, "cwd"),
        permission_mode=_text(payload, "permission_mode"),
        altered=read.altered,
        dropped=dropped,
        truncated=read.truncated,
        written=read.written,
    )


def hinted_spec(start: bytes | bytearray) -> EventSpec | None:
    """Looks for the event in the first 4 KiB of a body that can't be read; None if there is none.

    A tool's input may hold the same key, to make a call look like an event that nobody denies: where there is more than one
    name, the first counts only if a deny is obeyed there.
    """
    names = dict.fromkeys(name.decode("ascii") for name in _HINT.findall(start[:HINT_BYTES]))
    if not names:
        return None
    spec = spec_of(next(iter(names)))
    return spec if len(names) == 1 or spec.obeys else None


def _completed(payload: dict[str, Any], spec: EventSpec) -> dict[str, Any]:
    """Sees that what policies rely on is there with its type: a missing attribute would leave a DENY rule unmet."""
    missing: dict[str, Any] = {}
    for key, kind in spec.required.items():
        value = payload.get(key)
        if value is None and key != "tool_name":
            missing[key] = kind()
        elif not isinstance(value, kind):
            error = ErrorKind.TOOL_INVALID if key.startswith("tool_") else ErrorKind.PAYLOAD_MALFORMED
            raise GateError(error, f"{key} is not of the type that the client sends")
    if "tool_name" in payload and "tool_input" not in payload:
        missing["tool_input"] = {}
    return {**payload, **missing} if missing else payload


def _text(payload: dict[str, Any], key: str) -> str:
    value = payload.get(key)
    return value if isinstance(value, str) else ""
