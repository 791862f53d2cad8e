"""Where in a journal a shipper goes on: behind the line that its cursor names, or where that is not there, at a sound place."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import msgspec

from hookgate.audit.chain import taken_apart
from hookgate.audit.segments import first_seq, lines_backwards
from hookgate.audit.shipping.cursor import Cursor

_BLOCK_BYTES = 262_144
#: There is a checkpoint every ten seconds: further down nothing is to be expected.
_MOST_LINES = 20_000


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a journal, and what is expected there."""

    segment: Path
    offset: int
    #: The number that the next line should have.
    seq: int
    #: The hash of the line before it; empty where none is known.
    before: str = ""
    #: Why it is not the one that the cursor names: `new_chain`, `rewritten`; empty where it is.
    why: str = ""


def place_of(cursor: Cursor | None, paths: list[Path], instance: str) -> Place:
    """Gives where to go on in a journal's segments (at least one, oldest first). Raises OSError."""
    if cursor is None:
        return _beginning(paths[0])
    if instance and cursor.instance and instance != cursor.instance:
        return _beginning(paths[0], "new_chain")
    for path in paths:
        if path.name == cursor.segment and is_behind(path, cursor.offset, cursor.hash):
            return Place(path, cursor.offset, cursor.seq + 1, cursor.hash)
    if cursor.seq < first_seq(paths[0]):
        # Older segments are gone. What was in them shows in the number of the next line.
        return Place(paths[0], 0, cursor.seq + 1)
    at = max(index for index, path in enumerate(paths) if first_seq(path) <= max(cursor.seq, first_seq(paths[0])))
    last = 0
    for end, line in _lines(paths[at]):
        parts = taken_apart(line)
        last = max(last, parts.seq if parts is not None else 0)
        if identity(line) == cursor.hash:
            return Place(paths[at], end, cursor.seq + 1, cursor.hash)
    if last < cursor.seq and at + 1 < len(paths):
        # The segment with the line is gone, and those that follow it are there.
        return Place(paths[at + 1], 0, cursor.seq + 1)
    return _beginning(paths[at], "rewritten")


def identity(line: bytes) -> str:
    """Gives the hash that a line states; of one that states none, the SHA-256 of what stands there."""
    parts = taken_apart(line)
    return parts.hash.decode() if parts is not None else hashlib.sha256(line).hexdigest()


def is_behind(path: Path, offset: int, digest: str) -> bool:
    """Tells whether the line that ends at an offset of a segment is the one with this hash. Raises OSError."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if offset <= 0 or os.fstat(file).st_size < offset or os.pread(file, 1, offset - 1) != b"\n":
            return False
        line = next((found for _, found in lines_backwards(file, offset)), b"")
        return identity(line) == digest
    finally:
        os.close(file)


def instance_of(oldest: Path) -> str:
    """Gives the id of the chain that a journal's oldest segment belongs to; empty where no line of it tells. Raises OSError."""
    for _, line in islice(_lines(oldest), _MOST_LINES):
        try:
            found = msgspec.json.decode(line, type=_Line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
        if found.instance:
            return found.instance
        if found.type in ("chain_start", "checkpoint") and found.detail.instance:
            return found.detail.instance
    return ""


class _Detail(msgspec.Struct, frozen=True):
    instance: str = ""


class _Line(msgspec.Struct, frozen=True):
    type: str
    instance: str = ""
    detail: _Detail = _Detail()


def _beginning(path: Path, why: str = "") -> Place:
    return Place(path, 0, first_seq(path), why=why)


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Gives the offset behind each whole line of a segment, and the line, in bounded memory as far as lines are bounded."""
    held, at = b"", 0
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            *whole, held = (held + block).split(b"\n")
            for line in whole:
                at += len(line) + 1
                yield at, line
