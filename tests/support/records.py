"""Lines of a journal for stores and sinks, made from plain records."""

import json
from collections.abc import Iterable
from typing import Any

from hookgate.audit.chain import BEGINNING, Link, linked
from hookgate.audit.shipping.shipment import Shipment

INSTANCE = "01a20514-1c8d-7932-a83d-fa46bb849852"


def decision(number: int, **changes: Any) -> dict[str, Any]:
    """Gives a decision's record, with fields changed."""
    return {
        "version": 1,
        "type": "decision",
        "id": f"decision-{number:06d}",
        "time": f"2026-11-22T{number // 3600 % 24:02d}:{number // 60 % 60:02d}:{number % 60:02d}.000000Z",
        "outcome": "allow",
        "mode": "enforce",
        "user": "alex",
        "roles": ["engineer"],
        "source": "header",
        "verified": False,
        "event": "PreToolUse",
        "tool": "Bash",
        "session_id": "session-1",
        "tool_use_id": f"toolu_{number:06d}",
        "input": {"command": f"echo {number}"},
        "policy": "resource.PreToolUse.vdefault",
        "reason": "",
        "total_seconds": 0.002,
        **changes,
    }


def service(number: int, kind: str, detail: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """Gives a record about the service."""
    made = decision(number)
    return {
        "version": 1,
        "type": kind,
        "id": f"service-{number:06d}",
        "time": made["time"],
        "detail": detail or {},
        **changes,
    }


def shipments(records: Iterable[dict[str, Any]], *, instance: str = INSTANCE, end: Link = BEGINNING) -> list[Shipment]:
    """Gives records as lines of one chain, as a shipper hands them on."""
    found = []
    for record in records:
        line, end = linked(end, json.dumps(record, ensure_ascii=False).encode("utf-8", "replace") + b"\n")
        found.append(Shipment(line.rstrip(b"\n"), end.seq, end.hash.decode(), instance))
    return found
