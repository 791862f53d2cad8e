"""What of a record stands in columns of its own, to be asked about; the record itself is kept whole beside them."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from hookgate.audit.shipping.shipment import Shipment
from hookgate.audit.store.moment import HOUR, micros_of
from hookgate.audit.store.packing import parts, unpacked
from hookgate.audit.store.subject import subject_of

#: Of texts that are looked up: an index takes no longer ones. What is looked for is cut alike.
KEY_CHARACTERS = 200
#: Bits of a row's key that are the line's number; those above are the chain's.
_SEQ_BITS = 44
_DIGEST_CHARACTERS = 32
_UNKNOWN = "\ufffd"
#: Between the parts of a name that is counted; in no name of a rule.
JOINT = "\x1f"
_MAX_SECONDS = 1e12


class LineRow(NamedTuple):
    """A line as it is kept."""

    key: int
    time: int
    prev: bytes
    hash: bytes
    body: bytes


class DecisionRow(NamedTuple):
    """The columns of a decision."""

    key: int
    time: int
    id: str
    principal: str
    roles: str
    verified: int
    event: str
    tool: str
    outcome: str
    mode: str
    #: Cut; `whole_subject` is all of it where that is more.
    subject: str
    whole_subject: str | None
    reason: str
    policy: str
    error: str
    session_id: str
    prompt_id: str
    tool_use_id: str
    agent_id: str
    input_digest: str
    #: Tool use ids of a PostToolBatch.
    calls: str
    total_seconds: float
    failed: int | None
    interrupted: int
    ran_seconds: float | None


class ServiceRow(NamedTuple):
    """The columns of a record about the service."""

    key: int
    time: int
    id: str
    type: str
    decision: str
    found_by: str


#: Kind, hour, name, outcome: what decisions are counted by.
Tally = Counter[tuple[str, int, str, str]]


class Rows(NamedTuple):
    """The rows of some lines."""

    lines: list[LineRow]
    decisions: list[DecisionRow]
    services: list[ServiceRow]
    tally: Tally


def key_of(chain: int, seq: int) -> int:
    """Gives the key of a line's rows. Raises ValueError for a number that has no room in it."""
    if not 0 < seq < 1 << _SEQ_BITS:
        raise ValueError(f"line {seq}: no such number fits into the store")
    return chain << _SEQ_BITS | seq


def place_of(key: int) -> tuple[int, int]:
    """Gives a key's chain and line number."""
    return key >> _SEQ_BITS, key & ((1 << _SEQ_BITS) - 1)


def rows_of(shipments: Iterable[tuple[int, Shipment]]) -> Rows:
    """Gives the rows of lines with their keys. Raises ValueError for a line that is no JSON object."""
    rows = Rows([], [], [], Counter())
    for key, shipment in shipments:
        record = _record(shipment)
        time = micros_of(record.get("time"))
        prev, own, body = parts(shipment.line)
        rows.lines.append(LineRow(key, time, prev, own or bytes.fromhex(shipment.hash), body))
        if record.get("type") == "decision":
            decision = _decision(key, time, record)
            rows.decisions.append(decision)
            count(rows.tally, decision)
            count_rules(rows.tally, decision, record)
        else:
            rows.services.append(_service(key, time, record))
    return rows


def count(tally: Tally, row: DecisionRow) -> None:
    """Counts a decision in every way that statistics ask about."""
    hour, outcome = row.time // HOUR, row.outcome
    tally["mode", hour, row.mode, outcome] += 1
    tally["event", hour, row.event, outcome] += 1
    if row.tool:
        tally["tool", hour, row.tool, outcome] += 1
    if row.policy:
        tally["policy", hour, row.policy, outcome] += 1
    if row.error:
        tally["error", hour, row.error, outcome] += 1
    if row.principal:
        tally["user", hour, row.principal, outcome] += 1
        if not row.verified:
            tally["unverified", hour, row.principal, outcome] += 1


def count_rules(tally: Tally, row: DecisionRow, record: Mapping[str, Any]) -> None:
    """Counts the rules whose outputs a decision has, for whom they fired, and what about outputs does not fit together."""
    hour, outcome = row.time // HOUR, row.outcome
    for source in {_key(output, "source") for output in _objects(record, "outputs")} - {""}:
        tally["rule", hour, source, outcome] += 1
        if row.principal:
            tally["rule_user", hour, looked_up(f"{source}{JOINT}{row.principal}"), outcome] += 1
    found = [("contradiction", one) for one in _list(record, "contradictions") if isinstance(one, str)]
    found += [
        ("dropped", JOINT.join(_key(one, name) for name in ("source", "field", "why")))
        for one in _objects(record, "dropped")
    ]
    found += [("evaluation_error", _key(one, "source")) for one in _objects(record, "outputs") if _text(one, "error")]
    for kind, what in set(found):
        tally["finding", hour, looked_up(f"{kind}{JOINT}{what}"), outcome] += 1


