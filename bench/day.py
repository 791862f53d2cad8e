"""A day in the life: agents who replay recorded requests with time to think between them, over connections that they keep."""

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from bench.http_load import Connection
from bench.payloads import HEADERS
from bench.servers import BenchService, pdp
from bench.usage import Memory, cpu_seconds, memory
from bench.variants import SHIPPED
from bench.window import WrongAnswerError
from hookgate.recorded import recorded
from tests.support.wait import until

AGENTS = 200
THINK_SECONDS = 1.5
#: The run is told in so many slices.
SLICES = 10
_LONGEST_SHIPPING_SECONDS = 120.0
_MOST_FAULTS = 20


@dataclass(frozen=True, slots=True)
class Sizes:
    """What is in memory and on disk, so many seconds after the beginning. `shipper` is the process that ships records."""

    seconds: float
    hookgate: Memory
    shipper: Memory
    pdp: Memory
    journal_bytes: int
    store_bytes: int


@dataclass(frozen=True, slots=True)
class Day:
    """What came of it. `answered` has for each answer when it came and how long it took, in seconds; `faults` the answers that were
    not the first one's to the same request, or none. Processor times are a request's share."""

    seconds: float
    agents: int
    think_seconds: float
    answered: tuple[tuple[float, float], ...]
    faults: tuple[str, ...]
    sizes: tuple[Sizes, ...]
    outcomes: dict[str, int]
    records: int
    hookgate_cpu_seconds: float
    shipper_cpu_seconds: float
    pdp_cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Call:
    """A recorded request, as bytes around the ids that each agent has of its own, and what it is answered."""

    name: str
    parts: tuple[bytes, ...]
    answer: str

    def body(self, mark: str) -> bytes:
        """Gives it with ids of an agent's own: no two sessions share a call."""
        return mark.encode().join(self.parts)


