"""Sockets of our own, and those that are handed over."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from hookgate.app import listeners as module
from hookgate.app.listeners import Listener, ListenError, inherited, listen
from tests.support.wait import free_port


@pytest.fixture
def handed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[socket.socket]]:
    """Two listening sockets with numbers that follow each other, as a socket unit hands them over."""
    first = socket.create_server(("127.0.0.1", 0))
    second = socket.create_server(("127.0.0.1", 0))
    # Two numbers that nothing in this process has, nor keeps: a thread that waits in accept(2) has the next free one already.
    base = max(int(fd.name) for fd in Path("/proc/self/fd").iterdir()) + 64
    for offset, one in enumerate((first, second)):
        os.dup2(one.fileno(), base + offset)
    monkeypatch.setattr(module, "_FIRST_FD", base)
    yield [first, second]
    for one in (first, second):
        one.close()


def environment(count: int, names: str | None = None, pid: int | None = None) -> dict[str, str]:
    found = {"LISTEN_PID": str(pid or os.getpid()), "LISTEN_FDS": str(count), "PATH": "/bin"}
    return found if names is None else {**found, "LISTEN_FDNAMES": names}


@pytest.mark.parametrize(
    ("names", "order"),
    [
        (None, ["hooks", "admin"]),
        ("admin:hooks", ["admin", "hooks"]),
        ("x:admin", ["hooks", "admin"]),
        ("", ["hooks", "admin"]),
    ],
)
def test_sockets_that_are_handed_over_are_taken_by_name(
    handed: list[socket.socket], names: str | None, order: list[str]
) -> None:
    environ = environment(2, names)
    found = inherited(environ)
    assert [found[name].socket.getsockname() for name in order] == [one.getsockname() for one in handed]
    assert all(one.inherited for one in found.values())
    assert not any(one.socket.get_inheritable() for one in found.values())
    assert environ == {"PATH": "/bin"}
    for one in found.values():
        one.socket.close()


@pytest.mark.parametrize("environ", [{}, environment(2, pid=1), {**environment(2), "LISTEN_FDS": "x"}, environment(0)])
def test_what_is_meant_for_another_process_is_left_alone_and_no_child_is_told(environ: dict[str, str]) -> None:
    environ = dict(environ)
    assert inherited(environ) == {}
    assert not any(name.startswith("LISTEN_") for name in environ)


def test_an_own_listener_says_where_it_listens() -> None:
    found = listen("127.0.0.1", 0, "server")
    port = found.socket.getsockname()[1]
    assert (found.address, found.inherited) == (f"127.0.0.1:{port}", False)
    with socket.create_connection(("127.0.0.1", port), timeout=5):
        pass
    found.socket.close()


def test_a_port_that_is_taken_is_one_clear_line_with_the_mend() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ListenError) as caught:
            listen("127.0.0.1", port, "server")
    assert str(caught.value) == (
        f"server.port: can't listen on 127.0.0.1:{port}: Address already in use; "
        "stop what holds it, or set another server.port"
    )


@pytest.mark.parametrize("host", ["no such host", "203.0.113.7"])
def test_a_host_that_is_not_ours_is_a_clear_fault(host: str) -> None:
    with pytest.raises(ListenError, match=r"^admin\.(host|port): "):
        listen(host, free_port(), "admin")


def test_an_ipv6_address_stands_in_brackets() -> None:
    try:
        found = listen("::1", 0, "server")
    except ListenError:
        assert not socket.has_ipv6 or "::1" not in str(socket.getaddrinfo("localhost", None))
        return
    assert found.address.startswith("[::1]:")
    found.socket.close()


def test_an_address_of_another_family_is_told_as_it_is(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("s") / "s"
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))
        assert Listener(one).address == str(path)
