"""One benchmark: for each payload and number of callers, all ways in turn, over and over; so that what else goes on on the
machine meets all of them alike, and ratios within a repetition mean something."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median

import uvloop

from bench.payloads import Payload
from bench.question import asked
from bench.servers import BenchService, Lifecycle, Servers, lifecycle, servers
from bench.usage import Memory, memory
from bench.ways import Sample, Way, measure, ways_for
from bench.window import WrongAnswerError


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured, and how long: `seconds` for each way in each repetition."""

    payloads: tuple[Payload, ...]
    callers: tuple[int, ...]
    ways: tuple[Way, ...]
    seconds: float
    repetitions: int
    restarts: int

    @property
    def cells(self) -> int:
        """How many measurements that makes at the most."""
        return len(self.payloads) * len(self.callers) * len(self.ways) * self.repetitions


@dataclass(frozen=True, slots=True)
class Cell:
    """All repetitions of one payload, number of callers and way, in the order of the repetitions."""

    payload: str
    callers: int
    way: Way
    samples: tuple[Sample, ...]

    def middle(self, key: Callable[[Sample], float]) -> float:
        """Gives the median of a figure over the repetitions."""
        return median(key(sample) for sample in self.samples)

    def share(self, key: Callable[[Sample], float]) -> float:
        """Gives a processor time for each request, over all repetitions: the clock's steps are too coarse for one."""
        return sum(key(sample) * sample.counted for sample in self.samples) / sum(s.counted for s in self.samples)

    def against(self, base: "Cell", key: Callable[[Sample], float]) -> float:
        """Gives the median of the ratios within each repetition."""
        return median(key(mine) / key(its) for mine, its in zip(self.samples, base.samples, strict=True))


@dataclass(frozen=True, slots=True)
class MemoryMark:
    """Memory at one moment of the run."""

    after: str
    hookgate: Memory
    pdp: Memory


@dataclass(frozen=True, slots=True)
class Result:
    """What came out."""

    cells: tuple[Cell, ...]
    memory: tuple[MemoryMark, ...]
    lifecycles: tuple[Lifecycle, ...]


def run(plan: Plan, *, step: Callable[[str], None]) -> Result:
    """Runs the plan; `step` is told what comes next. Raises WrongAnswerError."""
    with servers() as running:
        marks = [_mark("start", running)]
        cells: list[Cell] = []
        sent: dict[Way, int] = dict.fromkeys(Way, 0)
        for payload in plan.payloads:
            question = asked(payload)
            ways = ways_for(question, plan.ways)
            for callers in plan.callers:
                samples: dict[Way, list[Sample]] = {way: [] for way in ways}
                for way in _turns(ways, plan.repetitions):
                    step(f"{payload.title}, callers: {callers}, {way.label}")
                    sample = uvloop.run(measure(way, payload, question, callers, running, seconds=plan.seconds))
                    samples[way].append(sample)
                    sent[way] += sample.sent
                cells += [Cell(payload.name, callers, way, tuple(found)) for way, found in samples.items()]
            marks.append(_mark(payload.title, running))
        _check_counts(running.hookgate, sent[Way.HOOKGATE])
        _check_counts(running.without_journal, sent[Way.NO_JOURNAL])
        _check_records(running.hookgate, sent[Way.HOOKGATE])
        step("start and stop")
        lifecycles = tuple(lifecycle(running.pdp.address) for _ in range(plan.restarts))
    return Result(tuple(cells), tuple(marks), lifecycles)


def _turns(ways: tuple[Way, ...], repetitions: int) -> Iterator[Way]:
    """Each repetition begins with another way, so that none always has the first turn."""
    for repetition in range(repetitions):
        shift = repetition % len(ways)
        yield from ways[shift:] + ways[:shift]


def _mark(after: str, running: Servers) -> MemoryMark:
    return MemoryMark(after, memory(running.hookgate.pid), memory(running.pdp.pid))


def _check_counts(service: BenchService, sent: int) -> None:
    """`{}` is also what an error can be answered with: only Hookgate's own count tells that the policy allowed each call."""
    if service.allowed() != sent:
        raise WrongAnswerError(f"{sent} requests were sent, Hookgate says it allowed {service.allowed()}")


def _check_records(service: BenchService, sent: int) -> None:
    written = 0
    for segment in (service.directory / "audit" / "segments").iterdir():
        with segment.open("rb") as file:
            written += sum(b'"type":"decision"' in line for line in file)
    if written != sent:
        raise WrongAnswerError(f"{sent} requests were sent, and {written} records written")
