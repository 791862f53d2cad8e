"""Whom a sink trusts."""

import ssl
from pathlib import Path

from hookgate.audit.shipping.shipment import SinkError


def context(ca: str | None) -> ssl.SSLContext:
    """Gives what verifies a sink's certificate and name: against the authorities in a PEM file, else the system's.

    Raises SinkError where the file can't be read or holds none.
    """
    if ca is None:
        return ssl.create_default_context()
    try:
        return ssl.create_default_context(cadata=Path(ca).read_text(encoding="ascii"))
    except (ssl.SSLError, ValueError):
        raise SinkError(f"ca: {ca}: no PEM file with certificates") from None
    except OSError as fault:
        raise SinkError(f"ca: {ca}: {fault.strerror}") from None
