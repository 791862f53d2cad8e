"""What the shipping process has to say in the chain: this one, which alone may write the journal, puts it there."""

import asyncio
from pathlib import Path

import structlog

from hookgate.audit.error import JournalError
from hookgate.audit.journal import Journal
from hookgate.audit.record import Origin, ServiceRecord
from hookgate.audit.scribe import Scribe
from hookgate.audit.shipping.notes import Note, waiting_notes
from hookgate.audit.worker import Worker

_EVERY_SECONDS = 1.0


class NoteKeeper:
    """Puts notes on record, and removes them once they are."""

    def __init__(
        self,
        directory: Path,
        journal: Journal,
        scribe: Scribe,
        origin: Origin,
        log: structlog.typing.FilteringBoundLogger,
    ) -> None:
        self._directory = directory
        self._journal = journal
        self._scribe = scribe
        self._origin = origin
        self._log = log
        #: The directory may lie on a disk that hangs.
        self._worker = Worker("notes")

    async def run(self) -> None:
        """Looks for notes each second, until it is cancelled."""
        try:
            while True:
                try:
                    await self._keep()
                except JournalError:
                    # The journal tells of that itself; the note stays.
                    pass
                except OSError as error:
                    self._log.warning("notes_not_read", detail=error.strerror)
                await asyncio.sleep(_EVERY_SECONDS)
        finally:
            self._worker.close()

    async def _keep(self) -> None:
        for path, note in await self._worker(waiting_notes, self._directory):
            if (line := self._line(note)) is None or note is None:
                self._log.warning("note_unreadable", path=str(path))
            else:
                await self._journal.append(line, note.type)
            await self._worker(path.unlink, missing_ok=True)

    def _line(self, note: Note | None) -> bytes | None:
        if note is None:
            return None
        origin = self._origin
        record = ServiceRecord(
            type=note.type,
            id=note.id,
            time=note.time,
            instance=origin.instance,
            host=origin.host,
            detail=note.detail,
        )
        try:
            return self._scribe.service(record)
        except Exception as error:  # noqa: BLE001 (one that can't be put down must not hold up the others)
            self._log.error("internal", exc_info=error)
            return None
