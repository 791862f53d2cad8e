"""A collector's store in a SQLite file: for one collector, and a small team."""

import asyncio
import fcntl
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

from hookgate.audit.shipping.shipment import Shipment
from hookgate.audit.store.file import StoreFile
from hookgate.audit.store.question import StoreError
from hookgate.audit.worker import Worker
from hookgate.collect.session import ContentError, DatabaseError, Row, Session

_Result = TypeVar("_Result")
_DAY_SECONDS = 86400.0


class SqliteFile:
    """One file, one transaction at a time, on a thread of its own."""

    for_update = ""

    def __init__(self, path: Path, *, retention_days: float | None = None, alone: bool = True) -> None:
        self._path = path
        self._alone = alone
        self._retention_seconds = None if retention_days is None else retention_days * _DAY_SECONDS
        self._worker = Worker("collect-store")
        self._turn = asyncio.Lock()
        self._store: StoreFile | None = None
        self._lock = -1
        self._passed_at = time.monotonic()

    async def open(self) -> None:
        """Makes or opens the file. Raises DatabaseError, also where another collector has it."""
        if self._store is None:
            self._store = await self._run(self._opened)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Session]:
        """Gives a transaction."""
        await self.open()
        store = self._store
        if store is None:
            raise DatabaseError(f"{self._path}: not open")
        async with self._turn:
            if not await self._run(lambda: store.is_there):
                await self._reopen()
                raise DatabaseError(f"{self._path}: removed or replaced while it was written")
            held: AbstractContextManager[None] = store.transaction()
            try:
                await asyncio.shield(self._run(held.__enter__))
            except asyncio.CancelledError as error:
                # It may have begun all the same; the worker does one thing after the other.
                await asyncio.shield(self._run(partial(held.__exit__, type(error), error, error.__traceback__)))
                raise
            try:
                yield _Within(self, store)
            except BaseException as error:
                # Also where nobody waits for it any more: the next one needs the file.
                await asyncio.shield(self._run(partial(held.__exit__, type(error), error, error.__traceback__)))
                raise
            await asyncio.shield(self._run(lambda: held.__exit__(None, None, None)))

    async def expire(self) -> None:
        """Removes rows that are old enough."""
        store, seconds = self._store, self._retention_seconds
        if store is None or seconds is None:
            return
        is_more = True
        while is_more:
            # Others have their turn in between: there may be a whole day to remove.
            async with self._turn:
                is_more = await self._run(lambda: store.expire(seconds))

    async def close(self) -> None:
        """Closes the file."""
        async with self._turn:
            await self._reopen()
            self._worker.close()
            if self._lock >= 0:
                os.close(self._lock)
                self._lock = -1

    async def _reopen(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            await self._run(store.close)

    def passed(self) -> float:
        """Gives the seconds since it was asked last: what the store's own clock is made of."""
        now = time.monotonic()
        passed, self._passed_at = now - self._passed_at, now
        return passed

    def _opened(self) -> StoreFile:
        if self._alone:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        elif not self._path.exists():
            # A code in another store than the collector's would enrol nobody.
            raise StoreError(f"{self._path}: no store there: start `hookgate collect` with this configuration once")
        if self._alone and self._lock < 0:
            lock = os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                raise StoreError(f"{self._path}: another collector has it: several of them need PostgreSQL") from None
            self._lock = lock
        return StoreFile(self._path)

    async def _run(self, work: Callable[[], _Result]) -> _Result:
        return await self.worked(work)

    async def worked(self, work: Callable[[], _Result]) -> _Result:
        """Gives what is made on the file's thread. Raises DatabaseError."""
        try:
            return await self._worker(work)
        except StoreError as error:
            raise DatabaseError(str(error)) from None
        except sqlite3.DatabaseError as error:
            raise DatabaseError(f"{self._path}: {error}") from None
        except OSError as error:
            raise DatabaseError(f"{error.filename or self._path}: {error.strerror}") from None
        except (ValueError, OverflowError) as error:
            raise ContentError(str(error)) from None


class _Within:
    def __init__(self, file: SqliteFile, store: StoreFile) -> None:
        self._file = file
        self._store = store

    async def rows(self, sql: str, *values: object) -> list[Row]:
        return await self._file.worked(lambda: list(self._store.rows(sql.replace("$", "?"), values)))

    async def store(self, batch: Sequence[Shipment]) -> None:
        await self._file.worked(lambda: self._store.write_within(batch, self._file.passed()))
