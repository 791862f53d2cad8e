"""One record a request, and records of what happens to the service itself."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec

#: Raised when a field changes its meaning or goes away; new fields don't raise it.
VERSION = 1

_CUT_CHARACTERS = 2000


class OutputRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """An output of a policy's rule, with the rule that it comes from."""

    source: str
    value: Any = None
    error: str = ""


class DroppedRecord(msgspec.Struct, frozen=True):
    """A field of an output that was left out of the answer, and why."""

    source: str
    field: str
    why: str


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One hook request: who, what, why, the answer, how long. Seconds are wall time; times UTC with microseconds."""

    version: int = VERSION
    type: str = "decision"
    #: UUIDv7; the decision id that the answer's reason carries.
    id: str
    time: str
    outcome: str
    #: `enforce`, or `observe`: then `answer` is `{}` and `would_answer` what enforcing would have said.
    mode: str
    user: str = ""
    roles: tuple[str, ...] = ()
    source: str = ""
    verified: bool = False
    remote: str = ""
    event: str = ""
    tool: str = ""
    session_id: str = ""
    prompt_id: str = ""
    tool_use_id: str = ""
    agent_id: str = ""
    agent_type: str = ""
    permission_mode: str = ""
    cwd: str = ""
    #: The tool's input, its long strings cut.
    input: dict[str, Any] = {}
    facts: dict[str, Any] = {}
    body_bytes: int = 0
    effect: str = ""
    policy: str = ""
    scope: str = ""
    outputs: tuple[OutputRecord, ...] = ()
    dropped: tuple[DroppedRecord, ...] = ()
    #: Sources of outputs that disagree with the effect.
    contradictions: tuple[str, ...] = ()
    reason: str = ""
    #: The error kind, where no decision could be made.
    error: str = ""
    error_detail: str = ""
    #: The PDP's id of the call: it joins this record with the PDP's own logs.
    call_id: str = ""
    answer: dict[str, Any] = {}
    would_answer: dict[str, Any] | None = None
    #: It was to be denied, and the client obeys no denial of this event.
    unenforceable: bool = False
    pdp_seconds: float = 0.0
    total_seconds: float = 0.0


class ServiceRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened to the service: `start`, `stop`, `canary`, `policy_lost`, `undelivered`, `answer`,
    `executed_differs`, `enforcement_violated`.

    `answer` follows a decision's record that could be written too late: its `id` names the decision, `answer` what was sent.
    """

    version: int = VERSION
    type: str
    id: str
    time: str
    detail: dict[str, Any] = {}


def now() -> str:
    """Gives the time in UTC with microseconds (RFC 3339)."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def shortened(value: Any) -> Any:
    """Gives a JSON value whose strings are cut at a bound, with a mark that says how long they were."""
    if isinstance(value, str):
        return value if len(value) <= _CUT_CHARACTERS else f"{value[:_CUT_CHARACTERS]}… (cut, {len(value)} characters)"
    if isinstance(value, dict):
        return {key: shortened(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shortened(item) for item in value]
    return value


def line(record: Record | ServiceRecord) -> bytes:
    """Gives a record as one line of JSON. Text that has no UTF-8 form is written with marks: no answer goes unrecorded."""
    try:
        return msgspec.json.encode(record) + b"\n"
    except UnicodeEncodeError:
        return json.dumps(msgspec.to_builtins(record)).encode("ascii") + b"\n"
