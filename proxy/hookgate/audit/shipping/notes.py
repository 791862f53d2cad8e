"""Records that the shipping process leaves for the service, which alone may write the journal."""

import re
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from hookgate.audit.draft import write_whole
from hookgate.audit.error import UNREADABLE
from hookgate.audit.record import now
from hookgate.ids import uuid7

DIRECTORY = "notes"
#: What a note may be about: nobody who can write a file here shall put a `stop` into the chain.
TYPES = frozenset(
    {
        *("shipper_refused", "shipper_skipped", "shipper_restarted"),
        *("console_login", "console_logout", "console_refused", "console_viewed", "console_taken"),
    }
)
#: Notes that wait for a service, and those of one shipper in a minute; further ones are counted in the next.
MAX_WAITING, MAX_A_MINUTE = 1000, 60
_MINUTE_SECONDS = 60.0
_MAX_BYTES = 65536
_NAME = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.json")


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """A record about a shipper, as it waits."""

    type: str
    id: str
    time: str
    detail: dict[str, Any]


class NoteWriter:
    """Leaves notes, some a minute: a sink that refuses everything must not fill the journal. Not for use by two threads at
    once."""

    def __init__(self, directory: Path, *, most_a_minute: int = 0) -> None:
        self._directory = directory / DIRECTORY
        self._most_a_minute = most_a_minute or MAX_A_MINUTE
        self._left_out = 0
        self._minute, self._written = 0.0, 0

    def note(self, kind: str, detail: dict[str, Any]) -> bool:
        """Leaves a note, on the disk when it returns; false where there is no room for it. Raises OSError. What was not left
        is counted in the next one."""
        self._left_out += 1
        if time.monotonic() - self._minute >= _MINUTE_SECONDS:
            self._minute, self._written = time.monotonic(), 0
        if self._written >= self._most_a_minute:
            return False
        self._directory.mkdir(mode=0o700, exist_ok=True)
        if sum(1 for _ in _paths(self._directory)) >= MAX_WAITING:
            return False
        if self._left_out > 1:
            detail = {**detail, "left_out": self._left_out - 1}
        note = Note(type=kind, id=uuid7(), time=now(), detail=detail)
        write_whole(self._directory / f"{note.id}.json", msgspec.json.encode(note))
        self._left_out = 0
        self._written += 1
        return True


def waiting_notes(directory: Path, most: int = 100) -> list[tuple[Path, Note | None]]:
    """Gives the oldest notes that wait in a journal's directory; None for a file that holds none. Raises OSError."""
    found: list[tuple[Path, Note | None]] = []
    for path in sorted(_paths(directory / DIRECTORY))[:most]:
        with suppress(FileNotFoundError), path.open("rb") as stream:
            found.append((path, _note(stream.read(_MAX_BYTES), path.stem)))
    return found


def _note(content: bytes, name: str) -> Note | None:
    try:
        note = msgspec.json.decode(content, type=Note)
    except UNREADABLE:
        return None
    return note if note.type in TYPES and note.id == name else None


def _paths(directory: Path) -> Iterator[Path]:
    with suppress(FileNotFoundError):
        yield from (path for path in directory.iterdir() if _NAME.fullmatch(path.name) and path.is_file())
