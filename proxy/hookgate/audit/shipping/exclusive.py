"""One shipping process a journal: two would deliver everything twice, and move each other's cursors."""

import fcntl
import os
from pathlib import Path

_NAME = "ship.lock"


class TakenError(Exception):
    """Another process ships from there; says which directory and what to do."""


def only_shipper(directory: Path) -> int:
    """Gives the descriptor that keeps others from shipping this journal until it is closed. Raises OSError or TakenError."""
    file = os.open(directory / _NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        raise TakenError(
            f"audit.directory: {directory} is shipped by another process: `hookgate serve` starts one of its own "
            "unless audit.supervise is false"
        ) from None
    except OSError:
        os.close(file)
        raise
    return file
