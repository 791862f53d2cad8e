"""`hookgate audit`: verify the journal of records, and look into it."""

import json
import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from hookgate.audit.checkpoint import TYPE as CHECKPOINT
from hookgate.audit.checkpoint import CheckpointLine, checkpoint_from
from hookgate.audit.error import JournalError
from hookgate.audit.finding import Verification
from hookgate.audit.recovery import newest_checkpoint
from hookgate.audit.segments import usage
from hookgate.audit.signing import public_key
from hookgate.audit.tail import Tail
from hookgate.audit.verify import verify as verified
from hookgate.commands.digest import digest, schema
from hookgate.commands.export import export
from hookgate.commands.fault import stop_with
from hookgate.commands.pipe import PipedGroup
from hookgate.commands.report import report
from hookgate.commands.rotate import rotate_key
from hookgate.commands.screen import record_line
from hookgate.commands.search import search, session
from hookgate.commands.ship_left import ship_left
from hookgate.commands.show import show
from hookgate.commands.stats import stats
from hookgate.commands.suggest import suggest
from hookgate.harmless import harmless

app = typer.Typer(cls=PipedGroup, help="Verify the journal of records, and look into it.", no_args_is_help=True)

for _command in (search, session, show, stats, export, report, suggest, digest, schema):
    app.command()(_command)
app.command("ship")(ship_left)
app.command("rotate-key")(rotate_key)

_NOT_INTACT = 5
_SHOWN = 30
_FOLLOW_SECONDS = 0.2

Directory = Annotated[
    Path, typer.Argument(help="The journal's directory (audit.directory).", envvar="HOOKGATE__AUDIT__DIRECTORY")
]
_DEFAULT = Path("/var/lib/hookgate/audit")


@app.command()
def verify(
    directory: Directory = _DEFAULT,
    against: Annotated[
        Path | None, typer.Option(help="A checkpoint that was kept elsewhere (from `hookgate audit checkpoint`).")
    ] = None,
    trust: Annotated[
        list[str] | None,
        typer.Option(
            help="Id of a key that may have signed; may be repeated. Without it, the chain's first key counts."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Walk the journal, and tell whether anything was changed, removed, inserted, moved or forged, and where.

    A tail that was cut off whole is found only against a checkpoint that was kept elsewhere.

    Exit 0 if the journal is intact, 5 if not, 1 if it can't be read.
    """
    kept = _checkpoint(against) if against is not None else None
    try:
        _, size = usage(directory)
        columns = (TextColumn("verifying"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        screen = Console(stderr=True)
        with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bar:
            task = bar.add_task("", total=size)
            found = verified(
                directory,
                against=kept,
                trusted=frozenset(trust or ()),
                progress=lambda done: bar.advance(task, done),
            )
    except (JournalError, OSError) as error:
        stop_with(str(error))
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    else:
        _show(directory, found)
    if not found.intact:
        raise typer.Exit(_NOT_INTACT)


@app.command()
def checkpoint(directory: Directory = _DEFAULT) -> None:
    """Print the newest signed checkpoint as a line of JSON, to be kept where the journal's machine can't reach."""
    try:
        line, found = newest_checkpoint(directory)
    except OSError as error:
        stop_with(f"{error.filename or directory}: {error.strerror}")
    if found is None:
        stop_with(f"{directory}: no checkpoint there")
    typer.echo(json.dumps(json.loads(line)))


@app.command()
def key(directory: Directory = _DEFAULT) -> None:
    """Print the public key that checkpoints are signed with, in PEM, below a line with its id."""
    try:
        found = public_key(directory)
    except JournalError as error:
        stop_with(str(error))
    if found is None:
        stop_with(f"{directory}: no public key there")
    typer.echo(f"key id: {found.id}\n{found.pem().decode()}", nl=False)


@app.command()
def tail(
    directory: Directory = _DEFAULT,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="So many of the newest lines.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")] = False,
    checkpoints: Annotated[bool, typer.Option("--checkpoints", help="Show checkpoints, too.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, ASCII only: a view, not what was hashed.")
    ] = False,
) -> None:
    """Print the newest records, one line each, with control characters made harmless."""
    console = Console(highlight=False, soft_wrap=True)
    try:
        reader = Tail(directory, lines)
        with suppress(KeyboardInterrupt):
            while True:
                for line in reader.new():
                    _print(console, line, checkpoints=checkpoints, as_json=as_json)
                if not follow:
                    break
                time.sleep(_FOLLOW_SECONDS)
    except JournalError as error:
        stop_with(str(error))


def _print(console: Console, line: bytes, *, checkpoints: bool, as_json: bool) -> None:
    try:
        record: Any = json.loads(line)
    except ValueError:
        record = None
    if not isinstance(record, dict):
        text = line.decode(errors="replace")
        if as_json:
            typer.echo(json.dumps({"type": "unreadable", "line": text}))
        else:
            console.print(Text(f"not a record: {harmless(text, 200)}", style="bold red"))
    elif record.get("type") == CHECKPOINT and not checkpoints:
        return
    elif as_json:
        typer.echo(json.dumps(record))
    else:
        console.print(record_line(record))


def _checkpoint(path: Path) -> CheckpointLine:
    try:
        found = checkpoint_from(path.read_bytes())
    except OSError as error:
        stop_with(f"--against {path}: {error.strerror}")
    if found is None:
        stop_with(f"--against {path}: not a checkpoint as `hookgate audit checkpoint` prints it")
    return found


def _show(directory: Path, found: Verification) -> None:
    console = Console(highlight=False, soft_wrap=True)
    for finding in found.findings[:_SHOWN]:
        place = f"{finding.segment}:{finding.line}" if finding.line else finding.segment
        text = Text(f"{place}  ", style="bold").append(finding.kind.value, style="bold red")
        console.print(text.append(f"  {harmless(finding.detail)}", style="not bold"))
    if found.found > _SHOWN:
        console.print(f"and {found.found - _SHOWN} more (see --json)")
    for notice in found.notices[-_SHOWN:]:
        console.print(Text(f"line {notice.seq}  {notice.kind.value}  {harmless(notice.detail)}", style="yellow"))
    console.print(
        Text(
            f"{found.lines} lines in {found.segments} segments, {harmless(found.first_time)} to "
            f"{harmless(found.last_time)}; {found.checkpoints} checkpoints, keys: {', '.join(found.keys) or 'none'}"
        )
    )
    console.print(Text(f"signed up to line {found.signed_seq}, {harmless(found.signed_time) or 'never'}"))
    verdict = Text(f"{directory}: ").append(
        "intact" if found.intact else f"NOT intact: {found.found} findings",
        "bold green" if found.intact else "bold red",
    )
    console.print(verdict)
