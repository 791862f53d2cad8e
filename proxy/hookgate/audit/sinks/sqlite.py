"""Into the store's SQLite file."""

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from hookgate.audit.shipping.shipment import Shipment, SinkError, SinkRefusedError
from hookgate.audit.store.file import StoreFile
from hookgate.audit.store.question import StoreError

_Result = TypeVar("_Result")
_DAY_SECONDS = 86400.0
#: How often it is looked whether rows are old enough to go.
_EXPIRE_SECONDS = 60.0


class SqliteSink:
    """Writes on a thread of its own. A disk that hangs leaves that one thread behind; nothing else is begun until it is done."""

    def __init__(self, path: Path, *, retention_days: float | None = None) -> None:
        self._path = path
        self._retention_seconds = None if retention_days is None else retention_days * _DAY_SECONDS
        self._store: StoreFile | None = None
        self._busy: asyncio.Future[Any] | None = None
        self._passed_at = time.monotonic()
        self._expire_at = 0.0

    async def open(self) -> None:
        """Makes or opens the file. Raises SinkError."""
        await self.close()
        self._store = await self._in_thread(lambda: StoreFile(self._path))
        self._passed_at = time.monotonic()

    async def send(self, batch: Sequence[Shipment]) -> None:
        """Stores a batch. Raises SinkError or SinkRefusedError."""
        store = self._store
        if store is None:
            raise SinkError(f"{self._path}: not open")
        await self._in_thread(lambda: self._stored(store, batch))

    async def holds(self, instance: str) -> bool:
        """Whether anything of a chain was ever delivered. Raises SinkError."""
        store = self._store
        if store is None:
            raise SinkError(f"{self._path}: not open")
        return await self._in_thread(lambda: store.holds(instance))

    async def close(self) -> None:
        """Closes the file, once what is being written is."""
        store, self._store = self._store, None
        if store is not None:
            await self._in_thread(store.close)

    def _stored(self, store: StoreFile, batch: Sequence[Shipment]) -> None:
        if not store.is_there:
            raise SinkError(f"{self._path}: removed or replaced while it was written")
        now = time.monotonic()
        store.write(batch, now - self._passed_at)
        self._passed_at = now
        if self._retention_seconds is not None and now >= self._expire_at and not store.expire(self._retention_seconds):
            self._expire_at = now + _EXPIRE_SECONDS

    async def _in_thread(self, work: Callable[[], _Result]) -> _Result:
        if self._busy is not None and not self._busy.done():
            # Whoever gave up on it is not the one who waits now.
            await asyncio.wait([self._busy])
        loop = asyncio.get_running_loop()
        done: asyncio.Future[_Result] = loop.create_future()
        # Where nobody waits any longer, nobody wants to hear of a fault either.
        done.add_done_callback(lambda over: over.cancelled() or over.exception())
        self._busy = done

        def tell(result: _Result | None, fault: Exception | None) -> None:
            if done.cancelled():
                return
            if fault is not None:
                done.set_exception(fault)
            else:
                done.set_result(result)  # type: ignore[arg-type]

        def run() -> None:
            result, fault = None, None
            try:
                result = work()
            except Exception as error:  # noqa: BLE001 (told to whoever waits)
                fault = error
            try:
                loop.call_soon_threadsafe(tell, result, fault)
            except RuntimeError:
                return  # the loop has ended meanwhile

        threading.Thread(target=run, name="store", daemon=True).start()
        try:
            return await asyncio.shield(done)
        except (sqlite3.Error, OSError, StoreError) as error:
            raise SinkError(self._said(error)) from None
        except ValueError as error:
            raise SinkRefusedError(str(error)) from None

    def _said(self, error: Exception) -> str:
        if isinstance(error, StoreError):
            return str(error)
        if isinstance(error, sqlite3.DatabaseError) and error.sqlite_errorcode in (
            sqlite3.SQLITE_CORRUPT,
            sqlite3.SQLITE_NOTADB,
        ):
            return f"{self._path}: damaged ({error}): move it away, and have the journal delivered again"
        if isinstance(error, OSError):
            return f"{self._path}: {error.strerror or error}"
        return f"{self._path}: {error}"
