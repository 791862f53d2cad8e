"""The open connections of the hook listener, kept within their bounds."""

import ipaddress
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, Protocol, TypeVar


class Connection(Protocol):
    """What is to be known of one."""

    #: Where it comes from, as `peer_of` gives it.
    peer: str
    last_active: float
    #: What has come of a request's head that has not ended.
    head_bytes: int

    @property
    def is_idle(self) -> bool:
        """Whether no request is being handled or waits to be."""

    @property
    def has_asked(self) -> bool:
        """Whether a request has come in on it."""

    def give_up(self) -> None:
        """Waits no longer for a request."""


C = TypeVar("C", bound=Connection)


class Connections(Generic[C]):
    """All of them. Beyond a bound, the one that has been idle longest goes, those that never asked first; where none is idle,
    all stay: each of them is owed an answer, and has one within the deadline."""

    def __init__(self, most: int, most_of_peer: int, report: Callable[[int], None]) -> None:
        self.bound(most, most_of_peer)
        self._report = report
        self._open: set[C] = set()
        self._of_peer: Counter[str] = Counter()

    def __iter__(self) -> Iterator[C]:
        """Gives those that are open now."""
        return iter(list(self._open))

    def __len__(self) -> int:
        """How many are open."""
        return len(self._open)

    def bound(self, most: int, most_of_peer: int) -> None:
        """Sets how many are kept, in all and of one peer. Those that are open stay so until another comes."""
        self._most, self._most_of_peer = most, most_of_peer

    def opened(self, connection: C) -> None:
        """Takes one in."""
        self._open.add(connection)
        peer = connection.peer
        self._of_peer[peer] += 1
        if peer and self._of_peer[peer] > self._most_of_peer:
            _make_room(connection, (one for one in self._open if one.peer == peer))
        elif len(self._open) > self._most:
            _make_room(connection, self._open)
        self._report(len(self._open))

    def closed(self, connection: C) -> None:
        """Forgets one."""
        if connection not in self._open:
            return
        self._open.discard(connection)
        self._of_peer[connection.peer] -= 1
        if not self._of_peer[connection.peer]:
            del self._of_peer[connection.peer]
        self._report(len(self._open))


def peer_of(peername: object) -> str:
    """Gives the address of a socket's other end; empty for a unix socket, and for loopback, which all local clients share."""
    host = str(peername[0]) if isinstance(peername, tuple) else ""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return ""
    address = getattr(address, "ipv4_mapped", None) or address
    return "" if address.is_loopback else str(address)


def _make_room(newcomer: Connection, among: Iterable[Connection]) -> None:
    idle = [one for one in among if one.is_idle and one is not newcomer]
    if idle:
        min(idle, key=lambda one: (one.has_asked, one.last_active)).give_up()
