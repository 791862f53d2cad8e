"""What an auditor's report says. Its JSON form has the same fields, and the accesses besides (docs/report.md)."""

from typing import Any

import msgspec

from hookgate.audit.finding import Verification
from hookgate.audit.store.question import Count

#: Of the JSON form; raised when a field changes its meaning or goes away.
VERSION = 1


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """One decision that the report is about. Texts are as recorded: whoever shows them makes them harmless."""

    time: str
    id: str
    instance: str
    seq: int
    user: str
    verified: bool
    event: str
    tool: str
    subject: str
    #: What of it matched: paths, or the command; empty where nothing was looked for.
    matched: tuple[str, ...]
    outcome: str
    mode: str
    policy: str
    reason: str
    error: str
    session_id: str
    agent_id: str
    tool_use_id: str
    #: `ran`, `failed` or `interrupted`; empty where nothing tells.
    ended: str = ""
    ended_time: str = ""
    ran_seconds: float | None = None
    #: Types of the records that say that something does not add up.
    violations: tuple[str, ...] = ()


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of time."""

    since: str
    until: str


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """A time in which nothing could be written, as the journal itself tells."""

    instance: str
    since: str
    until: str
    #: Answers that have no record, by outcome.
    answers: dict[str, int]


class Instance(msgspec.Struct, frozen=True, kw_only=True):
    """A Hookgate that recorded, by its chain."""

    id: str
    host: str
    #: Times of its first and last record in the period.
    first: str
    last: str
    decisions: int
    starts: int
    stops: int
    #: Starts without a stop before them: it was killed, or its machine was.
    crashes: int
    checkpoints: int
    #: Times without a sign of life although it had not been stopped; the first ones, and how many there are.
    silences: tuple[Span, ...]
    silent: int
    #: Whether its journal was there, and rows were checked against it.
    has_journal: bool


class EditedRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the store that is not what the journal's line is."""

    instance: str
    seq: int
    id: str
    time: str
    #: `edited`; `misleading` (searches find it by something else than its record says); `unknown` (the journal has no such
    #: line); `missing` (the store has no such row).
    what: str
    #: Fields that differ.
    fields: tuple[str, ...] = ()


class RowCheck(msgspec.Struct, frozen=True, kw_only=True):
    """How the rows of the store compare with the journal."""

    rows: int
    #: Compared with the journal's line.
    compared: int
    #: Not compared, since the journal of their instance is not here; their own hashes were checked.
    without_journal: int
    #: Not compared, since retention has removed their lines; their own hashes were checked.
    removed: int
    edited: int
    misleading: int
    #: Also rows that no record is behind.
    unknown: int
    missing: int
    #: Lines that are older than all that the store has. The report has them from the journal.
    expired: int
    #: Lines that are newer than all that the store has: not delivered yet. The report has them from the journal.
    not_delivered: int
    #: The first of what is wrong.
    examples: tuple[EditedRow, ...]


class Stretch(msgspec.Struct, frozen=True, kw_only=True):
    """A time in which decisions were observed only, or could not be made."""

    instance: str
    since: str
    until: str
    #: Decisions of that kind, and all others in that time.
    count: int
    others: int
    #: Unenforced: what would have been denied or asked. Errors: 0.
    held_back: int
    #: Unenforced: users. Errors: kinds. The first ones.
    names: tuple[str, ...]


class ViolationRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Something that does not add up."""

    type: str
    time: str
    instance: str
    #: The decision that it is about, and the record that shows it; empty where there is none.
    decision: str
    found_by: str
    tool: str
    user: str = ""
    subject: str = ""


class ServiceEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened to the service and that an auditor should know."""

    type: str
    time: str
    instance: str
    detail: dict[str, Any]


class Bucket(msgspec.Struct, frozen=True, kw_only=True):
    """Decisions in a part of the period, by outcome."""

    begin: str
    outcomes: dict[str, int]


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """How many decisions there were, and of what kind; lists are sorted, the most first."""

    decisions: int
    buckets: tuple[Bucket, ...]
    bucket_seconds: int
    outcomes: tuple[Count, ...]
    modes: tuple[Count, ...]
    events: tuple[Count, ...]
    tools: tuple[Count, ...]
    users: tuple[Count, ...]
    #: Different users, as far as they were told apart.
    user_count: int
    policies: tuple[Count, ...]
    errors: tuple[Count, ...]
    denied: tuple[Count, ...]
    denial_reasons: tuple[Count, ...]
    unmatched: tuple[Count, ...]
    unverified: tuple[Count, ...]
    unverified_decisions: int


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Everything but the accesses, which are written one by one."""

    version: int
    made: str
    hookgate: str
    since: str
    until: str
    paths: tuple[str, ...]
    commands: tuple[str, ...]
    #: What is wrong with the evidence; empty where nothing is.
    findings: tuple[str, ...]
    #: What is worth knowing about it.
    notices: tuple[str, ...]
    #: None where there was no journal to verify.
    journal: Verification | None
    #: Where the checkpoint that it was verified against came from, and which keys were trusted.
    against: bool
    trusted: tuple[str, ...]
    rows: RowCheck
    instances: tuple[Instance, ...]
    gaps: tuple[Gap, ...]
    totals: Totals
    accesses: int
    accesses_by_outcome: tuple[Count, ...]
    #: Searches below a folder that may have shown what the paths name, without naming it.
    may_have_reached: int
    violation_counts: tuple[Count, ...]
    violations: tuple[ViolationRecord, ...]
    unenforced: tuple[Stretch, ...]
    unenforced_decisions: int
    error_stretches: tuple[Stretch, ...]
    error_decisions: int
    events: tuple[ServiceEvent, ...]
    #: What hooks cannot see.
    unseen: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong with the evidence."""
        return not self.findings
