"""The journal's lines by their numbers, on disk: so that each row of a store can be compared with its line."""

import os
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from hookgate.audit.chain import taken_apart
from hookgate.audit.checkpoint import TYPE as CHECKPOINT
from hookgate.audit.error import UNREADABLE, JournalError
from hookgate.audit.recovery import newest_checkpoint
from hookgate.audit.segments import first_seq, segment_paths

#: Hash, offset of the line in its segment, number of the segment, and whether a store should have it.
_SLOT = struct.Struct("<32sQIB")
#: No line is shorter: a number beyond what fits into the journal's size is none of it.
_LEAST_LINE_BYTES = 100


class _Head(msgspec.Struct, frozen=True):
    type: str = ""
    time: str = ""


class JournalIndex:
    """The lines that a journal has at this moment, without those whose hash does not hold."""

    def __init__(self, directory: Path, since: str, until: str) -> None:
        """Reads the whole journal; `since` and `until` bound the times of the lines that a store should have.

        Raises JournalError where there is none that can be read.
        """
        self._slots = tempfile.TemporaryFile()  # noqa: SIM115 (closed by __exit__)
        self._segments: list[Path] = []
        self.first_seq = self.last_seq = 0
        try:
            self._segments = segment_paths(directory)
            if not self._segments:
                raise JournalError(f"{directory}: no journal there")
            _, checkpoint = newest_checkpoint(directory)
            self.instance = checkpoint.detail.instance if checkpoint is not None else ""
            self.first_seq = first_seq(self._segments[0])
            self._read(since, until)
        except OSError as error:
            self._slots.close()
            raise JournalError(f"{error.filename or directory}: {error.strerror}") from None
        except JournalError:
            self._slots.close()
            raise
        self._seen = bytearray((self.last_seq - self.first_seq) // 8 + 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._slots.close()

    def seen(self, seq: int) -> None:
        """Takes note that the store has that line."""
        at = seq - self.first_seq
        if 0 <= at <= self.last_seq - self.first_seq:
            self._seen[at // 8] |= 1 << at % 8

    def hash_of(self, seq: int) -> str:
        """Gives the hash of a line in hexadecimal; empty where the journal has no such line that holds."""
        slot = self._slot(seq)
        return slot[0].hex() if slot is not None else ""

    def record_of(self, seq: int) -> dict[str, Any]:
        """Gives a line's JSON object. Raises JournalError where it is gone."""
        slot = self._slot(seq)
        if slot is None:
            raise JournalError(f"line {seq} is not in the journal")
        path = self._segments[slot[2]]
        try:
            with path.open("rb") as stream:
                stream.seek(slot[1])
                found: dict[str, Any] = msgspec.json.decode(stream.readline())
        except OSError as error:
            raise JournalError(f"{path}: {error.strerror}") from None
        return found

    def unseen(self) -> Iterator[int]:
        """Gives the numbers of the lines that a store should have, and that were not seen."""
        for at, seen in enumerate(self._seen):
            if seen == 0xFF:
                continue
            for bit in range(8):
                seq = self.first_seq + at * 8 + bit
                if not seen >> bit & 1 and (slot := self._slot(seq)) is not None and slot[3]:
                    yield seq

    def _slot(self, seq: int) -> tuple[bytes, int, int, int] | None:
        if not self.first_seq <= seq <= self.last_seq:
            return None
        found = os.pread(self._slots.fileno(), _SLOT.size, (seq - self.first_seq) * _SLOT.size)
        if len(found) < _SLOT.size or not any(found[:32]):
            return None
        digest, offset, segment, wanted = _SLOT.unpack(found)
        return digest, offset, segment, wanted

    def _read(self, since: str, until: str) -> None:
        most = self.first_seq + sum(path.stat().st_size for path in self._segments) // _LEAST_LINE_BYTES + 1
        following = self.first_seq
        for number, path in enumerate(self._segments):
            offset = 0
            with path.open("rb", buffering=1 << 20) as stream:
                for raw in stream:
                    at, offset = offset, offset + len(raw)
                    line = taken_apart(raw) if raw.endswith(b"\n") else None
                    if line is None or not line.holds or not self.first_seq <= line.seq <= most:
                        continue
                    if line.seq != following:
                        self._slots.seek((line.seq - self.first_seq) * _SLOT.size)
                    wanted = _is_wanted(line.body, since, until)
                    self._slots.write(_SLOT.pack(bytes.fromhex(line.hash.decode()), at, number, wanted))
                    following = line.seq + 1
                    self.last_seq = max(self.last_seq, line.seq)
        self._slots.flush()


def _is_wanted(body: bytes, since: str, until: str) -> bool:
    try:
        head = msgspec.json.decode(body, type=_Head)
    except UNREADABLE:
        return False
    return head.type != CHECKPOINT and since <= head.time < until
