"""What a line says, for whoever makes a message of it: of whatever form, since a newer Hookgate may have written it."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from hookgate.audit.shipping.shipment import Shipment, SinkRefusedError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def content(shipment: Shipment) -> dict[str, Any]:
    """Gives the line's members. Raises SinkRefusedError where it is no JSON object."""
    try:
        found: object = shipment.record
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise SinkRefusedError(f"line {shipment.seq} is no JSON: {fault}") from None
    if not isinstance(found, dict):
        raise SinkRefusedError(f"line {shipment.seq} is no JSON object")
    return found


def text(record: dict[str, Any], name: str) -> str:
    """Gives a member that is a text; empty where it is not there or something else."""
    found = record.get(name)
    return found if isinstance(found, str) else ""


def texts(record: dict[str, Any], name: str) -> list[str]:
    """Gives the texts of a member that is a list."""
    found = record.get(name)
    return [item for item in found if isinstance(item, str)] if isinstance(found, list) else []


def mapping(record: dict[str, Any], name: str) -> dict[str, Any]:
    """Gives a member that is a mapping; empty where it is not there or something else."""
    found = record.get(name)
    return found if isinstance(found, dict) else {}


def microseconds(record: dict[str, Any]) -> int:
    """Gives when the record was made, since 1970; 0 where it does not say."""
    try:
        moment = datetime.fromisoformat(text(record, "time"))
    except ValueError:
        return 0
    since = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def identity(shipment: Shipment) -> str:
    """Gives the record's id, which stays the same however often it is sent; the line's hash where it has none."""
    return text(content(shipment), "id") or shipment.hash


def flattened(record: dict[str, Any]) -> dict[str, Any]:
    """Gives a record whose members have no members of their own: whatever is a mapping, or a list of anything but texts, is
    a text of JSON, and what is empty is left out.

    What tools are called with has names of the caller's choice. In an index that makes a field of each name, they would soon
    be too many, or have two types; as text they are neither, and still found by a search.
    """
    found: dict[str, Any] = {}
    for name, value in record.items():
        if value is None or value in ("", {}, []):
            continue
        nested = isinstance(value, dict) or (isinstance(value, list) and not all(isinstance(one, str) for one in value))
        found[name] = msgspec.json.encode(value).decode() if nested else value
    return found
