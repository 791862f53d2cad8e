"""The store in PostgreSQL: how it is asked."""

import asyncio
from collections.abc import Coroutine, Iterator, Sequence
from typing import Any, TypeVar
from urllib.parse import urlsplit

import asyncpg

from hookgate.audit.store.dialect import Row, variants
from hookgate.audit.store.postgres_tables import version_of
from hookgate.audit.store.question import NoStoreError, StoreError, TooLongError

_Result = TypeVar("_Result")
_CONNECT_SECONDS = 10.0
#: Of one statement: counting a year for one user takes seconds, nothing takes minutes.
_STATEMENT_SECONDS = 300
_FETCHED = 1000
_SPECIAL = frozenset(r"\^$.|?*+()[]{}")


class PostgresDatabase:
    """A database open for reading, in an event loop of its own: not to be used within another one."""

    def __init__(self, url: str, schema: str, *, limit_seconds: float = _STATEMENT_SECONDS) -> None:
        """Connects; a statement may take so long. Raises StoreError where it can't, or where there is no store."""
        self._name = name_of(url, schema)
        self._limit_seconds = limit_seconds
        self._runner = asyncio.Runner()
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        try:
            self._connection = self._run(self._connected(url, schema))
        except BaseException:
            self._runner.close()
            raise

    def mark(self, number: int) -> str:
        """Values have numbers."""
        return f"${number}"

    def among(self, column: str, number: int) -> str:
        """A list is a value as an array."""
        return f"{column} = ANY({self.mark(number)}::text[])"

    def listed(self, texts: Sequence[str]) -> Any:
        """Gives it as a list."""
        return list(texts)

    def holds(self, column: str, number: int) -> str:
        """Case counts."""
        return f"strpos({column}, {self.mark(number)}) > 0"

    def like(self, column: str, number: int, text: str) -> tuple[str, str]:
        """Columns have the collation C, in which ILIKE knows ASCII only; for the rest a pattern has both forms of each
        character."""
        if text.isascii():
            escaped = text.replace("!", "!!").replace("%", "!%").replace("_", "!_")
            return f"{column} ILIKE {self.mark(number)} ESCAPE '!'", f"%{escaped}%"
        sets = (variants(character) for character in text)
        pattern = "".join(f"[{found}]" if len(found) > 1 else _escaped(found) for found in sets)
        return f"{column} ~ {self.mark(number)}", f"(?s){pattern}"

    def use(self, index: str) -> str:
        """PostgreSQL knows what is in its tables."""
        return ""

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """Gives all rows."""
        return [tuple(row) for row in self._run(self._open.fetch(sql, *values))]

    def each(self, sql: str, values: Sequence[Any] = ()) -> Iterator[Row]:
        """Gives the rows, some of them at a time."""
        transaction = self._open.transaction(readonly=True)
        self._run(_started(transaction))
        try:
            cursor = self._run(_cursor(self._open, sql, values))
            while found := self._run(cursor.fetch(_FETCHED)):
                yield from (tuple(row) for row in found)
        finally:
            if not self._open.is_closed():
                self._run(transaction.rollback())

    def close(self) -> None:
        """Disconnects."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()
        self._runner.close()

    @property
    def _open(self) -> "asyncpg.Connection[asyncpg.Record]":
        if self._connection is None:
            raise StoreError(f"{self._name}: closed")
        return self._connection

    def _run(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        try:
            return self._runner.run(work)
        except asyncpg.QueryCanceledError:
            raise TooLongError(f"{self._name}: the question took longer than {self._limit_seconds:g} s") from None
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError, ValueError) as error:
            raise StoreError(f"{self._name}: {said(error)}") from None

    async def _connected(self, url: str, schema: str) -> "asyncpg.Connection[asyncpg.Record]":
        connection = await connect(
            url,
            schema,
            timeout_seconds=_CONNECT_SECONDS,
            settings={
                "default_transaction_read_only": "on",
                "statement_timeout": f"{self._limit_seconds * 1000:.0f}ms",
            },
        )
        version = await version_of(connection, schema)
        if version == 0:
            connection.terminate()
            raise NoStoreError(
                f"{self._name}: no store there: `hookgate ship` makes it when it first delivers, or `hookgate collect` of a fleet; `hookgate audit ship DIR` fills one from a journal"
            )
        if version is None:
            connection.terminate()
            raise StoreError(f"{self._name}: of another version than this Hookgate's: use the one that fills it")
        return connection


async def connect(
    url: str, schema: str, *, timeout_seconds: float, settings: dict[str, str]
) -> "asyncpg.Connection[asyncpg.Record]":
    """Connects to a store's database, its schema being the first that names are looked up in."""
    return await asyncpg.connect(
        url,
        timeout=timeout_seconds,
        server_settings={"application_name": "hookgate", "search_path": schema, **settings},
    )


def name_of(url: str, schema: str) -> str:
    """Gives what a store is called where people read it: no user, no password, also where a password was not escaped."""
    parts = urlsplit(url)
    if "@" in parts.path + parts.query + parts.fragment:
        return f"PostgreSQL (schema {schema})"
    return f"postgresql://{parts.netloc.rpartition('@')[2]}{parts.path} (schema {schema})"


def said(error: Exception) -> str:
    """Gives what went wrong in one line, without values of records: the server's message only where it is about itself."""
    if isinstance(error, asyncpg.PostgresError):
        state = error.sqlstate or ""
        about = f"{type(error).__name__} ({state})"
        return f"{about}: {_line(error)}" if state[:2] in _ITS_OWN else about
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if type(error) is ValueError:
        return "its URL can't be read: characters such as @, / and ? in a password are written %40, %2F and %3F"
    if isinstance(error, OSError):
        return error.strerror or _line(error) or type(error).__name__
    return (
        f"{type(error).__name__}: {_line(error)}" if isinstance(error, asyncpg.InterfaceError) else type(error).__name__
    )


#: Classes of SQLSTATE: connection, authorization, unknown database, transaction, names and rights, resources, objects in the
#: wrong state, the operator, the system.
_ITS_OWN = frozenset({"08", "25", "28", "3D", "3F", "40", "42", "53", "55", "57", "58", "XX"})


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0]


def _escaped(character: str) -> str:
    return f"\\{character}" if character in _SPECIAL else character


async def _started(transaction: "asyncpg.transaction.Transaction") -> None:
    await transaction.start()


async def _cursor(
    connection: "asyncpg.Connection[asyncpg.Record]", sql: str, values: Sequence[Any]
) -> "asyncpg.cursor.Cursor[asyncpg.Record]":
    return await connection.cursor(sql, *values)
