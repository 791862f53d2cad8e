"""Probes and metrics, on a listener apart from the hooks."""

from collections.abc import Callable
from typing import Any

from aiohttp import web

from hookgate.telemetry.metrics import Metrics


def admin_app(metrics: Metrics, readiness: Callable[[], dict[str, Any]]) -> web.Application:
    """Gives the application with /livez, /readyz and /metrics. `readiness` gives `ready` (bool) and `reasons`."""

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

    app = web.Application()
    app.add_routes([web.get("/livez", livez), web.get("/readyz", readyz), web.get("/metrics", exposition)])
    return app
