"""From a filter to the condition of a statement."""

from datetime import datetime
from typing import Any

from hookgate.audit.store.columns import clean, looked_up, member
from hookgate.audit.store.dialect import Database
from hookgate.audit.store.moment import micros
from hookgate.audit.store.question import Filter

#: Filters that are columns, and nothing more.
_EQUAL = {
    "user": "principal",
    "tool": "tool",
    "event": "event",
    "outcome": "outcome",
    "session_id": "session_id",
    "policy": "policy",
    "error": "error",
    "mode": "mode",
}


class Condition:
    """What must hold of the decisions `d`, with its values in order."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._terms: list[str] = []
        self.values: list[Any] = []

    def value(self, value: Any) -> str:
        """Adds a value; gives what stands for it."""
        self.values.append(value)
        return self._database.mark(len(self.values))

    def add(self, term: str) -> None:
        """Adds what must hold, too."""
        self._terms.append(term)

    def between(self, column: str, since: int | None, until: int | None) -> None:
        """Adds a stretch of time, in microseconds."""
        if since is not None:
            self.add(f"{column} >= {self.value(since)}")
        if until is not None:
            self.add(f"{column} < {self.value(until)}")

    def period(self, column: str, since: datetime | None, until: datetime | None) -> None:
        """Adds a stretch of time."""
        self.between(column, None if since is None else micros(since), None if until is None else micros(until))

    def wanted(self, wanted: Filter) -> None:
        """Adds all that a filter asks for, but for its time."""
        for name, column in _EQUAL.items():
            if (text := getattr(wanted, name)) is not None:
                self.add(f"d.{column} = {self.value(looked_up(text))}")
        if wanted.verified is not None:
            self.add(f"d.verified = {int(wanted.verified)}")
        if wanted.role is not None:
            self.values.append(member(wanted.role))
            self.add(self._database.holds("d.roles", len(self.values)))
        if wanted.reason is not None:
            self._part("d.reason", wanted.reason)
        if wanted.text is not None:
            self._part("coalesce(d.whole_subject, d.subject)", wanted.text)

    def where(self) -> str:
        """Gives the clause; empty where nothing is asked for."""
        return f" WHERE {' AND '.join(self._terms)}" if self._terms else ""

    def _part(self, column: str, text: str) -> None:
        term, value = self._database.like(column, len(self.values) + 1, clean(text))
        self.values.append(value)
        self.add(term)


def condition(database: Database, wanted: Filter) -> Condition:
    """Gives the condition that a filter makes."""
    found = Condition(database)
    found.period("d.time", wanted.since, wanted.until)
    found.wanted(wanted)
    return found


def index_for(wanted: Filter) -> str:
    """Gives the index that leads to the decisions quickest, in the order of their time."""
    if wanted.session_id is not None:
        return "decision_session"
    if wanted.user is not None:
        return "decision_principal"
    if wanted.tool is not None:
        return "decision_tool" if wanted.outcome is None else "decision_tool_outcome"
    return "decision_time" if wanted.outcome is None else "decision_outcome"
