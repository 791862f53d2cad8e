"""The order in which lines became visible in the store: what those that forward them go by."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from hookgate.audit.shipping.shipment import Shipment
from hookgate.audit.store.columns import key_of
from hookgate.audit.store.moment import micros_of
from hookgate.audit.store.packing import line_of
from hookgate.audit.store.spans import stretches
from hookgate.collect.session import Database, Session

_NAME = "arrival"


class Arrival(NamedTuple):
    """Lines that stand one behind the other, `first` to `last`, and between which times."""

    number: int
    chain: int
    instance: str
    first: int
    last: int
    since: int
    until: int


async def arrive(session: Session, batch: Sequence[Shipment]) -> None:
    """Notes that lines have come, once they are stored and as the last in a transaction: until it ends others wait, so that
    numbers become visible in their order. Raises DatabaseError."""
    if not batch:
        return
    found: dict[str, list[Shipment]] = {}
    for one in batch:
        found.setdefault(one.instance, []).append(one)
    rows = []
    for instance, lines in found.items():
        times = {one.seq: _time(one) for one in lines}
        chain = (await session.rows("SELECT number FROM chain WHERE instance = $1", instance))[0][0]
        for first, last in stretches(times):
            within = [times[seq] for seq in range(first, last + 1)]
            rows.append((chain, first, last, min(within), max(within)))
    await session.rows("INSERT INTO collector (name, number, text) VALUES ($1, 0, '') ON CONFLICT DO NOTHING", _NAME)
    counted = await session.rows(
        "UPDATE collector SET number = number + $1 WHERE name = $2 RETURNING number", len(rows), _NAME
    )
    for number, row in enumerate(rows, counted[0][0] - len(rows) + 1):
        await session.rows("INSERT INTO arrival VALUES ($1, $2, $3, $4, $5, $6)", number, *row)


async def arrived(database: Database, after: int, most: int) -> list[Arrival]:
    """Gives the next arrivals, at most so many. Raises DatabaseError."""
    async with database.transaction() as session:
        rows = await session.rows(
            "SELECT a.number, a.chain, c.instance, a.first, a.last, a.since, a.until FROM arrival a"  # noqa: S608 (a number)
            f" JOIN chain c ON c.number = a.chain WHERE a.number > $1 ORDER BY a.number LIMIT {most}",
            after,
        )
    return [Arrival(*row) for row in rows]


async def lines_of(database: Database, arrival: Arrival) -> list[Shipment]:
    """Gives the lines of an arrival as far as they are still there. Raises DatabaseError, ValueError for a damaged one."""
    async with database.transaction() as session:
        rows = await session.rows(
            "SELECT key, prev, hash, body FROM line WHERE key >= $1 AND key <= $2 AND time >= $3 AND time <= $4 ORDER BY key",
            key_of(arrival.chain, arrival.first),
            key_of(arrival.chain, arrival.last),
            arrival.since,
            arrival.until,
        )
    begin = key_of(arrival.chain, arrival.first)
    found = []
    for key, prev, own, body in rows:
        seq = arrival.first + key - begin
        line, _ = line_of(seq, bytes(prev), bytes(own), bytes(body))
        found.append(Shipment(line, seq, bytes(own).hex(), arrival.instance))
    return found


class _Timed(msgspec.Struct, frozen=True):
    time: str


def _time(one: Shipment) -> int:
    return micros_of(msgspec.json.decode(one.line, type=_Timed).time)
