"""The stand-ins for rooms that are taken away: each stands where its room stood, and does as little as it says."""

import asyncio
from pathlib import Path

import pytest

from bench import without
from bench.payloads import payloads
from hookgate.facts import facts_of
from hookgate.hooks.decode import Reader
from hookgate.hooks.event import HookEvent, event_from


async def event_of(body: bytes) -> HookEvent:
    reader = Reader(values=20_000, cut_bytes=65_536, whole_bytes=4_194_304)
    return event_from(await reader.read(body))


@pytest.mark.parametrize("room", without.ROOMS)
def test_each_room_that_can_be_taken_away_is_there(room: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, name, stand_in = without.ROOMS[room]
    monkeypatch.setattr(module, name, getattr(module, name))
    without.take_away(room)
    assert getattr(module, name) is stand_in


def test_a_room_that_is_no_longer_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    module, _, stand_in = without.ROOMS["facts"]
    monkeypatch.setitem(without.ROOMS, "facts", (module, "gone", stand_in))
    with pytest.raises(AttributeError, match="gone"):
        without.take_away("facts")


async def test_facts_are_found_once_and_are_the_right_ones() -> None:
    known = without.KnownFacts()
    event = await event_of(payloads()[0].body)
    assert known(event) == facts_of(event)
    assert known(await event_of(payloads()[0].body)) is known(event)


def test_nothing_is_redacted_and_long_strings_are_cut() -> None:
    redactor = without.NoRedactor(bytes(32))
    secret = "password=hunter2hunter2"
    assert not redactor.suspects(secret.encode())
    clean = redactor.redacted({"tool_input": {"command": [secret, "x" * 5000, 7]}})
    assert clean["tool_input"]["command"] == [secret, "x" * 2000, 7]


def test_a_record_counts_as_written_at_once(tmp_path: Path) -> None:
    async def written() -> None:
        await asyncio.wait_for(without.NoJournal(tmp_path).append(b"{}\n"), 1)

    asyncio.run(written())
    assert list(tmp_path.iterdir()) == []
