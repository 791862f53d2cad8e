"""The key of the digests that stand for redacted secrets: with it, equal secrets can be recognised; without it, none guessed."""

import os
from pathlib import Path

from hookgate.audit.error import JournalError

FILE_NAME = "redaction.key"
_BYTES = 32


def redaction_key(directory: Path) -> bytes:
    """Gives the journal directory's key; makes it on first use, readable by its owner only. Raises JournalError."""
    path = directory / FILE_NAME
    try:
        if not path.exists():
            _make(path)
        key = path.read_bytes()
    except OSError as error:
        raise JournalError(f"audit.directory: {path}: {error.strerror}") from None
    if len(key) != _BYTES:
        raise JournalError(f"audit.directory: {path} is damaged: remove it to have a new one made")
    return key


def _make(path: Path) -> None:
    """Whole or not at all: a start that is cut short, or a full disk, must not leave half a key behind."""
    draft = path.with_suffix(".new")
    file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(file, "wb") as stream:
        stream.write(os.urandom(_BYTES))
    draft.replace(path)
