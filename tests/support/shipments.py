"""Lines of a journal on their way, for tests of formats and sinks."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from hookgate.audit.chain import BEGINNING, linked
from hookgate.audit.record import Record, ServiceRecord, now
from hookgate.audit.shipping.shipment import Shipment

INSTANCE = "9d2f0c1ab7e34455"


def decision(number: int = 0, **members: Any) -> Record:
    """Gives a decision's record; each number has its own id."""
    known = {"id": f"01a20514-1c8d-7932-a83d-{number:012d}", "time": now(), "outcome": "allow", "mode": "enforce"}
    known |= {"user": "alex", "session_id": f"s-{number % 3}", "event": "PreToolUse", "tool": "Read"}
    return Record(**{**known, **members})


def service(kind: str, **detail: Any) -> ServiceRecord:
    """Gives a record about the service."""
    return ServiceRecord(type=kind, id="01a20514-1c8d-7932-a83d-fa46bb849852", time=now(), detail=detail)


def shipments(records: Sequence[bytes]) -> list[Shipment]:
    """Gives records (JSON objects without a line end) as lines of one chain."""
    found, end = [], BEGINNING
    for record in records:
        line, end = linked(end, record + b"\n")
        found.append(Shipment(line[:-1], end.seq, end.hash.decode(), INSTANCE))
    return found


def shipment_of(members: Any) -> Shipment:
    """Gives one record, of whatever form, as the first line of a chain."""
    return shipments([json.dumps({"version": 1, **members}).encode()])[0]


def batch(count: int, *, first: int = 0, **members: Any) -> list[Shipment]:
    """Gives so many decisions as lines of one chain."""
    return shipments([msgspec.json.encode(decision(number, **members)) for number in range(first, first + count)])
