"""Every look at records is itself recorded: who, at what, how much of it. What can't be recorded is not shown."""

from pathlib import Path
from typing import Any

from hookgate.audit.shipping.notes import NoteWriter
from hookgate.audit.worker import Worker
from hookgate.console.visitor import Visitor

#: Looks in a minute, of all people together.
_MOST_A_MINUTE = 600


class UnrecordedError(Exception):
    """A look could not be recorded, so that nothing may be shown; says why."""


class Looks:
    """Leaves a note for each look; the service puts it into the journal."""

    def __init__(self, directory: Path) -> None:
        self._notes = NoteWriter(directory, most_a_minute=_MOST_A_MINUTE)
        # Whoever knocks without being let in must not use up the room of those who are.
        self._refusals = NoteWriter(directory)
        self._worker = Worker("console-looks")

    async def viewed(self, visitor: Visitor, remote: str, page: str, asked: dict[str, Any], rows: int) -> None:
        """Notes that somebody is shown so many records. Raises UnrecordedError."""
        await self.note(
            "console_viewed",
            {
                "user": visitor.user,
                "remote": remote,
                "role": visitor.role.value,
                "by": visitor.by,
                "page": page,
                "asked": asked,
                "records": rows,
            },
        )

    async def note(self, kind: str, detail: dict[str, Any]) -> None:
        """Leaves one. Raises UnrecordedError, but not for a refusal: nothing is shown anyway."""
        is_refusal = kind == "console_refused"
        try:
            left = await self._worker((self._refusals if is_refusal else self._notes).note, kind, detail)
        except OSError as error:
            if is_refusal:
                return
            raise UnrecordedError(f"the look could not be noted: {error.strerror}") from None
        if not left and not is_refusal:
            raise UnrecordedError(
                "there have been too many looks, or the service that records them does not run: see audit.directory, notes/"
            )

    def close(self) -> None:
        """Ends the thread."""
        self._worker.close()
