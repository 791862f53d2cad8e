"""The store in one SQLite file: its tables, and how it is asked."""

import json
import math
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from hookgate.audit.store.dialect import Row, variants
from hookgate.audit.store.question import NoStoreError, StoreError, TooLongError
from hookgate.audit.store.tables import FLEET, FLEET_INDEXES, INDEXES, REPLACED, TABLES, Column, Table

#: "HkGt": what tells the file from another program's.
APPLICATION_ID = 0x486B4774
_COLUMNS = {
    Column.WHOLE: "INTEGER NOT NULL",
    Column.FLAG: "INTEGER NOT NULL",
    Column.REAL: "REAL NOT NULL",
    Column.TEXT: "TEXT NOT NULL",
    Column.BYTES: "BLOB NOT NULL",
    Column.MAYBE_TEXT: "TEXT",
    Column.MAYBE_FLAG: "INTEGER",
    Column.MAYBE_REAL: "REAL",
}
_BUSY_SECONDS = 5.0
#: How often Python looks after an interrupt while a statement runs, in steps of SQLite's machine.
_STEPS = 200_000
_FETCHED = 1000
#: What SQLite says where it can't make the files that it keeps beside a store while it is open.
_UNWRITABLE = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)


def _made(table: Table) -> str:
    columns = [f"{name} {_COLUMNS[kind]}" for name, kind in table.columns.items()]
    if table.primary == ("key",):
        columns[0] = "key INTEGER PRIMARY KEY"
        return f"CREATE TABLE {table.name} ({', '.join(columns)})"
    return f"CREATE TABLE {table.name} ({', '.join(columns)}, PRIMARY KEY ({', '.join(table.primary)})) WITHOUT ROWID"


def tables() -> tuple[str, ...]:
    """Gives what makes the tables, without their indexes."""
    return (
        "CREATE TABLE chain (number INTEGER PRIMARY KEY, instance TEXT NOT NULL UNIQUE)",
        # How long the store has been running when a day was last added to, by a clock that nobody sets.
        "CREATE TABLE stay (day INTEGER PRIMARY KEY, seconds REAL NOT NULL)",
        "CREATE TABLE clock (seconds REAL NOT NULL)",
        "INSERT INTO clock VALUES (0)",
        *(_made(table) for table in TABLES),
    )


def indexes() -> tuple[str, ...]:
    """Gives what makes the indexes."""
    return tuple(index.sql() for index in INDEXES)


#: What leads from each version to the next, beginning with an empty file.
STEPS: tuple[tuple[str, ...], ...] = (
    (*tables(), *indexes()),
    (_made(REPLACED),),
    (*(_made(table) for table in FLEET), *(index.sql() for index in FLEET_INDEXES)),
)


def version_of(connection: sqlite3.Connection, path: Path) -> int:
    """Gives the version of a store's tables, 0 for an empty file. Raises StoreError for another program's file, and for a
    newer version."""
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if application != APPLICATION_ID:
        if application or version or connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone():
            raise StoreError(f"{path}: an SQLite file, but no store of Hookgate: name another one")
        return 0
    if version > len(STEPS):
        raise StoreError(
            f"{path}: made by a newer Hookgate (version {version} of the store, this one knows {len(STEPS)}): use that one"
        )
    return version


class SqliteDatabase:
    """A store file open for reading."""

    def __init__(self, path: Path, *, limit_seconds: float | None = None) -> None:
        """Opens it; a statement may take so long. Raises StoreError where there is none, or none that can be read."""
        self._path = path
        self._limit_seconds = limit_seconds
        self._until = math.inf
        if not path.exists():
            raise NoStoreError(
                f"{path}: no store there: `hookgate ship` makes it, or `hookgate collect` of a fleet; `hookgate audit ship DIR` fills one from a journal"
            )
        self._connection = self._opened()
        with suppress(sqlite3.Error):
            self._connection.set_progress_handler(lambda: time.monotonic() > self._until, _STEPS)

    def mark(self, number: int) -> str:
        """Each value is used once, and they stand in their order."""
        return "?"

    def among(self, column: str, number: int) -> str:
        """A list is a value as JSON."""
        return f"{column} IN (SELECT value FROM json_each({self.mark(number)}))"  # noqa: S608 (a column's name)

    def listed(self, texts: Sequence[str]) -> Any:
        """Gives it as JSON."""
        return json.dumps(list(texts))

    def holds(self, column: str, number: int) -> str:
        """Case counts."""
        return f"instr({column}, {self.mark(number)}) > 0"

    def like(self, column: str, number: int, text: str) -> tuple[str, str]:
        """LIKE knows ASCII only; for the rest GLOB is given both forms of each character."""
        if text.isascii():
            escaped = text.replace("!", "!!").replace("%", "!%").replace("_", "!_")
            return f"{column} LIKE {self.mark(number)} ESCAPE '!'", f"%{escaped}%"
        sets = (variants(character) for character in text)
        glob = "".join(f"[{found}]" if len(found) > 1 or found in "*?[" else found for found in sets)
        return f"{column} GLOB {self.mark(number)}", f"*{glob}*"

    def use(self, index: str) -> str:
        """Without statistics SQLite may take another one, and sort millions of rows."""
        return f" INDEXED BY {index}"

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """Gives all rows."""
        return list(self.each(sql, values))

    def each(self, sql: str, values: Sequence[Any] = ()) -> Iterator[Row]:
        """Gives the rows one after the other."""
        if self._limit_seconds is not None:
            self._until = time.monotonic() + self._limit_seconds
        try:
            with closing(self._connection.execute(sql, tuple(values))) as found:
                while rows := found.fetchmany(_FETCHED):
                    yield from rows
        except sqlite3.Error as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
                if time.monotonic() > self._until:
                    raise TooLongError(
                        f"{self._path}: the question took longer than {self._limit_seconds:g} s"
                    ) from None
                raise KeyboardInterrupt from None
            raise StoreError(f"{self._path}: {error}") from None

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()

    def _opened(self) -> sqlite3.Connection:
        """A store that nobody writes to may lie where nobody may write: then it has no log beside it to be read."""
        for more in ("", "&immutable=1"):
            connection: sqlite3.Connection | None = None
            try:
                connection = sqlite3.connect(
                    f"file:{quote(str(self._path))}?mode=ro{more}",
                    uri=True,
                    timeout=_BUSY_SECONDS,
                    check_same_thread=False,
                )
                version = version_of(connection, self._path)
            except (sqlite3.Error, StoreError) as error:
                if connection is not None:
                    connection.close()
                if isinstance(error, StoreError):
                    raise
                if error.sqlite_errorcode & 0xFF in _UNWRITABLE and not more and not self._log().exists():
                    continue
                raise StoreError(f"{self._path}: {error}") from None
            if version < len(STEPS):
                connection.close()
                if version == 0:
                    # Somebody is about to make it.
                    raise NoStoreError(f"{self._path}: no store there yet")
                raise StoreError(
                    f"{self._path}: of an older version: start `hookgate ship` once, which brings it up to date"
                )
            return connection
        raise StoreError(f"{self._path}: it can't be opened")

    def _log(self) -> Path:
        return self._path.with_name(self._path.name + "-wal")
