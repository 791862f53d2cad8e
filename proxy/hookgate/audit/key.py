"""The key of the digests in records: with it, equal secrets can be recognised; without it, none guessed."""

import os
from pathlib import Path

from hookgate.audit.draft import drafted
from hookgate.audit.error import JournalError
from hookgate.audit.segments import sync_directory

FILE_NAME = "redaction.key"
_BYTES = 32


def redaction_key(directory: Path) -> bytes:
    """Gives the journal directory's key; makes it on first use, readable by its owner only. Raises JournalError."""
    path = directory / FILE_NAME
    try:
        if not path.exists():
            _make(path)
    except OSError as error:
        raise JournalError(f"audit.directory: {path}: {error.strerror}") from None
    return read_key(directory)


def read_key(directory: Path) -> bytes:
    """Gives the key of a journal that is there. Raises JournalError."""
    path = directory / FILE_NAME
    try:
        key = path.read_bytes()
    except OSError as error:
        raise JournalError(f"audit.directory: {path}: {error.strerror}") from None
    if len(key) != _BYTES:
        raise JournalError(f"audit.directory: {path} is damaged: remove it to have a new one made")
    return key


def _make(path: Path) -> None:
    """Whole or not at all, and on the disk: after a power cut, another key would recognise nothing of before."""
    with drafted(path) as stream:
        stream.write(os.urandom(_BYTES))
    sync_directory(path.parent)
