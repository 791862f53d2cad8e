"""The fleet: how each machine stands that sends its journal to a collector; those that ask for attention first."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

from aiohttp import web

from hookgate.audit.fleet.expected import Expected, ExpectedError
from hookgate.audit.fleet.standing import Mark, Standing, counted
from hookgate.audit.fleet.survey import survey
from hookgate.console.shown import page
from hookgate.console.surroundings import around, remote_of, visitor_of

_ROWS = 100
#: For so long a finding counts.
_FINDINGS = timedelta(days=7)


async def show(request: web.Request) -> web.Response:
    """The page."""
    since, now = datetime.now(UTC) - _FINDINGS, time.time_ns() // 1000
    needle = request.query.get("name", "").strip()[:100]
    mark = request.query.get("mark", "")
    mark = mark if mark in {*Mark} else ""
    begin_text = request.query.get("begin", "")
    begin = int(begin_text) if begin_text.isascii() and begin_text.isdigit() and len(begin_text) < 7 else 0
    expected, fault = await _expected(request)
    rows = await around(request).ask(lambda store: survey(store, expected, since=since, now=now))
    found = [row for row in rows if _wanted(row, mark, needle)]
    shown = found[begin : begin + _ROWS]
    await around(request).looks.viewed(
        visitor_of(request), remote_of(request), "fleet", {"name": needle, "mark": mark}, len(shown)
    )
    counts = counted(rows)
    return page(
        request,
        "fleet.html.j2",
        machines=len(rows),
        expected=len(expected),
        fault=fault,
        grouped=any(row.group for row in rows),
        marks=[(one, counts[one.value]) for one in Mark if counts[one.value]],
        found=len(found),
        shown=shown,
        begin=begin,
        rows=_ROWS,
        needle=needle,
        mark=mark,
    )


async def _expected(request: web.Request) -> tuple[tuple[Expected, ...], str]:
    """Gives who is expected, or why nobody knows."""
    try:
        return await asyncio.to_thread(around(request).inventory.machines), ""
    except ExpectedError as error:
        return (), str(error)


def _wanted(row: Standing, mark: str, needle: str) -> bool:
    if mark and mark not in row.marks:
        return False
    return any(needle.casefold() in text.casefold() for text in (row.name, row.host, row.user, row.group))
