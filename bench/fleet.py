"""A fleet in one machine: real journals, two real collectors, PostgreSQL; and a few that break down, or cheat."""

import asyncio
import contextlib
import multiprocessing
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import structlog

from bench import fleet_days
from bench.fleet_live import Live, line_by_line
from bench.grid import Grid
from bench.records import Company
from hookgate.audit.chain import BEGINNING, Link, linked
from hookgate.audit.fleet.standing import Mark, Standing
from hookgate.audit.fleet.survey import survey
from hookgate.audit.journal import Journal
from hookgate.audit.ledger import Options
from hookgate.audit.record import ServiceRecord, now
from hookgate.audit.segments import segment_paths
from hookgate.audit.shipping.courier import Courier
from hookgate.audit.signing import signing_key
from hookgate.audit.sinks.collector import CollectorSink
from hookgate.audit.store.columns import place_of
from hookgate.audit.store.opening import open_store
from hookgate.audit.store.packing import line_of
from hookgate.collect.enrolment import digest_of, proof_text
from hookgate.config.shippers import CollectorShipper
from hookgate.ids import uuid7
from tests.support.collecting import CollectProcess, asked, send
from tests.support.postgres import PostgresServer

_SCHEMA = "fleet"
#: What a developer's machine leaves in an hour: 200 records of calls, and a checkpoint each ten seconds.
HOUR_RECORDS = 560
_DELIVERY_SECONDS = 600.0
#: Machines that send line by line at once, fewer than a collector reads at once, and records of each.
_LIVE, _LIVE_RECORDS = 30, 40
#: How many times what a machine may send at once the one that floods has.
_FLOOD = 20
_log: structlog.typing.FilteringBoundLogger = structlog.wrap_logger(
    None, wrapper_class=structlog.make_filtering_bound_logger(50)
)
Step = Callable[[str], None]


@dataclass(slots=True)
class Laptop:
    """One machine with its journal."""

    name: str
    directory: Path
    records: list[dict[str, Any]]
    instance: str = ""
    token: str = ""
    url: str = ""
    written: int = 0
    #: Of one that was cut off while it sent: the last line whose taking it was told.
    acknowledged: int | None = None

    @property
    def lines(self) -> list[bytes]:
        """The journal's lines."""
        return [line for path in segment_paths(self.directory) for line in path.read_bytes().splitlines()]

    @property
    def token_file(self) -> Path:
        """Where its token is."""
        return self.directory / "collector.token"

    @property
    def token_path(self) -> str:
        """The same, in words."""
        return str(self.token_file)


@dataclass(frozen=True, slots=True)
class Result:
    """One run. `lost`, `doubled` and `strange` count lines in the store; `marks` are those of each machine that has any."""

    machines: int
    lines: int
    lost: int
    doubled: int
    strange: int
    marks: dict[str, tuple[str, ...]]
    #: While all sent at once: lines a second, and bytes a line, on the wire and in PostgreSQL with all indexes.
    rate: float
    wire_bytes: float
    store_bytes: float
    line_bytes: float
    #: What a line takes that is sent by itself.
    live: Live
    #: How long machines that were offline took until all was there, together; and how many they were.
    offline: int
    catch_up_seconds: float
    #: How often the one that floods was told to wait, and the longest that another waited for an answer meanwhile.
    told_to_wait: int
    longest_seconds: float
    honest: tuple[str, ...] = field(default=())


def run(machines: int, records: int, *, hour: int = HOUR_RECORDS, step: Step = lambda _: None) -> Result:
    """Simulates so many machines, each with so many records, of which one in ten is offline for a time that leaves `hour`
    records more."""
    directory = Path(tempfile.mkdtemp(prefix="fleet-"))
    directory.chmod(0o755)
    server = PostgresServer()
    collectors: list[CollectProcess] = []
    try:
        server.start()
        burst = 3 * (records + hour)
        store = {"type": "postgres", "url": server.url(), "schema": _SCHEMA}
        collectors = [CollectProcess(directory, store, records_per_second=2000, burst_records=burst) for _ in range(2)]
        for one in collectors:
            step(f"collector {one.port}")
            one.start()
        fleet = list(_laptops(directory, machines, records))
        return asyncio.run(_simulated(fleet, collectors, server, hour, burst * _FLOOD, step))
    finally:
        for one in collectors:
            one.stop()
        server.stop()
        shutil.rmtree(directory, ignore_errors=True)


def _laptops(directory: Path, count: int, records: int) -> Iterator[Laptop]:
    company = Company(users=count)
    for number in range(count):
        made = company.day(number % 90, records)
        yield Laptop(f"laptop-{number:04d}", directory / f"laptop-{number:04d}", made)


