"""All sub-commands together."""

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
    hook,
    policies,
    program,
    serve,
    settings,
    ship,
    token,
    whatif,
)

app = program.program()
app.command()(serve.serve)
app.command()(ship.ship)
app.command()(console.console)
app.command()(dev.dev)
app.command()(demo.demo)
app.command()(check.check)
app.command()(settings.settings)
app.command()(hook.hook)
app.command()(doctor.doctor)
app.command()(facts.facts)
app.command()(whatif.whatif)
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
