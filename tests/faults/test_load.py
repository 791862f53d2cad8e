"""Load as a weapon: beside anything that one caller sends, another one's small hook is answered at once."""

import asyncio
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hookgate.errors import ErrorKind, Side
from tests.faults.bodies import ALL, GREAT, MEBIBYTE, Body, filled, text
from tests.faults.conftest import BOTH
from tests.faults.guard import Guard, at_least
from tests.faults.wire import Answer, answer, chunked, close, crowd, ended, exchange, request
from tests.support.pdp import Pdp
from tests.support.service import ServiceProcess
from tests.support.wait import until

#: What the small hook may take, and the whole service hold.
SMALL_SECONDS = 0.5
MEMORY_BYTES = 300 * 1000 * 1000
#: A machine may be busy for reasons of its own: what holds the service up does so again.
ATTEMPTS = 5
LOAD = {kind.value for kind in ErrorKind if kind.side is Side.LOAD}
CHUNKED = b"Transfer-Encoding: chunked"

Making = Callable[..., ServiceProcess]


def memory_bytes(service: ServiceProcess, what: str = "VmHWM") -> int:
    """Gives the memory that the service holds (`VmRSS`), or has ever held at once (`VmHWM`; proc(5))."""
    assert service.process is not None
    status = Path(f"/proc/{service.process.pid}/status")
    if status.exists():
        lines = status.read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{what}:"))
    # Without /proc only what it holds now can be told.
    held = subprocess.run(["ps", "-o", "rss=", "-p", str(service.process.pid)], capture_output=True, check=True)
    return int(held.stdout) * 1024


def stands_still(pid: int) -> bool:
    """Whether a process that was sent SIGSTOP has stopped: until all its threads have, it may still answer."""
    threads = list(Path(f"/proc/{pid}/task").glob("*/stat"))
    states = [thread.read_text(encoding="ascii").rpartition(")")[2].split()[0] for thread in threads]
    if not states:
        states = [
            subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, check=True).stdout.decode()[0]
        ]
    return set(states) == {"T"}


class Prober:
    """Posts a small hook again and again on one connection, and remembers what the slowest took."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.seconds: list[float] = []
        self.begun = asyncio.Event()

    async def run(self) -> None:
        """Goes on until cancelled."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            while True:
                begun = time.perf_counter()
                self.seconds.append(0.0)
                self.begun.set()
                writer.write(request())
                assert (await answer(reader)).value() == {}
                self.seconds[-1] = time.perf_counter() - begun
                await asyncio.sleep(0.002)
        finally:
            # One that was still waiting counts as long as it had waited.
            self.seconds[-1] = max(self.seconds[-1], time.perf_counter() - begun)
            await close(writer)


async def beside(port: int, *sent: bytes) -> tuple[float, list[Answer]]:
    """Sends all of these at once; gives the slowest small hook meanwhile, and the answers."""
    prober = Prober(port)
    probing = asyncio.create_task(prober.run())
    await prober.begun.wait()
    answers = await asyncio.gather(*(exchange(port, one) for one in sent))
    probing.cancel()
    ended_with = (await asyncio.gather(probing, return_exceptions=True))[0]
    assert isinstance(ended_with, asyncio.CancelledError), ended_with
    return max(prober.seconds), list(answers)


async def assert_small_hooks_go_on(service: ServiceProcess, *sent: bytes) -> list[Answer]:
    """Small hooks are answered in time beside these, and memory stays bounded; gives the answers."""
    measured = []
    for _ in range(ATTEMPTS):
        slowest, answers = await beside(service.port, *sent)
        assert memory_bytes(service) < MEMORY_BYTES
        if slowest < SMALL_SECONDS:
            return answers
        measured.append(round(slowest, 3))
    raise AssertionError(f"a small hook took {measured} s")


@pytest.fixture(scope="module")
def busy(permissive: Pdp) -> Iterator[ServiceProcess]:
    """One service for all the load, so that what adds up is found, too."""
    service = ServiceProcess(permissive.address, {"server": {"first_request_seconds": 1.5}}).start()
    yield service
    service.remove()


@pytest.mark.parametrize("body", ALL, ids=[body.name for body in ALL])
async def test_a_small_hook_is_answered_at_once_beside_any_body(busy: ServiceProcess, body: Body) -> None:
    (found,) = await assert_small_hooks_go_on(busy, request(body.make()))
    assert (found.value() == {}) is (body.kind is None)


TOGETHER = [
    *(body for body in GREAT if body.name.startswith(("32 MiB of small", "32 MiB of quotes", "a command of 32", "48"))),
    *(body for body in ALL if body.name.startswith(("a tool's response of 31 MiB", "a command of 3.9 MB", "19,000"))),
]


@pytest.mark.parametrize("body", TOGETHER, ids=[body.name for body in TOGETHER])
async def test_a_small_hook_is_answered_at_once_beside_several_large_bodies(busy: ServiceProcess, body: Body) -> None:
    for found in await assert_small_hooks_go_on(busy, *[request(body.make())] * 4):
        found.value()


