"""Lines to a stream that may block: a paused terminal or a full pipe must not hold the event loop."""

import contextlib
import queue
import threading
from typing import TextIO

_MAX_LINES = 10_000


class LineWriter:
    """Writes lines from a thread of its own; when too many wait, further ones are dropped and counted."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lines: queue.Queue[str | None] = queue.Queue(_MAX_LINES)
        self._thread = threading.Thread(target=self._run, name="lines", daemon=True)
        self._thread.start()
        self.dropped = 0

    def __call__(self, line: str) -> None:
        """Queues one line, without its end."""
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self.dropped += 1

    def close(self, timeout_seconds: float = 1.0) -> None:
        """Writes what is waiting, at most so long."""
        with contextlib.suppress(queue.Full):
            self._lines.put(None, timeout=timeout_seconds)
            self._thread.join(timeout_seconds)

    def _run(self) -> None:
        while (line := self._lines.get()) is not None:
            try:
                self._stream.write(line + "\n")
                if self._lines.empty():
                    self._stream.flush()
            except (OSError, ValueError):
                self.dropped += 1
