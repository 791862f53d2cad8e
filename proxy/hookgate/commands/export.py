"""`hookgate audit export`: all records that match, for another program."""

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, BinaryIO

import msgspec
import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from hookgate.audit.draft import drafted
from hookgate.audit.evidence import is_reduced, row_holds
from hookgate.audit.formats import encoded
from hookgate.audit.shipping.shipment import Shipment, SinkRefusedError
from hookgate.audit.store.question import Entry, Filter, Store
from hookgate.audit.store.table import csv_header, csv_row
from hookgate.commands.asking import Question
from hookgate.commands.fault import stop_with
from hookgate.commands.groups import with_groups
from hookgate.commands.stored import Place
from hookgate.config.shippers import Format

_PAGE_ROWS = 1000
_PROGRESS_RECORDS = 500


class ExportFormat(StrEnum):
    """What an export looks like."""

    NATIVE = "native"
    OCSF = "ocsf"
    CSV = "csv"


@with_groups
def export(
    question: Question,
    place: Place,
    form: Annotated[
        ExportFormat,
        typer.Option(
            "--format",
            help="native: the journal's lines, so that hashes can be checked; ocsf: API Activity (6003); csv: the columns of search.",
        ),
    ] = ExportFormat.NATIVE,
    out: Annotated[Path | None, typer.Option(help="File to write; it is there whole or not at all.")] = None,
) -> None:
    """Write all decisions that match, the oldest first, one a line.

    On a terminal JSON is printed in ASCII, a view of what was hashed; into a file or pipe it is as it was written.
    """
    wanted = question.filter(datetime.now(UTC))
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.completed:,.0f} records"), TimeElapsedColumn())
    skipped = damaged = written = 0
    with place.opened() as store, ExitStack() as stack:
        target: BinaryIO = sys.stdout.buffer
        is_screen = out is None and sys.stdout.isatty()
        bar = stack.enter_context(
            Progress(*columns, console=console, transient=True, disable=is_screen or not console.is_terminal)
        )
        task = bar.add_task("", total=None)
        try:
            if out is not None:
                target = stack.enter_context(drafted(out))
            if form is ExportFormat.CSV:
                target.write(csv_header().encode())
            for line in _lines(store, wanted, form):
                if line is None:
                    skipped += 1
                    continue
                damaged += not line[1]
                written += 1
                target.write(_shown(line[0]) if is_screen else line[0])
                if written % _PROGRESS_RECORDS == 0:
                    bar.update(task, completed=written)
            target.flush()
            stack.close()
        except BrokenPipeError:
            # Whoever reads has had enough: `PipedGroup` ends the command.
            raise
        except OSError as error:
            stop_with(f"{error.filename or out or 'standard output'}: {error.strerror}")
        place.say_lag(store)
    typer.echo(f"hookgate: {written} records", err=True)
    if damaged:
        typer.echo(f"hookgate: {damaged} of them are not what was written: their hash does not hold", err=True)
    if skipped:
        typer.echo(f"hookgate: {skipped} more can't be put into that format", err=True)


def _lines(store: Store, wanted: Filter, form: ExportFormat) -> Iterator[tuple[bytes, bool] | None]:
    """Gives each line with its end, and whether its row holds; None for one that can't be written."""
    if form is ExportFormat.CSV:
        yield from ((line, True) for line in _csv_lines(store, wanted))
        return
    for entry in store.entries(wanted):
        try:
            yield encoded(_shipment(entry), Format(form.value)) + b"\n", row_holds(entry) or is_reduced(entry)
        except SinkRefusedError:
            yield None


def _csv_lines(store: Store, wanted: Filter) -> Iterator[bytes]:
    cursor = ""
    while True:
        page = store.search(wanted, limit=_PAGE_ROWS, cursor=cursor, oldest_first=True)
        yield from (csv_row(row).encode() for row in page.rows)
        cursor = page.cursor
        if not cursor:
            return


def _shipment(entry: Entry) -> Shipment:
    return Shipment(line=msgspec.json.encode(entry.record), seq=entry.seq, hash=entry.hash, instance=entry.instance)


def _shown(line: bytes) -> bytes:
    """Gives JSON as ASCII: a terminal obeys some characters that JSON lets pass. CSV is harmless as it is."""
    try:
        return json.dumps(json.loads(line)).encode() + b"\n"
    except ValueError:
        return line
