"""The accesses of a report on their way into it: on disk, so that any number of them fits."""

import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from hookgate.audit.report.model import Access
from hookgate.audit.store.question import Count

_SCHEMA = """
CREATE TABLE access (
    number INTEGER PRIMARY KEY, id TEXT, time TEXT, outcome TEXT, session_id TEXT, tool_use_id TEXT, content BLOB,
    ended TEXT DEFAULT '', ended_time TEXT DEFAULT '', ran_seconds REAL
);
CREATE TABLE violation (decision TEXT, type TEXT, PRIMARY KEY (decision, type)) WITHOUT ROWID;
CREATE INDEX access_call ON access (tool_use_id, session_id);
CREATE INDEX access_time ON access (time, number);
"""


class Scratch:
    """Accesses, and how they ended. To be closed; nothing is left of it then."""

    def __init__(self) -> None:
        """Raises OSError where no temporary file can be made."""
        self._folder = tempfile.TemporaryDirectory(prefix="hookgate-report-")
        self._database = sqlite3.connect(Path(self._folder.name) / "accesses.sqlite", isolation_level=None)
        self._database.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; BEGIN;" + _SCHEMA)

    def add(self, access: Access) -> None:
        """Takes an access."""
        self._database.execute(
            "INSERT INTO access (id, time, outcome, session_id, tool_use_id, content) VALUES (?, ?, ?, ?, ?, ?)",
            (
                *map(_storable, (access.id, access.time, access.outcome, access.session_id, access.tool_use_id)),
                msgspec.json.encode(access),
            ),
        )

    def ended(
        self, session_id: str, tool_use_id: str, how: str, time: str, seconds: float | None, *, weak: bool = False
    ) -> bool:
        """Takes note of how a call ended; a `weak` sign changes nothing that is known. Tells whether there is such an access."""
        if not tool_use_id:
            return False
        changed = self._database.execute(
            "UPDATE access SET ended = ?, ended_time = ?, ran_seconds = ? WHERE tool_use_id = ? AND session_id = ? "
            "AND (ended = '' OR NOT ?)",
            (how, _storable(time), seconds, _storable(tool_use_id), _storable(session_id), weak),
        )
        return changed.rowcount > 0

    def violated(self, decision: str, kind: str) -> None:
        """Takes note of a violation; the access that it is about may come later."""
        self._database.execute("INSERT OR IGNORE INTO violation VALUES (?, ?)", (_storable(decision), kind))

    def count(self) -> int:
        """Gives how many accesses there are."""
        found: int = self._database.execute("SELECT count(*) FROM access").fetchone()[0]
        return found

    def outcomes(self) -> tuple[Count, ...]:
        """Gives them by outcome, the most first."""
        rows = self._database.execute("SELECT outcome, count(*) FROM access GROUP BY 1 ORDER BY 2 DESC, 1")
        return tuple(Count(name=name, count=count) for name, count in rows)

    def accesses(self, most: int | None = None) -> Iterator[Access]:
        """Gives them by time, the oldest first."""
        rows = self._database.execute(
            "SELECT content, ended, ended_time, ran_seconds, "
            "(SELECT group_concat(type, ' ') FROM violation WHERE decision = access.id) "
            "FROM access ORDER BY time, number LIMIT ?",
            (-1 if most is None else most,),
        )
        for content, ended, ended_time, seconds, violations in rows:
            access = msgspec.json.decode(content, type=Access)
            yield msgspec.structs.replace(
                access,
                ended=ended,
                ended_time=ended_time,
                ran_seconds=seconds,
                violations=tuple(sorted((violations or "").split())),
            )

    def close(self) -> None:
        """Lets everything go."""
        self._database.close()
        self._folder.cleanup()


def _storable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
