"""The format `native`: the line as it stands in the journal, so that its hash can be checked wherever it went."""

from hookgate.audit.formats.content import content
from hookgate.audit.shipping.shipment import Shipment


def native(shipment: Shipment) -> bytes:
    """Gives the line. Raises SinkRefusedError where it is no JSON object."""
    content(shipment)
    return shipment.line
