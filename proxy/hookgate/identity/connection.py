"""What a connection tells of who is at its other end, found out once when it opens."""

import asyncio
import socket
import ssl
import struct
import sys
from dataclasses import dataclass
from ipaddress import ip_address

from cryptography import x509

from hookgate.identity import sockdiag

_UCRED = struct.Struct("=iII")


@dataclass(frozen=True, slots=True)
class Connection:
    """One connection on the hook listener."""

    #: The address at the other end; empty for a unix socket.
    remote: str = ""
    #: Whether the other end is a process of this machine: on loopback, or on a unix socket.
    is_local: bool = False
    #: The number of the operating system's user at the other end; None where it can't be told.
    uid: int | None = None
    #: The client's certificate, which the handshake has verified.
    certificate: x509.Certificate | None = None

    @property
    def peer(self) -> str:
        """The user's number as recorded; empty where it can't be told."""
        return "" if self.uid is None else str(self.uid)


#: One that tells nothing.
UNKNOWN = Connection()


def connection_of(transport: asyncio.BaseTransport) -> Connection:
    """Gives what an open connection tells."""
    peer, own = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
    tls = transport.get_extra_info("ssl_object")
    certificate = _certificate(tls) if tls is not None else None
    if not isinstance(peer, tuple) or not isinstance(own, tuple):
        sock = transport.get_extra_info("socket")
        uid = _unix_uid(sock) if sock is not None else None
        return Connection(is_local=sock is not None, uid=uid, certificate=certificate)
    remote = _plain(peer[0])
    is_local = ip_address(remote).is_loopback
    uid = sockdiag.owner((remote, peer[1]), (_plain(own[0]), own[1])) if is_local else None
    return Connection(remote, is_local, uid, certificate)


def _plain(host: str) -> str:
    """An IPv4 address that a listener for both kinds has in IPv6's form is that IPv4 address."""
    address = ip_address(host.partition("%")[0])
    return str(getattr(address, "ipv4_mapped", None) or address)


def _unix_uid(sock: socket.socket) -> int | None:
    if sys.platform != "linux" or sock.family != socket.AF_UNIX:
        return None
    _, uid, _ = _UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return int(uid)


def _certificate(tls: ssl.SSLObject) -> x509.Certificate | None:
    der = tls.getpeercert(binary_form=True)
    return x509.load_der_x509_certificate(der) if der else None
