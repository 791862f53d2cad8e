"""The collector: its listener, its probes and metrics, and what it does on the side."""

import asyncio
import resource
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import structlog
from aiohttp import web

from hookgate.app.listeners import Listener, listen
from hookgate.app.tls import Certified, TlsListener
from hookgate.audit.sinks.making import store_path
from hookgate.collect.answering import Answering, tell
from hookgate.collect.batching import Batcher
from hookgate.collect.body import BODY_BYTES
from hookgate.collect.forwarding import Forwarder, forget_targets
from hookgate.collect.lines import Lines
from hookgate.collect.session import Database, DatabaseError
from hookgate.collect.sqlite import SqliteFile
from hookgate.collect.watching import watch
from hookgate.collect.who import Who
from hookgate.config import Config
from hookgate.config.collect import Collect, collect_parts
from hookgate.config.shippers import AnyShipper, PostgresShipper, SqliteShipper
from hookgate.identity.certificate import Revocations
from hookgate.identity.watched import Unwatched
from hookgate.telemetry.collecting import CollectMetrics

_HANDSHAKE_SECONDS = 5.0
_KEEP_ALIVE_SECONDS = 75.0
_EXPIRE_SECONDS = 300.0
_STATUS_SECONDS = 1.0
#: Files that are left for other things than connections.
_FILES = 128


class CollectError(Exception):
    """The collector can't run; one line that says why."""


def database_of(config: Config, *, alone: bool = True) -> Database:
    """Gives the store that a configuration names, not opened yet. `alone`: whether no second collector may have it, where it is
    a file. Raises CollectError."""
    shipper, _ = _parts(config)
    if not isinstance(shipper, PostgresShipper):
        path = store_path(shipper, Path(config.audit.directory))
        return SqliteFile(path, retention_days=shipper.retention_days, alone=alone)
    # Only here, so that nobody else needs the driver.
    try:
        from hookgate.collect.postgres import PostgresPool  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise CollectError(f"the module {error.name} is missing: pip install 'hookgate[postgres]'") from None
    return PostgresPool(shipper)


def _parts(config: Config) -> tuple[SqliteShipper | PostgresShipper, tuple[AnyShipper, ...]]:
    try:
        return collect_parts(config.audit)
    except ValueError as error:
        raise CollectError(str(error)) from None