@dataclass(slots=True)
class _Told:
    begun: float
    answered: list[tuple[float, float]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    sizes: list[Sizes] = field(default_factory=list)


def run(minutes: float, *, agents: int = AGENTS, step: Callable[[str], None]) -> Day:
    """Lets the agents work for so long."""
    with pdp() as running:
        service = BenchService(running.address, SHIPPED)
        try:
            service.start()
            until(lambda: service.shipper, seconds=20, what="the shipping process")
            calls = calls_as_answered_by(service)
            pids = (service.pid, service.shipper, running.pid)
            before = [cpu_seconds(pid) for pid in pids]
            told = uvloop.run(_work(calls, service, running.pid, minutes * 60, agents, step))
            step("shipping")
            until(service.shipped, seconds=_LONGEST_SHIPPING_SECONDS, what="records to be shipped")
            spent = [cpu_seconds(pid) - was for pid, was in zip(pids, before, strict=True)]
            if (service.pid, service.shipper, running.pid) != pids:
                told.faults.append("a process was started again")
            shares = [one / max(1, len(told.answered)) for one in spent]
            return Day(
                seconds=minutes * 60,
                agents=agents,
                think_seconds=THINK_SECONDS,
                answered=tuple(told.answered),
                faults=tuple(told.faults),
                sizes=tuple(told.sizes),
                outcomes=_outcomes(service),
                records=_records(service) - len(calls),
                hookgate_cpu_seconds=shares[0],
                shipper_cpu_seconds=shares[1],
                pdp_cpu_seconds=shares[2],
            )
        finally:
            service.remove()


def calls_as_answered_by(service: BenchService) -> tuple[Call, ...]:
    """Gives all recorded requests, each with the answer that it gets while nothing else is asked."""
    calls: list[Call] = []
    for one in recorded():
        parts = _parts(one.body)
        answer = service.post(b"first".join(parts), HEADERS)
        calls.append(Call(one.name, parts, opinion(answer)))
    return tuple(calls)


def _parts(body: dict[str, Any]) -> tuple[bytes, ...]:
    mark = "\0"
    changed = {**body, "session_id": mark}
    if "tool_use_id" in body:
        changed["tool_use_id"] = f"{body['tool_use_id']}-{mark}"
    return tuple(msgspec.json.encode(changed).split(b"\\u0000"))


def opinion(answer: dict[str, Any]) -> str:
    """Gives what an answer decides, without its words, which name the decision."""
    specific = answer.get("hookSpecificOutput", {})
    decision = specific.get("decision", {})
    words = (
        specific.get("permissionDecision"),
        decision.get("behavior"),
        answer.get("decision"),
        answer.get("continue"),
    )
    return " ".join(str(word) for word in words if word is not None) or "none"


async def _work(
    calls: tuple[Call, ...],
    service: BenchService,
    pdp_pid: int,
    seconds: float,
    agents: int,
    step: Callable[[str], None],
) -> _Told:
    told = _Told(time.perf_counter())
    pids = (service.pid, service.shipper, pdp_pid)
    directory = service.directory / "audit"

    def look() -> None:
        passed = time.perf_counter() - told.begun
        hookgate, shipper, asked = map(memory, pids)
        told.sizes.append(Sizes(passed, hookgate, shipper, asked, *_on_disk(directory)))
        step(f"{passed:.0f} of {seconds:.0f} s: {len(told.answered)} answers, {len(told.faults)} wrong")

    look()
    working = [asyncio.create_task(_agent(index, calls, service.port, seconds, told)) for index in range(agents)]
    every = min(5.0, max(0.2, seconds / 60))
    while not all(task.done() for task in working):
        await asyncio.wait(working, timeout=every)
        look()
    for task in working:
        task.result()
    return told


async def _agent(index: int, calls: tuple[Call, ...], port: int, seconds: float, told: _Told) -> None:
    """Asks one request after the other, from one of its own on; its requests are told apart from others' by their ids. It connects
    when it has something to ask, as the client does."""
    chance = random.Random(index)
    connection = Connection(port, "/ext/claude", {**HEADERS, "X-Claude-User": f"agent-{index}"})
    first = chance.randrange(len(calls))
    async with AsyncExitStack() as opened:
        for asked in count():
            left = told.begun + seconds - time.perf_counter()
            think = chance.expovariate(1 / THINK_SECONDS)
            await asyncio.sleep(max(0.0, min(left, think)))
            if think >= left or len(told.faults) >= _MOST_FAULTS:
                return
            if not asked:
                await opened.enter_async_context(connection)
            call = calls[(first + asked) % len(calls)]
            begun = time.perf_counter()
            try:
                answer = opinion(json.loads(await connection.ask(call.body(f"{index}-{asked // len(calls)}"))))
            except (WrongAnswerError, ValueError) as error:
                answer = f"no answer: {error}"
            ended = time.perf_counter()
            told.answered.append((ended - told.begun, ended - begun))
            if answer != call.answer:
                told.faults.append(f"{call.name}: {answer}, not {call.answer}")


def _on_disk(directory: Path) -> tuple[int, int]:
    """Gives the bytes of the journal's segments and of the store, with its log."""
    segments = sum(path.stat().st_size for path in (directory / "segments").iterdir())
    return segments, sum(path.stat().st_size for path in directory.glob("store.sqlite*"))


def _records(service: BenchService) -> int:
    return sum(
        line.count(b'"type":"decision"')
        for path in sorted((service.directory / "audit" / "segments").iterdir())
        for line in path.open("rb")
    )


def _outcomes(service: BenchService) -> dict[str, int]:
    """Gives Hookgate's own count of outcomes, that of the first answers included."""
    found: Counter[str] = Counter()
    for line in service.get("/metrics")[1].splitlines():
        name, _, rest = line.partition("{")
        if name == "hookgate_decisions_total":
            found[rest.partition('outcome="')[2].partition('"')[0]] += int(float(line.rpartition(" ")[2]))
    return dict(found)
