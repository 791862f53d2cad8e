"""Unary gRPC calls over one HTTP/2 connection, without threads of its own (RFC 9113; gRPC's PROTOCOL-HTTP2.md)."""

from hookgate.pdp.http2.dial import Dial
from hookgate.pdp.http2.wary import WaryTransport

__all__ = ["Dial", "WaryTransport"]
