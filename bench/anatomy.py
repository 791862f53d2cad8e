"""Where the time of one call goes: what was measured of its parts, and what is left over."""

from bench.grid import Grid
from bench.report import COMPARED
from bench.rooms import WHOLE, Cost
from bench.run import Plan, Result
from bench.variants import HOOKGATE, Variant
from bench.ways import FLOOR, H2LOAD, HTTP, Way

#: One after the other: what is asked, and of which way the median at one caller tells it.
_MEASURED: tuple[tuple[str, Way], ...] = (
    ("the HTTP side: aiohttp alone", FLOOR),
    ("the PDP and its gRPC: asked by h2load", H2LOAD),
)


def grid(plan: Plan, result: Result, rooms: dict[str, list[Cost]]) -> Grid:
    """Gives one column a payload of which all parts were measured, in microseconds of one caller's wait."""
    columns: list[tuple[str, ...]] = []
    for payload in plan.payloads:
        found = [_median(result, payload.name, way) for _, way in _MEASURED]
        gate = next((cost.wall_seconds for cost in rooms.get(payload.title, ()) if cost.step == WHOLE), None)
        whole = _median(result, payload.name, HOOKGATE)
        base = _median(result, payload.name, HTTP)
        parts = [one for one in (*found, gate) if one is not None]
        if whole is None or base is None or len(parts) < len(found) + 1:
            continue
        figures = (*parts, whole - sum(parts), whole, base)
        columns.append((payload.title, *(f"{seconds * 1e6:,.0f}" for seconds in figures)))
    steps = (
        *(title for title, _ in _MEASURED),
        "Hookgate's own steps",
        "the rest: its client to the PDP, and waking",
        "in all",
    )
    titles, *rows = zip(("", *steps, "the PDP's own HTTP API"), *columns, strict=True)
    return Grid("Where the time of one call goes, µs", titles, groups=[rows[:-2], rows[-2:]])


def _median(result: Result, payload: str, way: Way | Variant) -> float | None:
    cell = result.find(payload, 1, way)
    return cell.middle(COMPARED["p50"]) if cell else None
