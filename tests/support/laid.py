"""Journals laid out line by line, to be cut, damaged and gone on with as a test wants. They hold no signatures."""

import json
from pathlib import Path
from typing import Any

from hookgate.audit.chain import BEGINNING, Link, linked
from hookgate.audit.record import now
from hookgate.audit.segments import segment_path


class LaidJournal:
    """A journal that a test writes itself."""

    def __init__(self, directory: Path, instance: str = "chain-1") -> None:
        self.directory = directory
        self.end: Link = BEGINNING
        self.path = segment_path(directory, 1)
        #: All lines that were written, without their line ends.
        self.lines: list[bytes] = []
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.add("chain_start", detail={"instance": instance})

    def line(self, kind: str = "decision", **fields: Any) -> bytes:
        """Gives the next line, with its end; it is written by nobody yet, but the chain goes on behind it."""
        record = {"version": 1, "type": kind, "id": f"r{self.end.seq + 1}", "time": now(), **fields}
        made, self.end = linked(self.end, json.dumps(record).encode() + b"\n")
        self.lines.append(made[:-1])
        return made

    def add(self, kind: str = "decision", **fields: Any) -> None:
        """Writes a line."""
        self.write(self.line(kind, **fields))

    def fill(self, count: int) -> None:
        """Writes so many small records."""
        self.write(b"".join(self.line() for _ in range(count)))

    def write(self, data: bytes) -> None:
        """Writes bytes at the end of the open segment."""
        with self.path.open("ab") as stream:
            stream.write(data)

    def next_segment(self) -> None:
        """Goes on in another segment."""
        self.path = segment_path(self.directory, self.end.seq + 1)
        self.path.touch()
