"""aiohttp's connection handling, made to answer where it would refuse.

By itself it answers 400, 413, 417 or 500 before any handler runs, and the client lets the call run on each of them.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from hookgate.app.endpoint import HookEndpoint

#: Tightly bound to aiohttp's internals; the tests post every malformed request that it is known to refuse.
_MAX_HEADERS = 128


class HookProtocol(RequestHandler):
    """One connection on the hook listener."""

    def __init__(self, server: "HookServer", **options: Any) -> None:
        super().__init__(server, loop=server.loop, **options)
        self._server = server
        self._first_request: asyncio.TimerHandle | None = None
        self.last_active = server.loop.time()

    @property
    def is_idle(self) -> bool:
        """Whether no request is being handled or waits to be."""
        return not self._request_in_progress and not self._messages

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._first_request = self._server.loop.call_later(self._server.first_request_seconds, self._silent)
        self._server.opened(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._first_request is not None:
            self._first_request.cancel()
        self._server.closed(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self.last_active = self._server.loop.time()
        super().data_received(data)

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        if self._first_request is not None:
            self._first_request.cancel()
            self._first_request = None
        response, reset = await super().finish_response(request, resp, start_time)
        if reset:
            self._server.endpoint.undelivered(resp)
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
            return await self._server.endpoint.refuse(err_info.exc)

        return handler

    def log_exception(self, *args: Any, **kw: Any) -> None:
        self._server.report_fault(kw.get("exc_info"))

    def _silent(self) -> None:
        if self._request_count == 0:
            self.force_close()


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
        )
        self.loop = loop
        self.endpoint = endpoint
        self.first_request_seconds = first_request_seconds
        self.report_fault = report_fault
        self._report_connections = report_connections
        self._max_connections = max_connections
        self._open: set[HookProtocol] = set()

    def __call__(self) -> RequestHandler:
        return HookProtocol(self, **self._kwargs)

    def opened(self, connection: HookProtocol) -> None:
        """Takes in a connection; beyond the bound, the one that has been idle longest goes."""
        self._open.add(connection)
        if len(self._open) > self._max_connections:
            idle = [one for one in self._open if one.is_idle and one is not connection]
            min(idle or [connection], key=lambda one: one.last_active).force_close()
        self._report_connections(len(self._open))

    def closed(self, connection: HookProtocol) -> None:
        """Forgets a connection."""
        self._open.discard(connection)
        self._report_connections(len(self._open))

    async def drain(self, *, linger_seconds: float, grace_seconds: float) -> int:
        """Closes each connection once it has been idle for `linger_seconds`; gives how many were cut off after
        `grace_seconds`."""
        end = self.loop.time() + grace_seconds
        while self._open and self.loop.time() < end:
            quiet_since = self.loop.time() - linger_seconds
            for connection in list(self._open):
                if connection.is_idle and connection.last_active <= quiet_since:
                    connection.force_close()
            await asyncio.sleep(0.02)
        cut = sum(not connection.is_idle for connection in self._open)
        for connection in list(self._open):
            connection.force_close()
        return cut
