"""The key of the digests in records: with it, equal secrets can be recognised; without it, none guessed."""

import os
from pathlib import Path

from hookgate.audit.draft import write_whole
from hookgate.audit.error import JournalError

FILE_NAME = "redaction.key"
_BYTES = 32


class RedactionKey:
    """A journal's key: the one that lies in its directory, else one that is written there as soon as that is possible."""

    def __init__(self) -> None:
        self.value = os.urandom(_BYTES)

    def keep(self, directory: Path) -> None:
        """Takes up the directory's key, or writes this one there, readable by its owner only. May be called again. Raises
        OSError, or JournalError where what is there is no key."""
        path = directory / FILE_NAME
        if path.exists():
            self.value = read_key(directory)
            return
        # Whole and on the disk: after a power cut, another key would recognise nothing of before.
        write_whole(path, self.value)


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
