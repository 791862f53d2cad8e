"""`hookgate audit report`: what an auditor is given."""

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from hookgate.audit.checkpoint import CheckpointLine, checkpoint_from
from hookgate.audit.draft import drafted
from hookgate.audit.error import JournalError
from hookgate.audit.report.making import Scope, made
from hookgate.audit.report.matching import Matching, PatternError
from hookgate.audit.report.model import Report
from hookgate.audit.report.scratch import Scratch
from hookgate.audit.report.writing import Form, written
from hookgate.audit.segments import segment_paths
from hookgate.commands.asking import period
from hookgate.commands.fault import stop_with
from hookgate.commands.groups import with_groups
from hookgate.commands.stored import Place
from hookgate.harmless import harmless

_DOES_NOT_HOLD = 5


@with_groups
def report(
    *,
    place: Place,
    begin: Annotated[
        str, typer.Option("--from", help="From then on: a date or time (UTC unless it has an offset), or 2d, 3h.")
    ] = "30d",
    end: Annotated[
        str, typer.Option("--to", help="Until before that time; of a date, until its end (UTC). 0s is now.")
    ] = "0s",
    paths: Annotated[
        list[str] | None,
        typer.Option(help="Glob of paths, such as '**/secrets/**' or '~/.ssh/**'; may be repeated."),
    ] = None,
    commands: Annotated[
        list[str] | None, typer.Option(help="Regular expression (RE2) of commands, in any case; may be repeated.")
    ] = None,
    out: Annotated[
        Path, typer.Option(help="File to write: .html, .json or .csv (accesses only); it is there whole or not at all.")
    ] = Path("report.html"),
    rows: Annotated[int, typer.Option(min=0, help="Most accesses in HTML; JSON and CSV have all.")] = 2000,
    trust: Annotated[
        list[str] | None, typer.Option(help="Id of a key that may have signed the journal; may be repeated.")
    ] = None,
    against: Annotated[
        Path | None, typer.Option(help="A checkpoint that was kept elsewhere (from `hookgate audit checkpoint`).")
    ] = None,
) -> None:
    """Write a report for an auditor: what was recorded, whether it holds, every access that matters, and what is not covered.

    Without --paths and --commands the accesses are all denials and questions. The journal in --directory is verified, and
    the store's rows are compared with it.

    Exit 0; 5 if the journal does not verify or the store is not what was recorded (the report is written, and says so); 1 if
    no report could be made.
    """
    form = _form(out)
    since, until = period("--from", begin, end, datetime.now(UTC))
    if since is None or until is None:
        stop_with("--from and --to must not be empty")
    try:
        matching = Matching(tuple(paths or ()), tuple(commands or ()))
    except PatternError as error:
        stop_with(f"--paths, --commands: {harmless(str(error))}")
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    try:
        scope = Scope(
            since=since,
            until=until,
            matching=matching,
            directory=place.directory if segment_paths(place.directory) else None,
            against=_checkpoint(against) if against is not None else None,
            trusted=tuple(trust or ()),
        )
        bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        with place.opened() as store, bar, closing(Scratch()) as scratch:
            task = bar.add_task("")
            found = made(store, scope, scratch, lambda what, done: bar.update(task, description=what, advance=done))
            with drafted(out) as stream:
                for piece in written(found, scratch, form, rows):
                    stream.write(piece)
    except JournalError as error:
        stop_with(harmless(str(error)))
    except OSError as error:
        stop_with(f"{error.filename or out}: {error.strerror}")
    _say(out, found)


def _say(out: Path, found: Report) -> None:
    typer.echo(f"hookgate: {out}: {found.totals.decisions} decisions, {found.accesses} accesses listed", err=True)
    for line in found.findings:
        typer.echo(f"hookgate: {line}", err=True)
    if not found.holds:
        raise typer.Exit(_DOES_NOT_HOLD)


def _form(out: Path) -> Form:
    try:
        return Form(out.suffix.removeprefix(".").lower())
    except ValueError:
        stop_with(f"--out {out}: its name must end in .html, .json or .csv")


def _checkpoint(path: Path) -> CheckpointLine:
    try:
        found = checkpoint_from(path.read_bytes())
    except OSError as error:
        stop_with(f"--against {path}: {error.strerror}")
    if found is None:
        stop_with(f"--against {path}: not a checkpoint as `hookgate audit checkpoint` prints it")
    return found
