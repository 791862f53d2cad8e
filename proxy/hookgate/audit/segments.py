"""Segments: the files that hold the chain, each named for the number of its first line."""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

DIRECTORY = "segments"
_NAME = re.compile(r"([0-9]{16})\.jsonl")
_BLOCK_BYTES = 65536


def segment_path(directory: Path, seq: int) -> Path:
    """Gives where the segment is, or will be, whose first line has this number."""
    return directory / DIRECTORY / f"{seq:016}.jsonl"


def segment_paths(directory: Path) -> list[Path]:
    """Gives the journal directory's segments, oldest first. Raises OSError where it can't be read."""
    try:
        return sorted(path for path in (directory / DIRECTORY).iterdir() if _NAME.fullmatch(path.name))
    except FileNotFoundError:
        return []


def usage(directory: Path) -> tuple[int, int]:
    """Gives how many segments there are, and their size in bytes. Raises OSError."""
    sizes = [size for path in segment_paths(directory) if (size := size_of(path)) is not None]
    return len(sizes), sum(sizes)


def size_of(path: Path) -> int | None:
    """Gives a segment's size in bytes; None where it has been removed meanwhile. Raises OSError."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def first_seq(path: Path) -> int:
    """Gives the number that a segment's name says that its first line has."""
    return int(path.name[:16])


def first_line(path: Path) -> bytes:
    """Gives a segment's first line, with its line end if it has one. Raises OSError."""
    with path.open("rb") as stream:
        return stream.readline()


def lines_backwards(file: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Gives offset and content of each line that ends by `end`, the last one first, without its line end."""
    held, at = b"", end
    while at > 0:
        begin = max(0, at - _BLOCK_BYTES)
        held = os.pread(file, at - begin, begin) + held
        at = begin
        # The first part may have begun in the block before; it waits unless there is none.
        cut = 0 if at == 0 else held.find(b"\n") + 1
        if at and not cut:
            continue
        offset = at + len(held)
        for line in reversed(held[cut:].split(b"\n")[:-1]):
            offset -= len(line) + 1
            yield offset, line
        held = held[:cut]


class Segment:
    """One segment, open for writing. It is closed by whoever opened it."""

    def __init__(self, path: Path, *, new: bool) -> None:
        """Opens it; a new one must not be there yet. Raises OSError."""
        self.path = path
        self.file = os.open(
            path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | (os.O_CREAT | os.O_EXCL if new else 0), 0o600
        )
        #: Behind the last line that counts.
        self.end = os.fstat(self.file).st_size
        #: Something may stand behind the end that could not be taken back.
        self._untidy = False

    @property
    def is_gone(self) -> bool:
        """Whether somebody has removed the file."""
        return os.fstat(self.file).st_nlink == 0

    def cut(self, end: int) -> None:
        """Takes back what stands behind an offset. Raises OSError."""
        self.end, self._untidy = end, True
        self._tidy()

    def write(self, data: bytes, *, sync: bool) -> None:
        """Writes all or nothing, as far as the file lets it; with `sync`, on the disk. Raises OSError."""
        if self._untidy:
            self._tidy()
        try:
            done = os.write(self.file, data)
            while done < len(data):
                done += os.write(self.file, data[done:])
            if sync:
                flush(self.file)
        except OSError:
            with suppress(OSError):
                self.cut(self.end)
            raise
        self.end += done

    def _tidy(self) -> None:
        os.ftruncate(self.file, self.end)
        self._untidy = False


def flush(file: int) -> None:
    """Puts what was written to a file on the disk. Raises OSError."""
    # macOS has no fdatasync.
    getattr(os, "fdatasync", os.fsync)(file)


def sync_directory(path: Path) -> None:
    """Puts a directory's list of files on the disk. Raises OSError."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
