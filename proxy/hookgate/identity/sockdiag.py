"""Whose socket is at the other end of a connection on loopback (Linux: sock_diag(7), else /proc/net/tcp)."""

import contextlib
import socket
import struct
import sys
from functools import lru_cache
from ipaddress import IPv4Address, ip_address
from pathlib import Path

Address = tuple[str, int]

_NETLINK_SOCK_DIAG = 4
_BY_FAMILY = 20
_REQUEST = 1
_ESTABLISHED = 1
_HEADER = struct.Struct("=IHHII")
#: inet_diag_req_v2: family, protocol, extensions, padding, states; then the socket's id.
_QUESTION = struct.Struct("=BBBBI")
#: inet_diag_sockid: ports and addresses in network order, the interface, a cookie.
_ID = struct.Struct("!HH16s16s")
_ANY = struct.pack("=III", 0, 0xFFFFFFFF, 0xFFFFFFFF)
#: inet_diag_msg: family, state, timer, retransmits; the id; expiry, queues, uid, inode.
_STATE = struct.Struct("=BBBB")
_OWNER = struct.Struct("=IIIII")
_WAIT_SECONDS = 0.2


def owner(client: Address, server: Address) -> int | None:
    """Gives the number of the user whose socket is connected from `client` to `server`; None where the system does not tell,
    or the socket is not open any more: one that nobody holds counts as root's to the kernel."""
    if sys.platform != "linux":
        return None
    found = None
    try:
        found = _by_netlink(client, server)
    except OSError:
        with contextlib.suppress(OSError):
            found = _by_table(client, server)
    return None if found is not None and found == stranger() else found


@lru_cache(maxsize=1)
def stranger(proc: Path = Path("/proc")) -> int | None:
    """Gives the number that stands for all users whom this user namespace does not know (user_namespaces(7)); None where it knows
    them all."""
    try:
        ranges = [line.split() for line in (proc / "self" / "uid_map").read_text(encoding="ascii").splitlines()]
        if ranges == [["0", "0", str(0xFFFFFFFF)]]:
            return None
        return int((proc / "sys" / "kernel" / "overflowuid").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 65534


def _packed(host: str) -> bytes:
    return ip_address(host.partition("%")[0]).packed.ljust(16, b"\0")


def _mapped(address: Address) -> Address | None:
    """Gives an IPv4 address as a socket of IPv6 has it that speaks to it (RFC 4291, 2.5.5.2)."""
    host, port = address
    return (f"::ffff:{host}", port) if isinstance(ip_address(host.partition("%")[0]), IPv4Address) else None


def _by_netlink(client: Address, server: Address) -> int | None:
    family = socket.AF_INET if isinstance(ip_address(client[0].partition("%")[0]), IPv4Address) else socket.AF_INET6
    identity = _ID.pack(client[1], server[1], _packed(client[0]), _packed(server[0]))
    body = _QUESTION.pack(family, socket.IPPROTO_TCP, 0, 0, 1 << _ESTABLISHED) + identity + _ANY
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, _NETLINK_SOCK_DIAG) as kernel:
        kernel.settimeout(_WAIT_SECONDS)
        kernel.send(_HEADER.pack(_HEADER.size + len(body), _BY_FAMILY, _REQUEST, 1, 0) + body)
        answer = kernel.recv(4096)
    if _HEADER.unpack_from(answer)[1] != _BY_FAMILY:
        return None
    at = _HEADER.size
    state = _STATE.unpack_from(answer, at)[1]
    at += _STATE.size
    # Where nothing is connected so, the kernel gives a socket that listens on the client's port: somebody else's.
    identities = {identity}
    if (mapped := _mapped(client)) and (own := _mapped(server)):
        identities.add(_ID.pack(client[1], server[1], _packed(mapped[0]), _packed(own[0])))
    exact = answer[at : at + _ID.size] in identities
    _, _, _, uid, inode = _OWNER.unpack_from(answer, at + _ID.size + len(_ANY))
    return uid if exact and state == _ESTABLISHED and inode else None


def _by_table(client: Address, server: Address) -> int | None:
    """Where a sandbox has no netlink: proc(5), /proc/net/tcp."""
    if (mapped := _mapped(client)) and (own := _mapped(server)):
        found = _in_table("tcp", client, server)
        return found if found is not None else _in_table("tcp6", mapped, own)
    return _in_table("tcp6", client, server)


def _in_table(name: str, client: Address, server: Address) -> int | None:
    wanted = [_written(client), _written(server), "01"]
    for line in Path("/proc/net", name).read_text(encoding="ascii").splitlines()[1:]:
        fields = line.split()
        if fields[1:4] == wanted:
            return int(fields[7]) if fields[9] != "0" else None
    return None


def _written(address: Address) -> str:
    """Each 32-bit word stands in the machine's own byte order."""
    packed = ip_address(address[0].partition("%")[0]).packed
    words = struct.unpack(f"={len(packed) // 4}I", packed)
    return "".join(f"{word:08X}" for word in words) + f":{address[1]:04X}"
