"""The journal: every record is a line of a hash chain, written before its answer leaves.

It has a thread of its own, because a write to a stuck file blocks for ever; whoever waits for it does so with a deadline.
Lines that come together are written together.
"""

import asyncio
import contextlib
import errno
import os
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from hookgate.audit.error import JournalError
from hookgate.audit.gap import Entry, Gap
from hookgate.audit.ledger import Ledger, Options
from hookgate.audit.lock import lock
from hookgate.audit.observer import Nobody, Observer
from hookgate.audit.removal import Removal

#: Lines waiting for a disk that hangs; past it, appending fails at once.
MAX_WAITING_BYTES = 32 * 1024 * 1024
#: Where versions before 0.1.0 kept their records.
_EARLIER_NAME = "records.jsonl"
_BATCH_LINES = 512
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


#: A line with what it is about, and whom to tell.
_Line = tuple[bytes, Entry, asyncio.Future[None]]


@dataclass(frozen=True, slots=True)
class _Removing:
    """A removal that is to be put on record, and whom to tell."""

    removal: Removal
    recorded: Future[None]


@dataclass(frozen=True, slots=True)
class _Closing:
    """The last of all, and how long the end may take."""

    timeout_seconds: float


class Journal:
    """Appends records to the chain in a directory. Made inside the running loop; `open` before the first append, `close` at
    the end."""

    def __init__(
        self,
        directory: Path,
        options: Options | None = None,
        observer: Observer | None = None,
        prepare: Callable[[], None] = lambda: None,
    ) -> None:
        """`prepare` makes what others keep in the directory, once it is there and locked; it may be called again, and raise
        OSError or JournalError."""
        self._directory = directory
        self._prepare = prepare
        self._observer = observer or Nobody()
        self._gap = Gap()
        self._ledger = Ledger(directory, options or Options(), self._gap, self._observer, self._make_directory)
        self._loop = asyncio.get_running_loop()
        #: What the thread is to do, in order; nothing comes behind the closing.
        self._asked: queue.SimpleQueue[_Line | _Removing | _Closing] = queue.SimpleQueue()
        #: Of lines that nobody was told of yet. Only the loop's thread looks at it.
        self._waiting_bytes = 0
        self._patience_seconds = 0.0
        #: Nothing is asked by another thread while it is being closed.
        self._asking = threading.Lock()
        self._closing = False
        self._lock = -1
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)

    @property
    def earlier_records(self) -> Path | None:
        """The file of an earlier version, if it lies in the directory; it stays as it is."""
        path = self._directory / _EARLIER_NAME
        return path if path.exists() else None

    @property
    def instance(self) -> str:
        """The chain's own id. Where there is no room to open it, that of the chain that will begin."""
        return self._ledger.instance

    @property
    def last_seq(self) -> int:
        """The number of the last line that is written."""
        return self._ledger.last_seq

    def open(self, *, patience_seconds: float = 0.0) -> None:
        """Makes the directory, takes its lock, and takes up the chain. Raises JournalError with the mend.

        Where another process has the lock, it waits for it so long. Where there is no room on the disk, the journal is open all
        the same: it writes nothing, and tries again.
        """
        self._patience_seconds = patience_seconds
        try:
            self._ledger.open()
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise JournalError(f"audit.directory: {self._directory}: {error.strerror}") from error
            self._ledger.failed(f"{self._directory}: {error.strerror}")
        finally:
            self._patience_seconds = 0.0
        self._thread.start()

    def on_want_of_room(self, call: Callable[[], None]) -> None:
        """Has this called, on the journal's thread, when another segment was begun, and every so often while nothing can be
        written for want of room."""
        self._ledger.wanting = call

    def append(self, line: bytes, kind: str = "decision", outcome: str = "") -> asyncio.Future[None]:
        """Queues a record of a type: a JSON object with its line end. The future is done when it is written, and fails with
        JournalError; then it is counted as `outcome`, how its request is answered, or where there is none as its type."""
        written: asyncio.Future[None] = self._loop.create_future()
        if self._closing:
            written.set_exception(JournalError(f"{self._directory}: closed"))
        elif self._waiting_bytes + len(line) > MAX_WAITING_BYTES:
            why = f"{self._directory}: more than {MAX_WAITING_BYTES} bytes are waiting to be written"
            written.set_exception(JournalError(why))
            self.lost(kind, outcome)
        else:
            self._waiting_bytes += len(line)
            self._asked.put((line, Entry(kind, outcome), written))
        return written

    def lost(self, kind: str = "decision", outcome: str = "") -> None:
        """Counts a record that could not even be made, as `append` counts one that can't be written."""
        self._gap.lost(Entry(kind, outcome))
        self._observer.lost(kind)

    def remove(self, removal: Removal) -> Future[None]:
        """Queues the record of a removal, from any thread. The future is done when it is signed and on the disk, and fails with
        JournalError."""
        recorded: Future[None] = Future()
        with self._asking:
            if self._closing:
                recorded.set_exception(JournalError(f"{self._directory}: closed"))
            else:
                self._asked.put(_Removing(removal, recorded))
        return recorded

    def freed(self) -> None:
        """Takes note that segments are gone: there is room again."""
        self._ledger.freed()

    async def close(self, timeout_seconds: float) -> None:
        """Writes what is waiting and a last checkpoint, at most so long, and lets the directory go."""
        with self._asking:
            if not self._closing:
                self._closing = True
                self._asked.put(_Closing(timeout_seconds))
        if self._thread.ident is not None:
            await asyncio.to_thread(self._thread.join, timeout_seconds)
        if not self._thread.is_alive() and self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _run(self) -> None:
        while True:
            batch: list[tuple[bytes, Entry]] = []
            written: list[asyncio.Future[None]] = []
            other = self._next(batch, written)
            if batch or other is None:
                self._write(batch, written)
            if isinstance(other, _Removing):
                self._remove(other)
                self._write([], [])
            elif other is not None:
                self._ledger.close(other.timeout_seconds)
                self._ledger.tell()
                return

    def _next(
        self, batch: list[tuple[bytes, Entry]], written: list[asyncio.Future[None]]
    ) -> _Removing | _Closing | None:
        """Waits until there is something to do, or something may be due. Takes the lines that have come, and gives what else
        came behind them."""
        asked = self._asked
        try:
            one = asked.get(timeout=self._ledger.wait_seconds())
        except queue.Empty:
            return None
        while isinstance(one, tuple):
            line, entry, future = one
            batch.append((line, entry))
            written.append(future)
            if len(batch) == _BATCH_LINES or asked.empty():
                return None
            one = asked.get()
        return one

    def _write(self, batch: Sequence[tuple[bytes, Entry]], written: Sequence[asyncio.Future[None]]) -> None:
        fault = self._ledger.write(batch)
        # Before anybody is told: who is woken would wait for this thread to end what it does.
        self._ledger.tell()
        if written:
            # The loop is gone when the process ends without closing; then nobody waits for an answer either.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._settle, batch, written, fault)

    def _settle(
        self, batch: Sequence[tuple[bytes, Entry]], written: Sequence[asyncio.Future[None]], fault: JournalError | None
    ) -> None:
        for line, _ in batch:
            self._waiting_bytes -= len(line)
        for future in written:
            if future.done():
                continue
            if fault is None:
                future.set_result(None)
            else:
                future.set_exception(fault)
                # A decision that has stopped waiting is not told any more; that is no fault of the loop's.
                future.exception()

    def _remove(self, asked: _Removing) -> None:
        fault = self._ledger.remove(asked.removal)
        if fault is None:
            asked.recorded.set_result(None)
        else:
            asked.recorded.set_exception(fault)

    def _make_directory(self) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Somebody may have removed the file that is locked, and then it holds nobody off.
        if self._lock < 0 or os.fstat(self._lock).st_nlink == 0:
            before = self._lock
            self._lock = lock(self._directory, patience_seconds=self._patience_seconds, waiting=self._observer.locked)
            if before >= 0:
                os.close(before)
        self._prepare()
