"""Everything that `python -m bench` measures, one after the other, and what it says of the goals."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from bench import anatomy, call, day, goals, report, rooms, run, trend
from bench.environment import Environment
from bench.grid import Grid
from bench.payloads import payloads
from bench.rooms import Cost
from bench.run import Plan
from bench.ways import ways_here

#: Raised when a field of the JSON changes its meaning.
VERSION = 2


@dataclass(frozen=True, slots=True)
class Length:
    """How long everything takes. `calls` and `rounds` are those of the real client."""

    callers: tuple[int, ...]
    seconds: float
    repetitions: int
    restarts: int
    room_seconds: float
    calls: int
    rounds: int
    minutes: float


FULL = Length((1, 16, 64), 0.35, 5, 5, room_seconds=0.2, calls=20, rounds=2, minutes=1.5)
QUICK = Length((1, 16), 0.1, 1, 1, room_seconds=0.02, calls=4, rounds=1, minutes=0.1)


@dataclass(frozen=True, slots=True)
class Suite:
    """What came out of everything."""

    plan: Plan
    ways: run.Result
    rooms: dict[str, list[Cost]]
    call: call.Result
    day: day.Day

    @property
    def goals(self) -> list[goals.Goal]:
        """What it says of the goals."""
        return goals.goals(self.plan, self.ways, self.day)

    def sections(self) -> dict[str, tuple[list[Grid], list[str]]]:
        """Gives the tables and notes of each section of a page, by its name."""
        overview, details = report.overview(self.plan, self.ways), report.details(self.plan, self.ways)
        parts = anatomy.grid(self.plan, self.ways, self.rooms)
        return {
            "goals": ([goals.grid(self.goals)], [goals.summary(self.goals)]),
            "ways": ([*overview, *details], report.notes(self.plan, self.ways)),
            "rooms": ([*([parts] if len(parts.columns) > 1 else []), rooms.grid(self.rooms)], rooms.notes()),
            "call": ([call.grid(self.call)], call.notes(self.call)),
            "day": ([trend.grid(self.day)], trend.notes(self.day)),
        }

    def as_values(self) -> dict[str, Any]:
        """Gives everything for JSON; times in seconds, sizes in bytes."""
        return {
            "goals": self.goals,
            "ways": report.as_values(self.plan, self.ways),
            "rooms": self.rooms,
            "call": self.call,
            "day": trend.as_values(self.day),
        }


def plan_of(length: Length) -> Plan:
    """Gives the plan of the ways: all payloads, all ways that can be measured here."""
    return Plan(payloads(), length.callers, ways_here(), length.seconds, length.repetitions, length.restarts)


def measure(length: Length, *, step: Callable[[str], None]) -> Suite:
    """Measures everything; `step` is told what comes next. Raises WrongAnswerError."""
    plan = plan_of(length)
    ways = run.run(plan, step=step)
    step("the steps of a decision")
    costs = rooms.run(plan.payloads, seconds=length.room_seconds)
    waited = call.run(calls=length.calls, rounds=length.rounds, step=step)
    return Suite(plan, ways, costs, waited, day.run(length.minutes, step=step))


def as_json(here: Environment, command: str, values: dict[str, Any]) -> bytes:
    """Gives a run's results as a file, with what it ran on and by which command."""
    found = {"version": VERSION, "environment": here, "command": command, **values}
    return msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n"
