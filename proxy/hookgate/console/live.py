"""Decisions as they arrive. The stream's ids say how far it is in each chain, so that it goes on there without a gap."""

import asyncio
import re
from collections.abc import Mapping

from aiohttp import web

from hookgate.audit.store.question import Arrival, Filter, Page, Row, Store, StoreError
from hookgate.console.asked import Asked, asked
from hookgate.console.asking import BusyError
from hookgate.console.guard import COOKIE, stream_headers
from hookgate.console.search import CHOICES
from hookgate.console.shown import fragment, page
from hookgate.console.surroundings import around, remote_of, visitor_of

_FIRST_ROWS, _ROWS_AT_ONCE = 30, 100
_EVERY_SECONDS, _SILENT_SECONDS = 1.0, 15.0
_MOST_STREAMS, _MOST_STREAMS_EACH = 16, 4
#: A look that goes on is noted again; and who looks is asked again who they are, as the browser comes back by itself.
_NOTED_SECONDS, _STREAM_SECONDS = 900.0, 3600.0
_MOST_CHAINS = 1000
_PLACES = re.compile(r"[0-9]{1,15}:[0-9]{1,15}(,[0-9]{1,15}:[0-9]{1,15})*")


async def show(request: web.Request) -> web.Response:
    """The page, with the newest decisions."""
    question = _asked(request)

    def ask(store: Store) -> tuple[Arrival, Page]:
        # The places first: what comes in between is then in both, and the page knows each record's id.
        return store.arrived(Filter(), None), store.search(question.filter, limit=_FIRST_ROWS)

    arrival, found = await around(request).ask(ask)
    await around(request).looks.viewed(
        visitor_of(request), remote_of(request), "live", dict(question.given), len(found.rows)
    )
    return page(request, "live.html.j2", asked=question, found=found, places=_written(arrival.places), choices=CHOICES)


async def stream(request: web.Request) -> web.StreamResponse:
    """Server-sent events: each has some rows as HTML, and the places behind them as its id."""
    surroundings, question = around(request), _asked(request)
    places = _read(request.headers.get("Last-Event-ID", "") or request.query.get("after", ""))
    visitor = visitor_of(request)
    if surroundings.streams.total() >= _MOST_STREAMS or surroundings.streams[visitor.user] >= _MOST_STREAMS_EACH:
        raise web.HTTPServiceUnavailable(
            reason="Too many live pages", text="Close one of them.", headers={"Retry-After": "60"}
        )
    await surroundings.looks.viewed(visitor, remote_of(request), "live_stream", dict(question.given), 0)
    answer = web.StreamResponse(headers=stream_headers())
    answer.content_type = "text/event-stream"
    surroundings.streams[visitor.user] += 1
    shown = 0
    try:
        await answer.prepare(request)
        await answer.write(b"retry: 2000\n\n")
        shown = await _send(request, answer, question, places)
    except (ConnectionResetError, asyncio.CancelledError):
        # The browser has gone, or the console ends: what was shown is noted all the same.
        pass
    finally:
        surroundings.streams[visitor.user] -= 1
        await asyncio.shield(_end(request, question, shown))
    return answer


async def _end(request: web.Request, question: Asked, shown: int) -> None:
    await around(request).looks.viewed(
        visitor_of(request), remote_of(request), "live_stream_end", dict(question.given), shown
    )


async def _send(
    request: web.Request, answer: web.StreamResponse, question: Asked, places: Mapping[int, int] | None
) -> int:
    """Sends until the browser goes or its session ends; gives how many records were shown."""
    surroundings, loop = around(request), asyncio.get_running_loop()
    shown, said, noted, fault, until = 0, loop.time(), loop.time(), "", loop.time() + _STREAM_SECONDS
    cookie = request.cookies.get(COOKIE)
    while cookie is None or surroundings.sessions.of(cookie) is not None:
        try:
            arrival = await surroundings.ask_live(lambda store, after=places: _arrived(store, question, after))  # type: ignore[misc]
        except (StoreError, BusyError) as error:
            if (why := type(error).__name__) != fault:
                await answer.write(b"event: fault\ndata: The store can't be read just now.\n\n")
            fault, arrival = why, None
        else:
            fault = ""
        if arrival is not None and arrival.rows:
            shown += len(arrival.rows)
            await answer.write(_event(arrival.rows, arrival.places))
            said = loop.time()
        elif arrival is not None and arrival.places != places and loop.time() - said > _EVERY_SECONDS * 3:
            await answer.write(f"id: {_written(arrival.places)}\nevent: place\ndata:\n\n".encode())
            said = loop.time()
        elif loop.time() - said > _SILENT_SECONDS:
            await answer.write(b": nothing new\n\n")
            said = loop.time()
        if loop.time() - noted > _NOTED_SECONDS:
            noted = loop.time()
            await surroundings.looks.viewed(
                visitor_of(request), remote_of(request), "live_stream", dict(question.given), shown
            )
        places = arrival.places if arrival is not None else places
        if loop.time() > until:
            return shown
        if arrival is None or len(arrival.rows) < _ROWS_AT_ONCE:
            await asyncio.sleep(_EVERY_SECONDS)
    await answer.write(b"event: ended\ndata: Log in again.\n\n")
    return shown


def _arrived(store: Store, question: Asked, places: Mapping[int, int] | None) -> Arrival:
    return store.arrived(question.filter, places, limit=_ROWS_AT_ONCE)


def _event(rows: tuple[Row, ...], places: Mapping[int, int]) -> bytes:
    text = fragment("arrivals.html.j2", rows=rows)
    lines = "".join(f"data: {line}\n" for line in text.splitlines() if line.strip())
    return f"id: {_written(places)}\nevent: rows\n{lines}\n".encode()


def _asked(request: web.Request) -> Asked:
    """The filters without a period: what arrives is new."""
    return asked({name: text for name, text in request.query.items() if name not in ("since", "from", "to")})


def _written(places: Mapping[int, int]) -> str:
    return ",".join(f"{chain}:{seq}" for chain, seq in sorted(places.items())) or "0:0"


def _read(text: str) -> dict[int, int] | None:
    """Gives the places that an event's id names; None where it is none, which is the end."""
    if len(text) > 32 * _MOST_CHAINS or not _PLACES.fullmatch(text):
        return None
    return {int(chain): int(seq) for chain, _, seq in (part.partition(":") for part in text.split(","))}
