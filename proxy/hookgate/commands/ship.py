"""`hookgate ship`: delivers the journal's records, in a process of its own."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Annotated

import structlog
import typer

from hookgate.app.control import Control, ControlError
from hookgate.app.listeners import ListenError, listen
from hookgate.app.shipping import ShipError, ShipListener, ShippingProcess, make_way
from hookgate.audit.shipping.status import Status
from hookgate.commands.fault import stop_with, stop_with_config
from hookgate.commands.stopping import stop_on
from hookgate.config import Config, ConfigError, load, parse
from hookgate.config.audit import Audit
from hookgate.config.console import Console
from hookgate.telemetry.log import adopt_libraries, make_logger
from hookgate.telemetry.writer import LineWriter


def ship(
    config: Annotated[
        Path | None, typer.Option(help="Configuration file (YAML); without one, the environment alone counts.")
    ] = None,
    metrics: Annotated[
        str, typer.Option(help="HOST:PORT for /metrics and /livez; none without it. Port 0 picks a free one.")
    ] = "",
    control: Annotated[
        int, typer.Option(hidden=True, help="The socket that `hookgate serve` hands over; not for people.")
    ] = -1,
) -> None:
    """Deliver records to the sinks in `audit.shippers`, until SIGTERM or Ctrl-C; then what is left, for five seconds.

    `hookgate serve` starts one by itself, unless `audit.supervise` is false.
    """
    try:
        if control >= 0:
            make_way()
            asyncio.run(_supervised(control))
        else:
            asyncio.run(_alone(shipping_settings(config), metrics))
    except ConfigError as error:
        stop_with_config(error)
    except (ShipError, ControlError, ListenError) as error:
        stop_with(str(error))


def shipping_settings(file: Path | None) -> Config:
    """Gives the configuration; shipping needs no PDP, so that without a file none must be named. Raises ConfigError."""
    return load(file) if file is not None else parse({"pdp": {"address": "unix:none"}}, os.environ, "environment")


async def _supervised(descriptor: int) -> None:
    """Ends with the service, and with nothing else: a signal to all of the service's processes must not end it before the
    service has written its last record."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    control = await Control.taken(descriptor)
    settings = await control.settings()
    writer = LineWriter(sys.stderr)
    log = make_logger(settings.log, writer)
    adopt_libraries(log)
    ended = asyncio.Event()
    watching = asyncio.create_task(control.closed())
    watching.add_done_callback(lambda _: ended.set())
    try:
        with _faults_in(log):
            told = _Told(control.report)
            async with _console(settings.console, settings.audit, log, told, settings.admin):
                await ShippingProcess(settings.audit, log, told.take, waits=True).run(ended, is_closed=True)
    finally:
        watching.cancel()
        writer.close()


@contextmanager
def _faults_in(log: structlog.typing.FilteringBoundLogger) -> Iterator[None]:
    """What nobody expected is an event as any other, and no traceback between the lines of the log."""
    try:
        yield
    except (ShipError, ListenError):
        raise
    except Exception as error:
        log.error("internal", exc_info=error)  # noqa: TRY400 (no logger of the standard library)
        raise typer.Exit(1) from None


async def _alone(settings: Config, metrics: str) -> None:
    if not settings.audit.shippers:
        raise ShipError("audit.shippers: is empty: there is nowhere to ship to")
    writer = LineWriter(sys.stderr)
    log = make_logger(settings.log, writer)
    adopt_libraries(log)
    try:
        with _faults_in(log):
            await _shipping(settings, metrics, log, stop_on(signal.SIGTERM, signal.SIGINT))
    finally:
        writer.close()


async def _shipping(
    settings: Config, metrics: str, log: structlog.typing.FilteringBoundLogger, ended: asyncio.Event
) -> None:
    admin = f"{settings.admin.host}:{settings.admin.port}" if settings.admin.enabled and settings.admin.port else ""
    if not metrics:
        told = _Told(_nothing)
        async with _console(settings.console, settings.audit, log, told, admin):
            await ShippingProcess(settings.audit, log, told.take).run(ended, is_closed=False)
        return
    host, port = _address(metrics)
    listener = listen(host, port, "--metrics")
    shown = ShipListener(listener)
    shown.metrics.expect(*(one.called for one in settings.audit.shippers))
    await shown.start()
    log.info("ship_listening", metrics=listener.address)
    try:
        told = _Told(shown.take)
        async with _console(settings.console, settings.audit, log, told, admin):
            await ShippingProcess(settings.audit, log, told.take).run(ended, is_closed=False)
    finally:
        await shown.stop()


class _Told:
    """Hands on how the shippers are doing, and keeps the newest for the console."""

    def __init__(self, report: Callable[[Status], None]) -> None:
        self._report = report
        self.newest = Status()

    def take(self, status: Status) -> None:
        """Takes it."""
        self.newest = status
        self._report(status)


@asynccontextmanager
async def _console(
    config: Console, audit: Audit, log: structlog.typing.FilteringBoundLogger, told: _Told, admin: str
) -> AsyncIterator[None]:
    """Serves the pages meanwhile, where they are wanted."""
    if not config.enabled:
        yield
        return
    from hookgate.console.server import ConsoleServer

    server = ConsoleServer(config, audit, log, admin=admin, status=lambda: told.newest, said=_say_link)
    server.start()
    try:
        yield
    finally:
        await server.stop()


def _say_link(link: str) -> None:
    """Only to a person: what a log collects is read by others."""
    if link and sys.stderr.isatty():
        typer.echo(f"hookgate: the pages: {link}", err=True)


def _nothing(_: Status) -> None:
    """Nobody asks."""


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise ShipError(f"--metrics {text}: expected HOST:PORT, such as 127.0.0.1:9465")
    return host.strip("[]"), int(port)
