"""Deadlines: each is called at its time unless it was lifted, whatever others there are."""

import asyncio
from functools import partial

from hypothesis import given, settings
from hypothesis import strategies as st

from hookgate.deadlines import Deadlines


class Clock(asyncio.SelectorEventLoop):
    """A loop whose time goes on when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0

    def time(self) -> float:
        return self.now


@given(
    whens=st.lists(st.integers(0, 50), min_size=1, max_size=20),
    lifted=st.sets(st.integers(0, 19)),
    steps=st.lists(st.integers(1, 20), max_size=6),
)
@settings(max_examples=60)
def test_whatever_is_not_lifted_is_called_once_its_time_has_come(
    whens: list[int], lifted: set[int], steps: list[int]
) -> None:
    loop, called = Clock(), list[int]()

    async def run() -> None:
        deadlines = Deadlines()
        made = [deadlines.set(100.0 + when, partial(called.append, index)) for index, when in enumerate(whens)]
        for index, deadline in enumerate(made):
            if index in lifted:
                deadlines.lift(deadline)
        for step in steps:
            loop.now += step
            for _ in range(3):
                await asyncio.sleep(0)
            due = {i for i, when in enumerate(whens) if i not in lifted and 100.0 + when <= loop.now}
            assert (set(called), len(called)) == (due, len(due))
            assert {i for i, deadline in enumerate(made) if deadline.is_over} == due
        deadlines.pass_all()
        assert sorted(called) == [i for i in range(len(whens)) if i not in lifted]

    try:
        loop.run_until_complete(run())
    finally:
        loop.close()


async def test_there_is_one_timer_for_all_of_them() -> None:
    loop, deadlines = asyncio.get_running_loop(), Deadlines()
    first = deadlines.set(loop.time() + 60, lambda: None)
    timer = deadlines._timer
    others = [deadlines.set(loop.time() + 61, lambda: None) for _ in range(10)]
    for one in (first, *others):
        deadlines.lift(one)
    assert deadlines._timer is timer
    sooner = deadlines.set(loop.time() + 1, lambda: None)
    assert deadlines._timer is not timer
    assert timer is not None
    assert timer.cancelled()
    deadlines.lift(sooner)
