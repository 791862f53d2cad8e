"""`hookgate collect`: takes the journals of a fleet, and says who may send one."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from hookgate.app.listeners import ListenError
from hookgate.collect.enrolment import issue_code
from hookgate.collect.enrolment import revoke as revoke_journals
from hookgate.collect.server import CollectError, CollectServer, database_of, exposed
from hookgate.collect.session import Database, DatabaseError
from hookgate.commands.fault import stop_with, stop_with_config
from hookgate.commands.files import raise_file_limit
from hookgate.commands.stopping import stop_on
from hookgate.config import Config, ConfigError, load
from hookgate.harmless import harmless
from hookgate.identity.names import name_fault
from hookgate.identity.watched import IdentityError
from hookgate.telemetry.log import adopt_libraries, make_logger
from hookgate.telemetry.writer import LineWriter

_Result = TypeVar("_Result")
app = typer.Typer(help="Take the journals of a fleet, and say who may send one.", invoke_without_command=True)
Configuration = Annotated[
    Path | None, typer.Option(help="Configuration file (YAML); without one, the environment alone counts.")
]


@app.callback()
def collect(context: typer.Context, config: Configuration = None) -> None:
    """Take the journals of a fleet at `collect.host` and `collect.port`, until SIGTERM or Ctrl-C.

    It needs no PDP: of the configuration `collect`, `admin`, `log` and `audit` count.
    """
    if context.invoked_subcommand is not None:
        return
    settings = _settings(config)
    if exposed(settings.collect):
        stop_with(
            f"collect.host: {settings.collect.host} is not loopback: set collect.tls, or collect.plaintext: true where something "
            "before it speaks TLS"
        )
    raise_file_limit()
    try:
        asyncio.run(_serve(settings))
    except (CollectError, ListenError, IdentityError, DatabaseError) as error:
        stop_with(str(error))


@app.command()
def code(
    name: Annotated[str, typer.Option(help="What the machine, or its user, is called in the fleet.")],
    hours: Annotated[float, typer.Option(min=0.01, max=24 * 90, help="How long the code may be used.")] = 24.0,
    config: Configuration = None,
) -> None:
    """Make a code that enrols one machine, once, and print it: only its digest is kept."""
    if fault := name_fault(name) or ("" if name.strip() == name != "" else "is blank, or begins or ends so"):
        stop_with(f"--name: {harmless(name, 60)!r} {fault}")
    now = time.time_ns() // 1000
    expires = now + round(hours * 3600 * 1_000_000)
    made = _with(_settings(config), lambda database: issue_code(database, name, now=now, expires=expires))
    typer.echo(
        f"hookgate: a code for {name}, good for {hours:g} hours and for one machine; it is shown this once:", err=True
    )
    typer.echo(made)


@app.command()
def revoke(
    which: Annotated[str, typer.Argument(metavar="NAME", help="The name, or the journal's id.")],
    config: Configuration = None,
) -> None:
    """Take nothing more from a machine: at once, also over a connection that is open, and enrol nobody by a code for its name
    that was not used yet. What it has sent stays."""
    now = time.time_ns() // 1000
    found = _with(_settings(config), lambda database: revoke_journals(database, which, now=now))
    if not found.instances and not found.codes:
        stop_with(f"nobody is enrolled as {harmless(which, 60)!r}; `hookgate fleet` shows who is")
    if found.instances:
        typer.echo(f"hookgate: {', '.join(found.instances)} may send nothing more")
    if found.codes:
        typer.echo(f"hookgate: codes for that name that enrol nobody any more: {found.codes}")


def _settings(file: Path | None) -> Config:
    try:
        return load(file, os.environ, needs_pdp=False)
    except ConfigError as error:
        stop_with_config(error)


async def _serve(settings: Config) -> None:
    writer = LineWriter(sys.stderr)
    log = make_logger(settings.log, writer)
    adopt_libraries(log)
    ended = stop_on(signal.SIGTERM, signal.SIGINT)
    try:
        async with CollectServer(settings, log).running() as address:
            log.info("collect_listening", address=address)
            await ended.wait()
            log.info("collect_stopping")
    finally:
        writer.close()


def _with(settings: Config, work: Callable[[Database], Coroutine[Any, Any, _Result]]) -> _Result:
    async def done() -> _Result:
        database = database_of(settings, alone=False)
        try:
            await database.open()
            return await work(database)
        finally:
            await database.close()

    try:
        return asyncio.run(done())
    except (CollectError, DatabaseError) as error:
        stop_with(str(error))
