"""Forwarding from a collector's store: one at a time, whatever its sink does, and from where the last one was."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec
import pytest
import structlog

from hookgate.audit.shipping.shipment import Shipment
from hookgate.collect import forwarding
from hookgate.collect.arrivals import arrive
from hookgate.collect.forwarding import Forwarder, forget_targets
from hookgate.collect.sqlite import SqliteFile
from hookgate.config.shippers import FileShipper
from tests.support.chains import Machine
from tests.support.sinks import FakeSink

TARGET = msgspec.convert({"type": "file", "path": "unused", "timeout_seconds": 60.0}, FileShipper)


class Gated(FakeSink):
    """Answers once it may, as a sink that was away."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.waits = asyncio.Event()

    async def send(self, batch: Sequence[Shipment]) -> None:
        self.waits.set()
        await self.gate.wait()
        await super().send(batch)


class Site:
    """A store, and the collectors that forward from it."""

    def __init__(self, database: SqliteFile, monkeypatch: pytest.MonkeyPatch) -> None:
        self.database = database
        self.machine = Machine()
        self._monkeypatch = monkeypatch
        self._tasks: list[asyncio.Task[None]] = []

    def forwards(self, sink: FakeSink) -> asyncio.Task[None]:
        """Has another collector forward."""
        self._monkeypatch.setattr(forwarding, "sink_for", lambda shipper, directory: sink)
        task = asyncio.create_task(Forwarder(TARGET, self.database, structlog.get_logger()).run())
        self._tasks.append(task)
        return task

    async def rows(self, sql: str, *values: object) -> Sequence[Sequence[object]]:
        async with self.database.transaction() as session:
            return await session.rows(sql, *values)

    async def has_turn(self) -> None:
        """Waits until some collector has its turn."""
        for _ in range(1000):
            if await self.rows("SELECT name FROM forwarder WHERE holder <> ''"):
                return
            await asyncio.sleep(0.01)
        raise AssertionError("nobody forwards")

    async def take(self, count: int) -> None:
        """Has so many decisions come."""
        begin = len(self.machine.lines)
        self.machine.decide(count)
        async with self.database.transaction() as session:
            lines = self.machine.shipments[begin:]
            await session.store(lines)
            await arrive(session, lines)

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@pytest.fixture
async def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    monkeypatch.setattr(forwarding, "_LEASE_SECONDS", 0.3)
    monkeypatch.setattr(forwarding, "_POLL_SECONDS", 0.02)
    database = SqliteFile(tmp_path / "store.sqlite")
    await database.open()
    made = Site(database, monkeypatch)
    yield made
    await made.end()
    await database.close()


async def test_a_collector_keeps_its_turn_while_its_sink_is_away_and_when_it_is_killed_another_goes_on(
    site: Site,
) -> None:
    stuck, other = Gated(), Gated()
    other.gate.set()
    first = site.forwards(stuck)
    await site.has_turn()
    site.forwards(other)
    await site.take(3)
    await stuck.waits.wait()
    await asyncio.sleep(1.0)
    assert not other.waits.is_set()
    first.cancel()
    async with asyncio.timeout(10):
        await other.waits.wait()
    assert [one.line for one in other.taken] == site.machine.lines[1:]
    assert stuck.taken == []


async def test_a_collector_whose_turn_was_taken_delivers_no_more_of_what_it_had_begun(site: Site) -> None:
    stuck = Gated()
    site.forwards(stuck)
    await site.has_turn()
    await site.take(3)
    await stuck.waits.wait()
    await site.rows("UPDATE forwarder SET holder = 'another', moved = moved + 60000000")
    await asyncio.sleep(0.5)
    stuck.gate.set()
    await asyncio.sleep(0.2)
    assert stuck.taken == []


async def test_what_came_waits_for_a_target_until_that_is_in_no_configuration_for_a_week(site: Site) -> None:
    sink = FakeSink()
    site.forwards(sink)
    await site.has_turn()
    week = forwarding._FORGOTTEN_SECONDS * 1_000_000
    for name, age in (("gone", 1.1), ("away", 0.9), ("kept", 9.0)):
        await site.rows(
            "INSERT INTO forwarder SELECT $1, 0, moved - $2, '' FROM forwarder LIMIT 1", name, int(week * age)
        )
    await forget_targets(site.database, [TARGET.called, "kept"])
    found = await site.rows("SELECT name FROM forwarder ORDER BY name")
    assert [name for (name,) in found] == ["away", TARGET.called, "kept"]


async def test_a_transaction_that_is_given_up_at_any_moment_keeps_no_other_from_beginning(site: Site) -> None:
    for turns in range(40):
        given_up = asyncio.create_task(site.rows("UPDATE forwarder SET moved = 0"))
        for _ in range(turns % 10):
            await asyncio.sleep(0)
        await asyncio.sleep(0.0005 * (turns // 10))
        given_up.cancel()
        await asyncio.gather(given_up, return_exceptions=True)
        assert await site.rows("SELECT 1") == [(1,)]
