"""One benchmark: for each payload and number of callers, all ways in turn, over and over; so that what else goes on on the
machine meets all of them alike, and ratios within a repetition mean something."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median

import uvloop

from bench.payloads import Payload
from bench.question import asked
from bench.servers import BenchService, Lifecycle, Servers, lifecycle, servers
from bench.usage import Memory, memory
from bench.variants import HOOKGATE, Variant
from bench.ways import MOST_TELLING, Sample, Way, measure, ways_for
from bench.window import WrongAnswerError


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured, and how long: `seconds` for each way in each repetition. `whole`: every way with all payloads and
    callers, also those that tell little there."""

    payloads: tuple[Payload, ...]
    callers: tuple[int, ...]
    ways: tuple[Way, ...]
    seconds: float
    repetitions: int
    restarts: int
    whole: bool = False

    @property
    def measurements(self) -> int:
        """How many that makes at the most."""
        cells = sum(len(self.ways_at(payload, callers)) for payload in self.payloads for callers in self.callers)
        return cells * self.repetitions

    def ways_at(self, payload: Payload, callers: int) -> tuple[Way, ...]:
        """Gives the ways that are measured with this payload and so many callers."""
        payloads, numbers = MOST_TELLING
        telling = self.whole or (payload.name in payloads and callers in numbers)
        return tuple(way for way in self.ways if telling or way.everywhere)


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

    def more(self, base: "Cell", key: Callable[[Sample], float]) -> float:
        """Gives the median of the differences within each repetition."""
        return median(key(mine) - key(its) for mine, its in zip(self.samples, base.samples, strict=True))


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

    def at(self, payload: str, callers: int) -> tuple[Cell, ...]:
        """Gives the cells of one payload and number of callers."""
        return tuple(cell for cell in self.cells if (cell.payload, cell.callers) == (payload, callers))

    def find(self, payload: str, callers: int, way: Way | Variant) -> Cell | None:
        """Gives the cell of a way, or of the way to a Hookgate, by name; None if it was not measured."""
        return next((cell for cell in self.at(payload, callers) if cell.way.name == way.name), None)


def run(plan: Plan, *, step: Callable[[str], None]) -> Result:
    """Runs the plan; `step` is told what comes next. Raises WrongAnswerError."""
    with servers(way.variant for way in plan.ways if way.variant) as running:
        marks = [_mark("start", running)]
        cells: list[Cell] = []
        sent: Counter[str] = Counter()
        for payload in plan.payloads:
            question = asked(payload)
            for callers in plan.callers:
                ways = ways_for(question, plan.ways_at(payload, callers))
                samples: dict[Way, list[Sample]] = {way: [] for way in ways}
                for way in _turns(ways, plan.repetitions):
                    step(f"{payload.title}, callers: {callers}, {way.label}")
                    sample = uvloop.run(measure(way, payload, question, callers, running, seconds=plan.seconds))
                    samples[way].append(sample)
                    sent[way.name] += sample.sent
                cells += [Cell(payload.name, callers, way, tuple(found)) for way, found in samples.items()]
            marks.append(_mark(payload.title, running))
        for name, service in running.hookgates.items():
            _check_counts(service, sent[name])
            _check_transport(service)
            if service.variant.without != "journal":
                _check_records(service, sent[name])
        step("start and stop")
        lifecycles = tuple(lifecycle(running.pdp.address) for _ in range(plan.restarts))
    return Result(tuple(cells), tuple(mark for mark in marks if mark), lifecycles)


def _turns(ways: tuple[Way, ...], repetitions: int) -> Iterator[Way]:
    """Each repetition begins with another way, so that none always has the first turn."""
    for repetition in range(repetitions):
        shift = repetition % len(ways)
        yield from ways[shift:] + ways[:shift]


def _mark(after: str, running: Servers) -> MemoryMark | None:
    hookgate = running.hookgates.get(HOOKGATE.name)
    return MemoryMark(after, memory(hookgate.pid), memory(running.pdp.pid)) if hookgate else None


def _check_counts(service: BenchService, sent: int) -> None:
    """`{}` is also what an error can be answered with: only Hookgate's own count tells that the policy allowed each call."""
    if service.allowed() != sent:
        label, allowed = service.variant.label, service.allowed()
        raise WrongAnswerError(f"{label}: {sent} requests were sent, Hookgate says it allowed {allowed}")


def _check_transport(service: BenchService) -> None:
    """One that fell back would be measured under another's name."""
    if service.metric("hookgate_pdp_transport_fallbacks_total"):
        raise WrongAnswerError(f"{service.variant.label}: its transport fell back to grpcio: {service.log()[-500:]}")


def _check_records(service: BenchService, sent: int) -> None:
    written = 0
    for segment in (service.directory / "audit" / "segments").iterdir():
        with segment.open("rb") as file:
            written += sum(b'"type":"decision"' in line for line in file)
    if written != sent:
        raise WrongAnswerError(f"{service.variant.label}: {sent} requests were sent, and {written} records written")
