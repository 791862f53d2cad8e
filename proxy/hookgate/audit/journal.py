"""The journal: each record is a line of JSON in a file, written before its answer leaves.

It has a thread of its own, because a write to a stuck file blocks for ever; whoever waits for it does so with a deadline.
"""

import asyncio
import contextlib
import fcntl
import os
import threading
from collections.abc import Sequence
from pathlib import Path

#: Lines waiting for a disk that hangs; past it, appending fails at once.
MAX_WAITING_BYTES = 32 * 1024 * 1024
FILE_NAME = "records.jsonl"
_LOCK_NAME = "lock"
_BATCH_LINES = 512


class JournalError(Exception):
    """A record could not be written; says where and why."""


class Journal:
    """Appends lines to one file. Made inside the running loop; `open` before the first append, `close` at the end."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE_NAME
        self._directory = directory
        self._loop = asyncio.get_running_loop()
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._waiting_bytes = 0
        self._ready = threading.Condition()
        self._closing = False
        self._file = -1
        self._lock = -1
        self._end = 0
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        #: Bytes of a torn last line that were cut when the file was opened.
        self.cut_bytes = 0

    @property
    def path(self) -> Path:
        """Where the records are."""
        return self._path

    def open(self) -> None:
        """Makes the directory, takes its lock, cuts a torn last line. Raises JournalError with the mend."""
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(self._directory / _LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise JournalError(
                    f"audit.directory: {self._directory} is in use by another Hookgate; give each its own directory"
                ) from None
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            self._end = _last_whole_line(self._file)
            self.cut_bytes = os.fstat(self._file).st_size - self._end
            if self.cut_bytes:
                os.ftruncate(self._file, self._end)
        except OSError as error:
            raise JournalError(f"audit.directory: {self._directory}: {error.strerror}") from error
        self._thread.start()

    def append(self, line: bytes) -> asyncio.Future[None]:
        """Queues a line; the future is done when it is written, and fails with JournalError."""
        written: asyncio.Future[None] = self._loop.create_future()
        with self._ready:
            if self._closing or self._waiting_bytes + len(line) > MAX_WAITING_BYTES:
                why = "closed" if self._closing else f"more than {MAX_WAITING_BYTES} bytes are waiting to be written"
                written.set_exception(JournalError(f"{self._path}: {why}"))
                return written
            self._waiting.append((line, written))
            self._waiting_bytes += len(line)
            self._ready.notify()
        return written

    async def close(self, timeout_seconds: float) -> None:
        """Writes what is waiting, at most so long, and closes the file."""
        with self._ready:
            self._closing = True
            self._ready.notify()
        if self._thread.ident is not None:
            await asyncio.to_thread(self._thread.join, timeout_seconds)
        if not self._thread.is_alive():
            for descriptor in (self._file, self._lock):
                if descriptor >= 0:
                    os.close(descriptor)
            self._file = self._lock = -1

    def _run(self) -> None:
        while True:
            with self._ready:
                while not self._waiting and not self._closing:
                    self._ready.wait()
                batch, self._waiting = self._waiting[:_BATCH_LINES], self._waiting[_BATCH_LINES:]
            if not batch:
                return
            fault = self._write(b"".join(line for line, _ in batch))
            with self._ready:
                self._waiting_bytes -= sum(len(line) for line, _ in batch)
            # The loop is gone when the process ends without closing; then nobody waits for an answer either.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(_settle, [written for _, written in batch], fault)

    def _write(self, data: bytes) -> JournalError | None:
        """Writes all or nothing, as far as the file lets it."""
        done = 0
        try:
            while done < len(data):
                done += os.write(self._file, data[done:])
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self._end)
            return JournalError(f"{self._path}: {error.strerror}")
        self._end += done
        return None


def _settle(futures: Sequence[asyncio.Future[None]], fault: JournalError | None) -> None:
    for future in futures:
        if future.done():
            continue
        if fault is None:
            future.set_result(None)
        else:
            future.set_exception(fault)
            # A decision that has stopped waiting is not told any more; that is no fault of the loop's.
            future.exception()


def _last_whole_line(file: int) -> int:
    """Gives the offset just behind the file's last newline."""
    end = os.fstat(file).st_size
    while end > 0:
        begin = max(0, end - 65536)
        found = os.pread(file, end - begin, begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        end = begin
    return 0
