"""The store that a question is put to, and what it may lack yet."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from hookgate.audit.error import JournalError
from hookgate.audit.lag import lag_of
from hookgate.audit.store.opening import open_store
from hookgate.audit.store.question import Store, StoreError
from hookgate.commands.fault import stop_with
from hookgate.harmless import harmless

STORE_NAME = "store.sqlite"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the records are."""

    store: Annotated[
        str | None,
        typer.Option(
            envvar="HOOKGATE_STORE",
            help="The store: the path of a SQLite file, or a postgresql:// URL, which belongs into the environment if it has a "
            f"password. Default: {STORE_NAME} in --directory.",
        ),
    ] = None
    schema: Annotated[str, typer.Option(help="PostgreSQL's schema that has the tables (the shipper's `schema`).")] = (
        "hookgate"
    )
    directory: Annotated[
        Path, typer.Option(help="The journal's directory (audit.directory).", envvar="HOOKGATE__AUDIT__DIRECTORY")
    ] = Path("/var/lib/hookgate/audit")

    @contextmanager
    def opened(self) -> Iterator[Store]:
        """Gives the store, open for questions; ends the command with one line where it can't be read."""
        try:
            with closing(open_store(self.store or self.directory / STORE_NAME, schema=self.schema)) as store:
                yield store
        except StoreError as error:
            stop_with(harmless(str(error)))

    def say_lag(self, store: Store) -> None:
        """Says on standard error what the journal has and the store has not, if the journal can be read from here."""
        try:
            lag = lag_of(self.directory, store)
        except JournalError:
            return
        if lag.records:
            count = f"more than {lag.records}" if lag.is_more else str(lag.records)
            typer.echo(
                f"hookgate: the journal in {self.directory} has {count} newer records that this store does not have, the oldest "
                f"of {harmless(lag.since)}: they are on their way, or `hookgate ship` is not running or can't deliver",
                err=True,
            )
