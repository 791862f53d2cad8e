"""How far each shipper has come: one small file a shipper, so that it goes on there after whatever ends the process."""

import errno
import os
from pathlib import Path

import msgspec

from hookgate.audit.draft import write_whole
from hookgate.audit.error import UNREADABLE
from hookgate.audit.segments import sync_directory

DIRECTORY = "cursors"
_MAX_BYTES = 65536


class CursorError(Exception):
    """A cursor's file does not hold a cursor."""


class Cursor(msgspec.Struct, frozen=True, kw_only=True):
    """The last line of the journal that a sink has for good."""

    #: The chain's own id; empty where the journal does not tell.
    instance: str
    #: The line's number, and its hash in hexadecimal. Damaged lines count, although none is delivered.
    seq: int
    hash: str
    #: The segment's name, and where in it the next line begins.
    segment: str
    offset: int
    #: When the sink had it (UTC).
    time: str


def cursor_path(directory: Path, shipper: str) -> Path:
    """Gives where a shipper's cursor is, or will be, in the journal's directory."""
    return directory / DIRECTORY / f"{shipper}.json"


def load_cursor(directory: Path, shipper: str) -> Cursor | None:
    """Gives a shipper's cursor, None where it has delivered nothing yet. Raises OSError, or CursorError where the file is
    damaged."""
    path = cursor_path(directory, shipper)
    try:
        with path.open("rb") as stream:
            content = stream.read(_MAX_BYTES)
    except FileNotFoundError:
        return None
    try:
        cursor = msgspec.json.decode(content, type=Cursor)
    except UNREADABLE:
        raise CursorError(f"{path} is damaged") from None
    if cursor.seq < 0 or cursor.offset < 0:
        raise CursorError(f"{path} is damaged")
    return cursor


def save_cursor(directory: Path, shipper: str, cursor: Cursor) -> None:
    """Replaces a shipper's cursor, on the disk when it returns: whole, or as it was. Raises OSError.

    On a full disk it is written over, although a crash could damage it then: only what is shipped may be removed, and
    unless it is known to be shipped the disk would stay full.
    """
    path, content = cursor_path(directory, shipper), msgspec.json.encode(cursor) + b"\n"
    path.parent.mkdir(mode=0o700, exist_ok=True)
    try:
        write_whole(path, content)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT) or not path.exists():
            raise
        with path.open("r+b", buffering=0) as stream:
            stream.write(content)
            stream.truncate()
            os.fsync(stream.fileno())


def remove_cursor(directory: Path, shipper: str) -> None:
    """Forgets how far a shipper has come, on the disk when it returns. Raises OSError."""
    path = cursor_path(directory, shipper)
    if path.exists():
        path.unlink()
        sync_directory(path.parent)
