"""Whether what a store answers searches from is what its records say: only the records have a hash."""

from collections import deque
from collections.abc import Iterator

from hookgate.audit.store.columns import clean, looked_up
from hookgate.audit.store.question import Entry, Filter, Row, Store
from hookgate.audit.store.subject import subject_of

_PAGE_ROWS = 1000
#: Texts that are looked up, by the names that row and record have for them.
_LOOKED_UP = ("user", "event", "tool", "outcome", "mode", "policy", "error", "session_id", "tool_use_id", "agent_id")
_ID = ("id",)


class Columns:
    """Walks the rows beside the records, which come in the same order."""

    def __init__(self, store: Store, wanted: Filter) -> None:
        self._rows = _rows(store, wanted)
        self._ahead: deque[Row] = deque()
        #: Rows that no record is behind.
        self.without_record = 0

    def differing(self, entry: Entry) -> tuple[str, ...]:
        """Gives the columns of a record's row that say something else than the record."""
        found, record_id = self._next(), looked_up(_text(entry, "id"))
        if found is None:
            return _ID
        if found.id != record_id and record_id in self._next_ids():
            while found is not None and found.id != record_id:
                self.without_record += 1
                found = self._next()
        if found is None or found.id != record_id:
            return _ID
        differing = [name for name in _LOOKED_UP if getattr(found, name) != looked_up(_text(entry, name))]
        if found.verified != (entry.record.get("verified") is True):
            differing.append("verified")
        if found.reason != clean(_text(entry, "reason")):
            differing.append("reason")
        if found.subject != clean(subject_of(entry.record))[: len(found.subject)]:
            differing.append("subject")
        return tuple(differing)

    def end(self) -> None:
        """Counts the rows that are left."""
        while self._next() is not None:
            self.without_record += 1

    def _next(self) -> Row | None:
        return self._ahead.popleft() if self._ahead else next(self._rows, None)

    def _next_ids(self) -> set[str]:
        while len(self._ahead) < _PAGE_ROWS and (row := next(self._rows, None)) is not None:
            self._ahead.append(row)
        return {row.id for row in self._ahead}


def _rows(store: Store, wanted: Filter) -> Iterator[Row]:
    cursor = ""
    while True:
        page = store.search(wanted, limit=_PAGE_ROWS, cursor=cursor, oldest_first=True)
        yield from page.rows
        cursor = page.cursor
        if not cursor:
            return


def _text(entry: Entry, name: str) -> str:
    value = entry.record.get(name)
    return value if isinstance(value, str) else ""
