"""What the ways took, as tables and as values for JSON."""

from collections.abc import Callable
from typing import Any

from bench.grid import Grid
from bench.run import Cell, Plan, Result
from bench.servers import Lifecycle
from bench.variants import HOOKGATE, Variant
from bench.ways import HTTP, HTTP_UNCUT, Kind, Sample

_Figure = Callable[[Sample], float]
COMPARED: dict[str, _Figure] = {
    "p50": lambda sample: sample.p50_seconds,
    "p99": lambda sample: sample.p99_seconds,
    "req/s": lambda sample: sample.requests_per_second,
}
_SHARES: dict[str, _Figure] = {
    "server": lambda sample: sample.server_cpu_seconds,
    "PDP": lambda sample: sample.pdp_cpu_seconds,
    "client": lambda sample: sample.client_cpu_seconds,
    "shipper": lambda sample: sample.shipper_cpu_seconds,
}
_LIFE: tuple[tuple[str, Callable[[Lifecycle], float]], ...] = (
    ("From the command to ready, the PDP being up, with the process that ships records", lambda one: one.start_seconds),
    ("From SIGTERM to the end", lambda one: one.stop_seconds),
    ("The same with 16 idle connections", lambda one: one.stop_with_connections_seconds),
)


def overview(plan: Plan, result: Result) -> list[Grid]:
    """Gives the tables to look at first."""
    everywhere = [way.variant for way in plan.ways if way.variant and way.everywhere and HTTP in plan.ways]
    rooms, memory = _rooms(plan, result), _memory(result)
    return [
        *(_summary(plan, result, one) for one in everywhere),
        *(grid for grid in (rooms, memory) if any(grid.groups)),
    ]


def details(plan: Plan, result: Result) -> list[Grid]:
    """Gives one table a payload."""
    return [_details(p.title, [cell for cell in result.cells if cell.payload == p.name]) for p in plan.payloads]


def notes(plan: Plan, result: Result) -> list[str]:
    """Gives what is to be known of the tables."""
    lives = [f"{title}: {', '.join(f'{key(one):.2f}' for one in result.lifecycles)} s." for title, key in _LIFE]
    how = (
        f"Each way had {plan.repetitions} x {plan.seconds:g} s, in turn with the others; figures are medians. x HTTP: against the "
        "PDP's own HTTP API, the median of the ratios within each turn. Every answer was checked."
    )
    return [how, *(lives if result.lifecycles else [])]


def as_values(plan: Plan, result: Result) -> dict[str, Any]:
    """Gives everything for JSON, also each repetition. Times in seconds, sizes in bytes."""
    return {
        "seconds": plan.seconds,
        "repetitions": plan.repetitions,
        "payloads": [{"name": p.name, "title": p.title, "body_bytes": len(p.body)} for p in plan.payloads],
        "cells": [_cell(cell, result.find(cell.payload, cell.callers, HTTP)) for cell in result.cells],
        "memory": result.memory,
        "lifecycles": result.lifecycles,
    }


def _cell(cell: Cell, base: Cell | None) -> dict[str, Any]:
    return {
        "payload": cell.payload,
        "callers": cell.callers,
        "way": cell.way.name,
        "p50_seconds": cell.middle(COMPARED["p50"]),
        "p99_seconds": cell.middle(COMPARED["p99"]),
        "requests_per_second": cell.middle(COMPARED["req/s"]),
        "server_cpu_seconds": cell.share(_SHARES["server"]),
        "pdp_cpu_seconds": cell.share(_SHARES["PDP"]),
        "client_cpu_seconds": cell.share(_SHARES["client"]),
        "shipper_cpu_seconds": cell.share(_SHARES["shipper"]),
        "against_http": {name: cell.against(base, figure) for name, figure in COMPARED.items()} if base else {},
        "samples": cell.samples,
    }


def _details(title: str, cells: list[Cell]) -> Grid:
    columns = ["callers", "way", "p50 µs", "p99 µs", "req/s"]
    columns += [f"{name} x HTTP" for name in COMPARED] + [f"CPU µs {name}" for name in _SHARES]
    grid = Grid(title, tuple(columns), labels=2)
    for callers in dict.fromkeys(cell.callers for cell in cells):
        group = [cell for cell in cells if cell.callers == callers]
        base = next((cell for cell in group if cell.way == HTTP), None)
        grid.groups.append([_row(cell, base) for cell in group])
    return grid


def _row(cell: Cell, base: Cell | None) -> tuple[str, ...]:
    ratios = [f"{cell.against(base, figure):.2f}" if base else "" for figure in COMPARED.values()]
    shares = [_microseconds(cell.share(figure)) for figure in _SHARES.values()]
    return (
        str(cell.callers),
        cell.way.label,
        _microseconds(cell.middle(COMPARED["p50"])),
        _microseconds(cell.middle(COMPARED["p99"])),
        f"{cell.middle(COMPARED['req/s']):,.0f}",
        *ratios,
        shares[0] if cell.way.kind in (Kind.HOOKGATE, Kind.FLOOR) else "",
        *shares[1:-1],
        shares[-1] if cell.way.variant and cell.way.variant.ships else "",
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


def _summary(plan: Plan, result: Result, variant: Variant) -> Grid:
    columns = [f"{name} at {callers}" for callers in plan.callers for name in COMPARED]
    label = HOOKGATE.label if variant is HOOKGATE else f"{HOOKGATE.label}, {variant.label}"
    grid = Grid(f"{label} x HTTP: against the PDP's own HTTP API, by callers", ("payload", *columns))
    rows: list[tuple[str, ...]] = []
    for payload in plan.payloads:
        for way, addition in ((HTTP, ""), (HTTP_UNCUT, ": uncut")):
            pairs = [
                (result.find(payload.name, callers, variant), result.find(payload.name, callers, way))
                for callers in plan.callers
            ]
            row = [f"{mine.against(its, key):.2f}" for mine, its in pairs if mine and its for key in COMPARED.values()]
            if row:
                rows.append((payload.title + addition, *row))
    grid.groups.append(rows)
    return grid


def _rooms(plan: Plan, result: Result) -> Grid:
    """What changes when one thing does, against Hookgate as it ships, in the same turns."""
    columns = (
        "payload",
        "callers",
        "Hookgate",
        "p50 x",
        "req/s x",
        "p50, µs more",
        "its CPU, µs more",
        "shipper's CPU, µs",
    )
    grid = Grid("What a choice or a room costs: against Hookgate as it ships", columns, labels=3)
    for payload in plan.payloads:
        for callers in plan.callers:
            base = result.find(payload.name, callers, HOOKGATE)
            changed = [cell for cell in result.at(payload.name, callers) if cell.way.variant not in (None, HOOKGATE)]
            if base and changed:
                grid.groups.append([_change(payload.title, cell, base) for cell in changed])
    return grid


def _change(title: str, cell: Cell, base: Cell) -> tuple[str, ...]:
    variant = cell.way.variant
    more = cell.more(base, COMPARED["p50"])
    cpu = cell.share(_SHARES["server"]) - base.share(_SHARES["server"])
    return (
        title,
        str(cell.callers),
        cell.way.label,
        f"{cell.against(base, COMPARED['p50']):.2f}",
        f"{cell.against(base, COMPARED['req/s']):.2f}",
        f"{more * 1e6:+,.0f}",
        f"{cpu * 1e6:+,.0f}",
        _microseconds(cell.share(_SHARES["shipper"])) if variant and variant.ships else "",
    )


def _microseconds(seconds: float) -> str:
    return f"{seconds * 1e6:,.0f}"
