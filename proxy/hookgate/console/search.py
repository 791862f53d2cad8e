"""Search: the filters of `hookgate audit search` in the address, so that it can be handed to somebody else."""

from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from hookgate.audit.store.question import Page, Store, StoreError
from hookgate.audit.store.table import csv_header, csv_row, json_line
from hookgate.console.asked import Asked, asked
from hookgate.console.shown import is_part, page
from hookgate.console.surroundings import around, remote_of, visitor_of
from hookgate.errors import ErrorKind
from hookgate.hooks.catalog import EVENTS
from hookgate.outcome import Mode, Outcome

_ROWS, _MOST_ROWS = 50, 500
_CURSOR_CHARACTERS = 64
CHOICES: dict[str, list[str]] = {
    "outcome": [one.value for one in Outcome],
    "mode": [one.value for one in Mode],
    "error": [one.value for one in ErrorKind],
    "event": list(EVENTS),
}


async def show(request: web.Request) -> web.Response:
    """The page, or what htmx puts in its place."""
    question, found, fault = await _found(request, "search")
    return page(
        request,
        "results.html.j2" if is_part(request) else "search.html.j2",
        asked=question,
        found=found,
        fault=fault,
        rows=_rows(request),
        cursor=_cursor(request),
        order=request.query.get("order", ""),
        choices=CHOICES,
    )


async def as_csv(request: web.Request) -> web.Response:
    """What is shown, as a table for spreadsheets."""
    found = await _taken(request, "csv")
    text = csv_header() + "".join(map(csv_row, found.rows))
    return _file(text, "text/csv", "csv")


async def as_json(request: web.Request) -> web.Response:
    """What is shown, a line of JSON a row."""
    found = await _taken(request, "json")
    return _file("".join(f"{json_line(row)}\n" for row in found.rows), "application/x-ndjson", "jsonl")


async def _found(request: web.Request, name: str, **more: Any) -> tuple[Asked, Page, str]:
    question = asked(request.query)
    rows, cursor, oldest = _rows(request), _cursor(request), request.query.get("order") == "oldest"

    def ask(store: Store) -> Page:
        return store.search(question.filter, limit=rows, cursor=cursor, oldest_first=oldest)

    fault = ""
    try:
        found = await around(request).ask(ask)
    except StoreError as error:
        if not str(error).startswith("the cursor"):
            raise
        found, fault = Page(rows=()), str(error)
    await around(request).looks.viewed(
        visitor_of(request), remote_of(request), name, {**question.given, **more}, len(found.rows)
    )
    return question, found, fault


async def _taken(request: web.Request, form: str) -> Page:
    if not visitor_of(request).is_auditor:
        raise web.HTTPForbidden(reason="For auditors", text="Taking records out needs the role auditor.")
    _, found, fault = await _found(request, "search", form=form)
    if fault:
        raise web.HTTPBadRequest(reason="No such page", text=fault)
    return found


def _file(text: str, kind: str, suffix: str) -> web.Response:
    name = f"hookgate-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.{suffix}"
    return web.Response(
        text=text, content_type=kind, charset="utf-8", headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )


def _rows(request: web.Request) -> int:
    text = request.query.get("limit", "")
    return max(1, min(int(text), _MOST_ROWS)) if text.isascii() and text.isdigit() and len(text) < 6 else _ROWS


def _cursor(request: web.Request) -> str:
    return request.query.get("cursor", "")[:_CURSOR_CHARACTERS]
