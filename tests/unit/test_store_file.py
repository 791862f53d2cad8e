"""The store's file as a shipper writes it: once, whole, and never in silence into nothing."""

import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hookgate.audit.shipping.shipment import Shipment, SinkError, SinkRefusedError
from hookgate.audit.sinks.sqlite import SqliteSink
from hookgate.audit.store import sqlite
from hookgate.audit.store.file import StoreFile
from hookgate.audit.store.opening import open_store
from hookgate.audit.store.question import Filter, StoreError
from tests.support.records import INSTANCE, decision, service, shipments
from tests.support.wait import until


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite"


def total(path: Path) -> int:
    with closing(open_store(path)) as store:
        return store.stats(Filter()).total


async def send(path: Path, *batches: list[Shipment], retention_days: float | None = None) -> None:
    sink = SqliteSink(path, retention_days=retention_days)
    await sink.open()
    try:
        for batch in batches:
            await sink.send(batch)
    finally:
        await sink.close()


def spans(path: Path) -> list[tuple[str, int, int]]:
    with closing(open_store(path)) as store:
        return [(span.instance, span.first, span.last) for span in store.spans()]


async def test_delivering_twice_adds_nothing_and_counts_nothing_twice(path: Path) -> None:
    lines = shipments([decision(number) for number in range(1, 21)])
    await send(path, lines[:12], lines[8:], lines, [*lines, *lines])
    assert total(path) == 20
    assert spans(path) == [(INSTANCE, 1, 20)]
    with closing(open_store(path)) as store:
        assert len(list(store.entries(Filter()))) == 20
        (mode,) = store.stats(Filter()).modes
        assert (mode.name, mode.count) == ("enforce", 20)


async def test_a_line_that_comes_with_another_hash_takes_the_place_of_the_old_one(path: Path) -> None:
    lost = [decision(2, user="lost"), decision(3, user="lost", outcome="deny"), service(4, "canary")]
    old = shipments([decision(1), *lost, decision(5)])
    late = {"time": "2026-12-01T00:00:00.000000Z"}
    new = shipments([decision(1), service(12, "canary"), decision(13, **late), decision(14), decision(15)])
    await send(path, old, new[:3], new[3:], new)
    with closing(open_store(path)) as store:
        found = [*store.entries(Filter()), *store.service_entries(None, None)]
        assert {entry.seq: entry.hash for entry in found} == {one.seq: one.hash for one in new}
        stats = store.stats(Filter())
        assert (stats.total, [(one.name, one.count) for one in stats.users]) == (4, [("alex", 4)])
        assert store.show("decision-000002") == store.show("service-000004") == ()
    assert spans(path) == [(INSTANCE, 1, 5)]
    with closing(sqlite3.connect(path)) as found_there:
        kept = found_there.execute("SELECT lower(hex(hash)) FROM replaced ORDER BY key").fetchall()
        assert kept == [(one.hash,) for one in old[1:]]
        assert found_there.execute("SELECT count(*) FROM tally WHERE name = 'lost' OR count <= 0").fetchone() == (0,)


async def test_the_same_number_of_two_chains_is_two_rows(path: Path) -> None:
    await send(path, shipments([decision(1)], instance="one"), shipments([decision(1)], instance="two"))
    assert total(path) == 2
    assert spans(path) == [("one", 1, 1), ("two", 1, 1)]


async def test_what_was_never_delivered_is_a_hole_that_is_filled_when_it_comes(path: Path) -> None:
    lines = shipments([decision(number) for number in range(1, 31)])
    await send(path, lines[:5], lines[20:25])
    assert spans(path) == [(INSTANCE, 1, 5), (INSTANCE, 21, 25)]
    await send(path, lines[4:21])
    assert spans(path) == [(INSTANCE, 1, 25)]


def test_nobody_else_may_read_the_file(path: Path) -> None:
    asyncio.run(send(path, shipments([decision(1)])))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_a_store_that_is_removed_while_it_is_written_is_made_anew_and_shows_what_is_missing(path: Path) -> None:
    lines = shipments([decision(number) for number in range(1, 11)])
    sink = SqliteSink(path)
    await sink.open()
    await sink.send(lines[:5])
    for end in ("", "-wal", "-shm"):
        path.with_name(path.name + end).unlink()
    with pytest.raises(SinkError, match=r"store\.sqlite: removed or replaced"):
        await sink.send(lines[5:])
    await sink.open()
    await sink.send(lines[5:])
    await sink.close()
    assert spans(path) == [(INSTANCE, 6, 10)]


