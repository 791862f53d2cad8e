"""What a day's answers and sizes were over time: percentiles in slices, and whether memory grows."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from bench.day import SLICES, Day, Sizes
from bench.grid import Grid

#: Growth of memory in the second half of a run, as a share of it, that still counts as flat.
FLAT_SHARE = 0.03
_HOUR_SECONDS = 3600.0
#: What a run must last to be told by the hour.
_TELLING_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Slice:
    """A stretch of the run, up to so many seconds after its beginning; what was in memory and on disk at its end. Times in
    seconds."""

    until_seconds: float
    answers: int
    p50_seconds: float
    p95_seconds: float
    p99_seconds: float
    longest_seconds: float
    sizes: Sizes


@dataclass(frozen=True, slots=True)
class Growth:
    """A straight line through what was in memory in the second half of a run (least squares)."""

    begin_bytes: float
    end_bytes: float
    bytes_per_hour: float

    @property
    def flat(self) -> bool:
        """Whether it grows by no more than a small share of itself."""
        return self.end_bytes - self.begin_bytes <= FLAT_SHARE * self.begin_bytes


def percentile(ordered: Sequence[float], percent: int) -> float:
    """Gives the value that so many percent of the others, which must be in order, are not above."""
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def slices(day: Day, number: int = SLICES) -> list[Slice]:
    """Cuts the run into slices of equal length; one without an answer is left out."""
    found: list[Slice] = []
    for begin, end in pairwise(day.seconds * index / number for index in range(number + 1)):
        # What was asked before the end may be answered behind it.
        last = end if end < day.seconds else float("inf")
        taken = sorted(took for at, took in day.answered if begin <= at < last)
        if taken:
            sizes = min(day.sizes, key=lambda one: abs(one.seconds - end))
            shown = (percentile(taken, 50), percentile(taken, 95), percentile(taken, 99), taken[-1])
            found.append(Slice(end, len(taken), *shown, sizes))
    return found


def growth(points: Sequence[tuple[float, float]]) -> Growth:
    """Gives the line through (seconds, bytes), of which only the second half counts: the first fills what is meant to fill."""
    half = points[-1][0] / 2
    kept = [point for point in points if point[0] >= half]
    middle_x = sum(x for x, _ in kept) / len(kept)
    middle_y = sum(y for _, y in kept) / len(kept)
    spread = sum((x - middle_x) ** 2 for x, _ in kept)
    slope = sum((x - middle_x) * (y - middle_y) for x, y in kept) / spread if spread else 0.0
    begin, end = (middle_y + slope * (x - middle_x) for x in (kept[0][0], kept[-1][0]))
    return Growth(begin, end, slope * _HOUR_SECONDS)


def growths(day: Day) -> dict[str, Growth]:
    """Gives the growth of the process that decides and of the one that ships."""
    return {
        "Hookgate": growth([(one.seconds, one.hookgate.resident_bytes) for one in day.sizes]),
        "its shipper": growth([(one.seconds, one.shipper.resident_bytes) for one in day.sizes]),
    }


def grid(day: Day) -> Grid:
    """Gives one row a slice."""
    taken = ("p50, ms", "p95, ms", "p99, ms", "longest, ms")
    sizes = ("Hookgate, MB", "shipper, MB", "PDP, MB", "journal, MB", "store, MB")
    columns = ("until, s", "answers", *taken, *sizes)
    return Grid(f"A day of {day.agents} agents", columns, groups=[[_row(one) for one in slices(day)]])


def _row(one: Slice) -> tuple[str, ...]:
    taken = (one.p50_seconds, one.p95_seconds, one.p99_seconds, one.longest_seconds)
    sizes = one.sizes
    memory = (sizes.hookgate.resident_bytes, sizes.shipper.resident_bytes, sizes.pdp.resident_bytes)
    return (
        f"{one.until_seconds:,.0f}",
        f"{one.answers:,}",
        *(f"{seconds * 1e3:,.1f}" for seconds in taken),
        *(f"{size / 1e6:,.0f}" for size in memory),
        *(f"{size / 1e6:,.1f}" for size in (sizes.journal_bytes, sizes.store_bytes)),
    )


def notes(day: Day) -> list[str]:
    """Gives what is to be known of the table."""
    taken = sorted(took for _, took in day.answered)
    p50, p99 = percentile(taken, 50), percentile(taken, 99)
    counts = ", ".join(f"{name} {number:,}" for name, number in sorted(day.outcomes.items(), key=lambda one: -one[1]))
    faults = f"{len(day.faults)} were wrong: {'; '.join(day.faults)}" if day.faults else "None was wrong"
    told = (
        f"{day.agents} agents replayed the recorded requests for {day.seconds / 60:g} minutes, each thinking {day.think_seconds:g} s "
        f"between two (exponentially distributed): {len(taken):,} answers, {len(taken) / day.seconds:,.0f} a second. Half of them "
        f"took less than {p50 * 1e3:.1f} ms, 99 % less than {p99 * 1e3:.1f} ms. {faults}. Outcomes: {counts}. "
        f"{day.records:,} records, {day.sizes[-1].journal_bytes / max(1, day.records):,.0f} bytes of journal each."
    )
    used = (
        f"Processor time a request: {day.hookgate_cpu_seconds * 1e6:,.0f} µs in the process that decides, "
        f"{day.shipper_cpu_seconds * 1e6:,.0f} µs in the one that ships, {day.pdp_cpu_seconds * 1e6:,.0f} µs in the PDP."
    )
    grown = "; ".join(_grown(name, line, day.seconds) for name, line in growths(day).items())
    return [told, f"Memory over the second half: {grown}. {used}"]


def _grown(name: str, line: Growth, seconds: float) -> str:
    """What a short run grew by says nothing of an hour."""
    more = f"{name} {line.begin_bytes / 1e6:.1f} MB to {line.end_bytes / 1e6:.1f} MB"
    return f"{more} ({line.bytes_per_hour / 1e6:+.1f} MB an hour)" if seconds >= _TELLING_SECONDS else more


def as_values(day: Day) -> dict[str, Any]:
    """Gives everything for JSON but the single answers; times in seconds, sizes in bytes."""
    return {
        "seconds": day.seconds,
        "agents": day.agents,
        "think_seconds": day.think_seconds,
        "answers": len(day.answered),
        "faults": day.faults,
        "outcomes": day.outcomes,
        "records": day.records,
        "slices": slices(day),
        "growth": growths(day),
        "cpu_seconds": {
            "hookgate": day.hookgate_cpu_seconds,
            "shipper": day.shipper_cpu_seconds,
            "pdp": day.pdp_cpu_seconds,
        },
    }