MANY = [body for body in ALL if body.name in ("60 KiB of empty objects", "9,000 keys", "64 KiB of small values")]


@pytest.mark.parametrize("body", MANY, ids=[body.name for body in MANY])
async def test_a_small_hook_is_answered_at_once_beside_many_bodies_of_many_values(
    busy: ServiceProcess, body: Body
) -> None:
    for found in await assert_small_hooks_go_on(busy, *[request(body.make())] * 20):
        found.value()


async def test_a_small_hook_is_answered_at_once_beside_megabytes_in_tiny_chunks(busy: ServiceProcess) -> None:
    for found in await assert_small_hooks_go_on(
        busy, request(chunked(filled(b"x", MEBIBYTE), 1), CHUNKED, length=False)
    ):
        found.value()


async def test_a_small_hook_is_answered_at_once_beside_heads_that_fill_megabytes(busy: ServiceProcess) -> None:
    head = b"POST /ext/claude HTTP/1.1\r\nHost: x\r\n" + b"".join(
        b"X-%d: %b\r\n" % (n, b"a" * 60_000) for n in range(100)
    )
    for found in await assert_small_hooks_go_on(busy, *[head] * 60):
        assert found.value()["decision"] == "block"


async def test_heads_that_do_not_end_fill_no_memory_together_and_are_all_blocked(busy: ServiceProcess) -> None:
    head = b"POST /ext/claude HTTP/1.1\r\nHost: x\r\n" + b"".join(
        b"X-%d: %b\r\n" % (n, b"a" * 60_000) for n in range(4)
    )
    async with crowd(busy.port, 400, head) as opened:
        begun = time.perf_counter()
        assert (await exchange(busy.port, request())).value() == {}
        assert time.perf_counter() - begun < SMALL_SECONDS
        for reader in opened:
            assert (await answer(reader)).value()["decision"] == "block"
    assert memory_bytes(busy) < MEMORY_BYTES


async def test_memory_does_not_grow_from_one_large_body_to_the_next(busy: ServiceProcess) -> None:
    async def settled() -> int:
        for found in await assert_small_hooks_go_on(busy, *[request(filled(b"x", 31 * MEBIBYTE))] * 2):
            found.value()
        await exchange(busy.port, request())
        return memory_bytes(busy, "VmRSS")

    first = min([await settled() for _ in range(3)])
    assert min([await settled() for _ in range(5)]) < first + 10 * MEBIBYTE


@BOTH
async def test_more_callers_than_a_hanging_pdp_has_slots_are_all_denied_or_asked_in_time(
    make_pdp: Callable[..., Pdp], permissive: Pdp, make_service: Making, on_error: str
) -> None:
    pdp = make_pdp(permissive.policies)
    service = make_service(
        pdp.address, {"on_error": on_error, "decision": {"max_in_flight": 4, "deadline_seconds": 1.0}}
    )
    guard = Guard(service, on_error)
    pdp.freeze()
    until(lambda: stands_still(pdp.pid), what="the PDP to stop")
    guard.mark()
    begun = time.perf_counter()
    bodies = [text(), text(hook_event_name="PreModelSwitch")] * 20
    answers = await asyncio.gather(*(exchange(service.port, request(body)) for body in bodies))
    seconds = time.perf_counter() - begun
    pdp.thaw()
    for body, found in zip(bodies, answers, strict=True):
        assert at_least(json.loads(body)["hook_event_name"], found.value(), "ask" if on_error == "pass" else "deny")
    assert seconds < 1.0 + SMALL_SECONDS
    records = guard.records()
    assert len(records) == len(bodies)
    assert {record["error"] for record in records} == {ErrorKind.OVERLOADED, ErrorKind.PDP_TIMEOUT}
    until(lambda: service.post(text()) == {}, what="decisions to go on")


async def test_a_hanging_pdp_leaves_room_for_small_hooks_beside_many_large_ones(
    make_pdp: Callable[..., Pdp], permissive: Pdp, make_service: Making
) -> None:
    """What is made of a payload is held until the PDP has answered."""
    pdp = make_pdp(permissive.policies)
    service = make_service(pdp.address)
    guard = Guard(service, "deny")
    pdp.freeze()
    until(lambda: stands_still(pdp.pid), what="the PDP to stop")
    guard.mark()
    large = text(session_id="large", tool_input={"a": [f"{number:x}" for number in range(9000)]})
    answers = await asyncio.gather(*(exchange(service.port, request(body)) for body in [large] * 300 + [text()] * 30))
    pdp.thaw()
    for found in answers:
        assert at_least("PreToolUse", found.value(), "deny")
    errors = {(record["session_id"], record["error"]) for record in guard.records()}
    assert ("s2", ErrorKind.PDP_TIMEOUT) in errors
    assert ("s2", ErrorKind.OVERLOADED) not in errors
    assert memory_bytes(service) < MEMORY_BYTES