class CollectServer:
    """Serves, until it is stopped."""

    def __init__(self, config: Config, log: structlog.typing.FilteringBoundLogger) -> None:
        self._config = config
        self._log = log
        self._metrics = CollectMetrics()
        self._database = database_of(config)
        _, forward = _parts(config)
        self._batcher = Batcher(self._database, forwards=bool(forward), told=tell(self._metrics, log))
        self._lines = Lines(max(_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _FILES))
        self._forwarders = [Forwarder(one, self._database, log) for one in forward]
        self._metrics.ship.expect(*(one.called for one in forward))
        self._ends: list[Callable[[], Awaitable[None]]] = []
        self._tasks: list[asyncio.Task[None]] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """Serves meanwhile; gives the address. Raises CollectError, ListenError, IdentityError or DatabaseError where it can't
        begin."""
        try:
            yield await self._begin()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            for end in reversed(self._ends):
                with suppress(OSError, TimeoutError, DatabaseError):
                    await end()

    async def _begin(self) -> str:
        config = self._config.collect
        self._ends.append(self._database.close)
        await self._database.open()
        listener = listen(config.host, config.port, "collect")
        self._ends.append(_closing(listener.socket.close))
        revocations, certified = Revocations(), None
        if config.tls.certificate:
            certified = Certified(config.tls, Unwatched(), "collect.tls")
            revocations = certified.revocations
            self._tasks.append(asyncio.create_task(certified.run()))
        batching = asyncio.create_task(self._batcher.run())
        answering = Answering(
            config,
            self._database,
            self._batcher,
            Who(self._database, config.certificates, revocations),
            lines=self._lines,
            metrics=self._metrics,
            log=self._log,
        )
        self._ends.append(_cancelling(batching))
        await self._listen(application(answering), listener, certified, answering)
        if self._config.admin.enabled:
            await self._probes()
        self._tasks += [asyncio.create_task(one.run()) for one in self._forwarders]
        self._ends += [one.release for one in self._forwarders]
        self._tasks += [asyncio.create_task(self._expire()), asyncio.create_task(self._status())]
        store, _ = _parts(self._config)
        self._tasks.append(asyncio.create_task(watch(self._config, store, self._metrics, self._log)))
        return listener.address

    async def _listen(
        self, app: web.Application, listener: Listener, certified: Certified | None, answering: Answering
    ) -> None:
        # Bodies are unpacked within bounds, and not before it is known whose they are.
        runner = web.AppRunner(
            app,
            access_log=None,
            shutdown_timeout=self._config.server.grace_seconds,
            keepalive_timeout=_KEEP_ALIVE_SECONDS,
            auto_decompress=False,
        )
        await runner.setup()
        self._ends.append(runner.cleanup)
        self._ends.append(_closing(answering.end))
        server = runner.server
        if server is None:
            raise CollectError("collect: it could not be set up")
        self._tasks.append(asyncio.create_task(self._lines.run(lambda: server.connections)))
        if certified is None:
            await web.SockSite(runner, listener.socket).start()
            return
        tls = TlsListener(
            listener.socket,
            server,
            certified,
            handshake_seconds=lambda: _HANDSHAKE_SECONDS,
            refused=lambda remote, reason, untold: self._log.warning(
                "tls_refused", remote=remote, reason=reason, untold=untold
            ),
            count=self._metrics.tls_refused.inc,
        )
        self._ends.append(_closing(tls.close))

    async def _probes(self) -> None:
        admin = self._config.admin
        listener = listen(admin.host, admin.port, "admin")
        app = web.Application()
        app.add_routes(
            [web.get("/livez", _livez), web.get("/readyz", self._readyz), web.get("/metrics", self._exposition)]
        )
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        self._ends.append(runner.cleanup)
        await web.SockSite(runner, listener.socket).start()

    async def _readyz(self, _: web.Request) -> web.Response:
        ready = await self._is_ready()
        reasons = [] if ready else [self._batcher.fault or "the store does not answer"]
        return web.json_response({"ready": ready, "reasons": reasons}, status=200 if ready else 503)

    async def _is_ready(self) -> bool:
        try:
            async with asyncio.timeout(5), self._database.transaction() as session:
                await session.rows("SELECT 1 FROM collector LIMIT 1")
        except (DatabaseError, TimeoutError) as error:
            self._batcher.fault = str(error)
            return False
        return True

    async def _exposition(self, _: web.Request) -> web.Response:
        return web.Response(
            body=self._metrics.exposition(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        )

    async def _status(self) -> None:
        """Tells of a fault once, however many requests meet it."""
        told = ""
        while True:
            if (fault := self._batcher.fault) != told:
                told = fault
                if fault:
                    self._log.error("collect_store_failed", detail=fault)
            self._metrics.waiting.set(self._batcher.waiting)
            self._metrics.ready.set(0 if self._batcher.fault else 1)
            for one in self._forwarders:
                self._metrics.ship.take(one.status())
            await asyncio.sleep(_STATUS_SECONDS)

    async def _expire(self) -> None:
        while True:
            try:
                await self._database.expire()
                await forget_targets(self._database, [one.name for one in self._forwarders])
            except DatabaseError as error:
                self._log.error("collect_store_failed", detail=str(error))
            await asyncio.sleep(_EXPIRE_SECONDS)


def application(answering: Answering) -> web.Application:
    """Gives the application that takes records."""
    app = web.Application(client_max_size=BODY_BYTES)
    app.add_routes(
        [
            web.post("/v1/records", answering.records),
            web.get("/v1/position", answering.position),
            web.post("/v1/enroll", answering.enroll),
        ]
    )
    return app


async def _livez(_: web.Request) -> web.Response:
    return web.json_response({"alive": True})


def exposed(collect: Collect) -> bool:
    """Whether it would take tokens in the clear from other machines."""
    local = collect.host in ("localhost", "::1") or collect.host.startswith("127.")
    return not (local or collect.tls.certificate or collect.plaintext)


def _closing(close: Callable[[], Any]) -> Callable[[], Awaitable[None]]:
    async def closed() -> None:
        close()

    return closed


def _cancelling(task: "asyncio.Task[None]") -> Callable[[], Awaitable[None]]:
    async def cancelled() -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    return cancelled
