"""`hookgate fetch`: have the programs that Hookgate runs, or is tested with, before they are needed."""

from enum import StrEnum
from typing import Annotated

import typer

from hookgate.binaries import (
    CERBOS_VERSION,
    CLAUDE_VERSION,
    CLAUDE_VERSIONS,
    BinaryError,
    find_cerbos,
    find_claude,
    find_postgres,
)
from hookgate.commands.fault import stop_with


class Program(StrEnum):
    """What can be fetched."""

    CERBOS = "cerbos"
    CLAUDE = "claude"
    POSTGRES = "postgres"


def fetch(
    program: Annotated[
        Program, typer.Argument(help="The policy decision point, or what the tests run: the client, a database.")
    ],
    version: Annotated[
        str | None,
        typer.Option(
            help=f"Of claude: one of {', '.join(CLAUDE_VERSIONS)} (default {CLAUDE_VERSION})."
            f" Of cerbos there is one, {CERBOS_VERSION}."
        ),
    ] = None,
) -> None:
    """Find a program, fetch it from npm into the cache folder if need be, and print its path.

    Exit 0 when it is there, 1 with one line on standard error when it is not to be had.
    """
    try:
        if program is Program.CLAUDE:
            binary = find_claude(version, say=_say)
        elif program is Program.POSTGRES and version is None:
            binary = find_postgres(say=_say)
        elif program is Program.POSTGRES:
            raise BinaryError("postgres: any version will do; --version is for the others")
        elif version in (None, CERBOS_VERSION):
            binary = find_cerbos(say=_say)
        else:
            raise BinaryError(f"cerbos {version}: only {CERBOS_VERSION} is fetched: set CERBOS_BIN to use another")
    except BinaryError as fault:
        stop_with(str(fault))
    if binary.warning:
        _say(f"warning: {binary.warning}")
    typer.echo(binary.path)


def _say(line: str) -> None:
    typer.echo(f"hookgate: {line}", err=True)
