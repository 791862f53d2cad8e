"""What is shipped of a record that a sink refuses: who, what, when, the outcome and digests, in text that any sink takes."""

from typing import Any

import msgspec

from hookgate.audit.shipping.shipment import Shipment
from hookgate.harmless import harmless

_FIELDS = (
    "type",
    "id",
    "time",
    "outcome",
    "mode",
    "user",
    "tool",
    "event",
    "session_id",
    "body_digest",
    "input_digest",
)
_CHARACTERS = 200


def reduced(shipment: Shipment) -> Shipment:
    """Gives the record's metadata, with the number and hash of the whole one, marked `reduced`."""
    record = _read(shipment)
    kept: dict[str, Any] = {
        "seq": shipment.seq,
        "prev": _text(record.get("prev", "")),
        "hash": shipment.hash,
        "version": 1,
        "reduced": True,
        "instance": shipment.instance,
    }
    kept |= {name: _text(record[name]) for name in _FIELDS if record.get(name)}
    return Shipment(msgspec.json.encode(kept), shipment.seq, shipment.hash, shipment.instance)


def type_and_id(shipment: Shipment) -> tuple[str, str]:
    """Gives a record's type and id, empty where it can't be read."""
    record = _read(shipment)
    return _text(record.get("type", "")), _text(record.get("id", ""))


def _read(shipment: Shipment) -> dict[str, Any]:
    """What stands in the journal begins and ends as an object does; in between somebody may have written anything."""
    try:
        return shipment.record
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}


def _text(value: object) -> str:
    """Without what a sink may not take: U+0000, half of a surrogate pair, characters that nobody knows yet."""
    return harmless(value, _CHARACTERS) if isinstance(value, str) else ""
