"""Which connections to a collector are closed, so that nobody keeps others from connecting."""

import asyncio

from hookgate.collect.lines import Lines


class Transport(asyncio.Transport):
    """One that only notes how it ended."""

    def __init__(self) -> None:
        super().__init__()
        self.is_gone = False

    def abort(self) -> None:
        self.is_gone = True


class Line:
    """A connection."""

    def __init__(self) -> None:
        self._transport = Transport()

    @property
    def transport(self) -> asyncio.Transport | None:
        return self._transport

    @property
    def is_gone(self) -> bool:
        return self._transport.is_gone


def test_who_proves_nothing_goes_after_a_while_and_who_does_stays() -> None:
    at = [0.0]
    lines, mute, known = Lines(100, lambda: at[0]), Line(), Line()
    for second in range(0, 150, 30):
        at[0] = second
        lines.prove(known, "journal")
        lines.look([mute, known])
    assert (mute.is_gone, known.is_gone) == (True, False)
    at[0] += 200
    lines.look([known])
    assert known.is_gone


def test_beyond_the_bound_the_oldest_go_that_have_proved_nothing() -> None:
    at = [0.0]
    lines, several = Lines(3, lambda: at[0]), [Line() for _ in range(6)]
    lines.prove(several[0], "journal")
    for count in range(1, 7):
        at[0] += 1
        lines.look(several[:count])
    assert [one.is_gone for one in several] == [False, True, True, True, False, False]


def test_one_journal_keeps_no_more_than_some() -> None:
    at = [0.0]
    lines, several, other = Lines(100, lambda: at[0]), [Line() for _ in range(10)], Line()
    lines.prove(other, "another")
    for one in several:
        at[0] += 1
        lines.prove(one, "journal")
    lines.look([*several, other])
    assert [one.is_gone for one in several] == [True, True] + [False] * 8
    assert not other.is_gone
