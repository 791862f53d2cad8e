"""Whose socket is at the other end of a connection on loopback."""

import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from hookgate.identity import sockdiag
from hookgate.identity.connection import Connection, connection_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell")

WAYS = pytest.mark.parametrize("way", [sockdiag._by_netlink, sockdiag._by_table], ids=["netlink", "table"])
Way = Callable[[sockdiag.Address, sockdiag.Address], int | None]


@pytest.fixture(params=["127.0.0.1", "::1"])
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a connection."""
    family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server((request.param, 0), family=family))
        client = stack.enter_context(socket.create_connection(server.getsockname()[:2]))
        accepted = stack.enter_context(server.accept()[0])
        yield client, accepted


def ends(accepted: socket.socket) -> tuple[sockdiag.Address, sockdiag.Address]:
    return accepted.getpeername()[:2], accepted.getsockname()[:2]


@WAYS
def test_the_owner_of_an_open_connection_is_told(pair: tuple[socket.socket, socket.socket], way: Way) -> None:
    assert way(*ends(pair[1])) == os.getuid()


@WAYS
@pytest.mark.parametrize("how", ["shut", "closed"])
def test_one_that_closes_its_end_has_no_owner_and_is_not_taken_for_root(
    pair: tuple[socket.socket, socket.socket], way: Way, how: str
) -> None:
    client, accepted = pair
    if how == "shut":
        client.shutdown(socket.SHUT_WR)
    else:
        client.close()
    assert accepted.recv(1) == b""
    assert way(*ends(accepted)) is None


@WAYS
@pytest.mark.parametrize("server", ["127.0.0.1", "::"])
@pytest.mark.parametrize("client", ["127.0.0.1", "::ffff:127.0.0.1"])
def test_an_address_in_the_other_kinds_form_is_the_same_address(
    server: str, client: str, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockdiag, "_by_netlink", way)
    both = {"family": socket.AF_INET6, "dualstack_ipv6": True} if ":" in server else {"family": socket.AF_INET}
    with socket.create_server((server, 0), **both) as listening:
        address = (client, listening.getsockname()[1])
        family = socket.AF_INET6 if ":" in client else socket.AF_INET
        with socket.socket(family) as connecting:
            connecting.connect(address)
            with listening.accept()[0] as accepted:
                assert told(Transport(accepted)) == Connection("127.0.0.1", is_local=True, uid=os.getuid())


@WAYS
def test_who_listens_on_the_clients_port_is_somebody_else(way: Way) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_server(("127.0.0.1", 0)) as ours:
        # The kernel, asked for a connection that is not there, gives the listener.
        assert way(listener.getsockname(), ours.getsockname()) is None


def test_without_netlink_the_table_tells(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> int:
        raise PermissionError

    monkeypatch.setattr(sockdiag, "_by_netlink", refused)
    assert sockdiag.owner(*ends(pair[1])) == os.getuid()
    monkeypatch.setattr(sockdiag, "_by_table", refused)
    assert sockdiag.owner(*ends(pair[1])) is None


def test_another_system_tells_nothing(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hookgate.identity.sockdiag.sys.platform", "darwin")
    assert sockdiag.owner(*ends(pair[1])) is None


def test_users_whom_the_namespace_does_not_know_are_nobody(
    pair: tuple[socket.socket, socket.socket], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "self").mkdir()
    (tmp_path / "sys" / "kernel").mkdir(parents=True)
    (tmp_path / "sys" / "kernel" / "overflowuid").write_text("65534\n")
    look = sockdiag.stranger.__wrapped__
    (tmp_path / "self" / "uid_map").write_text("         0          0 4294967295\n")
    assert look(tmp_path) is None
    (tmp_path / "self" / "uid_map").write_text("         0     100000      65536\n")
    assert look(tmp_path) == 65534
    assert look(tmp_path / "none") == 65534
    monkeypatch.setattr(sockdiag, "stranger", os.getuid)
    assert sockdiag.owner(*ends(pair[1])) is None


class Transport:
    """A transport that tells of a socket."""

    def __init__(self, sock: socket.socket, **more: object) -> None:
        self._told = {"socket": sock, "peername": sock.getpeername(), "sockname": sock.getsockname(), **more}

    def get_extra_info(self, name: str) -> object:
        return self._told.get(name)


def told(transport: Transport) -> Connection:
    return connection_of(transport)  # type: ignore[arg-type]


def test_a_connection_tells_its_address_and_its_owner(pair: tuple[socket.socket, socket.socket]) -> None:
    found = told(Transport(pair[1]))
    assert found == Connection(pair[1].getpeername()[0], is_local=True, uid=os.getuid())
    assert found.peer == str(os.getuid())


def test_on_a_unix_socket_the_owner_is_told_too() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        assert told(Transport(ours)) == Connection(is_local=True, uid=os.getuid())


def test_a_connection_from_elsewhere_has_no_owner(pair: tuple[socket.socket, socket.socket]) -> None:
    found = told(Transport(pair[1], peername=("192.0.2.1", 5), sockname=("192.0.2.2", 6)))
    assert found == Connection("192.0.2.1")
