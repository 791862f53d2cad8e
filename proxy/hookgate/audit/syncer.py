"""Puts what was written on the disk every so often, on a thread of its own: a slow disk then delays no record."""

import os
import threading
import time
from collections.abc import Callable

from hookgate.audit.segments import flush


class Syncer:
    """Flushes files. `report` is called on its thread with the seconds that each flush took, and its fault or None."""

    def __init__(self, every_seconds: float, report: Callable[[float, OSError | None], None]) -> None:
        self._every_seconds = every_seconds
        self._report = report
        self._ready = threading.Condition()
        self._written = -1
        self._retired: list[int] = []
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="journal-sync", daemon=True)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def written(self, file: int) -> None:
        """Something was written to the file: it is flushed after a while."""
        if self._written == file:
            return
        with self._ready:
            self._written = file
            self._ready.notify()

    def retire(self, file: int) -> None:
        """Nothing more is written to the file: it is flushed and closed."""
        with self._ready:
            self._retired.append(file)
            if self._written == file:
                self._written = -1
            self._ready.notify()

    def close(self, timeout_seconds: float) -> None:
        """Flushes what is open, at most so long."""
        with self._ready:
            self._closing = True
            self._ready.notify()
        if self._thread.ident is not None:
            self._thread.join(timeout_seconds)

    def _run(self) -> None:
        while True:
            with self._ready:
                self._ready.wait_for(lambda: self._written >= 0 or self._retired or self._closing)
                self._ready.wait_for(lambda: self._closing, self._every_seconds)
                file, self._written = self._written, -1
                retired, self._retired = self._retired, []
                closing = self._closing
            for one in retired:
                self._flush(one)
                os.close(one)
            if file >= 0:
                self._flush(file)
            if closing:
                return

    def _flush(self, file: int) -> None:
        begun = time.perf_counter()
        fault = None
        try:
            flush(file)
        except OSError as error:
            fault = error
        self._report(time.perf_counter() - begun, fault)
