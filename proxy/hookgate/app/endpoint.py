"""The hook route: from an HTTP request to the gate, and back with 200 and JSON, whatever came in."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import msgspec
from aiohttp import HttpVersion11, web
from aiohttp.http_exceptions import HttpProcessingError
from multidict import CIMultiDictProxy

from hookgate import __version__
from hookgate.app.answering import HookResponse
from hookgate.app.budget import ByteBudget
from hookgate.app.heap import Heap
from hookgate.app.origin import Hosts, foreign, local_address
from hookgate.client.telling import told_fields
from hookgate.config import Config
from hookgate.errors import ErrorKind, GateError
from hookgate.exchange import HookRequest, Reply
from hookgate.gate import Gate
from hookgate.hooks.decode import SMALL_BYTES
from hookgate.hooks.event import HINT_BYTES
from hookgate.identity.connection import Connection

_JSON = "application/json"
#: Of a body that is being read, so much may lie ready.
_CHUNK_BYTES = 256 * 1024
#: What the connection of a request tells of its other end.
CONNECTION = web.RequestKey("connection", Connection)
_LAST_RESORT = msgspec.json.encode(
    {"decision": "block", "reason": "Hookgate met a fault of its own and could not decide (internal)."}
)


@dataclass(frozen=True, slots=True)
class Terms:
    """By what a request is answered, from its beginning to its end."""

    config: Config
    gate: Gate
    path: str
    hosts: Hosts
    keep_alive: str

    @classmethod
    def of(cls, config: Config, gate: Gate) -> Self:
        """Gives those of a configuration."""
        # The client gives an idle connection up one second before the time that this names (measured), so that it never asks
        # on one that is being closed, here or on shutting down: it does not ask again, and the call would run.
        idle_seconds = min(config.server.linger_seconds, config.server.keep_alive_seconds)
        return cls(
            config,
            gate,
            config.server.path.rstrip("/") or "/",
            Hosts(config.server.allowed_hosts),
            f"timeout={max(1, int(idle_seconds))}",
        )


class HookEndpoint:
    """Handles everything that arrives on the hook listener. `draining` makes each answer the last of its connection."""

    def __init__(
        self, config: Config, gate: Gate, *, health: str, report_fault: Callable[[BaseException | None], None]
    ) -> None:
        self._health = health
        self._report_fault = report_fault
        self.adopt(config, gate)
        self._budget = ByteBudget(config.limits.bodies_in_flight_bytes)
        self._heap = Heap()
        self.draining = False

    def adopt(self, config: Config, gate: Gate) -> None:
        """Has requests from now on answered by another configuration; those under way end as they began."""
        self._terms = Terms.of(config, gate)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answers a request: 200 with JSON, but for GET, which no hook uses."""
        terms = self._terms
        if request.method in ("GET", "HEAD"):
            return self._page(request)
        received, started = asyncio.get_running_loop().time(), time.perf_counter()
        body, taken = bytearray(), 0
        try:
            try:
                fault = _head_fault(request, terms)
                if fault is None and _is_here(request):
                    # As with nearly every call: nothing to wait for, and so nothing to bound.
                    body += request.content.read_nowait()
                else:
                    await _continue(request)
                    try:
                        async with asyncio.timeout_at(terms.gate.time_to_decide(received)):
                            taken = 0 if fault else await self._room(request, terms)
                    except TimeoutError:
                        fault = fault or GateError(ErrorKind.OVERLOADED, "no room for the body")
                    fault = await _read(request, body, received, fault, terms)
            except Exception as error:  # noqa: BLE001 (whatever a bug raises, there is a record and an answer)
                self._report_fault(error)
                fault = GateError(ErrorKind.INTERNAL, type(error).__name__)
            reply = await terms.gate.decide(
                HookRequest(received, started, request.headers, body, request.remote or "", fault, request[CONNECTION])
            )
            return self._response(reply, last=not request.content.is_eof())
        finally:
            if taken:
                self._budget.give(taken)
                self._heap.was_used()

    async def refuse(self, error: BaseException | None) -> web.StreamResponse:
        """Answers what could not be read as a request. Neither answer nor log repeats any of it: it may hold credentials."""
        detail = type(error).__name__ if error is not None else ""
        fault = GateError(
            ErrorKind.REQUEST_MALFORMED,
            detail,
            hint="Header fields may be at most 64 KiB and hold no control characters.",
        )
        request = HookRequest(asyncio.get_running_loop().time(), time.perf_counter(), fault=fault)
        return self._response(await self._terms.gate.decide(request), last=True)

    def undelivered(self, response: web.StreamResponse) -> None:
        """Takes note that the client of an answer had gone."""
        if isinstance(response, HookResponse) and response.decision_id:
            self._terms.gate.undelivered(response.decision_id)

    def last_resort(self) -> web.Response:
        """Gives the answer that needs nothing else to work; for want of a record it is counted in the journal's gap."""
        with contextlib.suppress(Exception):
            self._terms.gate.unrecorded()
        return HookResponse(_LAST_RESORT)

    def _response(self, reply: Reply, *, last: bool) -> web.Response:
        return HookResponse(
            reply.data,
            reply.decision_id,
            keep_alive="" if last or self.draining else self._terms.keep_alive,
            told=told_fields(reply.told) if reply.told else {},
        )

    async def _room(self, request: web.BaseRequest, terms: Terms) -> int:
        """Takes room for a large body, or for one whose size is not told."""
        length = request.content_length
        if length is None and not request.body_exists:
            return 0
        size = terms.config.limits.body_bytes if length is None else length
        return await self._budget.take(size) if size > SMALL_BYTES else 0

    def _page(self, request: web.BaseRequest) -> web.Response:
        if found := _foreign(request, self._terms):
            return web.json_response({"error": f"refused: {found}"}, status=403)
        if request.path == "/":
            return web.json_response(
                {
                    "service": "hookgate",
                    "version": __version__,
                    "hooks": f"POST {self._terms.path}",
                    "health": self._health,
                }
            )
        return web.json_response(
            {"error": f"Hooks are sent by POST to {self._terms.path}; GET / tells more."}, status=404
        )


