"""The newest lines of a journal, and those that come while somebody looks."""

from itertools import islice
from pathlib import Path

from hookgate.audit.error import JournalError
from hookgate.audit.recovery import lines_from_end
from hookgate.audit.segments import segment_paths


class Tail:
    """Reads a journal from its end on. What it gives is what stands there, whether it holds or not."""

    def __init__(self, directory: Path, lines: int) -> None:
        """Takes so many of the newest lines. Raises JournalError where there is no journal, or none that can be read."""
        self._directory = directory
        try:
            paths = segment_paths(directory)
            if not paths:
                raise JournalError(f"{directory}: no journal there")
            self._path, self._offset = paths[-1], paths[-1].stat().st_size
            self._first = list(islice(lines_from_end(paths), lines))[::-1]
            self._rest = self._unfinished()
        except OSError as error:
            raise JournalError(f"{error.filename or directory}: {error.strerror}") from None

    def new(self) -> list[bytes]:
        """Gives the lines that have come since it was asked last, first of all those that it began with."""
        first, self._first = self._first, []
        try:
            return first + self._came()
        except OSError as error:
            raise JournalError(f"{error.filename or self._directory}: {error.strerror}") from None

    def _came(self) -> list[bytes]:
        found: list[bytes] = []
        while True:
            data = self._more()
            self._offset += len(data)
            *whole, self._rest = (self._rest + data).split(b"\n")
            found += whole
            later = [path for path in segment_paths(self._directory) if path.name > self._path.name]
            if not later or data:
                if not later:
                    return found
                continue
            self._path, self._offset, self._rest = later[0], 0, b""

    def _more(self) -> bytes:
        """Of a segment that was removed, nothing more can be had."""
        try:
            with self._path.open("rb") as stream:
                stream.seek(self._offset)
                return stream.read()
        except FileNotFoundError:
            return b""

    def _unfinished(self) -> bytes:
        """Gives what stands behind the last line end: the beginning of a line that is being written."""
        with self._path.open("rb") as stream:
            stream.seek(max(0, self._offset - (1 << 20)))
            return stream.read(min(self._offset, 1 << 20)).rpartition(b"\n")[2]
