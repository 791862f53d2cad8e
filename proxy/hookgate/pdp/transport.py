"""The seam to the PDP, bytes to bytes with a timeout, and what is behind it."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from hookgate.config.check import is_local
from hookgate.config.tree import Pdp, PdpTransport

#: Sends a request's bytes, waits so many seconds at the most, gives the response's bytes. Raises GateError.
Transport = Callable[[bytes, float], Awaitable[bytes]]

#: What a call carries beside its request.
Metadata = tuple[tuple[str, str], ...]

METHOD = "/cerbos.svc.v1.CerbosService/CheckResources"


class ChannelError(Exception):
    """The channel can't be made as configured; one line that names the setting."""


class Channel(Protocol):
    """A transport that is open."""

    async def __call__(self, request: bytes, timeout_seconds: float, /) -> bytes:
        """Asks once. Raises GateError."""

    async def close(self) -> None:
        """Ends the calls under way and the channel."""


def channel_for(
    config: Pdp,
    metadata: Callable[[], Metadata | None] = lambda: None,
    *,
    fell_back: Callable[[str], None] = lambda why: None,
) -> Channel:
    """Gives the channel that is configured, to be made inside the running event loop. Raises ChannelError.

    `fell_back` is called with why, when grpcio takes over from our own HTTP/2.
    """
    plain = is_local(config.address) and not config.tls.enabled
    if config.transport is PdpTransport.GRPCIO or (config.transport is PdpTransport.AUTO and not plain):
        return _grpcio(config, metadata)
    from hookgate.pdp.http2 import Dial, WaryTransport

    dial = Dial.of(config)
    if dial is None:
        fell_back(f"an address that only grpcio knows: {config.address}")
        return _grpcio(config, metadata)
    return WaryTransport(dial, metadata, instead=lambda: _grpcio(config, metadata), fell_back=fell_back)


def _grpcio(config: Pdp, metadata: Callable[[], Metadata | None]) -> Channel:
    """What is not used is not imported: it takes time and memory."""
    from hookgate.pdp.channel import GrpcTransport

    return GrpcTransport(config, metadata)
