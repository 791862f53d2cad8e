"""What a store can be asked, and what it answers: the same for every kind of store. Times are UTC."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Protocol

import msgspec

from hookgate.audit.store.fleet import FleetFinding, Member


class StoreError(Exception):
    """The store can't be read; one line that names it and says what to do."""


class NoStoreError(StoreError):
    """There is no store yet."""


class TooLongError(StoreError):
    """A question took longer than it may."""


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which decisions; what is None does not matter, all others must hold."""

    #: From this time on, and before that one.
    since: datetime | None = None
    until: datetime | None = None
    user: str | None = None
    role: str | None = None
    tool: str | None = None
    event: str | None = None
    outcome: str | None = None
    session_id: str | None = None
    policy: str | None = None
    error: str | None = None
    #: Parts of the reason, and of the path, command or other subject of the call; case does not matter.
    reason: str | None = None
    text: str | None = None
    verified: bool | None = None
    #: `enforce` or `observe`.
    mode: str | None = None


class Ran(msgspec.Struct, frozen=True, kw_only=True):
    """How a call ended, from the record of PostToolUse or PostToolUseFailure that belongs to it."""

    id: str
    time: str
    #: `ran`, `failed` or `interrupted`.
    how: str
    #: As the client tells it; None where it does not.
    seconds: float | None = None


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One decision, as lists show it. Texts are as recorded: whoever shows them makes them harmless."""

    id: str
    time: str
    user: str
    verified: bool
    event: str
    tool: str
    outcome: str
    mode: str
    #: What the call is about: its path, command, URL, pattern or description; cut.
    subject: str
    reason: str
    policy: str
    error: str
    session_id: str
    tool_use_id: str
    agent_id: str
    total_seconds: float
    #: For PreToolUse: how the call ended, None where nothing tells.
    ran: Ran | None = None
    #: Types of the records that say that something does not add up: `enforcement_violated`, `unasked`, …
    violations: tuple[str, ...] = ()


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Rows, the newest first unless asked otherwise. `cursor` gives the next page; empty at the end."""

    rows: tuple[Row, ...]
    cursor: str = ""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A whole record and its place in the chain: what the journal's line holds."""

    instance: str
    seq: int
    #: Made from what the store holds, not as noted there: it is the journal's own hash if nothing was changed since. Empty
    #: for a record that a shipper made smaller (`reduced`).
    hash: str
    #: The line's JSON object, with `seq`, `prev` and `hash`.
    record: dict[str, Any]


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of a chain that was delivered to the store, both ends included."""

    instance: str
    first: int
    last: int


class Count(msgspec.Struct, frozen=True, kw_only=True):
    """How often something occurs."""

    name: str
    count: int


class Bucket(msgspec.Struct, frozen=True, kw_only=True):
    """Decisions within a stretch of time that begins then, by outcome."""

    begin: datetime
    outcomes: dict[str, int]


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """Decisions of a period; lists are sorted by count, the most first, and cut to the number asked for."""

    since: datetime
    until: datetime
    total: int
    #: Equal stretches of the period, in order, also those without decisions.
    buckets: tuple[Bucket, ...]
    bucket_seconds: int
    outcomes: tuple[Count, ...]
    #: Of outcome `error`, by kind.
    errors: tuple[Count, ...]
    modes: tuple[Count, ...]
    events: tuple[Count, ...]
    tools: tuple[Count, ...]
    users: tuple[Count, ...]
    policies: tuple[Count, ...]
    #: Subjects denied most, as `tool: subject`.
    denied: tuple[Count, ...]
    #: Tools without a policy (`no_match`).
    unmatched: tuple[Count, ...]
    #: Users with unverified identity.
    unverified: tuple[Count, ...]
    #: Sessions with most denials.
    denying_sessions: tuple[Count, ...]
    #: Records of violations, by type.
    violations: tuple[Count, ...]


class Active(msgspec.Struct, frozen=True, kw_only=True):
    """What was counted of one name."""

    outcomes: dict[str, int]
    #: The last hour that has any of it, since 1970.
    last_hour: int

    @property
    def count(self) -> int:
        """All of them."""
        return sum(self.outcomes.values())


class Reasons(msgspec.Struct, frozen=True, kw_only=True):
    """Why decisions were no plain yes. `is_sample`: only the newest were looked at."""

    counts: tuple[Count, ...]
    is_sample: bool


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """What has arrived since. `places`: the last line of each chain that was looked at, by the chain's number in the store."""

    rows: tuple[Row, ...]
    places: dict[int, int]


class Store(Protocol):
    """A store open for questions; all of them raise StoreError. To be closed by whoever opened it."""

    def search(self, wanted: Filter, *, limit: int = 50, cursor: str = "", oldest_first: bool = False) -> Page:
        """Gives one page. A cursor stays good while records come in: no row is given twice, and none is left out that was
        there when the first page was given."""

    def show(self, record_id: str) -> tuple[Entry, ...]:
        """Gives the record with that id first, and then those that belong to it: of the same call by tool use id, a
        PermissionRequest by session, prompt and input digest, and service records that name one of them. Empty if there is none."""

    def session(self, session_id: str, *, limit: int = 1000, cursor: str = "") -> Page:
        """Gives a session's decisions, the oldest first."""

    def stats(self, wanted: Filter, *, top: int = 10, buckets: int = 48, closely: bool = True) -> Stats:
        """Counts the decisions of a period; without `since` or `until`, of all that is there. Not `closely`: without what is
        not counted beforehand (`denied`, `denying_sessions`)."""

    def reasons(self, wanted: Filter, *, top: int = 10, most: int = 2000) -> Reasons:
        """Counts the reasons of the newest so many denials, questions and errors each."""

    def active(self, kind: str, since: datetime, until: datetime) -> dict[str, Active]:
        """Gives what was counted of each `user`, `unverified` user, `tool`, `policy` or `rule` in the hours of a period."""

    def newest(self, users: tuple[str, ...]) -> tuple[Entry, ...]:
        """Gives the whole record of each user's newest decision."""

    def arrived(self, wanted: Filter, places: Mapping[int, int] | None, *, limit: int = 200) -> Arrival:
        """Gives decisions in the order in which they arrived, behind these places; None is the end. What is older than two
        days when it arrives is left out."""

    def entries(self, wanted: Filter) -> Iterator[Entry]:
        """Gives the whole records of all decisions that match, the oldest first, in bounded memory."""

    def service_entries(
        self, since: datetime | None, until: datetime | None, types: tuple[str, ...] = ()
    ) -> Iterator[Entry]:
        """Gives the records about the services, the oldest first; of some types, or (without any) of all but checkpoints."""

    def instances(self) -> tuple[str, ...]:
        """Gives the ids of the chains that rows come from."""

    def spans(self) -> tuple[Span, ...]:
        """Gives the stretches of each chain that were delivered, in order; what is between them never was."""

    def members(self) -> tuple[Member, ...]:
        """Gives the journals that were enrolled with a collector, by name, each with how far it has come."""

    def findings(self, since: datetime | None = None) -> tuple[FleetFinding, ...]:
        """Gives what collectors found wrong with journals, the newest first; those seen again since then only."""

    def found(self, since: datetime) -> dict[str, dict[str, int]]:
        """Counts what collectors found since then, by journal and kind."""

    def unasked(self, since: datetime) -> dict[str, int]:
        """Counts calls since then that were not asked about, by journal."""

    def close(self) -> None:
        """Lets the store go."""
