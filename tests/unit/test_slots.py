"""Slots for decisions: in all, for heavy ones, and for one caller."""

import asyncio
from contextlib import suppress

import pytest

from hookgate.config.tree import Decision
from hookgate.slots import Slots


class Crowd:
    """Callers that hold a slot until they are let go."""

    def __init__(self, config: Decision) -> None:
        self.slots = Slots(config)
        self.go = asyncio.Event()
        self.holding: list[str] = []
        self.tasks: list[asyncio.Task[None]] = []

    def comes(self, caller: str, count: int = 1, *, heavy: bool = False) -> None:
        self.tasks += [asyncio.create_task(self._holds(caller, heavy=heavy)) for _ in range(count)]

    async def _holds(self, caller: str, *, heavy: bool) -> None:
        async with self.slots.taken(caller, heavy=heavy):
            self.holding.append(caller)
            await self.go.wait()

    async def settled(self) -> list[str]:
        for _ in range(10):
            await asyncio.sleep(0)
        return self.holding


async def test_one_caller_holds_its_share_and_leaves_the_rest_to_others() -> None:
    crowd = Crowd(Decision(max_in_flight=4, max_in_flight_per_principal=3))
    crowd.comes("user flood", 20)
    crowd.comes("user alex")
    assert sorted(await crowd.settled()) == ["user alex"] + ["user flood"] * 3
    crowd.go.set()
    await asyncio.gather(*crowd.tasks)
    assert len(crowd.holding) == 21


async def test_by_itself_a_callers_share_is_half() -> None:
    for most, share in ((8, 4), (5, 2), (1, 1)):
        crowd = Crowd(Decision(max_in_flight=most))
        crowd.comes("peer 192.0.2.1", 20)
        assert len(await crowd.settled()) == share
        crowd.go.set()
        await asyncio.gather(*crowd.tasks)


async def test_heavy_decisions_have_a_quarter_and_light_ones_go_past_them() -> None:
    crowd = Crowd(Decision(max_in_flight=8, max_in_flight_per_principal=8))
    crowd.comes("heavy", 6, heavy=True)
    crowd.comes("light", 3)
    assert sorted(await crowd.settled()) == ["heavy"] * 2 + ["light"] * 3
    crowd.go.set()
    await asyncio.gather(*crowd.tasks)


async def test_who_gives_up_waiting_leaves_nothing_behind() -> None:
    crowd = Crowd(Decision(max_in_flight=2, max_in_flight_per_principal=1))
    crowd.comes("a", 3)
    crowd.comes("b", 3)
    await crowd.settled()
    for task in crowd.tasks:
        task.cancel()
    with suppress(asyncio.CancelledError):
        await asyncio.gather(*crowd.tasks)
    await crowd.settled()
    assert crowd.slots.callers() == 0
    crowd.go.set()
    crowd.comes("a", 5)
    await asyncio.gather(*crowd.tasks[-5:])
    assert crowd.slots.callers() == 0


async def test_a_slot_that_comes_at_the_moment_of_giving_up_goes_to_the_next() -> None:
    crowd = Crowd(Decision(max_in_flight=1, max_in_flight_per_principal=1))
    first = crowd.slots.taken("a", heavy=False)
    await first.__aenter__()
    crowd.comes("a", 2)
    await crowd.settled()
    second, third = crowd.tasks
    # The second is given its slot, and called off before it has its turn.
    await first.__aexit__(None, None, None)
    second.cancel()
    crowd.go.set()
    await third
    assert second.cancelled()
    assert (crowd.holding, crowd.slots.callers()) == (["a"], 0)


async def test_all_may_give_up_at_once() -> None:
    crowd = Crowd(Decision(max_in_flight=2, max_in_flight_per_principal=2))
    crowd.comes("a", 6)
    crowd.comes("b", 6, heavy=True)
    assert len(await crowd.settled()) == 2
    for task in crowd.tasks:
        task.cancel()
    found = await asyncio.gather(*crowd.tasks, return_exceptions=True)
    assert {type(one) for one in found} == {asyncio.CancelledError}
    assert crowd.slots.callers() == 0
    crowd.comes("a", 2)
    assert len(await crowd.settled()) == 4
    crowd.go.set()
    await asyncio.gather(*crowd.tasks[-2:])


async def test_slots_are_had_in_the_order_of_asking() -> None:
    slots, order = Slots(Decision(max_in_flight=2, max_in_flight_per_principal=2)), list[int]()

    async def one(number: int) -> None:
        async with slots.taken("a", heavy=False):
            order.append(number)
            await asyncio.sleep(0)

    await asyncio.gather(*(one(number) for number in range(20)))
    assert order == list(range(20))


async def test_one_who_gives_up_in_the_moment_in_which_a_slot_comes_free_is_only_passed_over() -> None:
    slots = Slots(Decision(max_in_flight=1))
    held = slots.taken("a", heavy=False)
    await held.__aenter__()

    async def wait() -> None:
        async with slots.taken("b", heavy=False):
            pass

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0)
    waiting.cancel()
    await held.__aexit__(None, None, None)
    with pytest.raises(asyncio.CancelledError):
        await waiting
    async with slots.taken("c", heavy=False):
        assert slots.callers() == 1
