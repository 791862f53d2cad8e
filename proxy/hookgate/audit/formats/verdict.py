"""What became of a call, in the words of OCSF's profile security_control (https://schema.ocsf.io/1.8.0)."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple

from hookgate.audit.formats.content import mapping, text


class Severity(IntEnum):
    """`severity_id`."""

    INFORMATIONAL = 1
    LOW = 2
    MEDIUM = 3
    HIGH = 4


SEVERITIES = {severity: severity.name.capitalize() for severity in Severity}


class Label(NamedTuple):
    """A number of the schema, and its caption there; with 99 ("Other") the name is ours."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a call."""

    action: Label
    disposition: Label
    status: Label
    severity: Severity


_SUCCESS, _FAILURE = Label(1, "Success"), Label(2, "Failure")
_ALLOWED, _DENIED, _OBSERVED = Label(1, "Allowed"), Label(2, "Denied"), Label(3, "Observed")
_BLOCKED, _DETECTED, _LOGGED = Label(2, "Blocked"), Label(15, "Detected"), Label(17, "Logged")
_UNAUTHORIZED, _NO_ACTION, _ERROR = Label(26, "Unauthorized"), Label(16, "No Action"), Label(27, "Error")


def verdict(record: dict[str, Any]) -> Verdict:
    """Gives what became of a decision's call.

    `action` is what the client was told, not what the policy says: while observing, or where the client obeys no denial of the
    event, that is "Observed". `status` of a call that ran is how it ended, else whether it may run.
    """
    outcome = text(record, "outcome")
    severity = _severity(record, outcome)
    if text(record, "mode") == "observe":
        would_deny = outcome == "deny" or _told(mapping(record, "would_answer")) == "deny"
        disposition = _DETECTED if would_deny else _LOGGED
        return Verdict(_OBSERVED, disposition, _ended(record, Label(99, outcome)), severity)
    told = _told(mapping(record, "answer"))
    if told == "deny":
        disposition = _UNAUTHORIZED if outcome == "deny" else _BLOCKED
        return Verdict(_DENIED, disposition, _ended(record, _FAILURE), severity)
    if told in ("ask", "defer"):
        return Verdict(Label(99, told), Label(99, told), _ended(record, Label(99, told)), severity)
    if outcome == "allow" or told == "allow":
        return Verdict(_ALLOWED, Label(1, "Allowed"), _ended(record, _SUCCESS), severity)
    disposition = {"error": _ERROR, "deny": _DETECTED}.get(outcome, _NO_ACTION)
    return Verdict(_OBSERVED, disposition, _ended(record, Label(99, outcome)), severity)


def _told(answer: dict[str, Any]) -> str:
    """Gives what an answer tells the client: `allow`, `deny`, `ask`, `defer`, or nothing."""
    specific = mapping(answer, "hookSpecificOutput")
    said = (
        text(specific, "permissionDecision")
        or text(mapping(specific, "decision"), "behavior")
        or {"accept": "allow", "decline": "deny", "cancel": "deny"}.get(text(specific, "action"), "")
    )
    if said:
        return said
    return "deny" if text(answer, "decision") == "block" else ""


def _ended(record: dict[str, Any], otherwise: Label) -> Label:
    failed = record.get("failed")
    if isinstance(failed, bool):
        return _FAILURE if failed else _SUCCESS
    return otherwise


def _severity(record: dict[str, Any], outcome: str) -> Severity:
    if record.get("unenforceable") is True or outcome == "error":
        return Severity.MEDIUM
    return Severity.LOW if outcome in ("deny", "no_match") else Severity.INFORMATIONAL
