"""aiohttp's connection handling, made to answer where it would refuse.

By itself it answers 400, 413, 417 or 500 before any handler runs, and the client lets the call run on each of them.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import HttpVersion10, HttpVersion11, web
from aiohttp.http_exceptions import BadStatusLine, LineTooLong
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from aiohttp.web_protocol import RequestHandler, _ErrInfo

from hookgate.app.connections import Connections, peer_of
from hookgate.app.endpoint import CONNECTION, HookEndpoint
from hookgate.hooks.decode import SMALL_BYTES
from hookgate.identity.connection import Connection, connection_of

#: Tightly bound to aiohttp's internals; the tests post every malformed request that it is known to refuse.
_MAX_HEADERS = 128
#: All header fields of a request together, in multiples of the largest single one.
_HEAD_FIELDS = 4
#: All heads that have not ended yet together, on all connections, in the same multiples.
_ALL_HEADS_FIELDS = 128
#: Reading stops at twice as much of a body as long as nobody asks for it: small bodies come whole, and large ones that wait for
#: room take none.
_AHEAD_BYTES = SMALL_BYTES // 2
#: How long a client may go on sending after the answer to what could not be read.
_LINGER_SECONDS = 5.0
#: How long decisions that were cut short on stopping have to be recorded and answered.
_HURRY_SECONDS = 1.0
_LOOK_SECONDS = 0.02


class HookProtocol(RequestHandler):
    """One connection on the hook listener."""

    def __init__(self, server: "HookServer", **options: Any) -> None:
        super().__init__(server, loop=server.loop, **options)
        self._server = server
        self.connection = Connection()
        self._head_timer: asyncio.TimerHandle | None = None
        #: What has come of a head that has not ended.
        self.head_bytes = 0
        self._answered = 0
        self._unreadable = False
        #: The body that what comes in belongs to, until its end.
        self._body: StreamReader = EMPTY_PAYLOAD
        self._gone: asyncio.Future[None] | None = None
        self.last_active = server.loop.time()
        self.peer = ""

    @property
    def is_idle(self) -> bool:
        """Whether no request is being handled or waits to be."""
        return self._answered >= self._request_count

    @property
    def has_asked(self) -> bool:
        """Whether a request has come in on it."""
        return self._request_count > 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        try:
            self.connection = connection_of(transport)
        except Exception as error:  # noqa: BLE001 (of a client that can't be made out nothing is known; it is answered all the same)
            self._server.report_fault(error)
        super().connection_made(transport)
        self.peer = peer_of(transport.get_extra_info("peername"))
        self._await_head()
        self._server.open_connections.opened(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
        if self._gone is not None and not self._gone.done():
            self._gone.set_result(None)
        self._head_done()
        self._server.open_connections.closed(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self.last_active = self._server.loop.time()
        if self._unreadable:
            return
        read, in_body = self._request_count, not self._body.is_eof()
        try:
            super().data_received(data)
        except Exception as error:  # noqa: BLE001 (the parser lets more escape than its own errors; unanswered, the call runs)
            self._refuse(error)
        self._stop_at_unreadable()
        if self._request_count > read:
            self._head_done()
            if self._head_timer is not None:
                self._head_timer.cancel()
                self._head_timer = None
        elif data and not in_body:
            self.head_bytes += len(data)
            if self._head_timer is None:
                self._await_head()
            self._server.heads_grew(len(data))
            if self.head_bytes > self._server.head_bytes:
                self._refuse(LineTooLong(b"", self._server.head_bytes))

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        response, reset = await super().finish_response(request, resp, start_time)
        # Nothing behind the last answer of a connection is looked at.
        self._answered = self._answered + 1 if response.keep_alive else self._request_count
        if reset:
            self._server.endpoint.undelivered(resp)
        elif self._unreadable and not response.keep_alive:
            if not request.content.is_eof():
                request.content.feed_eof()
            await self._linger()
        self.last_active = self._server.loop.time()
        return response, reset

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The last resort, where the endpoint itself failed."""
        self._server.report_fault(exc)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun already")
        return self._server.endpoint.last_resort()

    def _make_error_handler(self, err_info: Any) -> Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]:
        async def handler(_: web.BaseRequest) -> web.StreamResponse:
            self._unreadable = True
            return await self._server.endpoint.refuse(err_info.exc)

        return handler

    def give_up(self) -> None:
        """Waits no longer for a request; one that has begun is owed an answer, though its head does not end."""
        if self.head_bytes and not self._unreadable:
            self._refuse(TimeoutError())
        else:
            self.force_close()

    def log_exception(self, *args: Any, **kw: Any) -> None:
        self._server.report_fault(kw.get("exc_info"))

    def _stop_at_unreadable(self) -> None:
        """Looks through what was just read: nothing behind what can't be read can be told apart from it."""
        for index, (message, body) in enumerate(self._messages):
            if not isinstance(message, _ErrInfo):
                if message.version in (HttpVersion10, HttpVersion11):
                    self._body = body
                    continue
                # The answer's status line would repeat the version, and no client takes one that it does not know.
                self._messages[index] = (_ErrInfo(400, BadStatusLine(), ""), EMPTY_PAYLOAD)
            self._ignore_the_rest()
            if not self._body.is_eof():
                # The request before is cut here; it would wait for the rest until its deadline.
                self._body.set_exception(web.RequestPayloadError("broken framing"))
            return

    def _ignore_the_rest(self) -> None:
        self._unreadable = True
        # It holds what has come of the head, which may be much.
        self._parser = None

    def _head_done(self) -> None:
        self._server.heads_grew(-self.head_bytes)
        self.head_bytes = 0

    def _await_head(self) -> None:
        self._head_timer = self._server.loop.call_later(self._server.first_request_seconds, self.give_up)

    def _refuse(self, error: Exception) -> None:
        """Queues an answer to what can't be read, as the parser's own errors are."""
        self._ignore_the_rest()
        self._head_done()
        if self._head_timer is not None:
            self._head_timer.cancel()
        self._request_count += 1
        self._messages.append((_ErrInfo(400, error, ""), EMPTY_PAYLOAD))
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _linger(self) -> None:
        """Waits for the client to stop sending: closing before would reset the connection, and might take the answer along
        (RFC 9112, 9.6)."""
        if self.transport is None:
            return
        self._gone = self._server.loop.create_future()
        self._resume_transport_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        await asyncio.wait([self._gone], timeout=_LINGER_SECONDS)


