"""What a line of the journal looks like as a message."""

from hookgate.audit.formats.native import native
from hookgate.audit.formats.ocsf import ocsf
from hookgate.audit.shipping.shipment import Shipment
from hookgate.config.shippers import Format

__all__ = ["encoded"]


def encoded(shipment: Shipment, form: Format) -> bytes:
    """Gives a line as a message of that format: one JSON object without a line end.

    Raises SinkRefusedError where the line is none, as a damaged one may be.
    """
    return ocsf(shipment) if form is Format.OCSF else native(shipment)
