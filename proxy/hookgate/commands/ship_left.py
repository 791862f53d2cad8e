"""`hookgate audit ship`: delivers a journal that was left behind."""

import asyncio
import signal
import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from hookgate.audit.segments import segment_paths
from hookgate.audit.shipping.exclusive import TakenError
from hookgate.audit.shipping.fleet import Fleet
from hookgate.audit.shipping.status import Status
from hookgate.commands.fault import stop_with, stop_with_config
from hookgate.commands.ship import shipping_settings
from hookgate.commands.stopping import stop_on
from hookgate.config import ConfigError
from hookgate.config.audit import Audit
from hookgate.config.tree import Log
from hookgate.harmless import harmless
from hookgate.telemetry.log import adopt_libraries, make_logger
from hookgate.telemetry.writer import LineWriter

_LEFT = 1
_SHOW_SECONDS = 0.2


def ship_left(
    directory: Annotated[Path, typer.Argument(help="The journal's directory.")],
    config: Annotated[
        Path | None,
        typer.Option(help="Configuration file whose `audit.shippers` deliver; without one, the environment counts."),
    ] = None,
    patience: Annotated[
        float, typer.Option(min=0, help="How many seconds a sink may fail in a row before it is given up.")
    ] = 30.0,
) -> None:
    """Deliver what shippers have not delivered of a journal that nobody writes any more.

    Exit 0 if all is delivered, 1 with what is left.
    """
    try:
        audit = msgspec.structs.replace(shipping_settings(config).audit, directory=str(directory))
        if not segment_paths(directory):
            stop_with(f"{directory}: no journal there")
        left = asyncio.run(_deliver(audit, patience))
    except ConfigError as error:
        stop_with_config(error)
    except TakenError as error:
        stop_with(str(error))
    except OSError as error:
        stop_with(f"{error.filename or directory}: {error.strerror}")
    for shipper in left.shippers:
        why = f" ({harmless(shipper.error)})" if shipper.error else ""
        lines = f"{shipper.name}: {shipper.shipped} delivered, {shipper.lag_records} left{why}"
        typer.echo(lines + (f", {shipper.dropped} could not be" if shipper.dropped else ""))
    if any(shipper.lag_records for shipper in left.shippers):
        raise typer.Exit(_LEFT)


async def _deliver(audit: Audit, patience_seconds: float) -> Status:
    writer = LineWriter(sys.stderr)
    log = make_logger(Log(level="error"), writer)
    adopt_libraries(log)
    fleet = Fleet(audit, log, patience_seconds=patience_seconds)
    interrupted = stop_on(signal.SIGTERM, signal.SIGINT)
    try:
        fleet.open()
        fleet.end(is_closed=True)
        shipping = asyncio.create_task(fleet.run())
        stopping = asyncio.create_task(interrupted.wait())
        screen = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bar:
            tasks: dict[str, TaskID] = {}
            while not shipping.done() and not stopping.done():
                for one in (await fleet.status()).shippers:
                    total = one.shipped + one.lag_records
                    if one.name not in tasks:
                        tasks[one.name] = bar.add_task(one.name, total=total)
                    bar.update(tasks[one.name], completed=one.shipped, total=total)
                await asyncio.wait([shipping, stopping], timeout=_SHOW_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        for task in (shipping, stopping):
            task.cancel()
        await asyncio.gather(shipping, stopping, return_exceptions=True)
        return await fleet.status()
    finally:
        fleet.close()
        writer.close()
