"""What the journal's newest part says of calls that may still run: a restart must forget none, and accuse none."""

import time
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from hookgate.audit.error import UNREADABLE
from hookgate.audit.reconcile import Calls, Sighting
from hookgate.audit.record import CallRecord
from hookgate.audit.recovery import lines_from_end
from hookgate.audit.segments import segment_paths

#: How much is read, and for how long: a service that starts is waited for.
_MAX_BYTES = 32 * 1024 * 1024
_MAX_SECONDS = 1.0


class _Seen(msgspec.Struct, frozen=True):
    """What is read of a line."""

    type: str = ""
    id: str = ""
    time: str = ""
    mode: str = ""
    event: str = ""
    error: str = ""
    session_id: str = ""
    prompt_id: str = ""
    tool: str = ""
    tool_use_id: str = ""
    input_digest: str = ""
    changed_digest: str = ""
    ran_seconds: float | None = None
    calls: tuple[CallRecord, ...] = ()
    answer: dict[str, Any] = {}
    detail: dict[str, Any] = {}


def recall(directory: Path, calls: Calls) -> None:
    """Tells `calls` what the journal's newest part says, in its order. Raises OSError."""
    sent: dict[str, dict[str, Any]] = {}
    newest: list[Sighting | None] = []
    end, left = time.monotonic() + _MAX_SECONDS, _MAX_BYTES
    for line in lines_from_end(segment_paths(directory)):
        left -= len(line)
        if left < 0 or time.monotonic() > end:
            break
        try:
            seen = msgspec.json.decode(line, type=_Seen)
        except UNREADABLE:
            newest.append(None)
            continue
        if seen.type == "answer":
            sent[str(seen.detail.get("decision"))] = _object(seen.detail.get("answer"))
        elif seen.type == "gap" or (seen.type == "decision" and _was_let_through_unheard(seen, sent)):
            newest.append(None)
        elif seen.type == "decision":
            newest.append(_sighting(seen, sent.get(seen.id, seen.answer)))
    for sighting in reversed(newest):
        if sighting is None:
            calls.missed()
        else:
            calls.saw(sighting)


def _was_let_through_unheard(seen: _Seen, sent: dict[str, dict[str, Any]]) -> bool:
    """A request that could not be read, but was not denied either, may have been for a call."""
    about_a_call = seen.event in ("", "PreToolUse", "PermissionRequest") and not seen.session_id
    return about_a_call and bool(seen.error) and not denies(sent.get(seen.id, seen.answer))


def _sighting(seen: _Seen, answer: dict[str, Any]) -> Sighting:
    return Sighting(
        event=seen.event,
        decision_id=seen.id,
        at=_seconds(seen.time),
        session_id=seen.session_id,
        prompt_id=seen.prompt_id,
        tool=seen.tool,
        tool_use_id=seen.tool_use_id,
        input_digest=seen.input_digest,
        changed_digest=seen.changed_digest,
        denied=denies(answer),
        ran_seconds=seen.ran_seconds,
        calls=seen.calls,
    )


def denies(answer: dict[str, Any]) -> bool:
    """Whether an answer tells the client that a call must not run."""
    specific = _object(answer.get("hookSpecificOutput"))
    return (
        answer.get("decision") == "block"
        or specific.get("permissionDecision") == "deny"
        or _object(specific.get("decision")).get("behavior") == "deny"
    )


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _seconds(text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0
