"""`hookgate serve`: the service against an external PDP."""

import asyncio
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from hookgate.app.exposure import exposures, own_user
from hookgate.app.heap import settle
from hookgate.app.service import Service, StartError
from hookgate.commands.fault import stop_with, stop_with_config
from hookgate.commands.files import raise_file_limit
from hookgate.commands.stopping import stop_on
from hookgate.config import Config, ConfigError, load
from hookgate.telemetry.log import adopt_libraries, make_logger
from hookgate.telemetry.writer import LineWriter


def serve(
    config: Annotated[
        Path | None, typer.Option(help="Configuration file (YAML); without one, the environment alone counts.")
    ] = None,
) -> None:
    """Decide about hooks, against an external Cerbos PDP, until SIGTERM or Ctrl-C. SIGHUP has the configuration read again."""
    try:
        settings = load(config)
        notices = _exposed(settings, config)
        raise_file_limit()
        uvloop.run(_serve(settings, config, notices))
    except ConfigError as error:
        stop_with_config(error)
    except StartError as error:
        stop_with(str(error))


def _exposed(settings: Config, path: Path | None) -> list[str]:
    """Gives what to warn of before anything is opened, or ends here."""
    found = exposures(settings, path)
    refused = [one.line() for one in found if one.refused]
    if refused and settings.exposed_files == "refuse":
        mend = "take the right to write away from others (chmod, chown), or set exposed_files: warn"
        stop_with(*(f"{line}; {mend}" for line in refused))
    return [*(one.line() for one in found), *own_user()]


async def _serve(settings: Config, path: Path | None, notices: list[str]) -> None:
    writer = LineWriter(sys.stderr)
    log = make_logger(settings.log, writer)
    adopt_libraries(log)
    try:
        service = Service(settings, log, path=path, log_writer=writer, notices=notices)
        stop = stop_on(signal.SIGTERM, signal.SIGINT)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, service.reload)
        await service.start()
        settle()
        await stop.wait()
        await service.stop()
    finally:
        writer.close()
