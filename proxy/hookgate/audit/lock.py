"""One writer a journal: the lock on its directory."""

import fcntl
import os
from pathlib import Path

from hookgate.audit.error import JournalError

_NAME = "lock"


def lock(directory: Path) -> int:
    """Gives the descriptor that holds the directory's lock until it is closed. Raises OSError, or JournalError where
    another process has it."""
    file = os.open(directory / _NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        raise JournalError(
            f"audit.directory: {directory} is in use by another Hookgate; give each its own directory"
        ) from None
    return file