@BOTH
async def test_bodies_beyond_the_room_for_them_wait_and_are_then_denied_or_asked(
    permissive: Pdp, make_service: Making, on_error: str
) -> None:
    """Callers that send slowly on purpose hold the room; others are told so, and small hooks need none."""
    service = make_service(
        permissive.address,
        {
            "on_error": on_error,
            "decision": {"deadline_seconds": 1.0},
            "limits": {"body_bytes": MEBIBYTE, "bodies_in_flight_bytes": 2 * MEBIBYTE},
        },
    )
    guard = Guard(service, on_error)
    guard.mark()
    held = request(filled(b"x", MEBIBYTE - 1000))[:-10]
    slowest, answers = await beside(service.port, *[held] * 2, *[request(filled(b"y", MEBIBYTE - 1000))] * 4)
    assert slowest < SMALL_SECONDS
    records = {record["id"]: record for record in guard.records() if record["session_id"] != "s1"}
    assert len(records) == len(answers) == 6
    assert max(record["total_seconds"] for record in records.values()) < 1.0 + SMALL_SECONDS
    for found in answers[:2]:
        assert at_least("PreToolUse", found.value(), "deny")
    # Room comes free just when the others' time is up, too: who is quick enough may yet be decided.
    assert {record["error"] for record in records.values()} <= {"body_incomplete", "", *LOAD}
    for found in answers[2:]:
        if found.value():
            assert at_least("PreToolUse", found.value(), "ask" if on_error == "pass" else "deny")
    assert sum(found.value() == {} for found in answers) == sum(not record["error"] for record in records.values())
    assert service.post(filled(b"z", MEBIBYTE - 1000)) == {}


async def test_silent_and_dripping_connections_beyond_the_bound_keep_no_hook_out(
    permissive: Pdp, make_service: Making
) -> None:
    service = make_service(
        permissive.address,
        {
            "limits": {"connections": 16},
            "decision": {"deadline_seconds": 1.0},
            "server": {"first_request_seconds": 1.0},
        },
    )
    guard = Guard(service, "deny")
    guard.mark()
    async with crowd(service.port, 40) as silent, crowd(service.port, 20, request()[:-10]) as dripping:
        begun = time.perf_counter()
        for _ in range(20):
            assert (await exchange(service.port, request())).value() == {}
        assert time.perf_counter() - begun < 20 * SMALL_SECONDS
        assert service.metric("hookgate_connections") <= 16 + len(dripping)
        for reader in silent:
            assert await ended(reader) == b""
        for reader in dripping:
            assert at_least("PreToolUse", (await answer(reader)).value(), "deny")
    # A deadline that is used up may leave a record no time before its answer.
    until(lambda: len(guard.records()) >= 40, what="the records")
    assert sorted(record["error"] for record in guard.records()) == [""] * 20 + ["body_incomplete"] * 20
    until(lambda: service.metric("hookgate_connections") == 0, what="connections to end")


async def test_a_connection_that_has_asked_is_kept_longer_than_silent_ones(
    permissive: Pdp, make_service: Making
) -> None:
    """The client does not try again where the server closes first."""
    service = make_service(permissive.address, {"limits": {"connections": 8}})
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(request())
    assert (await answer(reader)).value() == {}
    async with crowd(service.port, 40) as silent:
        writer.write(request())
        assert (await answer(reader)).value() == {}
        # The answer may be here before all of those ends are.
        for _ in range(500):
            if sum(one.at_eof() for one in silent) > 30:
                break
            await asyncio.sleep(0.01)
        assert sum(one.at_eof() for one in silent) > 30
    await close(writer)


async def test_a_log_that_nobody_reads_holds_no_decision(permissive: Pdp) -> None:
    service = ServiceProcess(permissive.address, {"log": {"level": "debug"}})
    log = service.directory / "log"
    os.mkfifo(log)
    reading = os.open(log, os.O_RDONLY | os.O_NONBLOCK)
    try:
        service.start()
        # A pipe holds 64 KiB; what is logged here is several times as much.
        for _ in range(10):
            slowest, answers = await beside(service.port, *[request(b"{")] * 60)
            assert slowest < SMALL_SECONDS
            assert all(found.value()["decision"] == "block" for found in answers)
        assert len([record for record in service.records() if record["error"]]) == 600
        assert service.get("/livez")[0] == 200
        os.set_blocking(reading, False)
        assert os.read(reading, 65536).count(b"payload_malformed") > 10
    finally:
        os.close(reading)
        service.remove()


async def test_a_flood_of_garbage_is_recorded_and_hooks_go_on(busy: ServiceProcess) -> None:
    before = len(busy.records())
    slowest, answers = await beside(busy.port, *[b"\0" * 1000] * 300)
    assert slowest < SMALL_SECONDS
    assert all(found.value()["decision"] == "block" for found in answers)
    refused = [record for record in busy.records()[before:] if record["error"]]
    assert len(refused) == 300
