"""What a what-if tells. It is the JSON form, too."""

import msgspec

VERSION = 1


class Count(msgspec.Struct, frozen=True, kw_only=True):
    """How often something would change, by what would become of it."""

    name: str
    newly_denied: int = 0
    newly_asked: int = 0
    newly_allowed: int = 0
    newly_matched: int = 0
    newly_unmatched: int = 0

    @property
    def changed(self) -> int:
        """All of them."""
        return self.newly_denied + self.newly_asked + self.newly_allowed + self.newly_matched + self.newly_unmatched


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody whose calls would be answered otherwise."""

    user: str
    #: Of their requests that can be told.
    requests: int
    newly_denied: int
    newly_asked: int
    newly_allowed: int


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """One request that would change. Texts are as recorded: whoever shows them makes them harmless."""

    id: str
    time: str
    user: str
    event: str
    tool: str
    #: The call's path, command, URL or other subject; cut.
    subject: str
    change: str
    before: str
    after: str
    rule: str
    reason: str
    #: Empty for what can be told; else why not: it was asked with what is recorded.
    unsure: tuple[str, ...] = ()


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What would have become of a period's requests."""

    version: int = VERSION
    hookgate: str
    made: str
    policies: str
    policies_digest: str
    #: The policies that they are compared with; empty: with what was recorded.
    against: str
    against_digest: str
    since: str
    until: str
    #: The other filters, by name.
    filters: dict[str, str]
    #: All decisions of the period that match.
    total: int
    #: Of them, those that can be told for sure, and are compared: `changes` adds up to it.
    told: int
    changes: dict[str, int]
    #: Of those, each from which outcome to which, as `allow > deny`.
    transitions: dict[str, int]
    #: What can't be told. A request may have several reasons.
    unsure: int
    unsure_why: dict[str, int]
    #: Of these, what would change by what is recorded, with its marks and cuts: a hint, and no more.
    apparent: dict[str, int]
    #: Requests of which an error was recorded, and no decision: what would be answered now, by outcome. Compared only with
    #: other policies.
    errors: int
    error_outcomes: dict[str, int]
    by_rule: tuple[Count, ...]
    by_user: tuple[Count, ...]
    by_tool: tuple[Count, ...]
    by_event: tuple[Count, ...]
    #: The ten whom most would be denied or asked, the most first.
    people: tuple[Person, ...]
    examples: tuple[Example, ...]
    seconds: float
