"""What the store answers, and how fast, when it holds a quarter of a large company."""

import asyncio
import multiprocessing
import os
import sqlite3
import statistics
import time
from collections import deque
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.pool import AsyncResult
from pathlib import Path
from typing import Any

from bench.grid import Grid
from bench.records import BEGIN, DAYS, Company, shipments
from hookgate.audit.chain import Link
from hookgate.audit.shipping.shipment import Shipment
from hookgate.audit.sinks.sqlite import SqliteSink
from hookgate.audit.store.columns import Rows, key_of, rows_of
from hookgate.audit.store.file import StoreFile
from hookgate.audit.store.moment import DAY, moment_of
from hookgate.audit.store.opening import open_store
from hookgate.audit.store.question import Filter, Store
from hookgate.audit.store.tables import INDEXES

_INSTANCES = 4
_REPETITIONS = 5
_BATCH = 500
#: Days that are made while another is stored.
_AHEAD = 3
#: What takes longer is asked twice only.
_SLOW_SECONDS = 5.0

Question = Callable[[Store], str]


@dataclass(frozen=True, slots=True)
class Cost:
    """How long a question took: at first, its part of the file not being in memory, and the median of those after it."""

    question: str
    cold_seconds: float
    warm_seconds: float
    answer: str


@dataclass(frozen=True, slots=True)
class Result:
    """One run. `built_seconds` is what filling the store took without its indexes, `indexed_seconds` making them."""

    records: int
    size_bytes: int
    built_seconds: float
    indexed_seconds: float
    #: Records a second that the sink stores, in batches, into an empty store and into the full one.
    empty_rate: float
    full_rate: float
    costs: tuple[Cost, ...]


def run(path: Path, count: int, *, step: Callable[[str], None]) -> Result:
    """Fills a store at that path, which must not be there, and asks it."""
    company = Company()
    began = time.perf_counter()
    with closing(StoreFile(path)) as store, closing(sqlite3.connect(path, isolation_level=None)) as connection:
        _fill(store, connection, company, count, step)
        built = time.perf_counter()
        connection.execute("PRAGMA cache_size = -1000000")
        for index in INDEXES:
            step(f"index {index.name}")
            connection.execute(index.sql())
    indexed = time.perf_counter()
    step("rate of the sink")
    size = path.stat().st_size
    costs = _ask(path, step)
    extra, _ = shipments(company.day(DAYS - 1, min(count, 20_000)), "01a1e8a0-0000-7000-8000-0000000000ff")
    full = asyncio.run(_rate(path, extra))
    empty = path.with_name(path.name + ".empty")
    try:
        rate = asyncio.run(_rate(empty, extra))
    finally:
        remove(empty)
    return Result(count, size, built - began, indexed - built, rate, full, costs)


