"""The collectors' own records: a chain in the store that all of them continue, each record in the transaction of what it tells.

It is as trustworthy as the store: nothing signs it. What must be proved is proved by the journals.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from hookgate.audit.chain import ZEROS, Link, linked
from hookgate.audit.record import ServiceRecord, hostname, now
from hookgate.audit.shipping.shipment import Shipment
from hookgate.collect.session import Session
from hookgate.ids import uuid7

_NAME = "trail"


class Told(NamedTuple):
    """Something that collectors record: `fleet_finding`, `fleet_enrolled`, `fleet_revoked` or `fleet_code`."""

    type: str
    detail: dict[str, Any]


async def trail(session: Session, told: Sequence[Told], for_update: str) -> list[Shipment]:
    """Gives the lines that continue the collectors' chain, to be stored in the same transaction; others that record something
    wait for its end. Raises DatabaseError."""
    if not told:
        return []
    await session.rows(
        "INSERT INTO collector (name, number, text) VALUES ($1, 0, $2) ON CONFLICT DO NOTHING",
        _NAME,
        f"{uuid7()} {ZEROS.decode()}",
    )
    found = await session.rows(f"SELECT number, text FROM collector WHERE name = $1{for_update}", _NAME)  # noqa: S608 (no value)
    instance, own = found[0][1].split()
    end, lines = Link(found[0][0], own.encode()), []
    for one in told:
        record = ServiceRecord(
            type=one.type, id=uuid7(), time=now(), instance=instance, host=hostname(), detail=one.detail
        )
        line, end = linked(end, msgspec.json.encode(record) + b"\n")
        lines.append(Shipment(line[:-1], end.seq, end.hash.decode(), instance))
    text = f"{instance} {end.hash.decode()}"
    await session.rows("UPDATE collector SET number = $1, text = $2 WHERE name = $3", end.seq, text, _NAME)
    return lines
