"""One writer a journal: the lock on its directory."""

import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path

from hookgate.audit.error import JournalError

_NAME = "lock"
_AGAIN_SECONDS = 0.1


def lock(directory: Path, *, patience_seconds: float = 0.0, waiting: Callable[[], None] = lambda: None) -> int:
    """Gives the descriptor that holds the directory's lock until it is closed. Raises OSError, or JournalError where
    another process still has it after so long; `waiting` is called once where it has to be waited for."""
    file = os.open(directory / _NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    end, is_told = time.monotonic() + patience_seconds, False
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < end:
                if not is_told:
                    waiting()
                is_told = True
                time.sleep(_AGAIN_SECONDS)
                continue
            os.close(file)
            raise JournalError(
                f"audit.directory: {directory} is in use by another Hookgate; give each its own directory"
            ) from None
        except OSError:
            os.close(file)
            raise
        return file