def remove(path: Path) -> None:
    """Removes a store with its log."""
    for end in ("", "-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)


def grid(result: Result) -> Grid:
    """Gives the table of questions."""
    columns = ("question", "answer", "at first, ms", "again, ms")
    rows: list[tuple[str, ...]] = [
        (cost.question, cost.answer, f"{cost.cold_seconds * 1000:,.0f}", f"{cost.warm_seconds * 1000:,.1f}")
        for cost in result.costs
    ]
    return Grid(f"SQLite, {result.records:,} records", columns, 2, [rows])


def notes(result: Result) -> list[str]:
    """Gives what is to be known of the table."""
    return [
        (
            f"{result.records:,} records of {Company().users} users and {DAYS} days take {result.size_bytes / 1e9:.2f} GB,"
            f" {result.size_bytes / result.records:,.0f} bytes a record with all indexes. The sink stores"
            f" {result.empty_rate:,.0f} records a second in batches of {_BATCH} in an empty store, and {result.full_rate:,.0f} in"
            " this one, each batch being on the disk before the next."
        ),
        f"At first: nothing of the file in memory. Again: the median of up to {_REPETITIONS}. Both with opening the store.",
    ]


def _fill(
    store: StoreFile, connection: sqlite3.Connection, company: Company, count: int, step: Callable[[str], None]
) -> None:
    """Without the indexes, which are made in one go when all is there: otherwise it would take hours."""
    for index in INDEXES:
        connection.execute(f"DROP INDEX {index.name}")
    with store.transaction():
        chains = [store.chain(f"01a1e8a0-0000-7000-8000-{number:012d}") for number in range(1, _INSTANCES + 1)]
    tasks, ends = [], dict.fromkeys(chains, 0)
    for day, number in enumerate(company.days(count)):
        chain = chains[day % _INSTANCES]
        tasks.append((company, day, number, key_of(chain, ends[chain] + 1)))
        ends[chain] += number
    waiting: deque[AsyncResult[Rows]] = deque()
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        for task in tasks:
            waiting.append(pool.apply_async(_day, task))
            if len(waiting) > _AHEAD:
                _stored(store, waiting.popleft().get(), step)
        while waiting:
            _stored(store, waiting.popleft().get(), step)


def _day(company: Company, day: int, number: int, first: int) -> Rows:
    found, _ = shipments(company.day(day, number), "", Link(0, b"%064d" % day))
    return rows_of(enumerate(found, first))


def _stored(store: StoreFile, rows: Rows, step: Callable[[str], None]) -> None:
    days = {row.time // DAY for row in rows.lines}
    step(", ".join(str(moment_of(day * DAY).date()) for day in days))
    with store.transaction():
        store.insert(rows)
        store.delivered([row.key for row in rows.lines], days)


def _ask(path: Path, step: Callable[[str], None]) -> tuple[Cost, ...]:
    with closing(open_store(path)) as store:
        questions = _questions(store)
    found = []
    for name, question in questions:
        step(name)
        taken, answer = [], ""
        forget(path)
        for _ in range(1 + _REPETITIONS):
            # Each time as a command would: a connection of its own.
            began = time.perf_counter()
            with closing(open_store(path)) as store:
                answer = question(store)
            taken.append(time.perf_counter() - began)
            if taken[0] > _SLOW_SECONDS and len(taken) > 1:
                break
        found.append(Cost(name, taken[0], statistics.median(taken[1:]), answer))
    return tuple(found)


def _questions(store: Store) -> list[tuple[str, Question]]:
    day, user = BEGIN + timedelta(days=20), "user0500"
    of_day: dict[str, Any] = {"since": day, "until": day + timedelta(days=1)}
    quarter = {"since": BEGIN, "until": BEGIN + timedelta(days=DAYS)}
    (row,) = store.search(Filter(**of_day), limit=1).rows

    def search(**wanted: Any) -> Question:
        return lambda store: _page(store, Filter(**wanted))

    def stats(**wanted: Any) -> Question:
        return lambda store: f"{store.stats(Filter(**wanted)).total:,} counted"

    return [
        ("search: the newest", search()),
        ("search: a user and a day", search(user=user, **of_day)),
        ("search: the busiest user and a day", search(user="user0001", **of_day)),
        ("search: a session", search(session_id=row.session_id)),
        ("search: outcome deny, tool Bash", search(outcome="deny", tool="Bash")),
        ("search: outcome error, tool Agent", search(outcome="error", tool="Agent")),
        ("search: outcome defer (none), tool Bash", search(outcome="defer", tool="Bash")),
        ("search: tool WebFetch", search(tool="WebFetch")),
        ("search: outcome error", search(outcome="error")),
        ("search: command text, a day", search(text="kubectl --context production", **of_day)),
        ("search: command text that is nowhere", search(text="terraform destroy")),
        ("search: a role that nobody has", search(role="auditor")),
        ("session: a whole one", lambda store: f"{len(store.session(row.session_id).rows)} rows"),
        ("show: a call, and what belongs to it", lambda store: f"{len(store.show(row.id))} records"),
        ("stats: the quarter", stats(**quarter)),
        ("stats: the quarter, not on whole hours", stats(since=BEGIN + timedelta(minutes=7), until=day)),
        ("stats: a day", stats(**of_day)),
        ("stats: a user, the quarter", stats(user=user, **quarter)),
        ("stats: tool WebFetch, the quarter", stats(tool="WebFetch", **quarter)),
    ]


def _page(store: Store, wanted: Filter) -> str:
    page = store.search(wanted)
    return f"{len(page.rows)} rows{', and more' if page.cursor else ''}"


async def _rate(path: Path, batch: list[Shipment]) -> float:
    sink = SqliteSink(path)
    await sink.open()
    began = time.perf_counter()
    for begin in range(0, len(batch), _BATCH):
        await sink.send(batch[begin : begin + _BATCH])
    taken = time.perf_counter() - began
    await sink.close()
    return len(batch) / taken


def forget(path: Path) -> None:
    """Has the system drop what it holds of the file, where it can be asked to."""
    if not hasattr(os, "posix_fadvise"):
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)
