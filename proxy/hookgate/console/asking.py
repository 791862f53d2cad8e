"""Questions to the store, on threads of their own: shipping waits for none of them, and none takes longer than it may."""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from hookgate.audit.store.opening import open_store
from hookgate.audit.store.question import Store, StoreError, TooLongError
from hookgate.audit.worker import Worker

T = TypeVar("T")
#: Questions that are answered at once, and that wait for it.
_THREADS, _MOST_WAITING = 3, 64


class BusyError(Exception):
    """Too many questions wait already."""


@dataclass(slots=True)
class _Line:
    """One thread with its own connection to the store, and the file that it leads to."""

    worker: Worker
    store: Store | None = None
    file: tuple[int, int] | None = None


class Asking:
    """Asks the store. It is opened when the first question comes, and anew where its file was replaced or a connection ended."""

    def __init__(
        self, where: str, schema: str, *, limit_seconds: float, name: str = "console", threads: int = _THREADS
    ) -> None:
        self._where = where
        self._schema = schema
        self._limit_seconds = limit_seconds
        self._lines = [_Line(Worker(f"{name}-{number}")) for number in range(threads)]
        self._free: asyncio.Queue[_Line] = asyncio.Queue()
        for line in self._lines:
            self._free.put_nowait(line)
        self._waiting = 0

    async def __call__(self, question: Callable[[Store], T]) -> T:
        """Gives the answer. Raises StoreError, TooLongError among them, and BusyError."""
        if self._waiting >= _MOST_WAITING:
            raise BusyError
        self._waiting += 1
        try:
            line = await self._free.get()
        finally:
            self._waiting -= 1
        asked = asyncio.ensure_future(line.worker(self._asked, line, question))
        # Who asked may go; the thread is free when it is done, and not before.
        asked.add_done_callback(lambda done: self._done(line, done))
        return await asyncio.shield(asked)

    def close(self) -> None:
        """Lets the store go, each thread after what it is at."""
        for line in self._lines:
            line.worker.close(lambda line=line: _close(line))  # type: ignore[misc]

    def _done(self, line: _Line, done: "asyncio.Future[T]") -> None:
        self._free.put_nowait(line)
        if not done.cancelled():
            done.exception()

    def _asked(self, line: _Line, question: Callable[[Store], T]) -> T:
        if line.store is not None and line.file != self._file():
            _close(line)
        is_new = line.store is None
        try:
            return question(self._opened(line))
        except TooLongError:
            raise
        except StoreError:
            _close(line)
            if is_new:
                raise
        # A connection that has ended meanwhile, such as after a restart of the server.
        return question(self._opened(line))

    def _opened(self, line: _Line) -> Store:
        if line.store is None:
            line.file = self._file()
            line.store = open_store(self._where, schema=self._schema, limit_seconds=self._limit_seconds)
        return line.store

    def _file(self) -> tuple[int, int] | None:
        """Tells a file from another one of its name; None for what is none."""
        try:
            found = os.stat(self._where)  # noqa: PTH116 (it may be a URL)
        except (OSError, ValueError):
            return None
        return found.st_dev, found.st_ino


def _close(line: _Line) -> None:
    store, line.store = line.store, None
    if store is not None:
        with suppress(StoreError, OSError):
            store.close()
