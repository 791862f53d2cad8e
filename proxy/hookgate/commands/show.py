"""`hookgate audit show`: everything that is known of one decision, and what belongs to it."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from hookgate.audit.evidence import is_reduced, row_holds
from hookgate.audit.parts import parts_of, tells
from hookgate.audit.store.question import Entry, Filter, Store
from hookgate.commands.fault import stop_with
from hookgate.commands.groups import with_groups
from hookgate.commands.screen import COLOURS, record_line
from hookgate.commands.stored import Place
from hookgate.commands.tables import screen
from hookgate.harmless import harmless

#: The beginning of a UUIDv7 that holds its time, in milliseconds.
_PREFIX = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}[0-9a-f-]*")
#: A record is made within the decision's deadline after its id.
_MADE_WITHIN = timedelta(minutes=2)
_FULL_ID_CHARACTERS = 36
_SHOWN_CHARACTERS = 4000


@with_groups
def show(
    record_id: Annotated[str, typer.Argument(help="The decision id; its first 13 characters or more do, too.")],
    place: Place,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a line of JSON a record, ASCII only, the one asked for first.")
    ] = False,
) -> None:
    """Show all of a record: who, what, why, the answer, its place in the chain; and what belongs to the same call."""
    with place.opened() as store:
        entries = store.show(record_id) or store.show(_whole_id(store, record_id))
        if not entries:
            place.say_lag(store)
    if not entries:
        stop_with(f"no record has the id {harmless(record_id, 80)}")
    if as_json:
        for entry in entries:
            typer.echo(json.dumps(entry.record | {"instance": entry.instance, "row_holds": row_holds(entry)}))
        return
    _show(screen(), entries)


def _whole_id(store: Store, prefix: str) -> str:
    """Gives the only id that begins so; ends the command where there are several. An id that is whole stays as it is."""
    if len(prefix) >= _FULL_ID_CHARACTERS or not _PREFIX.fullmatch(prefix):
        return prefix
    made = datetime.fromtimestamp(int(prefix[:8] + prefix[9:13], 16) / 1000, UTC)
    wanted = Filter(since=made - timedelta(seconds=1), until=made + _MADE_WITHIN)
    found: list[str] = []
    cursor = ""
    while True:
        page = store.search(wanted, limit=1000, cursor=cursor, oldest_first=True)
        found += [row.id for row in page.rows if row.id.startswith(prefix)]
        cursor = page.cursor
        if not cursor:
            break
    if len(found) > 1:
        stop_with(f"{prefix} begins {len(found)} ids: {', '.join(harmless(one, 40) for one in found[:10])}")
    return found[0] if found else prefix


def _show(console: Console, entries: tuple[Entry, ...]) -> None:
    entry, *others = entries
    record = entry.record
    head = Text(harmless(str(record.get("id", "")), 64), "bold").append(
        f"  {harmless(str(record.get('time', '')), 40)}", "not bold dim"
    )
    console.print(head)
    for part, fields in parts_of(record):
        _part(console, part, fields, record)
    _chain(console, entry)
    if others:
        console.print(Text("\nbelongs to it", "bold cyan"))
        for other in others:
            line = Text("  ") + record_line(other.record)
            console.print(
                line.append("" if row_holds(other) or is_reduced(other) else "  its hash does not hold", "bold red"),
                soft_wrap=True,
            )


def _part(console: Console, name: str, fields: dict[str, Any], record: dict[str, Any]) -> None:
    console.print(Text(f"\n{name}", "bold cyan"))
    for key, value in fields.items():
        line = Text(f"  {harmless(key, 40):<16} ", "dim")
        style = COLOURS.get(str(record.get("outcome")), "") if key == "outcome" else ""
        console.print(line.append(_written(value), f"not dim {style}"), soft_wrap=True)


def _written(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return harmless(text, _SHOWN_CHARACTERS)


def _chain(console: Console, entry: Entry) -> None:
    console.print(Text("\nin the chain", "bold cyan"))
    fields = {"instance": entry.instance, "host": entry.record.get("host", ""), "seq": entry.seq, "hash": entry.hash}
    for key, value in fields.items():
        if tells(value):
            console.print(Text(f"  {key:<16} ", "dim").append(_written(value), "not dim"), soft_wrap=True)
    verdict = ("yes", "green") if row_holds(entry) else ("NO: this row is not what was recorded", "bold red")
    if is_reduced(entry):
        verdict = ("not known: the store would not take the whole record; the journal has it", "yellow")
    console.print(Text("  hash holds       ", "dim").append(verdict[0], f"not dim {verdict[1]}"))
