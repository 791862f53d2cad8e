"""Results as tables and as JSON."""

from collections.abc import Callable
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from bench.environment import Environment
from bench.run import Cell, Plan, Result
from bench.servers import Lifecycle
from bench.ways import Sample, Way

#: Raised when a field of the JSON changes its meaning.
VERSION = 1

#: Ways whose server is another one than the PDP.
_SERVERS = (Way.HOOKGATE, Way.NO_JOURNAL, Way.FLOOR)
_LIFE: tuple[tuple[str, Callable[[Lifecycle], float]], ...] = (
    ("From the command to ready, the PDP being up", lambda one: one.start_seconds),
    ("From SIGTERM to the end", lambda one: one.stop_seconds),
    ("The same with 16 idle connections", lambda one: one.stop_with_connections_seconds),
)


def show(console: Console, environment: Environment, plan: Plan, result: Result) -> None:
    """Prints everything, the summary last."""
    for payload in plan.payloads:
        console.print(_details(payload.title, [cell for cell in result.cells if cell.payload == payload.name]))
    console.print(_memory(result))
    for title, key in _LIFE:
        console.print(f"{title}: {', '.join(f'{key(one):.2f}' for one in result.lifecycles)} s")
    if Way.HTTP in plan.ways and Way.HOOKGATE in plan.ways:
        console.print(_summary(plan, result))
    console.print(environment.line())
    console.print(
        f"Each way had {plan.repetitions} x {plan.seconds:g} s, in turn with the others; figures are medians. x HTTP: against the "
        "PDP's own HTTP API, the median of the ratios within each turn. Every answer was checked.",
    )


def as_json(environment: Environment, plan: Plan, result: Result) -> bytes:
    """Gives everything, also each repetition. Times in seconds, sizes in bytes."""
    found: dict[str, Any] = {
        "version": VERSION,
        "environment": environment,
        "seconds": plan.seconds,
        "repetitions": plan.repetitions,
        "payloads": [{"name": p.name, "title": p.title, "body_bytes": len(p.body)} for p in plan.payloads],
        "cells": [_cell(cell, _base(cell, result)) for cell in result.cells],
        "memory": result.memory,
        "lifecycles": result.lifecycles,
    }
    return msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n"


def _cell(cell: Cell, base: Cell | None) -> dict[str, Any]:
    figures = {
        "p50_seconds": cell.middle(_p50),
        "p99_seconds": cell.middle(_p99),
        "requests_per_second": cell.middle(_rate),
        "server_cpu_seconds": cell.share(_server),
        "pdp_cpu_seconds": cell.share(_pdp),
        "client_cpu_seconds": cell.share(_client),
    }
    ratios = {name: cell.against(base, key) for name, key in _COMPARED.items()} if base else {}
    return {
        "payload": cell.payload,
        "callers": cell.callers,
        "way": cell.way.value,
        **figures,
        "against_http": ratios,
        "samples": cell.samples,
    }


def _details(title: str, cells: list[Cell]) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("callers", justify="right")
    table.add_column("way")
    for name in ("p50\nµs", "p99\nµs", "req/s", *(f"{name}\nx HTTP" for name in _COMPARED)):
        table.add_column(name, justify="right")
    for name in ("server", "PDP", "client"):
        table.add_column(f"CPU µs\n{name}", justify="right")
    for callers in dict.fromkeys(cell.callers for cell in cells):
        group = [cell for cell in cells if cell.callers == callers]
        base = next((cell for cell in group if cell.way is Way.HTTP), None)
        for cell in group:
            table.add_row(
                str(callers),
                cell.way.label,
                _microseconds(cell.middle(_p50)),
                _microseconds(cell.middle(_p99)),
                f"{cell.middle(_rate):,.0f}",
                *(f"{cell.against(base, key):.2f}" if base else "" for key in _COMPARED.values()),
                _microseconds(cell.share(_server)) if cell.way in _SERVERS else "",
                *(_microseconds(cell.share(key)) for key in (_pdp, _client)),
            )
        table.add_section()
    return table


def _memory(result: Result) -> Table:
    table = Table(title="Memory, MB", title_justify="left")
    for name in ("after", "Hookgate", "its peak", "PDP", "its peak"):
        table.add_column(name, justify="left" if name == "after" else "right")
    for mark in result.memory:
        sizes = (mark.hookgate.resident_bytes, mark.hookgate.peak_bytes, mark.pdp.resident_bytes, mark.pdp.peak_bytes)
        table.add_row(mark.after, *(f"{size / 1e6:.0f}" for size in sizes))
    return table


def _summary(plan: Plan, result: Result) -> Table:
    table = Table(title="Hookgate against the PDP's own HTTP API (1.00: as fast)", title_justify="left")
    table.add_column("payload")
    for callers in plan.callers:
        for name in _COMPARED:
            table.add_column(f"{name}\n{callers} caller{'s' if callers > 1 else ''}", justify="right")
    for payload in plan.payloads:
        for way, addition in ((Way.HTTP, ""), (Way.HTTP_UNCUT, ": uncut")):
            pairs = [
                (_find(result, payload.name, callers, Way.HOOKGATE), _find(result, payload.name, callers, way))
                for callers in plan.callers
            ]
            row = [f"{mine.against(its, key):.2f}" for mine, its in pairs if mine and its for key in _COMPARED.values()]
            if row:
                table.add_row(payload.title + addition, *row)
    return table


def _base(cell: Cell, result: Result) -> Cell | None:
    return _find(result, cell.payload, cell.callers, Way.HTTP)


def _find(result: Result, payload: str, callers: int, way: Way) -> Cell | None:
    found = (cell for cell in result.cells if (cell.payload, cell.callers, cell.way) == (payload, callers, way))
    return next(found, None)


def _microseconds(seconds: float) -> str:
    return f"{seconds * 1e6:,.0f}"


def _p50(sample: Sample) -> float:
    return sample.p50_seconds


def _p99(sample: Sample) -> float:
    return sample.p99_seconds


def _rate(sample: Sample) -> float:
    return sample.requests_per_second


def _server(sample: Sample) -> float:
    return sample.server_cpu_seconds


def _pdp(sample: Sample) -> float:
    return sample.pdp_cpu_seconds


def _client(sample: Sample) -> float:
    return sample.client_cpu_seconds


_COMPARED: dict[str, Callable[[Sample], float]] = {"p50": _p50, "p99": _p99, "req/s": _rate}
