"""Hookgate with a room taken away, to see what the room costs: `python bench/without.py journal serve --config FILE`.

No setting does this, on purpose: a service that answers without a record must not be had by configuration.
"""

import asyncio
import sys

from hookgate.app import service
from hookgate.audit.journal import Journal
from hookgate.commands import main


class NoJournal(Journal):
    """Takes records and keeps none: they are made and encoded, but neither handed to a thread nor written."""

    def append(self, line: bytes, kind: str = "decision", outcome: str = "") -> asyncio.Future[None]:
        """Gives a future that is done."""
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        written.set_result(None)
        return written


if __name__ == "__main__":
    if sys.argv[1:2] != ["journal"]:
        sys.exit("bench/without.py: the room that can be taken away is `journal`")
    del sys.argv[1]
    service.Journal = NoJournal  # type: ignore[attr-defined]
    main()
