"""The command line: one module a sub-command."""

import typer

from hookgate import __version__
from hookgate.commands import (
    audit,
    check,
    collect,
    config,
    console,
    demo,
    dev,
    doctor,
    enroll,
    facts,
    fetch,
    fleet,
    policies,
    serve,
    ship,
    token,
)

app = typer.Typer(
    name="hookgate",
    help="A Cerbos policy decision in front of every tool call of Claude Code.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(serve.serve)
app.command()(ship.ship)
app.command()(console.console)
app.command()(dev.dev)
app.command()(demo.demo)
app.command()(check.check)
app.command()(doctor.doctor)
app.command()(facts.facts)
app.command()(fetch.fetch)
app.command()(enroll.enroll)
app.command()(fleet.fleet)
app.add_typer(audit.app, name="audit")
app.add_typer(collect.app, name="collect")
app.add_typer(config.app, name="config")
app.add_typer(policies.app, name="policies")
app.add_typer(token.app, name="token")


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def main() -> None:
    """Run the command line."""
    app()
