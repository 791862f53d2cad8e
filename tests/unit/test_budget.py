"""Room for large bodies, handed out in order and never twice."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from hookgate.app.budget import ByteBudget


async def turn() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_what_fits_is_had_at_once_and_what_does_not_waits_until_enough_is_given_back() -> None:
    budget = ByteBudget(100)
    assert await budget.take(60) == 60
    waiting = asyncio.create_task(budget.take(50))
    await turn()
    assert not waiting.done()
    budget.give(60)
    assert await waiting == 50


async def test_a_small_wish_does_not_overtake_a_large_one_that_came_before() -> None:
    budget = ByteBudget(100)
    await budget.take(60)
    large, small = asyncio.create_task(budget.take(80)), asyncio.create_task(budget.take(10))
    await turn()
    assert not large.done()
    assert not small.done()
    budget.give(60)
    assert (await large, await small) == (80, 10)


async def test_more_than_there_is_takes_all() -> None:
    budget = ByteBudget(100)
    assert await budget.take(1000) == 100


async def test_who_stops_waiting_blocks_nobody() -> None:
    budget = ByteBudget(100)
    await budget.take(60)
    large, small = asyncio.create_task(budget.take(80)), asyncio.create_task(budget.take(10))
    await turn()
    large.cancel()
    assert await small == 10
    budget.give(70)
    assert await budget.take(100) == 100


async def test_who_stops_waiting_just_as_room_is_given_back_takes_none_of_it() -> None:
    budget = ByteBudget(100)
    await budget.take(100)
    first, second = asyncio.create_task(budget.take(100)), asyncio.create_task(budget.take(100))
    await turn()
    first.cancel()
    budget.give(100)
    assert await second == 100
    assert first.cancelled()


@given(data=st.data(), total=st.integers(1, 50))
def test_whatever_is_taken_given_up_and_given_back_there_is_never_more_out_than_there_is(
    data: st.DataObject, total: int
) -> None:
    async def play() -> None:
        budget = ByteBudget(total)
        takers: list[asyncio.Task[int]] = []
        held: list[int] = []
        for _ in range(data.draw(st.integers(1, 25))):
            act = data.draw(st.sampled_from(["take", "give", "cancel", "cancel soon"]))
            if act == "take":
                takers.append(asyncio.create_task(budget.take(data.draw(st.integers(0, 60)))))
            elif act == "give" and held:
                budget.give(held.pop(data.draw(st.integers(0, len(held) - 1))))
            elif takers:
                takers[data.draw(st.integers(0, len(takers) - 1))].cancel()
            if act != "cancel soon":
                await turn()
            for taker in [one for one in takers if one.done()]:
                takers.remove(taker)
                if not taker.cancelled():
                    held.append(taker.result())
            assert sum(held) <= total
        while held or takers:
            if held:
                budget.give(held.pop())
            await turn()
            done = [one for one in takers if one.done()]
            takers = [one for one in takers if not one.done()]
            held += [one.result() for one in done if not one.cancelled()]
        assert await budget.take(total) == total

    asyncio.run(asyncio.wait_for(play(), 10))
