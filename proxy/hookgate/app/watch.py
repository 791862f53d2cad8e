"""A file looked at again and again, on a thread of its own: a disk that hangs holds nobody up."""

import threading
from collections.abc import Callable
from pathlib import Path

_Look = tuple[int, ...] | None


class Watch:
    """Calls `changed` on its thread when the file is another one, and when `ask` was called.

    What counts is the file that the name leads to in the end: a ConfigMap is changed by exchanging a link in the middle of its
    path. A file that is still being written is left alone until it has been the same for two looks.
    """

    def __init__(self, path: Path, changed: Callable[[], None], *, interval_seconds: float = 1.0) -> None:
        self._path = path
        self._changed = changed
        self._interval_seconds = interval_seconds
        self._woken = threading.Event()
        self._asked = self._stopped = False
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        """Begins to look. `changed` is called once in any case: nobody knows what has happened since the file was read."""
        self._thread.start()

    def ask(self) -> None:
        """Has `changed` called at once, whether the file has changed or not."""
        self._asked = True
        self._woken.set()

    def stop(self) -> None:
        """Ends it; a look that hangs is not waited for."""
        self._stopped = True
        self._woken.set()

    def _run(self) -> None:
        known: _Look = ()
        before = self._look()
        while True:
            self._woken.wait(self._interval_seconds)
            self._woken.clear()
            if self._stopped:
                return
            now = self._look()
            asked, self._asked = self._asked, False
            if asked or (now != known and now == before):
                known = now
                self._changed()
            before = now

    def _look(self) -> _Look:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
