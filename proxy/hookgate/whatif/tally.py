"""Counts as they grow, in bounded memory; what is interrupted goes on with them."""

from collections.abc import Mapping
from typing import Any

import msgspec

from hookgate.whatif.change import TOLD, Change
from hookgate.whatif.model import Count, Example, Person

#: Names that are told apart of each kind; callers choose some of them.
_MOST_NAMES = 5000
_OTHERS = "(others)"
#: Listed of each kind, and examples of each rule and change, and in all.
_LISTED, _EXAMPLES_EACH, _EXAMPLES = 200, 3, 120
_PEOPLE = 10


class Tally(msgspec.Struct):
    """Counts of what has been asked until now."""

    total: int = 0
    told: int = 0
    changes: dict[str, int] = {}
    transitions: dict[str, int] = {}
    unsure: int = 0
    unsure_why: dict[str, int] = {}
    apparent: dict[str, int] = {}
    errors: int = 0
    error_outcomes: dict[str, int] = {}
    #: By `rule`, `user`, `tool` and `event`; by name; by change.
    by: dict[str, dict[str, dict[str, int]]] = {}
    requests: dict[str, int] = {}
    examples: list[Example] = []
    examples_of: dict[str, int] = {}

    def compared(self, change: Change, before: str, after: str, names: Mapping[str, str]) -> None:
        """Counts a request that can be told."""
        self.told += 1
        _add(self.changes, change)
        _add(self.transitions, f"{before} > {after}")
        _add(self.requests, names["user"], bounded=True)
        if change is Change.UNCHANGED:
            return
        for kind, name in names.items():
            found = self.by.setdefault(kind, {})
            if name not in found and len(found) >= _MOST_NAMES:
                name = _OTHERS  # noqa: PLW2901 (the name that counts)
            _add(found.setdefault(name, {}), change)

    def untold(self, whys: tuple[str, ...]) -> None:
        """Counts one that can't."""
        self.unsure += 1
        for why in whys:
            _add(self.unsure_why, why)

    def failed(self, outcome: str) -> None:
        """Counts one of which only an error was recorded."""
        self.errors += 1
        _add(self.error_outcomes, outcome)

    def wants_example(self, change: str, rule: str, *, unsure: bool) -> bool:
        """Whether another example of that is kept."""
        key = f"{change} {'unsure' if unsure else ''} {rule}"
        if len(self.examples) >= _EXAMPLES or self.examples_of.get(key, 0) >= _EXAMPLES_EACH:
            return False
        _add(self.examples_of, key)
        return True

    def counts(self, kind: str) -> tuple[Count, ...]:
        """Gives what would change by rule, user, tool or event, the most first."""
        found = [Count(name=name, **_known(counted)) for name, counted in self.by.get(kind, {}).items()]
        return tuple(sorted(found, key=lambda one: (-one.changed, one.name))[:_LISTED])

    def people(self) -> tuple[Person, ...]:
        """Gives those whom it affects most."""
        found = [
            Person(
                user=name,
                requests=self.requests.get(name, 0),
                newly_denied=counted.get(Change.NEWLY_DENIED, 0),
                newly_asked=counted.get(Change.NEWLY_ASKED, 0),
                newly_allowed=counted.get(Change.NEWLY_ALLOWED, 0),
            )
            for name, counted in self.by.get("user", {}).items()
        ]
        held = [one for one in found if one.newly_denied or one.newly_asked]
        return tuple(sorted(held, key=lambda one: (-one.newly_denied - one.newly_asked, one.user))[:_PEOPLE])


def _known(counted: Mapping[str, int]) -> Any:
    return {change.value: counted.get(change.value, 0) for change in TOLD}


def _add(counts: dict[str, int], name: str, *, bounded: bool = False) -> None:
    if bounded and name not in counts and len(counts) >= _MOST_NAMES:
        name = _OTHERS
    counts[str(name)] = counts.get(name, 0) + 1
