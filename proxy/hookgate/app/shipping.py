"""The shipping process: runs the shippers until it is told to end, then delivers what is left, for a while."""

import asyncio
import ctypes
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry, Info, generate_latest

from hookgate import __version__
from hookgate.app.listeners import Listener
from hookgate.audit.shipping.exclusive import TakenError
from hookgate.audit.shipping.fleet import Fleet
from hookgate.audit.shipping.status import Status
from hookgate.config.audit import Audit
from hookgate.telemetry.shipping import ShipMetrics

#: How long shippers may take for what is left when the process ends.
DRAIN_SECONDS = 5.0
_REPORT_SECONDS = 1.0
#: prctl(2): the signal that a process gets when its parent has ended.
_PR_SET_PDEATHSIG = 1


class ShipError(Exception):
    """Nothing can be shipped; one line that says why and what to do."""


class ShippingProcess:
    """Ships one journal. `report` is told each second how it goes. `waits`: where another process ships the journal, it takes
    over once that one has ended."""

    def __init__(
        self,
        audit: Audit,
        log: structlog.typing.FilteringBoundLogger,
        report: Callable[[Status], None],
        *,
        waits: bool = False,
    ) -> None:
        self._audit = audit
        self._log = log
        self._report = report
        self._waits = waits
        self._fleet = Fleet(audit, log)

    async def run(self, ended: asyncio.Event, *, is_closed: bool) -> None:
        """Ships until `ended`, and then what is left; `is_closed`: by then nothing more is written to the journal. Raises
        ShipError."""
        try:
            if not await self._opened(ended):
                return
            shipping = asyncio.create_task(self._fleet.run())
            reporting = asyncio.create_task(self._keep_reporting())
            self._log.info("ship_started", shippers=[one.called for one in self._audit.shippers], version=__version__)
            try:
                await ended.wait()
                self._fleet.end(is_closed=is_closed)
                await asyncio.wait([shipping], timeout=DRAIN_SECONDS)
            finally:
                reporting.cancel()
                shipping.cancel()
                await asyncio.gather(shipping, reporting, return_exceptions=True)
            status = await self._fleet.status()
            self._report(status)
            left = {one.name: one.lag_records for one in status.shippers}
            self._log.info("ship_ended", left=left, shipped={one.name: one.shipped for one in status.shippers})
        finally:
            self._fleet.close()

    async def _opened(self, ended: asyncio.Event) -> bool:
        """False where it was told to end before it could begin."""
        is_told = False
        while not ended.is_set():
            try:
                self._fleet.open()
            except TakenError as error:
                if not self._waits:
                    raise ShipError(str(error)) from None
                if not is_told:
                    self._log.warning("ship_waiting", detail=str(error))
                is_told = True
                self._report(Status())
                with suppress(TimeoutError):
                    await asyncio.wait_for(ended.wait(), _REPORT_SECONDS)
            except OSError as error:
                where = error.filename or self._audit.directory
                raise ShipError(f"audit.directory: {where}: {error.strerror}") from None
            else:
                return True
        return False

    async def _keep_reporting(self) -> None:
        while True:
            self._report(await self._fleet.status())
            await asyncio.sleep(_REPORT_SECONDS)


class ShipListener:
    """Metrics and a probe of a shipping process that no service has started."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self.metrics = ShipMetrics(CollectorRegistry())
        Info("hookgate_build", "Version of Hookgate.", registry=self.metrics.registry).info({"version": __version__})

    def take(self, status: Status) -> None:
        """Takes over how the shippers are doing."""
        for one in status.shippers:
            self.metrics.take(one)

    async def start(self) -> None:
        """Begins to listen."""
        app = web.Application()
        app.add_routes([web.get("/livez", self._livez), web.get("/metrics", self._exposition)])
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.SockSite(self._runner, self._listener.socket).start()

    async def stop(self) -> None:
        """Ends it."""
        await self._runner.cleanup()

    @staticmethod
    async def _livez(_: web.Request) -> web.Response:
        return web.json_response({"alive": True})

    async def _exposition(self, _: web.Request) -> web.Response:
        return web.Response(
            body=generate_latest(self.metrics.registry),
            headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"},
        )


def make_way() -> None:
    """Where memory is short this process shall go, and not the one that decides; and when that one ends, this one shall see it
    even if somebody has stopped it."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500", encoding="ascii")
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGCONT)
