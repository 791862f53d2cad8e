"""How the PDP is reached: gRPC's names for addresses, and TLS."""

import asyncio
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from hookgate.config.tree import Pdp, PdpTls
from hookgate.pdp.http2.connection import Connection
from hookgate.pdp.transport import ChannelError

#: `name:port`, an IPv6 address in brackets. No more than one: a list of addresses is left to grpcio.
_HOST_PORT = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.%]+)\]|(?P<host>[^:/,\[\]\s]+)):(?P<port>[0-9]{1,5})")
#: What such an address may begin with (gRPC, naming.md).
_SCHEMES = ("dns:///", "dns:", "ipv4:", "ipv6:")
#: What gRPC calls a server on a unix socket.
_LOCAL = "localhost"


@dataclass(frozen=True, slots=True)
class Dial:
    """One server. `path` is a unix socket's; without it, host and port count."""

    authority: str
    path: str = ""
    host: str = ""
    port: int = 0
    tls: ssl.SSLContext | None = None
    #: The name that its certificate must have.
    server_name: str | None = None

    @classmethod
    def of(cls, config: Pdp) -> Self | None:
        """Gives how to reach a PDP; None where its address is of a kind that only grpcio knows. Raises ChannelError."""
        address = config.address
        tls = _context(config.tls) if config.tls.enabled else None
        named = config.tls.server_name if tls else None
        if address.startswith("unix:"):
            path = address.removeprefix("unix:")
            path = path.removeprefix("//") if path.startswith("///") else path
            if not path or path.startswith("//"):
                return None
            return cls(named or _LOCAL, path=path, tls=tls, server_name=(named or _LOCAL) if tls else None)
        target = next((address.removeprefix(scheme) for scheme in _SCHEMES if address.startswith(scheme)), address)
        match = _HOST_PORT.fullmatch(target)
        if match is None or not 0 < int(match["port"]) < 65536:
            return None
        host = match["v6"] or match["host"]
        return cls(
            named or target,
            host=host,
            port=int(match["port"]),
            tls=tls,
            server_name=(named or host) if tls else None,
        )

    async def open(self, loop: asyncio.AbstractEventLoop, make: Callable[[], Connection]) -> Connection:
        """Opens a connection. Raises OSError (ssl.SSLError among them)."""
        if self.path:
            _, connection = await loop.create_unix_connection(
                make, self.path, ssl=self.tls, server_hostname=self.server_name
            )
        else:
            _, connection = await loop.create_connection(
                make, self.host, self.port, ssl=self.tls, server_hostname=self.server_name
            )
        return connection


def _context(tls: PdpTls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["h2"])
    try:
        if tls.ca:
            context.load_verify_locations(tls.ca)
        else:
            context.load_default_certs()
    except OSError as error:
        raise ChannelError(
            f"pdp.tls.ca: {tls.ca}: no CA certificate (PEM) can be read from it: {error.strerror}"
        ) from None
    try:
        if tls.certificate:
            context.load_cert_chain(tls.certificate, tls.key, password=lambda: b"")
    except OSError as error:
        raise ChannelError(
            f"pdp.tls.certificate: {tls.certificate} and {tls.key} are no certificate (PEM) and its key: {error.strerror}"
        ) from None
    return context