def _head_fault(request: web.BaseRequest, terms: Terms) -> GateError | None:
    """What the request line and the headers alone make impossible to decide."""
    if found := _foreign(request, terms):
        return GateError(
            ErrorKind.REQUEST_FOREIGN,
            found,
            hint="Clients that use a name for Hookgate need it in server.allowed_hosts.",
        )
    if request.method != "POST":
        return GateError(ErrorKind.METHOD_UNKNOWN, "")
    headers, path = request.headers, request.path
    if path != terms.path and (path.rstrip("/") or "/") != terms.path:
        return GateError(ErrorKind.PATH_UNKNOWN, "", hint=f"The hook's url must end in {terms.path}.")
    if _is_coded(headers, "Content-Encoding", "identity") or _is_coded(headers, "Transfer-Encoding", "chunked"):
        return GateError(ErrorKind.ENCODING_UNSUPPORTED, "")
    media = headers.get("Content-Type", "")
    if media != _JSON and media.split(";", 1)[0].strip().lower() != _JSON:
        return GateError(ErrorKind.CONTENT_TYPE_UNSUPPORTED, "", hint="Send Content-Type: application/json.")
    return _too_large(request.content_length or 0, terms)


def _too_large(size_bytes: int, terms: Terms) -> GateError | None:
    limit = terms.config.limits.body_bytes
    if size_bytes <= limit:
        return None
    return GateError(ErrorKind.PAYLOAD_TOO_LARGE, f"more than {limit} bytes", hint="Split the work into smaller calls.")


def _is_here(request: web.BaseRequest) -> bool:
    """Whether a small body has come whole already, so that neither it nor room for it is waited for."""
    content, length = request.content, request.content_length
    return (
        length is not None
        and 0 < length <= SMALL_BYTES
        and content.is_eof()
        and content.exception() is None
        and content.total_raw_bytes == length
        and "Expect" not in request.headers
    )


async def _read(
    request: web.BaseRequest, body: bytearray, received: float, fault: GateError | None, terms: Terms
) -> GateError | None:
    """Reads the body to its end, so that the client is ready to hear the answer; keeps only its beginning once it can't
    be decided about any more. Gives why there is no whole body."""
    at = 0
    try:
        async with asyncio.timeout_at(terms.gate.time_to_decide(received)):
            request.content.set_read_chunk_size(_CHUNK_BYTES)
            if fault is None and (length := request.content_length or 0) > SMALL_BYTES:
                # In one piece from the beginning: what grows is copied time and again.
                body += bytes(length)
            while chunk := await request.content.readany():
                fault = fault or _too_large(at + len(chunk), terms)
                part = chunk if fault is None else chunk[: max(0, HINT_BYTES - at)]
                body[at : at + len(part)] = part
                at += len(part)
    except TimeoutError:
        fault = fault or GateError(ErrorKind.BODY_INCOMPLETE, "not received within the deadline")
    except (web.RequestPayloadError, HttpProcessingError, ConnectionError, RuntimeError) as error:
        # RuntimeError: the client had gone before its request's turn came.
        fault = fault or GateError(ErrorKind.BODY_INCOMPLETE, type(error).__name__)
    del body[at if fault is None else min(at, HINT_BYTES) :]
    return fault


def _foreign(request: web.BaseRequest, terms: Terms) -> str:
    sockname = request.transport.get_extra_info("sockname") if request.transport is not None else None
    return foreign(request.headers, terms.hosts, local_address(sockname))


def _is_coded(headers: CIMultiDictProxy[str], name: str, known: str) -> bool:
    """Whether a field names another coding than the one that is known."""
    return name in headers and any(
        part.strip().lower() not in ("", known) for value in headers.getall(name) for part in value.split(",")
    )


async def _continue(request: web.BaseRequest) -> None:
    """Lets a client that waits for it send its body (RFC 9110, 10.1.1); any other expectation is ignored."""
    if request.version == HttpVersion11 and request.headers.get("Expect", "").strip().lower() == "100-continue":
        # A client that has gone is found out by reading its body.
        with contextlib.suppress(ConnectionError):
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0
