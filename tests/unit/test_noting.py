"""What the shipping process leaves for the chain arrives there, whatever else lies beside it."""

import asyncio
from pathlib import Path
from typing import Any

import structlog

from hookgate.app.noting import NoteKeeper
from hookgate.audit.journal import Journal
from hookgate.audit.record import Origin, ServiceRecord
from hookgate.audit.redact import Redactor
from hookgate.audit.scribe import Scribe
from hookgate.audit.shipping.notes import NoteWriter
from hookgate.ids import uuid7
from tests.support.journals import lines
from tests.support.wait import until


class Faulty(Scribe):
    """One that can't put a note down that says so."""

    def service(self, record: ServiceRecord) -> bytes:
        if record.detail.get("faulty"):
            raise RecursionError
        return super().service(record)


async def kept(directory: Path, log: Any) -> None:
    journal = Journal(directory)
    journal.open()
    keeper = NoteKeeper(directory, journal, Faulty(Redactor(b"k" * 32)), Origin("chain", "host"), log)
    running = asyncio.create_task(keeper.run())
    notes = directory / "notes"
    await asyncio.to_thread(until, lambda: not any(path.is_file() for path in notes.iterdir()))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await journal.close(timeout_seconds=10)


def test_notes_arrive_beside_files_that_are_none_and_one_that_can_not_be_put_down(tmp_path: Path) -> None:
    writer = NoteWriter(tmp_path)
    writer.note("shipper_refused", {"seq": 1, "faulty": True})
    (tmp_path / "notes" / f"{uuid7()}.json").write_bytes(b"[" * 20_000)
    (tmp_path / "notes" / f"{uuid7()}.json").mkdir()
    writer.note("shipper_skipped", {"seq": 2})
    with structlog.testing.capture_logs() as logs:
        asyncio.run(kept(tmp_path, structlog.get_logger()))
    assert [(line["type"], line["detail"]) for line in lines(tmp_path) if line["type"].startswith("shipper")] == [
        ("shipper_skipped", {"seq": 2})
    ]
    assert sorted(entry["event"] for entry in logs) == ["internal", "note_unreadable", "note_unreadable"]
