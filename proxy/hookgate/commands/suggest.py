"""`hookgate audit suggest`: a first policy, from what was seen."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from hookgate.audit.store.question import Filter, StoreError
from hookgate.binaries import BinaryError, find_cerbos
from hookgate.commands.asking import Question
from hookgate.commands.fault import stop_with
from hookgate.commands.groups import with_groups
from hookgate.commands.stored import Place
from hookgate.harmless import harmless
from hookgate.pdp.process import CerbosError
from hookgate.suggest.draft import Suggestion
from hookgate.suggest.making import NothingSeenError, suggestion, write


@with_groups
def suggest(
    *,
    out: Annotated[Path, typer.Option(help="The directory to write to; it is made, or empty.")],
    question: Question,
    place: Place,
) -> None:
    """Write a first policy from what was seen: tools and programs in use by role go on, and what is new is asked about;
    dangers that did not occur are forbidden, and those that did stand there as comments, with how often.

    It changes no call of the period that nobody held up. Its tests are recorded calls, without their secrets.
    """
    wanted = question.filter(datetime.now(UTC))
    try:
        if out.exists() and any(out.iterdir()):
            stop_with(f"--out {out}: there is something already: name a directory that is not there, or empty")
        cerbos = find_cerbos(say=lambda line: typer.echo(f"hookgate: {line}", err=True)).path
        console = Console(stderr=True)
        columns = (TextColumn("looking"), BarColumn(), MofNCompleteColumn())
        with (
            place.opened() as store,
            Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar,
        ):
            task = bar.add_task("", total=None)
            found = asyncio.run(
                suggestion(store, wanted, cerbos, _period(wanted), lambda done: bar.advance(task, done))
            )
        write(found, out, cerbos)
    except OSError as error:
        stop_with(f"--out {error.filename or out}: {error.strerror}")
    except (BinaryError, CerbosError, StoreError, NothingSeenError) as error:
        stop_with(harmless(str(error)))
    _show(found, out)


def _show(found: Suggestion, out: Path) -> None:
    for name in found.files:
        typer.echo(str(out / name))
    typer.echo(f"forbidden or asked about: {', '.join(found.active) or 'nothing'}")
    typer.echo(f"seen, and left as comments: {', '.join(found.left) or 'nothing'}")
    typer.echo(f"what it would change: hookgate whatif --policies {out}")


def _period(wanted: Filter) -> str:
    begin = f"since {wanted.since:%Y-%m-%d %H:%M}" if wanted.since is not None else "from the beginning"
    return f"{begin} until {wanted.until or datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