def _objects(record: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    return [one for one in _list(record, name) if isinstance(one, dict)]


def uncount(tally: Tally, row: DecisionRow, body: bytes) -> None:
    """Counts a decision that is to be taken out again, with its packed line."""
    count(tally, row)
    try:
        record = msgspec.json.decode(unpacked(body))
    except (ValueError, msgspec.DecodeError, RecursionError):
        return
    if isinstance(record, dict):
        count_rules(tally, row, record)


def looked_up(text: str) -> str:
    """Gives a text as it stands in a column that is looked up."""
    return clean(text)[:KEY_CHARACTERS]


def clean(text: str) -> str:
    """Gives a text without what a database takes for none: U+0000 and halves of surrogates."""
    if "\0" in text:
        text = text.replace("\0", _UNKNOWN)
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def listed(names: Iterable[str]) -> str:
    """Gives texts as one, in which `member` finds each of them, and nothing else."""
    found = "".join(f"{_escaped(name)}," for name in names)
    return f",{found}" if found else ""


def member(name: str) -> str:
    """Gives what stands in a list that has this text."""
    return f",{_escaped(name)},"


def _escaped(name: str) -> str:
    return looked_up(name).replace("%", "%25").replace(",", "%2C")


def _record(shipment: Shipment) -> Mapping[str, Any]:
    try:
        record = shipment.record
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        record = None
    if not isinstance(record, dict):
        raise ValueError(f"line {shipment.seq}: no JSON object")  # noqa: TRY004 (the line is at fault, no caller)
    return record


def _decision(key: int, time: int, record: Mapping[str, Any]) -> DecisionRow:
    subject = clean(subject_of(record))
    event, failed = _key(record, "event"), record.get("failed")
    if not isinstance(failed, bool):
        # Records that were made before there was such a field.
        failed = {"PostToolUse": False, "PostToolUseFailure": True}.get(event)
    return DecisionRow(
        key,
        time,
        _key(record, "id"),
        _key(record, "user"),
        listed(role for role in _list(record, "roles") if isinstance(role, str)),
        int(record.get("verified") is True),
        event,
        _key(record, "tool"),
        _key(record, "outcome"),
        _key(record, "mode"),
        subject[:KEY_CHARACTERS],
        subject if len(subject) > KEY_CHARACTERS else None,
        clean(_text(record, "reason")),
        _key(record, "policy"),
        _key(record, "error"),
        _key(record, "session_id"),
        _key(record, "prompt_id"),
        _key(record, "tool_use_id"),
        _key(record, "agent_id"),
        _key(record, "input_digest")[:_DIGEST_CHARACTERS],
        listed(
            call["tool_use_id"]
            for call in _list(record, "calls")
            if isinstance(call, dict) and isinstance(call.get("tool_use_id"), str)
        ),
        _number(record, "total_seconds") or 0.0,
        None if failed is None else int(failed),
        int(record.get("interrupted") is True),
        _number(record, "ran_seconds"),
    )


def _service(key: int, time: int, record: Mapping[str, Any]) -> ServiceRow:
    detail = record.get("detail")
    named: Mapping[str, Any] = detail if isinstance(detail, dict) else {}
    return ServiceRow(
        key, time, _key(record, "id"), _key(record, "type"), _key(named, "decision"), _key(named, "found_by")
    )


def _text(record: Mapping[str, Any], name: str) -> str:
    found = record.get(name)
    return found if isinstance(found, str) else ""


def _key(record: Mapping[str, Any], name: str) -> str:
    found = record.get(name)
    return looked_up(found) if isinstance(found, str) and found else ""


def _list(record: Mapping[str, Any], name: str) -> list[Any]:
    found = record.get(name)
    return found if isinstance(found, list) else []


def _number(record: Mapping[str, Any], name: str) -> float | None:
    found = record.get(name)
    if not isinstance(found, int | float) or isinstance(found, bool) or abs(found) > _MAX_SECONDS:
        return None
    return float(found)