async def _simulated(
    fleet: list[Laptop],
    collectors: Sequence[CollectProcess],
    server: PostgresServer,
    hour: int,
    flood: int,
    step: Step,
) -> Result:
    rewriter, replayer, flooder, killed = fleet[:4]
    offline = fleet[4 : 4 + max(1, len(fleet) // 10)]
    await _enrolled(fleet, collectors, step)
    cheats = {one.name for one in (rewriter, replayer, flooder)}
    online = [one for one in fleet[3:] if one not in offline and one is not killed]

    step("all send")
    began = time.perf_counter()
    count = await _all(online)
    took = time.perf_counter() - began
    wire = await asyncio.to_thread(_wire, collectors)

    step("line by line")
    live = await _live(online[:_LIVE], collectors[1], server)

    step("one is killed, and a collector")
    process = multiprocessing.get_context("spawn").Process(target=_killed, args=(killed,))
    process.start()
    for one in online:
        one.records += one.records[:20]
    sending = asyncio.create_task(_all([*online, rewriter, replayer]))
    await asyncio.to_thread(_until_some, killed)
    process.kill()
    process.join()
    await asyncio.to_thread(collectors[0].kill)
    await asyncio.to_thread(collectors[0].start)
    await sending
    await _all([killed])

    step("some were offline")
    for one in offline:
        one.records = (one.records * (1 + hour // max(1, len(one.records))))[: len(one.records) + hour]
        await _written(one)
    began = time.perf_counter()
    await _all(offline, write=False)
    catch_up = time.perf_counter() - began

    step("one floods, one rewrites, one replays")
    flooder.records = (flooder.records * (1 + flood // max(1, len(flooder.records))))[:flood]
    await _written(flooder)
    waits, longest = await _flood(flooder, online[0])
    await asyncio.to_thread(_rewrite, rewriter)
    await asyncio.to_thread(_replay, replayer, online[0])

    step("compare")
    lost, doubled, strange, total = await _compared(fleet, server)
    size, stored = await _size(server)
    rows = await asyncio.to_thread(_surveyed, server)
    sizes = [len(line) + 1 for line in online[0].lines]
    return Result(
        machines=len(fleet),
        lines=total,
        lost=lost,
        doubled=doubled,
        strange=strange,
        marks={row.name: tuple(mark.value for mark in row.marks) for row in rows if row.marks},
        rate=count / took,
        wire_bytes=wire,
        store_bytes=size / stored,
        line_bytes=sum(sizes) / len(sizes),
        live=live,
        offline=len(offline),
        catch_up_seconds=catch_up,
        told_to_wait=waits,
        longest_seconds=longest,
        honest=tuple(one.name for one in fleet if one.name not in cheats),
    )


async def _enrolled(fleet: Sequence[Laptop], collectors: Sequence[CollectProcess], step: Step) -> None:
    for number, one in enumerate(fleet):
        if not number % 20:
            step(f"enrol {number} of {len(fleet)}")
        collector = collectors[number % len(collectors)]
        one.url = collector.url
        journal = _journal(one)
        journal.open()
        one.instance = journal.instance
        detail: dict[str, object] = {
            "version": "0.1.0",
            "mode": "enforce",
            "policies": "abc",
            "config_digest": "0" * 64,
        }
        started = ServiceRecord(
            type="start", id=uuid7(), time=now(), instance=one.instance, host=one.name, detail=detail
        )
        await journal.append(msgspec.json.encode(started) + b"\n", "start")
        await journal.close(timeout_seconds=10)
        code = await asyncio.to_thread(collector.code, one.name)
        await asyncio.to_thread(_enrol, one, code)


def _enrol(one: Laptop, code: str) -> None:
    key = signing_key(one.directory)
    wanted = {
        "instance": one.instance,
        "public_key": key.public.raw.hex(),
        "signature": key.sign(proof_text(one.instance, digest_of(code))).hex(),
        "code": code,
    }
    status, answer, _ = asked(f"{one.url}/v1/enroll", data=msgspec.json.encode(wanted))
    if status != 200:
        raise RuntimeError(f"{one.name} was not enrolled: {status} {answer}")
    one.token = str(answer["token"])
    one.token_file.write_text(one.token)


def _journal(one: Laptop) -> Journal:
    return Journal(one.directory, Options(checkpoint_seconds=1.0))


async def _written(one: Laptop) -> None:
    """Writes the records that it has not written yet, as made now, with its journal closed at the end."""
    journal = _journal(one)
    journal.open()
    at = datetime.now(UTC)
    for number, record in enumerate(one.records[one.written :]):
        moment = (at + timedelta(milliseconds=number)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        said = {**record, "id": uuid7(), "time": moment, "instance": one.instance, "host": one.name}
        await journal.append(msgspec.json.encode(said) + b"\n")
        one.written += 1
    await journal.close(timeout_seconds=30)


async def _all(fleet: Sequence[Laptop], *, write: bool = True) -> int:
    """Has machines write, and send until all is there; gives how many lines that are."""
    await asyncio.gather(*(_sent(one, write=write) for one in fleet))
    return sum(len(one.lines) for one in fleet)


async def _sent(one: Laptop, *, write: bool) -> None:
    shipper = CollectorShipper(url=one.url, token_file=str(one.token_file))
    courier = Courier(shipper, one.directory, CollectorSink(shipper), _log, patience_seconds=_DELIVERY_SECONDS)
    work = asyncio.create_task(courier.run())
    if write:
        await _written(one)
    courier.end(is_closed=True)
    await asyncio.wait_for(work, _DELIVERY_SECONDS)


async def _live(fleet: Sequence[Laptop], collector: CollectProcess, server: PostgresServer) -> Live:
    begins = [len(one.lines) for one in fleet]
    for one in fleet:
        one.records += one.records[:_LIVE_RECORDS]
        await _written(one)
    return await line_by_line(fleet, collector, server, begins)


def _killed(one: Laptop) -> None:
    """A machine that sends while it writes, and ends when somebody kills it."""

    async def busy() -> None:
        shipper = CollectorShipper(url=one.url, token_file=str(one.token_file))
        work = asyncio.create_task(Courier(shipper, one.directory, CollectorSink(shipper), _log).run())
        journal = _journal(one)
        journal.open()
        while not work.done():
            for record in one.records:
                said = {**record, "id": uuid7(), "time": now(), "instance": one.instance, "host": one.name}
                await journal.append(msgspec.json.encode(said) + b"\n")
                await asyncio.sleep(0.002)

    asyncio.run(busy())


def _until_some(one: Laptop) -> None:
    """Waits until the collector has some of a machine's lines."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            status, answer, _ = asked(f"{one.url}/v1/position", token=one.token)
            if status == 200 and answer["seq"] > 20:
                return
        time.sleep(0.05)
    raise RuntimeError(f"{one.name} sent nothing")


def _rewrite(one: Laptop) -> None:
    """Who is root on the machine changes a line, makes the hashes of all lines behind it anew, and sends that."""
    lines, place = one.lines, len(one.lines) // 2
    end, forged = BEGINNING, []
    for number, line in enumerate(lines):
        body = b"{" + line.split(b",", 3)[3]
        made, end = linked(end, (body.replace(b'"user":"', b'"user":"x', 1) if number == place else body) + b"\n")
        forged.append(made.rstrip(b"\n"))
    send(one.url, one.token, forged[place:])


def _replay(one: Laptop, other: Laptop) -> None:
    """It sends another machine's lines: as they are, and as if they were behind its own."""
    lines = one.lines
    last = msgspec.json.decode(lines[-1])
    end = Link(last["seq"], last["hash"].encode())
    taken = other.lines[5:15]
    moved = []
    for line in taken:
        made, end = linked(end, b"{" + line.split(b",", 3)[3] + b"\n")
        moved.append(made.rstrip(b"\n"))
    for batch in (taken, moved):
        status, answer, _ = send(one.url, one.token, batch)
        if status == 200:
            raise RuntimeError(f"records of another journal were taken: {answer}")


async def _flood(one: Laptop, calm: Laptop) -> tuple[int, float]:
    """Sends all it has, over and over, from four sides; another sends a line now and then. Gives how often it was told to
    wait, and the longest that the other one waited."""
    lines = await asyncio.to_thread(lambda: one.lines)
    waits, longest, ending = 0, 0.0, False

    async def flood() -> None:
        nonlocal waits
        at = 0
        while not ending:
            status, answer, _ = await asyncio.to_thread(send, one.url, one.token, lines[at : at + 2000])
            waits += status == 429
            at = int(answer.get("seq") or at) if status in (200, 409) else at
            if status == 200:
                one.acknowledged = max(one.acknowledged or 0, at)

    flooding = [asyncio.create_task(flood()) for _ in range(4)]
    for _ in range(10):
        began = time.perf_counter()
        calm.records += calm.records[:3]
        await _sent(calm, write=True)
        longest = max(longest, time.perf_counter() - began)
    ending = True
    await asyncio.gather(*flooding)
    return waits, longest


def _wire(collectors: Sequence[CollectProcess]) -> float:
    """Bytes as they came for each line that was new."""
    text = "\n".join(one.metrics() for one in collectors)

    def total(name: str) -> float:
        return sum(float(number) for number in re.findall(rf"^{re.escape(name)} ([0-9.e+]+)$", text, re.MULTILINE))

    return total("hookgate_collect_received_bytes_total") / max(
        1.0, total('hookgate_collect_records_total{result="new"}')
    )


async def _compared(fleet: Sequence[Laptop], server: PostgresServer) -> tuple[int, int, int, int]:
    """Gives how many lines of the journals that were acknowledged the store lacks, has twice, or has otherwise; and how many it has."""
    lost = doubled = strange = total = 0
    async with _connected(server) as connection:
        for one in fleet:
            rows = await connection.fetch(
                "SELECT key, prev, hash, body FROM line WHERE key >> 44 IN (SELECT number FROM chain WHERE instance = $1)",
                one.instance,
            )
            there = [line_of(place_of(row[0])[1], bytes(row[1]), bytes(row[2]), bytes(row[3]))[0] for row in rows]
            own = one.lines
            total += len(there)
            lost += len(set(own[: one.acknowledged]) - set(there))
            doubled += len(there) - len(set(there))
            strange += len(set(there) - set(own))
    return lost, doubled, strange, total


async def _size(server: PostgresServer) -> tuple[int, int]:
    async with _connected(server) as connection:
        size = await connection.fetchval("SELECT pg_database_size(current_database())")
        empty = await connection.fetchval("SELECT pg_database_size('template1')")
        return size - empty, await connection.fetchval("SELECT count(*) FROM line")


@contextlib.asynccontextmanager
async def _connected(server: PostgresServer) -> Any:
    connection = await asyncpg.connect(server.url(), server_settings={"search_path": _SCHEMA})
    try:
        yield connection
    finally:
        await connection.close()


def _surveyed(server: PostgresServer) -> tuple[Standing, ...]:
    with closing(open_store(server.url(), schema=_SCHEMA)) as store:
        return survey(store, since=datetime.now(UTC) - timedelta(days=1), now=time.time_ns() // 1000)


def grid(result: Result) -> Grid:
    """Gives the table."""
    found = ", ".join(f"{name}: {' '.join(marks)}" for name, marks in sorted(result.marks.items()))
    rows: list[tuple[str, ...]] = [
        ("lines compared with the journals", f"{result.lines:,}"),
        ("lost, doubled, strange", f"{result.lost}, {result.doubled}, {result.strange}"),
        ("lines a second, all machines at once", f"{result.rate:,.0f}"),
        (
            "processor time of a line that comes by itself: collector, PostgreSQL, ms",
            f"{result.live.collector_ms:.2f}, {result.live.database_ms:.2f}",
        ),
        ("bytes a line: in the journal", f"{result.line_bytes:,.0f}"),
        ("bytes a line: on the wire, a backlog in large batches", f"{result.wire_bytes:,.0f}"),
        ("bytes a line: on the wire, each by itself, with all headers", f"{result.live.wire_bytes:,.0f}"),
        ("bytes a line: in PostgreSQL", f"{result.store_bytes:,.0f}"),
        (f"seconds until {result.offline} machines had sent an hour's lines", f"{result.catch_up_seconds:,.1f}"),
        ("times that the one that floods was told to wait", f"{result.told_to_wait:,}"),
        ("longest that another waited meanwhile, s", f"{result.longest_seconds:,.2f}"),
        ("marks", found),
    ]
    return Grid(f"{result.machines} machines, two collectors, PostgreSQL", ("", "measured"), 1, [rows])


def days(result: Result) -> Grid:
    """Gives what that comes to for a company."""
    return fleet_days.grid(
        wire_bytes=result.live.wire_bytes,
        store_bytes=result.store_bytes,
        line_bytes=result.line_bytes,
        line_ms=(result.live.collector_ms, result.live.database_ms),
    )


def notes() -> list[str]:
    """Gives what is to be known of the table."""
    return [
        (
            "Machines, collectors and PostgreSQL (without fsync) share these processors. One machine and one collector are killed in between; one"
            " machine rewrites its journal, one sends another's records, one floods."
        ),
        (
            "Most of the time a machine sends a line or two at once, so that is what is calculated with. Fewer of the lines here are checkpoints than on"
            " a real machine, and those are the small ones: days are smaller than calculated."
        ),
    ]


def faults(result: Result) -> list[str]:
    """Gives what must not be."""
    found = (
        [f"{result.lost} lost, {result.doubled} doubled, {result.strange} strange"]
        if result.lost + result.doubled + result.strange
        else []
    )
    found += [
        f"{name} is honest and marked {mark}"
        for name in result.honest
        for mark in result.marks.get(name, ())
        if mark in (Mark.TAMPERED, Mark.FOREIGN, Mark.MISSING_RECORDS)
    ]
    for name, mark in (("laptop-0000", Mark.TAMPERED), ("laptop-0001", Mark.FOREIGN)):
        if mark.value not in result.marks.get(name, ()):
            found.append(f"{name} was not found out: {mark.value}")
    if not result.told_to_wait:
        found.append("the one that floods never had to wait")
    return found
