"""An aiohttp application served on a free loopback port by a thread of its own."""

import asyncio
import threading
from collections.abc import Awaitable, Callable

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_LARGEST_BODY_BYTES = 256 * 1024 * 1024
_IDLE_SECONDS = 3600.0


class LoopbackServer:
    """Serves `routes` ("METHOD /path" to handler) until `close()`; tests stay synchronous while it answers."""

    def __init__(self, routes: dict[str, Handler]) -> None:
        self._routes = routes
        self._loop = asyncio.new_event_loop()
        self._runner: web.AppRunner | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, name="loopback", daemon=True)
        self._thread.start()
        self.port: int = asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`, without a trailing slash."""
        return f"http://127.0.0.1:{self.port}"

    async def _start(self) -> int:
        app = web.Application(client_max_size=_LARGEST_BODY_BYTES)
        for route, handler in self._routes.items():
            method, path = route.split(" ", 1)
            app.router.add_route(method, path, handler)
        # An idle connection that the server closes first makes the client fail a request; so it is kept.
        self._runner = web.AppRunner(app, keepalive_timeout=_IDLE_SECONDS, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host_and_port: tuple[str, int] = self._runner.addresses[0]
        return host_and_port[1]

    def close(self) -> None:
        """Stops serving and ends the thread. Running requests are cut off."""
        if self._runner is not None:
            asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)
            self._runner = None
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
