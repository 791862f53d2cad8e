"""Where an earlier run has left the chain: its end, what a crash has torn, and who signed last."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec

from hookgate.audit.chain import BEGINNING, Line, Link, taken_apart
from hookgate.audit.checkpoint import TYPE, CheckpointLine, checkpoint_from
from hookgate.audit.error import UNREADABLE
from hookgate.audit.segments import first_line, first_seq, lines_backwards, segment_paths

_HINT = f'"type":"{TYPE}"'.encode()
_BLOCK_BYTES = 65536


@dataclass(frozen=True, slots=True)
class Found:
    """What is there. A directory without segments gives the beginning of a chain."""

    end: Link = BEGINNING
    #: The segment that goes on, if one does, and where its last whole line ends.
    segment: Path | None = None
    segment_end: int = 0
    #: Bytes behind that, of a line that was torn.
    cut_bytes: int = 0
    #: Lines at the end that are whole but do not hold; they stay, and the chain goes on in another segment.
    damaged_lines: int = 0
    #: The chain's own id, and the key that signed last; empty where nothing tells.
    instance: str = ""
    key_id: str = ""
    #: When the segment that goes on was begun, in seconds since the epoch; 0 where nothing tells.
    began: float = 0.0

    @property
    def is_new(self) -> bool:
        """Whether no chain is there."""
        return self.end.seq == 0


def recover(directory: Path) -> Found:
    """Finds the end of the directory's chain; changes nothing. Raises OSError."""
    paths = segment_paths(directory)
    if not paths:
        return Found()
    *before, last = paths
    with _opened(last) as file:
        size = os.fstat(file).st_size
        whole = last_line_end(file, size)
        damaged, good = 0, None
        for _, line in lines_backwards(file, whole):
            if (good := _held(line)) is not None:
                break
            damaged += 1
    good = good or _last_good(before)
    seq, digest = (good.seq, good.hash) if good is not None else BEGINNING
    if damaged or whole == 0:
        # The numbers of damaged lines are taken, and so are those before a segment that is there.
        seq = max(seq, first_seq(last) - 1) + damaged
    goes_on = not damaged and (whole > 0 or first_seq(last) == seq + 1)
    instance, key_id = _signer(directory, paths[0]) if seq else ("", "")
    return Found(
        end=Link(seq, digest),
        segment=last if goes_on else None,
        segment_end=whole,
        cut_bytes=size - whole if goes_on else 0,
        damaged_lines=damaged,
        instance=instance,
        key_id=key_id,
        began=_time_of_first(last) if whole else 0.0,
    )


def newest_checkpoint(directory: Path) -> tuple[bytes, CheckpointLine | None]:
    """Gives the last checkpoint of the journal, as it stands there and taken apart. Raises OSError."""
    for line in lines_from_end(segment_paths(directory)):
        if _HINT in line and (found := checkpoint_from(line)) is not None:
            return line, found
    return b"", None


def last_line_end(file: int, size: int) -> int:
    """Gives the offset just behind the last line end in a file."""
    end = size
    while end > 0:
        begin = max(0, end - _BLOCK_BYTES)
        found = os.pread(file, end - begin, begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        end = begin
    return 0


def _signer(directory: Path, oldest: Path) -> tuple[str, str]:
    """By the newest checkpoint; a crash right after the chain began may have left none."""
    _, checkpoint = newest_checkpoint(directory)
    if checkpoint is not None:
        return checkpoint.detail.instance, checkpoint.detail.key_id
    try:
        start = msgspec.json.decode(first_line(oldest), type=_Start)
    except UNREADABLE:
        return "", ""
    return start.detail.instance, start.detail.key_id


def _time_of_first(path: Path) -> float:
    try:
        return datetime.fromisoformat(msgspec.json.decode(first_line(path), type=_Timed).time).timestamp()
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError):
        return 0.0


class _Timed(msgspec.Struct, frozen=True):
    time: str


class _Origin(msgspec.Struct, frozen=True):
    instance: str
    key_id: str


class _Start(msgspec.Struct, frozen=True):
    detail: _Origin


def _held(line: bytes) -> Line | None:
    found = taken_apart(line)
    return found if found is not None and found.holds else None


def _last_good(paths: list[Path]) -> Line | None:
    return next((found for line in lines_from_end(paths) if (found := _held(line)) is not None), None)


def lines_from_end(paths: list[Path]) -> Iterator[bytes]:
    """Gives the whole lines of all segments, the newest first, without their line ends. Raises OSError."""
    for path in reversed(paths):
        with _opened(path) as file:
            for _, line in lines_backwards(file, last_line_end(file, os.fstat(file).st_size)):
                yield line


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    """A file of another kind must not hold the start up."""
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        yield file
    finally:
        os.close(file)
