"""Batches of several journals, appended in one transaction: judged, stored, counted and told, or none of it."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import msgspec

from hookgate.audit.shipping.shipment import Shipment
from hookgate.audit.store.columns import key_of, place_of
from hookgate.audit.store.fleet import FleetKind, Progress
from hookgate.audit.store.tables import PROGRESS
from hookgate.collect.arrivals import arrive
from hookgate.collect.body import Sent
from hookgate.collect.judging import (
    CLOCK_MICROS,
    Found,
    Judged,
    RefusedError,
    asked_about,
    chain_name,
    check_order,
    judge,
)
from hookgate.collect.session import Database, Row, Session
from hookgate.collect.trail import Told, trail

#: Findings of one journal that are kept apart; further ones count with the last of their kind.
MOST_FINDINGS = 1000
_COLUMNS = tuple(name for name in PROGRESS.columns if name != "instance")
_DETAIL = 500
#: Findings of one kind that are kept apart of one batch; and chains that are asked about at once.
_APART, _CHAINS = 20, 50


@dataclass(frozen=True, slots=True)
class Incoming:
    """Lines of one journal. `skew_micros`: how far its machine's clock is ahead, where that is known."""

    instance: str
    lines: tuple[Sent, ...]
    gap_known: bool = False
    skew_micros: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a batch. `status` is 200 where it was taken; `taken` and `known` count lines, `found` is what was told
    for the first time."""

    status: int
    seq: int
    hash: str = ""
    taken: int = 0
    known: int = 0
    error: str = ""
    found: tuple[FleetKind, ...] = ()


async def append(database: Database, batches: Sequence[Incoming], *, now: int, forwards: bool) -> list[Answer]:
    """Appends one batch each of several journals; gives what became of each. `now` is in microseconds since 1970; `forwards`:
    whether somebody wants to know in which order lines came. Raises DatabaseError; then nothing was done."""
    async with database.transaction() as session:
        members = await _members(session, [one.instance for one in batches], database.for_update)
        judged = [await _judged(session, one, members.get(one.instance), now) for one in batches]
        shipments: list[Shipment] = []
        told: list[Told] = []
        answers: list[Answer] = []
        for batch, one in zip(batches, judged, strict=True):
            found, name = _found(batch, one), members[batch.instance].name if batch.instance in members else ""
            new = await _noted(session, batch.instance, found, now)
            told += [_told(batch.instance, name, fault) for fault in new]
            answers.append(_answer(one, tuple(fault.kind for fault in new)))
            if isinstance(one, Judged):
                shipments += [_shipment(batch.instance, branch, sent) for branch, sent in one.taken]
        shipments += await trail(session, told, database.for_update)
        await session.store(shipments)
        for batch, one in zip(batches, judged, strict=True):
            if isinstance(one, Judged):
                await save(session, _heard(one.progress, batch, now))
        if forwards:
            await arrive(session, shipments)
    return answers


async def save(session: Session, progress: Progress) -> None:
    """Keeps how far a journal has come. Raises DatabaseError."""
    values = msgspec.structs.asdict(progress)
    marks = ", ".join(f"${number}" for number in range(1, len(_COLUMNS) + 2))
    sets = ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS)
    await session.rows(
        f"INSERT INTO progress (instance, {', '.join(_COLUMNS)}) VALUES ({marks})"  # noqa: S608 (columns' names)
        f" ON CONFLICT (instance) DO UPDATE SET {sets}",
        values["instance"],
        *(values[name] for name in _COLUMNS),
    )


async def progress_of(session: Session, instance: str) -> Progress | None:
    """Gives how far a journal has come, None where it was not enrolled. Raises DatabaseError."""
    found = await _members(session, [instance], "")
    return found[instance].progress if instance in found else None


@dataclass(frozen=True, slots=True)
class _Enrolled:
    name: str
    is_revoked: bool
    progress: Progress


async def _members(session: Session, instances: Iterable[str], for_update: str) -> dict[str, _Enrolled]:
    """In one order for all collectors, so that no two wait for each other."""
    names = sorted(set(instances))
    marks = ", ".join(f"${number}" for number in range(1, len(names) + 1))
    rows = await session.rows(
        "SELECT instance, name, revoked, public_key FROM member"  # noqa: S608 (values are bound)
        f" WHERE instance IN ({marks}) ORDER BY instance{for_update}",
        *names,
    )
    known = await session.rows(
        f"SELECT instance, {', '.join(_COLUMNS)} FROM progress WHERE instance IN ({marks})",  # noqa: S608 (columns' names)
        *names,
    )
    far = {row[0]: _progress(row) for row in known}
    return {
        row[0]: _Enrolled(row[1], bool(row[2]), far.get(row[0]) or Progress(instance=row[0], public_key=row[3]))
        for row in rows
    }


def _progress(row: Row) -> Progress:
    return Progress(instance=row[0], **dict(zip(_COLUMNS, row[1:], strict=True)))


async def _judged(session: Session, batch: Incoming, member: _Enrolled | None, now: int) -> Judged | RefusedError:
    if member is None:
        return RefusedError(403, "the journal is not enrolled")
    if member.is_revoked:
        what = "the journal's enrolment was revoked"
        return RefusedError(403, what, 0, Found(FleetKind.REVOKED, 0, "", what))
    progress = member.progress
    try:
        check_order(batch.lines)
        return judge(progress, batch.lines, await _there(session, progress, batch.lines), now=now, gap_known=batch.gap_known)  # fmt: skip
    except RefusedError as error:
        return error


async def _there(session: Session, progress: Progress, lines: Sequence[Sent]) -> dict[int, frozenset[str]] | None:
    stretch = asked_about(progress, lines)
    if stretch is None:
        return None
    begin = chain_name(progress.instance, 0)
    # All of its branches, and nobody else's: behind `~` there are digits.
    chains = await session.rows(
        "SELECT number FROM chain WHERE instance = $1 OR (instance > $2 AND instance < $3)",
        *(begin, f"{begin}~", f"{begin}~:"),
    )
    found: dict[int, set[str]] = {}
    for some in batched((row[0] for row in chains), _CHAINS):
        within = " OR ".join(f"(key >= ${at} AND key <= ${at + 1})" for at in range(1, 2 * len(some), 2))
        ends = [key_of(number, seq) for number in some for seq in stretch]
        for key, own in await session.rows(f"SELECT key, hash FROM line WHERE {within}", *ends):  # noqa: S608 (values are bound)
            found.setdefault(place_of(key)[1], set()).add(bytes(own).hex())
    return {seq: frozenset(hashes) for seq, hashes in found.items()}


def batched(numbers: Iterable[int], most: int) -> Iterator[tuple[int, ...]]:
    """Gives numbers, so many at a time."""
    left = iter(numbers)
    while some := tuple(islice(left, most)):
        yield some


def _found(batch: Incoming, judged: Judged | RefusedError) -> list[Found]:
    if isinstance(judged, RefusedError):
        return [judged.found] if judged.found is not None else []
    found, skew = list(judged.found), batch.skew_micros
    if skew is not None and abs(skew) > CLOCK_MICROS:
        way = "ahead of" if skew > 0 else "behind"
        found.append(Found(FleetKind.CLOCK, 0, way[:6], f"the machine's clock is {abs(skew) // 1_000_000} s {way} the collector's"))  # fmt: skip
    return found


async def _noted(session: Session, instance: str, found: Sequence[Found], now: int) -> list[Found]:
    """Keeps findings; gives those that were not there."""
    if not found:
        return []
    count = (await session.rows("SELECT count(*) FROM finding WHERE instance = $1", instance))[0][0]
    new = []
    for one, times in _folded(found):
        kept = one if count < MOST_FINDINGS else one._replace(seq=0, mark="…")
        rows = await session.rows(
            "INSERT INTO finding (instance, kind, seq, mark, time, last, count, detail) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
            " ON CONFLICT (instance, kind, seq, mark) DO UPDATE SET last = excluded.last, count = finding.count + excluded.count"
            " RETURNING count",
            *(instance, kept.kind.value, kept.seq, kept.mark, now, now, times, kept.detail[:_DETAIL]),
        )
        if rows[0][0] == times:
            count += 1
            new.append(kept)
    return new


def _folded(found: Sequence[Found]) -> list[tuple[Found, int]]:
    """Gives findings with how often they were seen: of one kind so many apart, and the rest of a batch as one."""
    kept: list[tuple[Found, int]] = []
    rest: dict[FleetKind, tuple[Found, int]] = {}
    seen = Counter[FleetKind]()
    for one in found:
        seen[one.kind] += 1
        if seen[one.kind] <= _APART:
            kept.append((one, 1))
        else:
            first, times = rest.get(one.kind, (one, 0))
            rest[one.kind] = first, times + 1
    return [*kept, *((one._replace(mark="…"), times) for one, times in rest.values())]


def _told(instance: str, name: str, found: Found) -> Told:
    return Told(
        "fleet_finding",
        {"journal": instance, "name": name, "kind": found.kind.value, "seq": found.seq, "what": found.detail},
    )


def _answer(judged: Judged | RefusedError, new: tuple[FleetKind, ...]) -> Answer:
    if isinstance(judged, RefusedError):
        return Answer(judged.status, judged.seq, error=str(judged), found=new)
    progress = judged.progress
    return Answer(200, progress.seq, progress.hash, len(judged.taken), judged.known, found=new)


def _shipment(instance: str, branch: int, sent: Sent) -> Shipment:
    return Shipment(sent.raw, sent.line.seq, sent.line.hash.decode(), chain_name(instance, branch))


def _heard(progress: Progress, batch: Incoming, now: int) -> Progress:
    skew = progress.skew_seconds if batch.skew_micros is None else batch.skew_micros / 1_000_000
    return msgspec.structs.replace(progress, heard=now, skew_seconds=skew)
