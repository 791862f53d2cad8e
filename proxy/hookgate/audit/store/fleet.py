"""The fleet as a store knows it: who was enrolled with a collector, how far each journal has come, and what is wrong with it."""

from collections import Counter
from datetime import datetime

import msgspec

from hookgate.audit.store.dialect import Database
from hookgate.audit.store.moment import micros
from hookgate.audit.store.tables import MEMBER, PROGRESS
from hookgate.meaning import Meaningful

_MAX_FINDINGS = 10_000


class FleetKind(Meaningful):
    """What can be wrong with what a journal sends."""

    GAP = "gap", "Lines are missing that the journal no longer has."
    FORK = "fork", "A line came with a number that another line has; both are kept."
    REWIND = "rewind", "The same, where a signed checkpoint had vouched for the first one already."
    ALTERED = "altered", "A line is not what its hash was made of; it was not taken."
    REDUCED = "reduced", "Of a line only metadata came."
    WRONG_KEY = "wrong_key", "A checkpoint was signed by another key than the enrolled one, or one that it announced."
    BAD_SIGNATURE = "bad_signature", "A checkpoint's signature does not hold, or vouches for other lines."
    CLOCK = "clock", "The machine's clock is far off."
    FOREIGN_INSTANCE = "foreign_instance", "A record of another journal was sent; it was not taken."
    NEW_CHAIN = "new_chain", "A machine was enrolled again with another journal."
    REVOKED = "revoked", "Something came from a journal that was revoked; it was not taken."


_KINDS = {kind.value: kind for kind in FleetKind}


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a journal has come here. Times are microseconds since 1970 (UTC), 0 where there is none."""

    instance: str
    #: How often it forked: the chain is called `instance` in the store, then `instance~1`, and so on.
    branch: int = 0
    #: The last line that is here, and its hash in hexadecimal; what was acknowledged.
    seq: int = 0
    hash: str = "0" * 64
    #: The id of the key that signs, empty until the enrolled one has; and the key that counts, its public half in hexadecimal.
    key_id: str = ""
    public_key: str = ""
    #: Up to which line, and when by the machine's clock, a checkpoint that holds vouches for the chain.
    signed_seq: int = 0
    signed_time: int = 0
    #: The time of the last line, by the machine's clock, and when something was heard last, by the collector's.
    last_time: int = 0
    heard: int = 0
    #: How far the machine's clock is ahead of the collector's (negative: behind).
    skew_seconds: float = 0.0
    records: int = 0
    bytes: int = 0
    host: str = ""
    #: Hookgate's version, its mode and the digest of its settings, as its last `start` or `config_changed` says.
    version: str = ""
    mode: str = ""
    config_digest: str = ""
    #: What it decides by and who asks, as far as records tell; else empty.
    policies: str = ""
    client: str = ""
    #: Whom the last decision was about, and when that was.
    principal: str = ""
    #: When it was started last, and when it decided last, by the machine's clock.
    started: int = 0
    decided: int = 0
    #: Records `unasked`: calls that ran without being asked about.
    unasked: int = 0


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A journal that was enrolled. Times are microseconds since 1970 (UTC), 0 where there is none."""

    instance: str
    #: What the machine or person is called in the fleet: from the code or the certificate.
    name: str
    #: The key that it was enrolled with.
    key_id: str
    #: `code` or `certificate`.
    how: str
    enrolled: int
    revoked: int = 0
    progress: Progress


class FleetFinding(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is wrong with what a journal sent. `count` says how often the same was seen, `last` when last."""

    instance: str
    name: str
    kind: FleetKind
    seq: int
    time: int
    last: int
    count: int
    detail: str


def members(database: Database) -> tuple[Member, ...]:
    """Gives all that were enrolled, the revoked ones included, by name."""
    names = [name for name in PROGRESS.columns if name != "instance"]
    columns = ", ".join(f"p.{name}" for name in names)
    found = database.rows(
        f"SELECT m.instance, m.name, m.key_id, m.how, m.enrolled, m.revoked, {columns} FROM {MEMBER.name} m"  # noqa: S608 (columns' names)
        f" LEFT JOIN {PROGRESS.name} p ON p.instance = m.instance ORDER BY m.name, m.enrolled, m.instance"
    )
    return tuple(
        Member(
            instance=row[0],
            name=row[1],
            key_id=row[2],
            how=row[3],
            enrolled=row[4],
            revoked=row[5],
            progress=Progress(
                instance=row[0],
                **{name: value for name, value in zip(names, row[6:], strict=True) if value is not None},
            ),
        )
        for row in found
    )


def findings(database: Database, since: datetime | None = None) -> tuple[FleetFinding, ...]:
    """Gives what was found, the newest first; with `since` what was seen since then."""
    found = database.rows(
        "SELECT f.instance, COALESCE(m.name, ''), f.kind, f.seq, f.time, f.last, f.count, f.detail"  # noqa: S608 (a number)
        " FROM finding f LEFT JOIN member m ON m.instance = f.instance"
        f" WHERE f.last >= {database.mark(1)} ORDER BY f.last DESC, f.instance, f.kind, f.seq LIMIT {_MAX_FINDINGS}",
        [0 if since is None else micros(since)],
    )
    return tuple(
        FleetFinding(
            instance=row[0],
            name=row[1],
            kind=_KINDS[row[2]],
            seq=row[3],
            time=row[4],
            last=row[5],
            count=row[6],
            detail=row[7],
        )
        for row in found
    )


def found(database: Database, since: datetime) -> dict[str, dict[str, int]]:
    """Counts what was found since then, by journal and kind: all of it, of which `findings` gives the newest."""
    counted: dict[str, dict[str, int]] = {}
    for instance, kind, count in database.rows(
        f"SELECT instance, kind, sum(count) FROM finding WHERE last >= {database.mark(1)} GROUP BY instance, kind",  # noqa: S608 (a number)
        [micros(since)],
    ):
        counted.setdefault(instance, {})[kind] = int(count)
    return counted


def unasked(database: Database, since: datetime) -> dict[str, int]:
    """Counts calls since then that were not asked about, by journal."""
    counted: Counter[str] = Counter()
    for instance, count in database.rows(
        "SELECT c.instance, count(*) FROM service s JOIN chain c ON c.number = s.key >> 44"  # noqa: S608 (a number)
        f" WHERE s.type = 'unasked' AND s.time >= {database.mark(1)} GROUP BY c.instance",
        [micros(since)],
    ):
        # A journal that forked is called `instance~1`, and so on.
        counted[instance.partition("~")[0]] += count
    return counted
