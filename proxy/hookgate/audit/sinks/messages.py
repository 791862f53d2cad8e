"""Records as lines of text, for sinks that take lines."""

from collections.abc import Sequence

from hookgate.audit.formats import encoded
from hookgate.audit.shipping.shipment import Shipment
from hookgate.config.shippers import Format


def as_lines(batch: Sequence[Shipment], form: Format) -> bytes:
    """Gives a line for each record. Raises SinkRefusedError where one can't be said in this format."""
    return b"".join(encoded(shipment, form) + b"\n" for shipment in batch)
