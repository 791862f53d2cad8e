"""Rows of decisions as people read them: a table on a terminal, plain columns elsewhere."""

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from hookgate.audit.store.question import Row
from hookgate.audit.store.table import reason_of
from hookgate.commands.screen import COLOURS
from hookgate.harmless import harmless

#: So much of an id is shown where room is short: its time and 12 random bits. `show` takes it.
SHORT_ID_CHARACTERS = 18
_SUBJECT_CHARACTERS, _REASON_CHARACTERS, _NAME_CHARACTERS = 300, 300, 24
#: Wider than any table: where nobody's screen bounds it, no cell is cut or broken.
_BOUNDLESS = 4000


def screen() -> Console:
    """Gives where tables are printed: as wide as the terminal, or without bounds and codes where there is none."""
    console = Console(highlight=False, markup=False, emoji=False)
    if console.is_terminal:
        return console
    return Console(highlight=False, markup=False, emoji=False, width=_BOUNDLESS, no_color=True, force_terminal=False)


def table_of(rows: Iterable[Row], *, terminal: bool) -> Table:
    """Gives the table of some decisions. On a terminal the id is shortened, and stands with the reason below the subject."""
    table = Table(box=None, pad_edge=False, show_edge=False, header_style="dim", expand=terminal)
    table.add_column("time", no_wrap=True)
    table.add_column("user", no_wrap=True, overflow="ellipsis")
    table.add_column("tool", no_wrap=True, overflow="ellipsis", style="bold")
    table.add_column("outcome", no_wrap=True)
    table.add_column("ended", no_wrap=not terminal)
    table.add_column("call", ratio=1 if terminal else None, no_wrap=True, overflow="ellipsis")
    if not terminal:
        table.add_column("reason", no_wrap=True)
        table.add_column("id", no_wrap=True)
    for row in rows:
        table.add_row(*_cells(row, terminal=terminal))
    return table


def _cells(row: Row, *, terminal: bool) -> list[Text]:
    why = harmless(reason_of(row), _REASON_CHARACTERS)
    subject = Text(harmless(row.subject, _SUBJECT_CHARACTERS))
    cells = [
        Text(harmless(row.time[5:19].replace("T", " ") if terminal else row.time, 40), "dim"),
        Text(harmless(row.user or "-", _NAME_CHARACTERS)).append("" if row.verified else "?", "yellow"),
        Text(harmless(row.tool or row.event or "-", _NAME_CHARACTERS))
        + Text(
            "" if row.event in ("PreToolUse", "") or not row.tool else f" {harmless(row.event, _NAME_CHARACTERS)}",
            "not bold dim",
        ),
        Text(harmless(row.outcome, 12), COLOURS.get(row.outcome, "")).append(
            "" if row.mode == "enforce" else " (observed)", "dim"
        ),
        _ended(row),
    ]
    if not terminal:
        return [*cells, subject, Text(why), Text(harmless(row.id, 64))]
    return [
        *cells,
        subject.append(f"\n{harmless(row.id, SHORT_ID_CHARACTERS + 1).rstrip('-…')}  ", "dim").append(why, "italic"),
    ]


def _ended(row: Row) -> Text:
    how = row.ran.how if row.ran is not None else ""
    text = Text(harmless(how, 16), {"failed": "yellow", "interrupted": "yellow"}.get(how, ""))
    for violation in row.violations:
        text.append(" " if text else "").append(harmless(violation, 40), "bold red")
    return text
