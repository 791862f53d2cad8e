"""A collector's store in PostgreSQL, which several collectors share."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import cast

import asyncpg

from hookgate.audit.error import UNREADABLE
from hookgate.audit.shipping.shipment import Shipment
from hookgate.audit.sinks.postgres import PostgresSink, is_of_content
from hookgate.audit.store.moment import DAY, micros_of
from hookgate.audit.store.postgres import name_of, said
from hookgate.audit.store.postgres_tables import STEPS, drop_days, migrate
from hookgate.collect.session import ContentError, DatabaseError, Row, Session
from hookgate.config.shippers import PostgresShipper

_CONNECTIONS = 4
_LOCK_SECONDS = 5
_DAY_SECONDS = 86400.0
#: Days that one transaction may make tables for; and days long ago or to come that there may be tables for at all, since a machine
#: may claim any: so much is usual.
_NEW_DAYS, _ODD_DAYS = 31, 400
_USUAL_DAYS = 93


class PostgresPool:
    """Some connections to one database."""

    for_update = " FOR UPDATE"

    def __init__(self, config: PostgresShipper) -> None:
        self._config = config
        self._name = name_of(config.url, config.schema)
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._sink = PostgresSink(config)
        #: What the sink remembers to be there is there only once a transaction has ended.
        self._storing = asyncio.Lock()

    async def open(self) -> None:
        """Connects, and makes the tables ready. Raises DatabaseError."""
        if self._pool is not None:
            return
        config, pool = self._config, None
        try:
            pool = await asyncpg.create_pool(
                config.url,
                min_size=1,
                max_size=_CONNECTIONS,
                timeout=config.timeout_seconds,
                command_timeout=config.timeout_seconds,
                server_settings={
                    "application_name": "hookgate collect",
                    "search_path": config.schema,
                    "lock_timeout": f"{_LOCK_SECONDS}s",
                    # What was stored is acknowledged: it must be on the disk by then.
                    "synchronous_commit": "on",
                },
            )
            async with pool.acquire() as connection:
                version = await migrate(_plain(connection), config.schema)
            if version > len(STEPS):
                raise DatabaseError(
                    f"{self._name}: made by a newer Hookgate (version {version}, this one knows {len(STEPS)}): use that one"
                )
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError, ValueError) as error:
            if pool is not None:
                pool.terminate()
            raise DatabaseError(f"{self._name}: {said(error)}") from None
        except DatabaseError:
            if pool is not None:
                pool.terminate()
            raise
        self._pool = pool

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Session]:
        """Gives a transaction."""
        await self.open()
        if self._pool is None:
            raise DatabaseError(f"{self._name}: not connected")
        async with AsyncExitStack() as held:
            within: _Within | None = None
            try:
                async with (
                    self._pool.acquire(timeout=self._config.timeout_seconds) as connection,
                    connection.transaction(),
                ):
                    within = _Within(
                        connection, self._sink, self._name, lambda: held.enter_async_context(self._storing)
                    )
                    yield within
            except BaseException as error:
                if within is not None and within.has_stored:
                    self._sink.forget()
                if isinstance(error, asyncpg.PostgresError | asyncpg.InterfaceError | OSError | TimeoutError):
                    raise _fault(error, self._name) from None
                raise

    async def expire(self) -> None:
        """Drops the days that are old enough."""
        days = self._config.retention_days
        if days is None or self._pool is None:
            return
        try:
            async with self._pool.acquire(timeout=self._config.timeout_seconds) as connection:
                if await drop_days(_plain(connection), self._config.schema, days * _DAY_SECONDS):
                    self._sink.forget()
        except asyncpg.LockNotAvailableError:
            # Somebody reads what is to go: later.
            return
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            raise _fault(error, self._name) from None

    async def close(self) -> None:
        """Lets the connections go at once: a server that hangs is not waited for."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.terminate()


class _Within:
    def __init__(
        self,
        connection: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]",
        sink: PostgresSink,
        name: str,
        turn: Callable[[], Awaitable[None]],
    ) -> None:
        self._connection = connection
        self._sink = sink
        self._name = name
        self._turn = turn
        self.has_stored = False

    async def rows(self, sql: str, *values: object) -> list[Row]:
        try:
            return [tuple(row) for row in await self._connection.fetch(sql, *values)]
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            raise _fault(error, self._name) from None

    async def store(self, batch: Sequence[Shipment]) -> None:
        if not batch:
            return
        await self._check_days({_day(one) for one in batch})
        await self._turn()
        self.has_stored = True
        try:
            await self._sink.store(_plain(self._connection), batch)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            raise _fault(error, self._name) from None
        except ValueError as error:
            raise ContentError(str(error)) from None

    async def _check_days(self, days: set[int]) -> None:
        """Each day has tables of its own. Raises ContentError where lines would make too many."""
        today = time.time_ns() // 1000 // DAY
        if not (others := days - {today - 1, today, today + 1}):
            return
        there = {row[0] for row in await self.rows("SELECT day FROM stay WHERE day = ANY($1::bigint[])", list(others))}
        new = others - there
        odd = sum(not today - _USUAL_DAYS <= day <= today for day in new)
        if odd:
            counted = await self.rows(
                "SELECT count(*) FROM stay WHERE day < $1 OR day > $2", today - _USUAL_DAYS, today + 1
            )
            odd += counted[0][0]
        if len(new) > _NEW_DAYS or odd > _ODD_DAYS:
            raise ContentError(f"{self._name}: no room for lines of so many days")


def _fault(error: Exception, name: str) -> DatabaseError:
    return (ContentError if is_of_content(error) else DatabaseError)(f"{name}: {said(error)}")


def _day(one: Shipment) -> int:
    try:
        return micros_of(one.record.get("time")) // DAY
    except (*UNREADABLE, AttributeError):
        return 0  # (it is refused where it is stored)


def _plain(
    connection: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]",
) -> "asyncpg.Connection[asyncpg.Record]":
    """A pool's connection does all that one does."""
    return cast("asyncpg.Connection[asyncpg.Record]", connection)
