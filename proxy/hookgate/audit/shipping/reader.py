"""The journal as a shipper reads it: whole lines, in order, from where it left off, while the service goes on writing."""

import os
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from hookgate.audit.chain import taken_apart
from hookgate.audit.record import now
from hookgate.audit.segments import segment_paths
from hookgate.audit.shipping.cursor import Cursor
from hookgate.audit.shipping.place import Place, identity, instance_of, is_behind, place_of
from hookgate.audit.shipping.shipment import Shipment

#: A longer line is none of the journal's: it is left out as damaged, without being held in memory.
MAX_LINE_BYTES = 16 * 1024 * 1024
_BLOCK_BYTES = 262_144
#: What stands at the end may be taken back by a write that fails half-way, or be lost in a power cut before it is flushed
#: (100 ms later): it is read when it has stood there so long.
_SETTLE_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Oddity:
    """Something about the journal that its readers should know. Lines that are left out have numbers from `first_seq` to
    `last_seq`; where a shipper begins again, `first_seq` is where, and `last_seq` how far it had come."""

    #: `removed` and `damaged` lines are left out; `rewritten`, `new_chain` and `sink_empty`: it begins again.
    why: str
    first_seq: int
    last_seq: int

    @property
    def left_out(self) -> int:
        """How many lines are left out."""
        return max(0, self.last_seq - self.first_seq + 1) if self.why in ("removed", "damaged") else 0


@dataclass(frozen=True, slots=True)
class Read:
    """Some lines, what was odd about them, and the cursor that stands behind each line and at the end of all."""

    shipments: tuple[Shipment, ...] = ()
    cursors: tuple[Cursor, ...] = ()
    oddities: tuple[Oddity, ...] = ()
    #: Behind the last line, also where that was left out; None where nothing was read.
    end: Cursor | None = None


@dataclass(slots=True)
class _Gathering:
    shipments: list[Shipment] = field(default_factory=list)
    cursors: list[Cursor] = field(default_factory=list)
    oddities: list[Oddity] = field(default_factory=list)
    size: int = 0
    end: Cursor | None = None


