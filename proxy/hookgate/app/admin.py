"""Probes and metrics, on a listener apart from the hooks."""

from collections.abc import Callable, Sequence
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from hookgate.app.origin import Hosts, foreign, local_address
from hookgate.telemetry.metrics import Metrics


def admin_app(
    metrics: Metrics, readiness: Callable[[], dict[str, Any]], *, allowed_hosts: Sequence[str] = ()
) -> web.Application:
    """Gives the application with /livez, /readyz and /metrics. `readiness` gives `ready` (bool) and `reasons`."""
    hosts = Hosts(allowed_hosts)

    @web.middleware
    async def ours_only(request: web.Request, handler: Handler) -> web.StreamResponse:
        sockname = request.transport.get_extra_info("sockname") if request.transport is not None else None
        found = foreign(request.headers, hosts, local_address(sockname), own_pages=True)
        if not found:
            return await handler(request)
        metrics.admin_refused.inc()
        mend = "names that this listener is known by belong into admin.allowed_hosts"
        return web.json_response({"error": f"refused: {found}; {mend}"}, status=403)

    async def livez(_: web.Request) -> web.Response:
        return web.json_response({"alive": True})

    async def readyz(_: web.Request) -> web.Response:
        found = readiness()
        return web.json_response(found, status=200 if found["ready"] else 503)

    async def exposition(_: web.Request) -> web.Response:
        readiness()
        return web.Response(
            body=metrics.exposition(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        )

    app = web.Application(middlewares=[ours_only])
    app.add_routes([web.get("/livez", livez), web.get("/readyz", readyz), web.get("/metrics", exposition)])
    return app
