"""What Hookgate is held to, against what a run has measured."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from statistics import median

from bench.day import Day
from bench.grid import Grid
from bench.report import COMPARED
from bench.run import Plan, Result
from bench.trend import growths
from bench.variants import SHIPPED, Variant
from bench.ways import HTTP

#: Against the PDP's own HTTP API: the median of one caller, and the most that will still do; its p99; the throughput of many.
_P50, _P50_AT_MOST, _P99, _RATE = 1.25, 1.5, 2.0, 1.0
_MEMORY_BYTES, _MEMORY_SECONDS = 120e6, 3600.0
_START_SECONDS = 0.7
_SMALL, _LARGE = ("bash", "edit-2k"), ("write-50k", "write-1m")


class Verdict(StrEnum):
    """Whether a goal is met."""

    MET = "met"
    #: Short of the goal, but within the least that will do.
    LEAST = "nearly"
    NOT_MET = "not met"
    #: What was measured is within the bound, but for a shorter time than the goal asks for.
    SO_FAR = "so far"
    #: It was too short to tell.
    NOT_SHOWN = "not shown"


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound on one figure. `found` has, for each Hookgate by its label, the figure and what that means."""

    subject: str
    bound: str
    found: dict[str, tuple[str, Verdict]]


def at_most(bound: float, least: float | None = None) -> Callable[[float], Verdict]:
    """Gives the judge of a figure that is to be small; up to `least` it will do."""

    def judge(figure: float) -> Verdict:
        if figure <= bound:
            return Verdict.MET
        return Verdict.LEAST if least is not None and figure <= least else Verdict.NOT_MET

    return judge


def at_least(bound: float) -> Callable[[float], Verdict]:
    """Gives the judge of a figure that is to be large."""
    return lambda figure: Verdict.MET if figure >= bound else Verdict.NOT_MET


def above(bound: float) -> Callable[[float], Verdict]:
    """Gives the judge of a figure that is to be larger than that."""
    return lambda figure: Verdict.MET if figure > bound else Verdict.NOT_MET


def below(bound: float) -> Callable[[float], Verdict]:
    """Gives the judge of a figure that is to be smaller than that."""
    return lambda figure: Verdict.MET if figure < bound else Verdict.NOT_MET


def goals(plan: Plan, result: Result, day: Day | None) -> list[Goal]:
    """Gives all goals that the run says something about. Ratios are those against the PDP's own HTTP API."""
    titles = {payload.name: payload.title for payload in plan.payloads}
    found: list[Goal] = []

    def add(payload: str, callers: int, figure: str, bound: str, judge: Callable[[float], Verdict]) -> None:
        ratios = _ratios(plan, result, payload, callers, figure)
        if ratios:
            subject = f"{titles[payload]}: {figure} at {callers}"
            found.append(Goal(subject, bound, {name: (f"{one:.2f}", judge(one)) for name, one in ratios.items()}))

    for payload in _SMALL:
        add(payload, 1, "p50", f"at most {_P50} (nearly: {_P50_AT_MOST})", at_most(_P50, _P50_AT_MOST))
        add(payload, 1, "p99", f"at most {_P99:g}", at_most(_P99))
        for callers in (16, 64):
            add(payload, callers, "req/s", f"at least {_RATE:.1f}", at_least(_RATE))
    for payload in _LARGE:
        add(payload, 1, "p50", "below 1", below(1.0))
        for callers in (16, 64):
            add(payload, callers, "req/s", "above 1", above(1.0))
    return [*found, *_life(result), *(_memory(day) if day else [])]


def _ratios(plan: Plan, result: Result, payload: str, callers: int, figure: str) -> dict[str, float]:
    base = result.find(payload, callers, HTTP)
    cells = ((one, result.find(payload, callers, one)) for one in whole_variants(plan))
    return {one.label: cell.against(base, COMPARED[figure]) for one, cell in cells if cell and base}


def whole_variants(plan: Plan) -> list[Variant]:
    """Gives the Hookgates that nothing is taken away from."""
    return [way.variant for way in plan.ways if way.variant and way.variant.whole]


def _life(result: Result) -> list[Goal]:
    if not result.lifecycles:
        return []
    seconds = median(one.start_seconds for one in result.lifecycles)
    judged = below(_START_SECONDS)(seconds)
    return [
        Goal("From the command to ready", f"below {_START_SECONDS} s", {SHIPPED.label: (f"{seconds:.2f} s", judged)})
    ]


def _memory(day: Day) -> list[Goal]:
    """The bound is for an hour: a shorter run can break it, but not keep it, and what it grows by may be what is meant to fill."""
    line = growths(day)["Hookgate"]
    most = max(one.hookgate.resident_bytes for one in day.sizes)
    if most >= _MEMORY_BYTES:
        judged = Verdict.NOT_MET
    elif day.seconds >= _MEMORY_SECONDS:
        judged = Verdict.MET if line.flat else Verdict.NOT_MET
    else:
        judged = Verdict.SO_FAR if line.flat else Verdict.NOT_SHOWN
    figure = f"{most / 1e6:.0f} MB, {'flat' if line.flat else 'growing'}, {day.seconds / 60:g} min"
    bound = f"below {_MEMORY_BYTES / 1e6:.0f} MB, flat, in an hour"
    return [Goal("Memory of the deciding process", bound, {SHIPPED.label: (figure, judged)})]


def grid(found: list[Goal]) -> Grid:
    """Gives one row a goal, one column a Hookgate."""
    labels = list(dict.fromkeys(label for goal in found for label in goal.found))
    rows = [
        (goal.subject, goal.bound, *(": ".join(goal.found[label]) if label in goal.found else "" for label in labels))
        for goal in found
    ]
    return Grid(
        "Against the goals: ratios to the PDP's own HTTP API, unless a unit is named",
        ("figure", "goal", *labels),
        labels=2,
        groups=[rows],
    )


def summary(found: list[Goal]) -> str:
    """Gives how many goals are met, by Hookgate."""
    labels = dict.fromkeys(label for goal in found for label in goal.found)
    counts = []
    for label in labels:
        verdicts = [goal.found[label][1] for goal in found if label in goal.found]
        met = sum(verdict in (Verdict.MET, Verdict.SO_FAR) for verdict in verdicts)
        counts.append(f"{label} {met} of {len(verdicts)}")
    return f"Goals met: {'; '.join(counts)}."