class Reader:
    """Reads one journal for one shipper, from a cursor on. Not for use by two threads at once."""

    def __init__(self, directory: Path, cursor: Cursor | None, *, settle_seconds: float = _SETTLE_SECONDS) -> None:
        self._directory = directory
        self._settle_seconds = settle_seconds
        self._cursor = cursor
        self._instance = cursor.instance if cursor is not None else ""
        self._path: Path | None = None
        self._file = -1
        self._offset = 0
        #: The number that the next line should have, and the hash of the line before it.
        self._seq = 0
        self._before = ""
        self._seen: tuple[float, int] | None = None
        self._settled = 0

    def read(self, records: int, size_bytes: int, *, settled: bool = False) -> Read:
        """Gives the next lines: at most so many, and but for a single larger one at most so many bytes; none where nothing
        has come. With `settled` the journal is closed, and what stands at its end counts at once. Raises OSError."""
        got = _Gathering()
        if not self._is_placed() and not self._place(got):
            return Read()
        try:
            self._gather(got, records, size_bytes, settled=settled)
        except OSError:
            # What was read is not read again; the fault will be there next time, too.
            if got.end is None:
                raise
        return Read(tuple(got.shipments), tuple(got.cursors), tuple(got.oddities), got.end)

    def _gather(self, got: _Gathering, records: int, size_bytes: int, *, settled: bool) -> None:
        later = self._later()
        while len(got.shipments) < records and got.size < size_bytes:
            path = self._path
            block = self._block(self._limit(settled=settled or bool(later)), got)
            if block:
                if not self._take(block, records, size_bytes, got):
                    return
                if self._path != path:
                    later = self._later()
            elif later:
                self._open(Place(later[0], 0, self._seq, self._before))
                later = later[1:]
            else:
                return

    def close(self) -> None:
        """Lets the journal go."""
        if self._file >= 0:
            os.close(self._file)
        self._file, self._path = -1, None

    def _is_placed(self) -> bool:
        """The file may be gone, or another in its place, or shorter than what was read of it."""
        if self._path is None:
            return False
        open_file = os.fstat(self._file)
        try:
            there = self._path.stat()
        except FileNotFoundError:
            # Retention, or a person, has removed it; what was written to it before is still read, if all of it can be.
            return self._offset < open_file.st_size
        return (there.st_dev, there.st_ino) == (
            open_file.st_dev,
            open_file.st_ino,
        ) and open_file.st_size >= self._offset

    def _place(self, got: _Gathering) -> bool:
        """Finds where to go on; False where there is no journal yet."""
        self.close()
        paths = segment_paths(self._directory)
        if not paths:
            return False
        self._instance = instance = instance_of(paths[0])
        place = place_of(self._cursor, paths, instance)
        if place.why and self._cursor is not None:
            got.oddities.append(Oddity(place.why, place.seq, self._cursor.seq))
            # Nothing before this place counts any more.
            self._cursor = None
        self._open(place)
        return True

    def _open(self, place: Place) -> None:
        file = os.open(place.segment, os.O_RDONLY | os.O_CLOEXEC)
        self.close()
        self._path, self._file, self._offset = place.segment, file, place.offset
        self._seq, self._before = place.seq, place.before
        self._seen, self._settled = None, 0

    def _later(self) -> list[Path]:
        paths = segment_paths(self._directory)
        if not self._instance and paths:
            # It was placed before the first line was written.
            self._instance = instance_of(paths[0])
        return [path for path in paths if self._path and path.name > self._path.name]

    def _limit(self, *, settled: bool) -> int:
        """Gives up to where the open segment may be read."""
        size = os.fstat(self._file).st_size
        if settled:
            return size
        at = time.monotonic()
        if self._seen is None or size < self._seen[1]:
            # What was there is not what comes in its place.
            self._seen, self._settled = (at, size), self._offset
        elif at - self._seen[0] >= self._settle_seconds:
            self._settled, self._seen = self._seen[1], (at, size)
        return min(size, self._settled)

    def _block(self, limit: int, got: _Gathering) -> bytes:
        """Gives some whole lines from here on, none where no line ends before `limit`."""
        size = _BLOCK_BYTES
        while True:
            block = os.pread(self._file, max(0, min(size, limit - self._offset)), self._offset)
            end = block.rfind(b"\n") + 1
            if end:
                return block[:end]
            if len(block) < size:
                return b""
            if size >= MAX_LINE_BYTES:
                if not self._skip(limit, got):
                    return b""
                size = _BLOCK_BYTES
                continue
            size *= 2

    def _skip(self, limit: int, got: _Gathering) -> bool:
        """Leaves out a line that is too long; False where it has not ended yet."""
        at = self._offset
        while block := os.pread(self._file, max(0, min(_BLOCK_BYTES, limit - at)), at):
            end = block.find(b"\n") + 1
            at += end or len(block)
            if end:
                self._left_out(got, "", at)
                return True
        return False

    def _take(self, block: bytes, records: int, size_bytes: int, got: _Gathering) -> bool:
        """Takes lines until there are enough; False where the rest of the block must not be taken."""
        begin = 0
        while begin < len(block):
            end = block.index(b"\n", begin)
            line = block[begin:end]
            if len(got.shipments) >= records or (got.shipments and got.size + len(line) > size_bytes):
                return False
            parts = taken_apart(line)
            fits = parts is not None and parts.prev.decode() == self._before and parts.seq == self._seq
            if not fits and self._before and not self._is_sound():
                # What was read already is not there any more: the journal was cut back and written anew.
                self._cursor = self._here()
                return self._place(got)
            offset = self._offset + len(line) + 1
            if parts is None or not parts.holds:
                self._left_out(got, identity(line), offset)
            else:
                if parts.seq > self._seq:
                    got.oddities.append(Oddity("removed", self._seq, parts.seq - 1))
                self._seq = max(self._seq, parts.seq + 1)
                self._offset, self._before = offset, parts.hash.decode()
                got.end = self._here()
                got.shipments.append(Shipment(line, parts.seq, self._before, self._instance))
                got.cursors.append(got.end)
                got.size += len(line)
            begin = end + 1
        return True

    def _is_sound(self) -> bool:
        """Whether the line before this place still is the one that was read."""
        if self._path is None or not self._offset:
            return True
        try:
            return is_behind(self._path, self._offset, self._before)
        except FileNotFoundError:
            return True

    def _left_out(self, got: _Gathering, digest: str, offset: int) -> None:
        last = got.oddities[-1] if got.oddities else None
        if last is not None and last.why == "damaged" and last.last_seq == self._seq - 1:
            got.oddities[-1] = replace(last, last_seq=self._seq)
        else:
            got.oddities.append(Oddity("damaged", self._seq, self._seq))
        self._seq += 1
        self._offset, self._before = offset, digest
        got.end = self._here()

    def _here(self) -> Cursor:
        made = Cursor(
            instance=self._instance,
            seq=self._seq - 1,
            hash=self._before,
            segment=self._path.name if self._path else "",
            offset=self._offset,
            time=now(),
        )
        self._cursor = made
        return made