class HookServer(web.Server):
    """Makes a protocol for each connection, and keeps the connections within their bound."""

    def __init__(
        self,
        endpoint: HookEndpoint,
        *,
        loop: asyncio.AbstractEventLoop,
        header_bytes: int,
        keep_alive_seconds: float,
        first_request_seconds: float,
        max_connections: int,
        max_connections_per_peer: int,
        report_fault: Callable[[BaseException | None], None],
        report_connections: Callable[[int], None],
    ) -> None:
        super().__init__(
            endpoint.handle,
            loop=loop,
            access_log=None,
            auto_decompress=False,
            keepalive_timeout=keep_alive_seconds,
            max_line_size=header_bytes,
            max_field_size=header_bytes,
            max_headers=_MAX_HEADERS,
            read_bufsize=_AHEAD_BYTES,
            request_factory=self._request,
        )
        self.loop = loop
        self.head_bytes = header_bytes * _HEAD_FIELDS
        self._all_heads_bytes, self._most_heads_bytes = 0, header_bytes * _ALL_HEADS_FIELDS
        self.endpoint = endpoint
        self.first_request_seconds = first_request_seconds
        self.report_fault = report_fault
        self.open_connections: Connections[HookProtocol] = Connections(
            max_connections, max_connections_per_peer, report_connections
        )

    def __call__(self) -> RequestHandler:
        return HookProtocol(self, **self._kwargs)

    def heads_grew(self, by_bytes: int) -> None:
        """Keeps heads that have not ended within their bound: beyond it, the largest is answered as it is."""
        self._all_heads_bytes += by_bytes
        if self._all_heads_bytes > self._most_heads_bytes:
            max(self.open_connections, key=lambda one: one.head_bytes).give_up()

    def _request(
        self, message: Any, payload: Any, protocol: RequestHandler, writer: Any, task: "asyncio.Task[None]"
    ) -> web.BaseRequest:
        """Makes a request of what was parsed. A target in absolute form counts by its path: aiohttp would decode the host in
        it, and one that can't be decoded would end the connection's task without an answer."""
        if message.url.absolute:
            message = message._replace(url=message.url.relative())
        request = web.BaseRequest(message, payload, protocol, writer, task, self.loop)
        request[CONNECTION] = protocol.connection if isinstance(protocol, HookProtocol) else Connection()
        return request

    def _busy(self) -> int:
        return sum(not connection.is_idle for connection in self.open_connections)

    async def drain(
        self,
        *,
        linger_seconds: float,
        grace_seconds: float,
        stop_listening: Callable[[], None] | None = None,
        hurry: Callable[[], None] | None = None,
    ) -> int:
        """Takes new connections for `linger_seconds` more (where `stop_listening` is given), and closes each one once it has
        been idle for as long since then. After `grace_seconds`, `hurry` is called to have what is still open answered; gives
        how many were cut off all the same.

        A connection that has been quiet for long may have a request on its way as well as any other.
        """
        begun = self.loop.time()
        end = begun + grace_seconds
        while (len(self.open_connections) or stop_listening) and self.loop.time() < end:
            quiet_since = self.loop.time() - linger_seconds
            if stop_listening and begun <= quiet_since:
                stop_listening()
                stop_listening = None
            for connection in self.open_connections:
                if connection.is_idle and max(connection.last_active, begun) <= quiet_since:
                    connection.force_close()
            await asyncio.sleep(_LOOK_SECONDS)
        if stop_listening:
            stop_listening()
        if hurry and self._busy():
            hurry()
            for _ in range(int(_HURRY_SECONDS / _LOOK_SECONDS)):
                await asyncio.sleep(_LOOK_SECONDS)
                if not self._busy():
                    break
        cut = self._busy()
        for connection in self.open_connections:
            connection.force_close()
        return cut
