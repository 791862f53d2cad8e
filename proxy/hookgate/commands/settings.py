"""`hookgate settings`: what an administrator pushes to the clients, in every form."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from hookgate.client.advice import Advice, advice_for
from hookgate.client.finding import Severity
from hookgate.client.forms import FORMS
from hookgate.client.managed import Platform
from hookgate.client.plan import Plan, read
from hookgate.commands.fault import stop_with, stop_with_config
from hookgate.config import ConfigError


def settings(
    plan: Annotated[
        Path | None, typer.Argument(help="What is to be set (YAML); without it, everything is as by default.")
    ] = None,
    *,
    team: Annotated[str, typer.Option(help="The team in `teams` whose variant is made.")] = "",
    form: Annotated[
        list[str] | None, typer.Option(help=f"One of {', '.join(FORMS)}; may be repeated. Default: all.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Directory to write to; without it, one form is written to standard output.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Write nothing where a hole is left open.")] = False,
) -> None:
    """Make the settings that send every client's hooks here: managed settings for Linux, macOS, Windows and the console.

    What a choice leaves open is said on standard error, with its key and the mend.
    """
    try:
        made = read(plan, team)
    except ConfigError as error:
        stop_with_config(error)
    wanted = form or [name for name in FORMS if name != "bridge" or made.uses_bridge]
    for name in wanted:
        if name not in FORMS:
            stop_with(f"--form {name}: expected one of {', '.join(FORMS)}")
    platforms = list(dict.fromkeys(platform for name in wanted for platform in FORMS[name].platforms))
    found = advice_for(made, platforms)
    for one, where in found.items():
        typer.echo(line(one, plan, team, where if len(where) < len(platforms) else ()), err=True)
    if strict and any(one.severity is Severity.HOLE for one in found):
        stop_with("--strict: nothing was written")
    if out is None:
        if len(wanted) != 1:
            stop_with("name a directory with --out, or one form with --form")
        sys.stdout.buffer.write(FORMS[wanted[0]].render(made, team))
        return
    for name in wanted:
        _write(out, name, made, team)


def _write(out: Path, name: str, plan: Plan, team: str) -> None:
    form = FORMS[name]
    path = out / form.file
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(form.render(plan, team))
    except OSError as error:
        stop_with(f"{path}: {error.strerror}")
    typer.echo(f"{path}  ({form.use})")


def line(one: Advice, plan: Path | None, team: str, platforms: Sequence[Platform] = ()) -> str:
    """Gives the line that tells of what is left open, on these platforms or, without any, on all."""
    where = f" ({', '.join(platforms)})" if platforms else ""
    place = f"{plan or 'defaults'}: {f'teams.{team}: ' if team else ''}{one.key}{where}"
    return f"hookgate: {one.severity.value}: {place}: {one.meaning} {one.mend}"
