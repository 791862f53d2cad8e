"""`hookgate fleet`: how every machine stands that sends its journal to a collector, and who is missing."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from hookgate.audit.fleet.expected import Expected, ExpectedError, read_expected
from hookgate.audit.fleet.standing import Mark, Standing
from hookgate.audit.fleet.survey import survey
from hookgate.commands.fault import stop_with
from hookgate.commands.groups import with_groups
from hookgate.commands.stored import Place
from hookgate.commands.tables import screen
from hookgate.harmless import harmless
from hookgate.moments import moment

#: What asks for attention at once.
_GRAVE = frozenset({Mark.TAMPERED, Mark.FOREIGN, Mark.UNASKED, Mark.MISSING_RECORDS})
_CHARACTERS = 40
_UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


@with_groups
def fleet(
    place: Place,
    *,
    expected: Annotated[
        Path | None,
        typer.Option(
            help="The machines that there should be: CSV, JSON or YAML with `name` or `host`, and perhaps `user` and `group`."
        ),
    ] = None,
    marked: Annotated[
        list[Mark] | None, typer.Option("--is", help="Only machines with this mark; may be repeated.")
    ] = None,
    attention: Annotated[bool, typer.Option("--attention", help="Only machines with any mark.")] = False,
    name: Annotated[str | None, typer.Option(help="Only machines with this part in name, host, user or group.")] = None,
    since: Annotated[
        str, typer.Option(help="Findings and calls that were not asked about count from so long ago on.")
    ] = "7d",
    silent: Annotated[
        float, typer.Option(min=1, help="Seconds without a word after which a machine is silent.")
    ] = 900.0,
    late: Annotated[float, typer.Option(min=1, help="Seconds that records may be old when they come.")] = 900.0,
    findings: Annotated[
        bool, typer.Option("--findings", help="Below the table: what was found, when last, and at which line.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line, ASCII only.")] = False,
) -> None:
    """Say how each machine stands: heard when, verified up to where, deciding by what, and what is wrong; ends with 5 if a
    journal was tampered with, or lacks records."""
    now = datetime.now(UTC)
    try:
        machines: tuple[Expected, ...] = read_expected(expected) if expected is not None else ()
        begin = moment(since, now)
    except ExpectedError as error:
        stop_with(harmless(str(error)))
    except ValueError as error:
        stop_with(f"--since: {error}")
    with place.opened() as store:
        rows = survey(
            store, machines, since=begin, now=time.time_ns() // 1000, silent_seconds=silent, late_seconds=late
        )
    shown = [row for row in rows if _wanted(row, marked, name, attention=attention)]
    if as_json:
        for row in shown:
            typer.echo(json.dumps(msgspec.to_builtins(row)))
    elif shown:
        console = screen()
        console.print(_table(shown))
        for text in _told(shown) if findings else ():
            console.print(text)
    if not rows:
        typer.echo(
            "hookgate: nobody is enrolled in this store: `hookgate collect code` makes a code for a machine", err=True
        )
    elif not shown:
        typer.echo(f"hookgate: none of {len(rows)} machines is such a one", err=True)
    if any(_GRAVE & {*row.marks} - {Mark.UNASKED} for row in shown):
        raise typer.Exit(5)


def _wanted(row: Standing, marked: list[Mark] | None, part: str | None, *, attention: bool) -> bool:
    if marked and not set(marked) & set(row.marks):
        return False
    if attention and not row.marks:
        return False
    said = (row.name, row.host, row.user, row.group)
    return part is None or any(part.casefold() in text.casefold() for text in said)


def _table(rows: list[Standing]) -> Table:
    table = Table(box=None, pad_edge=False, show_edge=False, header_style="dim")
    for heading in (
        "machine",
        "user",
        "host",
        "group",
        "heard",
        "lag",
        "verified",
        "version",
        "policies",
        "client",
        "mode",
    ):
        table.add_column(heading, no_wrap=True, overflow="ellipsis")
    table.add_column("", no_wrap=False)
    for row in rows:
        table.add_row(
            *(Text(harmless(text, _CHARACTERS)) for text in (row.name, row.user, row.host, row.group)),
            Text("never" if row.silent_seconds is None else f"{_long(row.silent_seconds)} ago"),
            Text("" if row.lag_seconds is None else _long(row.lag_seconds)),
            Text(f"{row.verified_seq:,} of {row.seq:,}" if row.seq else ""),
            *(Text(harmless(text, _CHARACTERS)) for text in (row.version, row.policies, row.client, row.mode)),
            _marks(row),
        )
    return table


def _told(rows: list[Standing]) -> Iterator[Text]:
    for row in rows:
        for one in row.told:
            times = f", {one.count:,} times" if one.count > 1 else ""
            line = f"line {one.seq:,}: " if one.seq else ""
            found = Text(f"{harmless(row.name, _CHARACTERS)}  ", "bold").append(one.kind.value, "bold red")
            yield found.append(f"  {one.time}{times}  {line}{harmless(one.detail)}", "not bold")


def _marks(row: Standing) -> Text:
    found = Text()
    for mark in row.marks:
        found.append(" " if found else "").append(mark.value, "bold red" if mark in _GRAVE else "yellow")
    if kinds := ", ".join(f"{kind} {count}" for kind, count in row.findings.items()):
        found.append(f" ({kinds})", "dim")
    return found


def _long(seconds: float) -> str:
    for unit, size in _UNITS:
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return "0 s"
