"""Journals for tests: made by the real journal, read line by line."""

import asyncio
import json
from pathlib import Path
from typing import Any

from hookgate.audit.journal import Journal
from hookgate.audit.ledger import Options
from hookgate.audit.record import now
from hookgate.audit.retention import Retention, Terms

#: What the journal itself writes.
OWN = {"chain_start", "key_changed", "journal_repair", "gap", "retention", "checkpoint"}


def record(text: str = "", *, kind: str = "decision", time: str = "") -> bytes:
    """Gives the line of a small record."""
    return json.dumps({"version": 1, "type": kind, "id": text, "time": time or now()}).encode() + b"\n"


def segments(directory: Path) -> list[Path]:
    """Gives the segments, oldest first."""
    return sorted((directory / "segments").glob("*.jsonl"))


def lines(directory: Path) -> list[dict[str, Any]]:
    """Gives all lines of a journal; fails where one is not whole."""
    found = b"".join(path.read_bytes() for path in segments(directory))
    assert not found or found.endswith(b"\n")
    return [json.loads(line) for line in found.splitlines()]


def ids(directory: Path) -> list[str]:
    """Gives the ids of the records that a test has written, in order."""
    return [line["id"] for line in lines(directory) if line["type"] not in OWN]


def written(directory: Path, *runs: int, options: Options | None = None) -> Path:
    """Makes a journal: each run appends so many records, in bunches of three, and closes. Gives the directory."""

    async def write() -> None:
        for run, count in enumerate(runs):
            journal = Journal(directory, options)
            journal.open()
            for begin in range(0, count, 3):
                bunch = range(begin, min(begin + 3, count))
                await asyncio.gather(*(journal.append(record(f"{run}-{number}")) for number in bunch))
            await journal.close(timeout_seconds=10)

    asyncio.run(write())
    return directory


def lived(directory: Path, *steps: str) -> Path:
    """Makes a journal of small segments by steps: `write` appends ten records, `gap` loses one, `trim` removes the oldest
    segments, `restart` closes and opens it, `tear` does so after a crash in the middle of a line. Gives the directory."""

    async def opened() -> Journal:
        journal = Journal(directory, Options(segment_bytes=3000))
        journal.open()
        return journal

    async def live() -> None:
        journal = await opened()
        for number, step in enumerate(steps):
            match step:
                case "write":
                    for line in range(10):
                        await journal.append(record(f"{number}-{line}"))
                case "gap":
                    journal.lost(outcome="error")
                case "trim":
                    half = sum(path.stat().st_size for path in segments(directory)) // 2
                    Retention(directory, journal, Terms(drop_beyond_bytes=half)).look()
                case _:
                    await journal.close(timeout_seconds=10)
                    if step == "tear":
                        with segments(directory)[-1].open("ab") as segment:
                            segment.write(b'{"seq":')
                    journal = await opened()
        await journal.close(timeout_seconds=10)

    asyncio.run(live())
    return directory
