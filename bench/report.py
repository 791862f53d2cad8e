"""Results as tables and as JSON."""

from collections.abc import Callable
from typing import Any

import msgspec

from bench.environment import Environment
from bench.grid import Grid
from bench.run import Cell, Plan, Result
from bench.servers import Lifecycle
from bench.ways import Sample, Way

#: Raised when a field of the JSON changes its meaning.
VERSION = 1

_Figure = Callable[[Sample], float]
_COMPARED: dict[str, _Figure] = {
    "p50": lambda sample: sample.p50_seconds,
    "p99": lambda sample: sample.p99_seconds,
    "req/s": lambda sample: sample.requests_per_second,
}
_SHARES: dict[str, _Figure] = {
    "server": lambda sample: sample.server_cpu_seconds,
    "PDP": lambda sample: sample.pdp_cpu_seconds,
    "client": lambda sample: sample.client_cpu_seconds,
}
#: Ways whose server is another one than the PDP.
_SERVERS = (Way.HOOKGATE, Way.NO_JOURNAL, Way.FLOOR)
_LIFE: tuple[tuple[str, Callable[[Lifecycle], float]], ...] = (
    ("From the command to ready, the PDP being up", lambda one: one.start_seconds),
    ("From SIGTERM to the end", lambda one: one.stop_seconds),
    ("The same with 16 idle connections", lambda one: one.stop_with_connections_seconds),
)


def overview(plan: Plan, result: Result) -> list[Grid]:
    """Gives the tables to look at first."""
    whole = {Way.HTTP, Way.HOOKGATE} <= set(plan.ways)
    return [*([_summary(plan, result)] if whole else []), _memory(result)]


def details(plan: Plan, result: Result) -> list[Grid]:
    """Gives one table a payload."""
    return [_details(p.title, [cell for cell in result.cells if cell.payload == p.name]) for p in plan.payloads]


def notes(environment: Environment, plan: Plan, result: Result) -> list[str]:
    """Gives what is to be known of the tables."""
    lives = [f"{title}: {', '.join(f'{key(one):.2f}' for one in result.lifecycles)} s." for title, key in _LIFE]
    how = (
        f"Each way had {plan.repetitions} x {plan.seconds:g} s, in turn with the others; figures are medians. x HTTP: against the "
        "PDP's own HTTP API, the median of the ratios within each turn. Every answer was checked."
    )
    return [environment.line(), how, *_journal(plan, result), *(lives if result.lifecycles else [])]


def _journal(plan: Plan, result: Result) -> list[str]:
    """Gives what the journal adds to the median, at one caller: of a turn with it against the turn without it."""
    found = [
        f"{payload.title} {100 * (whole.against(without, _COMPARED['p50']) - 1):+.0f} %"
        for payload in plan.payloads
        if (whole := _find(result, payload.name, 1, Way.HOOKGATE))
        and (without := _find(result, payload.name, 1, Way.NO_JOURNAL))
    ]
    return [f"What the journal adds to the median at one caller: {', '.join(found)}."] if found else []


def as_json(environment: Environment, plan: Plan, result: Result) -> bytes:
    """Gives everything, also each repetition. Times in seconds, sizes in bytes."""
    found: dict[str, Any] = {
        "version": VERSION,
        "environment": environment,
        "seconds": plan.seconds,
        "repetitions": plan.repetitions,
        "payloads": [{"name": p.name, "title": p.title, "body_bytes": len(p.body)} for p in plan.payloads],
        "cells": [_cell(cell, _find(result, cell.payload, cell.callers, Way.HTTP)) for cell in result.cells],
        "memory": result.memory,
        "lifecycles": result.lifecycles,
    }
    return msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n"


def _cell(cell: Cell, base: Cell | None) -> dict[str, Any]:
    return {
        "payload": cell.payload,
        "callers": cell.callers,
        "way": cell.way.value,
        "p50_seconds": cell.middle(_COMPARED["p50"]),
        "p99_seconds": cell.middle(_COMPARED["p99"]),
        "requests_per_second": cell.middle(_COMPARED["req/s"]),
        "server_cpu_seconds": cell.share(_SHARES["server"]),
        "pdp_cpu_seconds": cell.share(_SHARES["PDP"]),
        "client_cpu_seconds": cell.share(_SHARES["client"]),
        "against_http": {name: cell.against(base, figure) for name, figure in _COMPARED.items()} if base else {},
        "samples": cell.samples,
    }


def _details(title: str, cells: list[Cell]) -> Grid:
    columns = ["callers", "way", "p50 µs", "p99 µs", "req/s"]
    columns += [f"{name} x HTTP" for name in _COMPARED] + [f"CPU µs {name}" for name in _SHARES]
    grid = Grid(title, tuple(columns), labels=2)
    for callers in dict.fromkeys(cell.callers for cell in cells):
        group = [cell for cell in cells if cell.callers == callers]
        base = next((cell for cell in group if cell.way is Way.HTTP), None)
        grid.groups.append([_row(cell, base) for cell in group])
    return grid


def _row(cell: Cell, base: Cell | None) -> tuple[str, ...]:
    ratios = [f"{cell.against(base, figure):.2f}" if base else "" for figure in _COMPARED.values()]
    shares = [_microseconds(cell.share(figure)) for figure in _SHARES.values()]
    return (
        str(cell.callers),
        cell.way.label,
        _microseconds(cell.middle(_COMPARED["p50"])),
        _microseconds(cell.middle(_COMPARED["p99"])),
        f"{cell.middle(_COMPARED['req/s']):,.0f}",
        *ratios,
        shares[0] if cell.way in _SERVERS else "",
        *shares[1:],
    )


def _memory(result: Result) -> Grid:
    grid = Grid("Memory, MB", ("after", "Hookgate", "its peak", "PDP", "its peak"))
    marks = [
        (
            mark.after,
            mark.hookgate.resident_bytes,
            mark.hookgate.peak_bytes,
            mark.pdp.resident_bytes,
            mark.pdp.peak_bytes,
        )
        for mark in result.memory
    ]
    grid.groups.append([(after, *(f"{size / 1e6:.0f}" for size in sizes)) for after, *sizes in marks])
    return grid


def _summary(plan: Plan, result: Result) -> Grid:
    columns = [f"{name} at {callers}" for callers in plan.callers for name in _COMPARED]
    grid = Grid("Hookgate x HTTP: against the PDP's own HTTP API, by callers", ("payload", *columns))
    rows: list[tuple[str, ...]] = []
    for payload in plan.payloads:
        for way, addition in ((Way.HTTP, ""), (Way.HTTP_UNCUT, ": uncut")):
            pairs = [
                (_find(result, payload.name, callers, Way.HOOKGATE), _find(result, payload.name, callers, way))
                for callers in plan.callers
            ]
            row = [f"{mine.against(its, key):.2f}" for mine, its in pairs if mine and its for key in _COMPARED.values()]
            if row:
                rows.append((payload.title + addition, *row))
    grid.groups.append(rows)
    return grid


def _find(result: Result, payload: str, callers: int, way: Way) -> Cell | None:
    found = (cell for cell in result.cells if (cell.payload, cell.callers, cell.way) == (payload, callers, way))
    return next(found, None)


def _microseconds(seconds: float) -> str:
    return f"{seconds * 1e6:,.0f}"
