"""How a command ends that can't do what it is told: one line a fault, on standard error."""

from typing import NoReturn

import typer

from hookgate.config import ConfigError


def stop_with(*lines: str) -> NoReturn:
    """Ends the command with exit code 1 and these lines."""
    for line in lines:
        typer.echo(f"hookgate: {line}", err=True)
    raise typer.Exit(1)


def stop_with_config(error: ConfigError) -> NoReturn:
    """Ends the command with all faults of a configuration."""
    stop_with(*(f"{error.source}: {fault}" for fault in error.faults))
