"""How many decisions there were in a period, over time and by kind."""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from hookgate.audit.report.model import Bucket, Totals
from hookgate.audit.report.tally import Tally
from hookgate.audit.store.subject import subject_of

_MOST_BUCKETS = 60
_TOP = 15
#: Lengths of a part of the period, in seconds.
_LENGTHS = (60, 300, 900, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 86400, 2 * 86400, 7 * 86400, 30 * 86400, 365 * 86400)
_SUBJECT_CHARACTERS = 120


class Counting:
    """Counts decisions."""

    def __init__(self, since: datetime, until: datetime) -> None:
        span = (until - since).total_seconds()
        self._seconds = next((length for length in _LENGTHS if span <= length * _MOST_BUCKETS), _LENGTHS[-1])
        self._since = since
        self._buckets = [Counter[str]() for _ in range(max(1, -int(-span // self._seconds)))]
        names = ("outcomes", "modes", "events", "tools", "users", "policies", "errors")
        self._tallies = {name: Tally() for name in names}
        self._denied, self._reasons, self._unmatched, self._unverified = Tally(), Tally(), Tally(), Tally()
        self.decisions = 0

    def taken(self, record: dict[str, Any], at: datetime) -> None:
        """Takes a decision's record."""
        outcome, tool, user = _text(record, "outcome"), _text(record, "tool"), _text(record, "user")
        self.decisions += 1
        part = int((at - self._since).total_seconds() // self._seconds)
        self._buckets[min(max(part, 0), len(self._buckets) - 1)][outcome] += 1
        tallies = self._tallies
        tallies["outcomes"].add(outcome)
        tallies["modes"].add(_text(record, "mode"))
        tallies["events"].add(_text(record, "event"))
        if tool:
            tallies["tools"].add(tool)
        tallies["users"].add(user)
        if policy := _text(record, "policy"):
            tallies["policies"].add(policy)
        if error := _text(record, "error"):
            tallies["errors"].add(error)
        if outcome == "deny":
            self._denied.add(f"{tool or _text(record, 'event')}: {subject_of(record)[:_SUBJECT_CHARACTERS]}")
            self._reasons.add(_text(record, "reason"))
        elif outcome == "no_match":
            self._unmatched.add(tool or _text(record, "event"))
        if record.get("verified") is not True:
            self._unverified.add(user)

    def totals(self) -> Totals:
        """Gives what was counted."""
        begins = (self._since + timedelta(seconds=self._seconds * number) for number in range(len(self._buckets)))
        tallies = self._tallies
        return Totals(
            decisions=self.decisions,
            buckets=tuple(
                Bucket(begin=begin.isoformat(), outcomes=dict(counts))
                for begin, counts in zip(begins, self._buckets, strict=True)
            ),
            bucket_seconds=self._seconds,
            outcomes=tallies["outcomes"].top(_TOP),
            modes=tallies["modes"].top(_TOP),
            events=tallies["events"].top(_TOP),
            tools=tallies["tools"].top(_TOP),
            users=tallies["users"].top(100),
            user_count=len(tallies["users"]),
            policies=tallies["policies"].top(_TOP),
            errors=tallies["errors"].top(_TOP),
            denied=self._denied.top(_TOP),
            denial_reasons=self._reasons.top(_TOP),
            unmatched=self._unmatched.top(_TOP),
            unverified=self._unverified.top(100),
            unverified_decisions=self._unverified.total,
        )


def _text(record: dict[str, Any], key: str) -> str:
    value = record.get(key)
    return value if isinstance(value, str) else ""