def test_a_damaged_file_is_named_and_left_alone(path: Path) -> None:
    path.write_bytes(b"no database" * 1000)
    sink = SqliteSink(path)
    with pytest.raises(SinkError, match=r"store\.sqlite: damaged \(file is not a database\): move it away"):
        asyncio.run(sink.open())
    assert path.read_bytes() == b"no database" * 1000
    with pytest.raises(StoreError, match=r"store\.sqlite: file is not a database"):
        open_store(path)


async def test_a_file_of_another_program_is_refused(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE customers (name TEXT)")
    with pytest.raises(SinkError, match="no store of Hookgate"):
        await SqliteSink(path).open()
    with pytest.raises(StoreError, match="no store of Hookgate"):
        open_store(path)


async def test_a_store_of_a_newer_version_is_refused_and_left_alone(path: Path) -> None:
    await send(path, shipments([decision(1)]))
    with closing(sqlite3.connect(path)) as newer:
        newer.execute("PRAGMA user_version = 99")
    with pytest.raises(SinkError, match="newer Hookgate"):
        await SqliteSink(path).open()
    with pytest.raises(StoreError, match="newer Hookgate"):
        open_store(path)


async def test_a_store_of_an_older_version_is_brought_up_to_date_with_its_rows(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await send(path, shipments([decision(1), decision(2)]))
    later = ("ALTER TABLE decision ADD COLUMN colour TEXT NOT NULL DEFAULT 'blue'",)
    monkeypatch.setattr(sqlite, "STEPS", (*sqlite.STEPS, later))
    monkeypatch.setattr("hookgate.audit.store.file.STEPS", sqlite.STEPS)
    with pytest.raises(StoreError, match="older version: start `hookgate ship` once"):
        open_store(path)
    StoreFile(path).close()
    assert total(path) == 2
    with closing(sqlite3.connect(path)) as found:
        assert found.execute("SELECT DISTINCT colour FROM decision").fetchall() == [("blue",)]
        assert found.execute("PRAGMA user_version").fetchone() == (len(sqlite.STEPS),)


def test_a_missing_store_says_how_to_make_one(path: Path) -> None:
    with pytest.raises(StoreError, match=r"store\.sqlite: no store there: .*`hookgate audit ship DIR`"):
        open_store(path)
    assert not path.exists()


def test_a_store_is_read_where_nobody_may_write() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "store.sqlite")
        asyncio.run(send(path, shipments([decision(1)])))
        path.chmod(0o444)
        path.parent.chmod(0o555)
        is_root = os.geteuid() == 0
        if is_root:  # who may write everywhere
            os.seteuid(65534)
        try:
            assert total(path) == 1
        finally:
            if is_root:
                os.seteuid(0)
            path.parent.chmod(0o700)


async def test_a_line_that_can_never_be_stored_is_refused_for_good(path: Path) -> None:
    sink = SqliteSink(path)
    await sink.open()
    for line, seq in ((b"[]", 1), (b"{", 2), (b"{}", 1 << 44)):
        with pytest.raises(SinkRefusedError):
            await sink.send([Shipment(line, seq, "ab" * 32, INSTANCE)])
    await sink.send(shipments([decision(1)]))
    await sink.close()
    assert total(path) == 1


async def test_a_disk_that_is_full_fails_the_batch_and_nothing_of_it_stays(path: Path) -> None:
    sink = SqliteSink(path)
    await sink.open()
    await sink.send(shipments([decision(1)]))
    assert sink._store is not None
    run = sink._store._connection.execute
    (pages,) = run("PRAGMA page_count").fetchone()
    run(f"PRAGMA max_page_count = {pages}")
    lines = shipments([decision(number, input={"command": os.urandom(2000).hex()}) for number in range(1, 60)])
    with pytest.raises(SinkError, match=r"store\.sqlite: database or disk is full"):
        await sink.send(lines)
    assert total(path) == 1
    run("PRAGMA max_page_count = 1073741823")
    await sink.send(lines)
    await sink.close()
    assert total(path) == 59


async def test_a_disk_that_hangs_keeps_one_thread_and_not_the_event_loop(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = SqliteSink(path)
    await sink.open()
    hangs, calls = threading.Event(), []
    write = StoreFile.write

    def slow(store: StoreFile, *arguments: Any) -> int:
        calls.append(1)
        hangs.wait(20)
        return write(store, *arguments)

    monkeypatch.setattr(StoreFile, "write", slow)
    lines = shipments([decision(1), decision(2)])
    for _ in range(3):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await sink.send(lines)
    assert len(calls) == 1
    hangs.set()
    await sink.send(lines)
    await sink.close()
    assert total(path) == 2


async def test_rows_go_when_nothing_was_added_to_their_day_for_so_long_whatever_the_wall_clock_says(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = shipments([decision(1, time="2026-08-01T10:00:00Z"), service(2, "start", time="2026-08-01T10:00:01Z")])
    new = shipments([decision(3, time="2026-11-22T10:00:00Z")], instance="second")
    now = time.monotonic()
    monkeypatch.setattr("hookgate.audit.sinks.sqlite.time", SimpleNamespace(monotonic=lambda: now))
    sink = SqliteSink(path, retention_days=30)
    await sink.open()
    await sink.send(old)
    assert total(path) == 1
    now += 29 * 86400
    await sink.send(new)
    assert total(path) == 2
    now += 2 * 86400
    for _ in range(4):
        await sink.send(new)
    await sink.close()
    assert total(path) == 1
    with closing(open_store(path)) as store:
        assert [row.id for row in store.search(Filter()).rows] == ["decision-000003"]
        assert list(store.service_entries(None, None)) == []
        assert store.stats(Filter(since=None)).buckets[0].begin.month == 11
    with closing(sqlite3.connect(path)) as found:
        assert found.execute("SELECT count(*) FROM line").fetchone() == (1,)
        assert found.execute("SELECT min(hour) * 3600 FROM tally").fetchone() > (1795000000,)


def test_a_batch_that_was_told_to_be_stored_survives_a_kill(path: Path) -> None:
    program = """
import asyncio, sys
from pathlib import Path
from hookgate.audit.sinks.sqlite import SqliteSink
from tests.support.records import decision, shipments

async def main():
    sink = SqliteSink(Path(sys.argv[1]))
    await sink.open()
    lines = shipments([decision(number) for number in range(1, 5000)])
    for begin in range(0, len(lines), 10):
        await sink.send(lines[begin:begin + 10])
        print(lines[begin:begin + 10][-1].seq, flush=True)

asyncio.run(main())
"""
    root = Path(__file__).resolve().parents[2]
    child = subprocess.Popen(
        [sys.executable, "-c", program, str(path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": f"{root / 'proxy'}{os.pathsep}{root}"},
    )
    assert child.stdout is not None
    told = [int(child.stdout.readline()) for _ in range(20)]
    child.kill()
    told += [int(line) for line in child.stdout.read().split(b"\n")[:-1]]
    child.wait()
    child.stdout.close()
    assert told[-1] >= 200
    ((_, first, last),) = spans(path)
    assert first == 1
    assert told[-1] <= last
    assert total(path) == last


def test_an_interrupt_ends_a_long_question(path: Path) -> None:
    asyncio.run(send(path, shipments([decision(number) for number in range(1, 200)])))
    program = """
import signal, sys
# Where tests run in the background of a shell it would be ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
from hookgate.audit.store.opening import open_store
database = open_store(sys.argv[1])._database
print("asking", flush=True)
database.rows("SELECT count(*) FROM decision a, decision b, decision c, decision d")
"""
    with subprocess.Popen(
        [sys.executable, "-c", program, str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2] / "proxy")},
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        child.send_signal(2)
        try:
            _, said = child.communicate(timeout=20)
        finally:
            child.kill()
    assert b"KeyboardInterrupt" in said


def test_two_shippers_of_one_file_wait_for_each_other(path: Path) -> None:
    def ship(instance: str) -> None:
        lines = shipments([decision(number) for number in range(1, 201)], instance=instance)
        asyncio.run(send(path, *(lines[begin : begin + 20] for begin in range(0, 200, 20))))

    threads = [threading.Thread(target=ship, args=(name,)) for name in ("one", "two", "three")]
    for thread in threads:
        thread.start()
    until(lambda: not any(thread.is_alive() for thread in threads), seconds=60, what="all to have shipped")
    assert total(path) == 600
