"""`hookgate config`: check a configuration file, or print what one may hold."""

import json
from pathlib import Path
from typing import Annotated

import typer

from hookgate.commands.fault import stop_with_config
from hookgate.config import ConfigError, load, schema
from hookgate.probes import expectation_probes

app = typer.Typer(help="Check a configuration file, or print the schema of one.", no_args_is_help=True)


@app.command()
def check(file: Annotated[Path, typer.Argument(help="The configuration file (YAML).")]) -> None:
    """Read a configuration file with the environment, and say everything that is wrong with it.

    Exit 0 if it can be used, 1 if not.
    """
    try:
        expectation_probes(load(file))
    except ConfigError as error:
        stop_with_config(error)
    typer.echo(f"{file}: no faults")


@app.command("schema")
def print_schema() -> None:
    """Print the JSON Schema of a configuration file, for editors and checks."""
    typer.echo(json.dumps(schema(), indent=2))
