"""Tables, as a terminal and as a page show them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(slots=True)
class Grid:
    """A table. `labels` is how many columns, from the left, hold words; the others hold figures. `groups` are blocks of rows."""

    title: str
    columns: tuple[str, ...]
    labels: int = 1
    groups: list[list[tuple[str, ...]]] = field(default_factory=list)

    def rich(self) -> Table:
        """Gives it for a terminal."""
        table = Table(title=self.title, title_justify="left")
        for index, column in enumerate(self.columns):
            table.add_column(column, justify="left" if index < self.labels else "right", no_wrap=True)
        for group in self.groups:
            for row in group:
                table.add_row(*row)
            table.add_section()
        return table

    def markdown(self) -> str:
        """Gives it for a page."""
        marks = ["---" if index < self.labels else "---:" for index in range(len(self.columns))]
        rows = [self.columns, tuple(marks), *(row for group in self.groups for row in group)]
        lines = ["| " + " | ".join(row) + " |" for row in rows]
        return "\n".join([f"**{self.title}**", "", *lines])


def show(grids: Iterable[Grid], notes: Iterable[str]) -> None:
    """Prints tables and the notes below them. In a file or a pipe they are as wide as they need to be."""
    console = Console() if Console().is_terminal else Console(width=200)
    for grid in grids:
        console.print(grid.rich())
    for note in notes:
        console.print(note, highlight=False)


class PageError(Exception):
    """A page has no place for the figures; says which is missing."""


def put(page: Path, name: str, grids: Iterable[Grid], notes: Iterable[str]) -> None:
    """Writes tables and notes into a page, between `<!-- NAME: begin -->` and `<!-- NAME: end -->`. Raises PageError."""
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise PageError(f"{page}: no {begin.strip()} with {end} behind it")
    written = "\n\n".join([*notes, *(grid.markdown() for grid in grids)])
    page.write_text(f"{before}{begin}{written}\n{end}{after}", encoding="utf-8")
