"""`hookgate audit search` and `session`: decisions as rows, page by page."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from hookgate.audit.store.question import Page
from hookgate.audit.store.table import csv_header, csv_row, json_line
from hookgate.commands.asking import Question
from hookgate.commands.fault import stop_with
from hookgate.commands.groups import with_groups
from hookgate.commands.stored import Place
from hookgate.commands.tables import screen, table_of

Limit = Annotated[int, typer.Option(min=1, max=1000, help="Rows of a page.")]
Cursor = Annotated[str, typer.Option(help="Where the page before ended; said below it.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print a line of JSON a row, ASCII only.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV, safe to open in a spreadsheet.")]


@with_groups
def search(
    *,
    question: Question,
    place: Place,
    limit: Limit = 50,
    cursor: Cursor = "",
    oldest_first: Annotated[bool, typer.Option("--oldest-first", help="Begin with the oldest.")] = False,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Find decisions, the newest first: who did what, what was decided, why, and how it ended.

    All options must hold together. A `?` behind a user says that nothing vouches for the identity. Pages stay stable
    while records come in.
    """
    wanted = question.filter(datetime.now(UTC))
    _one_form(as_json=as_json, as_csv=as_csv)
    with place.opened() as store:
        page = store.search(wanted, limit=limit, cursor=cursor, oldest_first=oldest_first)
        _print(page, as_json=as_json, as_csv=as_csv)
        place.say_lag(store)


@with_groups
def session(
    *,
    session_id: Annotated[str, typer.Argument(help="The client's session.")],
    place: Place,
    limit: Limit = 1000,
    cursor: Cursor = "",
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Show what happened in a session, in order: each decision, and how the call ended."""
    _one_form(as_json=as_json, as_csv=as_csv)
    with place.opened() as store:
        page = store.session(session_id, limit=limit, cursor=cursor)
        _print(page, as_json=as_json, as_csv=as_csv)
        place.say_lag(store)


def _one_form(*, as_json: bool, as_csv: bool) -> None:
    if as_json and as_csv:
        stop_with("--json and --csv contradict each other: give one of them")


def _print(page: Page, *, as_json: bool, as_csv: bool) -> None:
    if as_json:
        for row in page.rows:
            typer.echo(json_line(row))
    elif as_csv:
        typer.echo(csv_header() + "".join(map(csv_row, page.rows)), nl=False)
    elif page.rows:
        console = screen()
        console.print(table_of(page.rows, terminal=console.is_terminal))
    if not page.rows:
        typer.echo("hookgate: no decision matches", err=True)
    if page.cursor:
        typer.echo(f"next page: --cursor {page.cursor}", err=True)
