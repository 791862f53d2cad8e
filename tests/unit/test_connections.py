"""Connections within their bounds: which one goes when another comes."""

from dataclasses import dataclass

from hookgate.app.connections import Connections, peer_of


@dataclass(eq=False)
class Line:
    """A connection."""

    peer: str = ""
    last_active: float = 0.0
    head_bytes: int = 0
    is_idle: bool = True
    has_asked: bool = True
    given_up: bool = False

    def give_up(self) -> None:
        self.given_up = True


def opened(most: int, of_peer: int, *lines: Line) -> tuple[Connections[Line], list[int]]:
    told: list[int] = []
    connections: Connections[Line] = Connections(most, of_peer, told.append)
    for line in lines:
        connections.opened(line)
    return connections, told


def test_one_address_cannot_take_the_connections_of_others() -> None:
    mine = [Line("192.0.2.1", last_active=n) for n in range(3)]
    other = Line("192.0.2.2", last_active=-1)
    opened(100, 3, other, *mine)
    assert not any(line.given_up for line in mine)
    opened(100, 3, other, *mine, Line("192.0.2.1", last_active=9))
    assert [line.given_up for line in (other, *mine)] == [False, True, False, False]


def test_loopback_and_unix_sockets_are_bounded_by_the_whole_alone() -> None:
    lines = [Line("", last_active=n) for n in range(9)]
    opened(8, 2, *lines)
    assert [line.given_up for line in lines] == [True] + [False] * 8


def test_who_never_asked_goes_first_and_who_is_owed_an_answer_stays() -> None:
    busy = Line("a", last_active=0, is_idle=False)
    silent = Line("a", last_active=5, has_asked=False)
    idle = Line("a", last_active=1)
    opened(100, 3, busy, idle, silent, Line("a", last_active=6))
    assert (busy.given_up, idle.given_up, silent.given_up) == (False, False, True)
    waiting = [Line("a", is_idle=False) for _ in range(5)]
    opened(100, 3, *waiting)
    assert not any(line.given_up for line in waiting)


def test_a_connection_that_has_ended_makes_room_and_is_forgotten_once() -> None:
    first, second = Line("a"), Line("a")
    connections, told = opened(100, 2, first, second)
    connections.closed(first)
    connections.closed(first)
    third = Line("a")
    connections.opened(third)
    assert not any(line.given_up for line in (first, second, third))
    assert told == [1, 2, 1, 2]
    assert set(connections) == {second, third}


def test_a_bound_that_changes_counts_from_the_next_connection_on() -> None:
    lines = [Line("a", last_active=n) for n in range(4)]
    connections, _ = opened(100, 10, *lines)
    connections.bound(100, 2)
    assert not any(line.given_up for line in lines)
    connections.opened(Line("a", last_active=9))
    assert lines[0].given_up


def test_a_peer_is_an_address_but_for_those_that_all_share() -> None:
    assert peer_of(("192.0.2.1", 5000)) == peer_of(("::ffff:192.0.2.1", 5000, 0, 0)) == "192.0.2.1"
    assert peer_of(("fe80::1%eth0", 1, 0, 2)) == "fe80::1"
    for shared in (("127.0.0.1", 1), ("127.8.0.1", 1), ("::1", 1, 0, 0), ("::ffff:127.0.0.1", 1, 0, 0), "", None):
        assert peer_of(shared) == ""
