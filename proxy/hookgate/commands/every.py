"""All sub-commands together."""

import typer

from hookgate import __version__
from hookgate.commands.program import NAMES, add, program

app = program()
for _name in NAMES:
    add(app, _name)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)
