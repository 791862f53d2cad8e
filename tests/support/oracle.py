"""What a store must answer, in plain Python over plain records: slow, and easy to believe."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from hookgate.audit.shipping.shipment import Shipment
from hookgate.audit.store.question import Filter
from hookgate.audit.store.subject import subject_of

VIOLATIONS = {"enforcement_violated", "executed_differs", "unasked", "undelivered"}
RAN = {"PostToolUse", "PostToolUseFailure"}


class Oracle:
    """Knows all lines that were sent, in the order in which chains came."""

    def __init__(self, sent: Iterable[Shipment]) -> None:
        self.lines: list[Shipment] = list({(one.instance, one.seq): one for one in sent}.values())
        chains = list(dict.fromkeys(one.instance for one in self.lines))
        self.lines.sort(key=lambda one: (moment(one.record), chains.index(one.instance), one.seq))

    @property
    def decisions(self) -> list[dict[str, Any]]:
        """All decisions in order."""
        return [one.record for one in self.lines if one.record.get("type") == "decision"]

    @property
    def services(self) -> list[dict[str, Any]]:
        """All other records in order."""
        return [one.record for one in self.lines if one.record.get("type") != "decision"]

    def matching(self, wanted: Filter) -> list[dict[str, Any]]:
        """The decisions that match, the oldest first."""
        return [record for record in self.decisions if matches(record, wanted)]

    def ran(self, record: dict[str, Any]) -> str | None:
        """How a call ended: the id of what tells."""
        if record.get("event") != "PreToolUse" or not record.get("tool_use_id"):
            return None
        for other in self.decisions:
            same = all(other.get(name, "") == record.get(name, "") for name in ("session_id", "tool_use_id"))
            if same and other.get("event") in RAN:
                found: str = other["id"]
                return found
        return None

    def violations(self, record: dict[str, Any]) -> tuple[str, ...]:
        """Which records say that something about a decision does not add up."""
        return tuple(
            sorted(
                {
                    other["type"]
                    for other in self.services
                    if other["type"] in VIOLATIONS
                    and record["id"] in (other["detail"].get("decision"), other["detail"].get("found_by"))
                }
            )
        )

    def counts(self, wanted: Filter) -> dict[str, list[tuple[str, int]]]:
        """Every list of the statistics, whole."""
        found = self.matching(wanted)
        denied = [record for record in found if record["outcome"] == "deny"]
        violations = [
            record["type"]
            for record in self.services
            if record["type"] in VIOLATIONS
            and (wanted.since is None or moment(record) >= wanted.since)
            and (wanted.until is None or moment(record) < wanted.until)
        ]
        return {
            "outcomes": most(record["outcome"] for record in found),
            "errors": most(record.get("error", "") for record in found),
            "modes": most(record.get("mode", "") for record in found),
            "events": most(record.get("event", "") for record in found),
            "tools": most(record.get("tool", "") for record in found),
            "users": most(clean(record.get("user", "")) for record in found),
            "policies": most(record.get("policy", "") for record in found if record.get("policy") != "NO_MATCH"),
            "denied": most(label(record) for record in denied),
            "unmatched": most(record.get("tool", "") for record in found if record["outcome"] == "no_match"),
            "unverified": most(clean(record.get("user", "")) for record in found if not record.get("verified")),
            "denying_sessions": most(record.get("session_id", "") for record in denied),
            "violations": most(violations),
        }


def matches(record: dict[str, Any], wanted: Filter) -> bool:
    """Whether a decision is one of those asked for."""
    at = moment(record)
    if (wanted.since is not None and at < wanted.since) or (wanted.until is not None and at >= wanted.until):
        return False
    equal = ("user", "tool", "event", "outcome", "session_id", "policy", "error", "mode")
    for name in equal:
        asked = getattr(wanted, name)
        if asked is not None and clean(record.get(name, "")) != clean(asked):
            return False
    if wanted.verified is not None and record.get("verified", False) is not wanted.verified:
        return False
    if wanted.role is not None and wanted.role not in record.get("roles", []):
        return False
    if wanted.reason is not None and not alike(clean(record.get("reason", "")), clean(wanted.reason)):
        return False
    return wanted.text is None or alike(clean(subject_of(record)), clean(wanted.text))


def moment(record: dict[str, Any]) -> datetime:
    """When a record was made; 1970 where it does not tell."""
    try:
        return datetime.fromisoformat(record["time"])
    except (KeyError, ValueError):
        return datetime(1970, 1, 1, tzinfo=UTC)


def clean(text: str) -> str:
    """A text as databases take it."""
    return text.replace("\0", "\ufffd")


def alike(text: str, part: str) -> bool:
    """Whether a text has a part, in upper or lower case."""
    return any(
        all(_same(*pair) for pair in zip(text[at:], part, strict=False)) and len(text) - at >= len(part)
        for at in range(len(text) + 1)
    )


def most(names: Iterable[str]) -> list[tuple[str, int]]:
    """Names by how often they occur, without the empty one."""
    found = Counter(name for name in names if name)
    return sorted(found.items(), key=lambda pair: (-pair[1], pair[0].encode()))


def label(record: dict[str, Any]) -> str:
    """What was denied."""
    what = record.get("tool") or record.get("event", "")
    subject = clean(subject_of(record))[:200]
    return f"{what}: {subject}" if subject else what


def stretch(begin: datetime, seconds: int, records: Iterable[dict[str, Any]]) -> dict[str, int]:
    """Decisions of a stretch of time by outcome."""
    end = begin + timedelta(seconds=seconds)
    return dict(Counter(record["outcome"] for record in records if begin <= moment(record) < end))


def _same(there: str, asked: str) -> bool:
    if there.isascii() or asked.isascii():
        return there.lower() == asked.lower() if there.isascii() and asked.isascii() else False
    return there in (asked, asked.lower(), asked.upper())
