"""The key of the digests that stand for redacted secrets: with it, equal secrets can be recognised; without it, none guessed."""

import os
from pathlib import Path

from hookgate.audit.journal import JournalError

FILE_NAME = "redaction.key"
_BYTES = 32


def redaction_key(directory: Path) -> bytes:
    """Gives the journal directory's key; makes it on first use, readable by its owner only. Raises JournalError."""
    path = directory / FILE_NAME
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        pass
    except OSError as error:
        raise JournalError(f"audit.directory: can't make {path}: {error.strerror}") from None
    else:
        with os.fdopen(file, "wb") as stream:
            stream.write(os.urandom(_BYTES))
    try:
        key = path.read_bytes()
    except OSError as error:
        raise JournalError(f"audit.directory: can't read {path}: {error.strerror}") from None
    if len(key) != _BYTES:
        raise JournalError(f"audit.directory: {path} is damaged: remove it to have a new one made")
    return key
