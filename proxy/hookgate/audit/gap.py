"""What could not be recorded: counted in memory until something can be written again."""

import threading
from collections import Counter
from typing import NamedTuple

import msgspec

from hookgate.audit.record import now


class Entry(NamedTuple):
    """What an appended line is about: its type, and how its request is answered where the line can't be written."""

    kind: str
    outcome: str = ""


class Loss(msgspec.Struct, frozen=True, kw_only=True):
    """What was lost, and when: the detail of a record `gap`."""

    #: When the first line could not be written, and when the gap was put on record.
    since: str
    until: str
    #: Hook requests that were answered without a record, by outcome.
    answers: dict[str, int]
    #: Other records, by type.
    records: dict[str, int]


class Gap:
    """Counts lines that are lost, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: Counter[str] = Counter()
        self._records: Counter[str] = Counter()
        self._since = ""

    def lost(self, entry: Entry) -> None:
        """Counts a line that can't be written."""
        with self._lock:
            self._since = self._since or now()
            if entry.outcome:
                self._answers[entry.outcome] += 1
            else:
                self._records[entry.kind] += 1

    def so_far(self) -> Loss | None:
        """Gives what was lost and is not on record; None where nothing is."""
        if not self._since:
            return None
        with self._lock:
            return Loss(since=self._since, until=now(), answers=dict(self._answers), records=dict(self._records))

    def recorded(self, loss: Loss) -> None:
        """Takes off what was put on record. What was lost meanwhile stays."""
        with self._lock:
            self._answers -= Counter(loss.answers)
            self._records -= Counter(loss.records)
            self._since = now() if self._answers or self._records else ""
