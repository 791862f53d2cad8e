"""The tables of a store, for both kinds of database.

A row's `key` is made of its chain's number and its line's number, so that a line that comes twice is one row. Times are whole
microseconds since 1970, UTC.
"""

from enum import Enum
from typing import NamedTuple


class Column(Enum):
    """What a column holds."""

    WHOLE = "whole"
    FLAG = "flag"
    REAL = "real"
    TEXT = "text"
    BYTES = "bytes"
    MAYBE_TEXT = "maybe text"
    MAYBE_FLAG = "maybe flag"
    MAYBE_REAL = "maybe real"


class Table(NamedTuple):
    """A table. `daily`: in PostgreSQL it is split up by days, and the time is part of its primary key."""

    name: str
    columns: dict[str, Column]
    primary: tuple[str, ...]
    daily: bool = False


_W, _T, _F = Column.WHOLE, Column.TEXT, Column.FLAG

LINE = Table(
    "line",
    {"key": _W, "time": _W, "prev": Column.BYTES, "hash": Column.BYTES, "body": Column.BYTES},
    ("key",),
    daily=True,
)
DECISION = Table(
    "decision",
    {
        "key": _W,
        "time": _W,
        "id": _T,
        "principal": _T,
        "roles": _T,
        "verified": _F,
        "event": _T,
        "tool": _T,
        "outcome": _T,
        "mode": _T,
        "subject": _T,
        "whole_subject": Column.MAYBE_TEXT,
        "reason": _T,
        "policy": _T,
        "error": _T,
        "session_id": _T,
        "prompt_id": _T,
        "tool_use_id": _T,
        "agent_id": _T,
        "input_digest": _T,
        "calls": _T,
        "total_seconds": Column.REAL,
        "failed": Column.MAYBE_FLAG,
        "interrupted": _F,
        "ran_seconds": Column.MAYBE_REAL,
    },
    ("key",),
    daily=True,
)
SERVICE = Table(
    "service", {"key": _W, "time": _W, "id": _T, "type": _T, "decision": _T, "found_by": _T}, ("key",), daily=True
)
#: Decisions counted by the hour: kind of name, hour since 1970, name, outcome.
TALLY = Table(
    "tally", {"kind": _T, "hour": _W, "name": _T, "outcome": _T, "count": _W}, ("kind", "hour", "name", "outcome")
)
#: Which stretches of a chain have been delivered.
SPAN = Table("span", {"chain": _W, "first": _W, "last": _W}, ("chain", "first"))
#: Lines in whose place others came with the same number: a power cut took them out of the journal after they had been shipped.
REPLACED = Table("replaced", LINE.columns, ("key", "hash"))

#: Who may append through a collector: a journal, named by its chain's id. Times in microseconds, 0 for never.
MEMBER = Table(
    "member",
    {
        "instance": _T,
        "name": _T,
        "key_id": _T,
        "public_key": _T,
        "token_sha256": _T,
        "fingerprint": _T,
        "how": _T,
        "enrolled": _W,
        "revoked": _W,
    },
    ("instance",),
)
#: How far each journal has come here, and what its newest records say of it.
PROGRESS = Table(
    "progress",
    {
        "instance": _T,
        "branch": _W,
        "seq": _W,
        "hash": _T,
        "key_id": _T,
        "public_key": _T,
        "signed_seq": _W,
        "signed_time": _W,
        "last_time": _W,
        "heard": _W,
        "skew_seconds": Column.REAL,
        "records": _W,
        "bytes": _W,
        "host": _T,
        "version": _T,
        "mode": _T,
        "config_digest": _T,
        "policies": _T,
        "client": _T,
        "principal": _T,
        "started": _W,
        "decided": _W,
        "unasked": _W,
    },
    ("instance",),
)
#: What is wrong with what a journal sent. `mark` tells findings of one kind at one place apart; `count` counts those alike.
FINDING = Table(
    "finding",
    {
        "instance": _T,
        "kind": _T,
        "seq": _W,
        "mark": _T,
        "time": _W,
        "last": _W,
        "count": _W,
        "detail": _T,
    },
    ("instance", "kind", "seq", "mark"),
)
#: One-time codes to enrol with, by digest; `instance` is who used one.
CODE = Table("code", {"sha256": _T, "name": _T, "created": _W, "expires": _W, "used": _W, "instance": _T}, ("sha256",))
#: The stretches of lines in the order in which they became visible, for those that forward them; `since` and `until` bound
#: their times.
ARRIVAL = Table("arrival", {"number": _W, "chain": _W, "first": _W, "last": _W, "since": _W, "until": _W}, ("number",))
#: How far each forwarder has come, who forwards, and when that one said so last.
FORWARDER = Table("forwarder", {"name": _T, "number": _W, "moved": _W, "holder": _T}, ("name",))
#: What all collectors of a store go on from: the number of the last arrival, and the end of the chain of their own records.
COLLECTOR = Table("collector", {"name": _T, "number": _W, "text": _T}, ("name",))

DAILY = (LINE, DECISION, SERVICE)
FLEET = (MEMBER, PROGRESS, FINDING, CODE, ARRIVAL, FORWARDER, COLLECTOR)
TABLES = (*DAILY, TALLY, SPAN)

RAN = "event IN ('PostToolUse', 'PostToolUseFailure')"
DENIED = "outcome = 'deny'"


class Index(NamedTuple):
    """An index; `where` leaves the other rows out of it."""

    name: str
    table: str
    columns: str
    where: str = ""

    def sql(self) -> str:
        """Gives what makes it."""
        where = f" WHERE {self.where}" if self.where else ""
        return f"CREATE INDEX {self.name} ON {self.table} ({self.columns}){where}"


INDEXES = (
    Index("decision_time", "decision", "time"),
    Index("decision_id", "decision", "id"),
    Index("decision_principal", "decision", "principal, time"),
    Index("decision_session", "decision", "session_id, time"),
    Index("decision_tool", "decision", "tool, time"),
    Index("decision_tool_outcome", "decision", "tool, outcome, time"),
    Index("decision_outcome", "decision", "outcome, time"),
    Index("decision_ran", "decision", "tool_use_id", RAN),
    Index("decision_denied", "decision", "time, event, tool, subject, session_id", DENIED),
    Index("service_type", "service", "type, time"),
    Index("service_time", "service", "time, type"),
    Index("service_id", "service", "id"),
    Index("service_decision", "service", "decision", "decision <> ''"),
    Index("service_found_by", "service", "found_by", "found_by <> ''"),
)
FLEET_INDEXES = (
    Index("member_token", "member", "token_sha256", "token_sha256 <> ''"),
    Index("member_fingerprint", "member", "fingerprint", "fingerprint <> ''"),
    Index("member_name", "member", "name"),
    Index("finding_last", "finding", "last"),
)
