"""Whether the rows of a store are the journal's lines: a store can be edited under a good journal."""

from collections.abc import Iterator
from typing import Any

import msgspec

from hookgate.audit.error import JournalError
from hookgate.audit.evidence import is_reduced, row_holds
from hookgate.audit.report.index import JournalIndex
from hookgate.audit.report.model import EditedRow, RowCheck
from hookgate.audit.store.question import Entry, Span

_EXAMPLES = 100


class Rows:
    """Compares rows with lines, one after another. Without an index only a row's own hash is looked at."""

    def __init__(self, index: JournalIndex | None) -> None:
        self._index = index
        self._examples: list[EditedRow] = []
        self._counts = dict.fromkeys(
            (
                *("rows", "compared", "without_journal", "removed"),
                *("edited", "misleading", "unknown", "missing", "expired", "not_delivered"),
            ),
            0,
        )

    def taken(self, entry: Entry) -> dict[str, Any]:
        """Takes a row; gives the record to go by, which is the journal's where the row differs from it."""
        self._counts["rows"] += 1
        index, record = self._index, entry.record
        if index is None or entry.instance != index.instance:
            return self._alone(entry, "without_journal")
        if entry.seq < index.first_seq:
            return self._alone(entry, "removed")
        index.seen(entry.seq)
        self._counts["compared"] += 1
        expected = index.hash_of(entry.seq)
        if not expected:
            self._wrong(entry, "unknown")
            return record
        if expected == entry.hash and row_holds(entry):
            return record
        line = index.record_of(entry.seq)
        if not is_reduced(entry) or record.get("hash") != expected:
            self._wrong(entry, "edited", _differing(line, record))
        return line

    def misleads(self, entry: Entry, columns: tuple[str, ...]) -> None:
        """Takes note of a row whose columns say something else than its record."""
        self._wrong(entry, "misleading", columns)

    def without_record(self, rows: int) -> None:
        """Takes note of rows that no record is behind."""
        self._counts["unknown"] += rows

    def lacking(self, delivered: tuple[Span, ...], oldest: str) -> Iterator[Entry]:
        """Gives, from the journal, the records that the store should have and has not. `delivered` is what it was given,
        `oldest` the time of its oldest decision: what is older may have been removed by its own retention."""
        if self._index is None:
            return
        own = [span for span in delivered if span.instance == self._index.instance]
        for seq in self._index.unseen():
            try:
                record = self._index.record_of(seq)
            except (JournalError, msgspec.DecodeError):
                continue
            entry = Entry(instance=self._index.instance, seq=seq, hash=str(record.get("hash")), record=record)
            if not any(span.first <= seq <= span.last for span in own):
                self._counts["not_delivered"] += 1
            elif oldest and str(record.get("time", "")) < oldest:
                self._counts["expired"] += 1
            else:
                self._wrong(entry, "missing")
            yield entry

    def check(self) -> RowCheck:
        """Gives what was found."""
        return RowCheck(**self._counts, examples=tuple(self._examples))

    def _alone(self, entry: Entry, why: str) -> dict[str, Any]:
        self._counts[why] += 1
        if not row_holds(entry) and not is_reduced(entry):
            self._wrong(entry, "edited")
        return entry.record

    def _wrong(self, entry: Entry, what: str, fields: tuple[str, ...] = ()) -> None:
        self._counts[what] += 1
        if len(self._examples) < _EXAMPLES:
            record = entry.record
            self._examples.append(
                EditedRow(
                    instance=entry.instance,
                    seq=entry.seq,
                    id=str(record.get("id", "")),
                    time=str(record.get("time", "")),
                    what=what,
                    fields=fields,
                )
            )


def _differing(line: dict[str, Any], record: dict[str, Any]) -> tuple[str, ...]:
    missing = object()
    return tuple(key for key in sorted({*line, *record}) if line.get(key, missing) != record.get(key, missing))
