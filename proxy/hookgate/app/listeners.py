"""Sockets to listen on: our own, or those that a socket unit handed over (sd_listen_fds(3)), which outlive a restart."""

import os
import socket
from collections.abc import MutableMapping
from dataclasses import dataclass
from ipaddress import ip_address

_FIRST_FD = 3
BACKLOG = 1024


class ListenError(Exception):
    """A socket can't be had; says which and what to do."""


@dataclass(frozen=True, slots=True)
class Listener:
    """A listening socket. `inherited`: it stays open when this process closes its end."""

    socket: socket.socket
    inherited: bool = False

    @property
    def address(self) -> str:
        """`host:port`, an IPv6 host in brackets."""
        name = self.socket.getsockname()
        if not isinstance(name, tuple):
            return str(name)
        host, port = name[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def inherited(environ: MutableMapping[str, str]) -> dict[str, Listener]:
    """Gives the handed-over sockets by name (LISTEN_FDNAMES; the first without a name is `hooks`), and takes the variables
    out of the environment, as no child of ours shall act on them. Raises ListenError for what is no listening socket."""
    pid, count = environ.pop("LISTEN_PID", ""), environ.pop("LISTEN_FDS", "")
    names = environ.pop("LISTEN_FDNAMES", "").split(":")
    if pid != str(os.getpid()) or not count.isdigit():
        return {}
    found: dict[str, Listener] = {}
    for index in range(int(count)):
        descriptor = _FIRST_FD + index
        name = names[index] if index < len(names) and names[index] in ("hooks", "admin") else ""
        name = name or ("hooks" if "hooks" not in found else "admin")
        found[name] = Listener(_handed_over(descriptor), inherited=True)
    return found


def _handed_over(descriptor: int) -> socket.socket:
    try:
        os.set_inheritable(descriptor, False)
        handed = socket.socket(fileno=descriptor)
        listening = handed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise ListenError(f"LISTEN_FDS: descriptor {descriptor} is no socket: {error.strerror}") from None
    if not listening:
        handed.detach()
        raise ListenError(f"LISTEN_FDS: descriptor {descriptor} is a socket that does not listen")
    return handed


def listen(host: str, port: int, key: str) -> Listener:
    """Binds a socket of our own. Raises ListenError; `key` names the setting to mend."""
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise ListenError(f"{key}.host: {host}: {error.strerror}") from None
    bound = socket.socket(family, kind, proto)
    try:
        # Only so that a restart need not wait for TIME_WAIT; another process can't share the port with this alone.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind(address)
        bound.listen(BACKLOG)
        bound.setblocking(False)
    except OSError as error:
        bound.close()
        raise ListenError(
            f"{key}.port: can't listen on {host}:{port}: {error.strerror}; stop what holds it, or set another {key}.port"
        ) from None
    return Listener(bound)


def is_exposed(sock: socket.socket) -> bool:
    """Whether other machines can reach a listening socket, as far as its address tells."""
    name = sock.getsockname()
    return isinstance(name, tuple) and not ip_address(str(name[0]).partition("%")[0]).is_loopback
