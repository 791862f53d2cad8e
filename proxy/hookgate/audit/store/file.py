"""The store's SQLite file as it is written: by one thread at a time, each batch in one transaction that is on the disk when it
is done."""

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hookgate.audit.shipping.shipment import Shipment
from hookgate.audit.store.columns import DecisionRow, Rows, Tally, key_of, place_of, rows_of, uncount
from hookgate.audit.store.moment import DAY, HOUR
from hookgate.audit.store.spans import merged, stretches
from hookgate.audit.store.sqlite import APPLICATION_ID, STEPS, version_of
from hookgate.audit.store.tables import DECISION, LINE, REPLACED, SERVICE, Table

_BUSY_SECONDS = 5.0
#: Rows of a table that are removed in one transaction: nobody waits long for it.
_REMOVED = 5000


class StoreFile:
    """One file. Methods raise StoreError or sqlite3.Error; ValueError for a line that can't be stored as it is."""

    def __init__(self, path: Path) -> None:
        """Opens the file, makes it with mode 0600 if it is missing, and brings its tables up to date."""
        self._path = path
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            status = os.fstat(descriptor)
        finally:
            os.close(descriptor)
        self._file = status.st_dev, status.st_ino
        self._connection = sqlite3.connect(
            path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        try:
            self._make_ready()
        except BaseException:
            self._connection.close()
            raise

    @property
    def is_there(self) -> bool:
        """Whether the file is still the one that lies at its path: what is written into a removed one nobody finds."""
        try:
            status = self._path.stat()
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == self._file

    def write(self, batch: Sequence[Shipment], passed_seconds: float = 0.0) -> int:
        """Stores what of a batch is not there yet, and what is another line than the one there; gives how many lines that were.

        `passed_seconds` is how long it was since the last one. The store's own clock is made of it, which no wall clock moves.
        """
        with self.transaction():
            return self.write_within(batch, passed_seconds)

    def write_within(self, batch: Sequence[Shipment], passed_seconds: float = 0.0) -> int:
        """Does the same within a transaction."""
        self._connection.execute("UPDATE clock SET seconds = seconds + ?", (passed_seconds,))
        return self._write(batch) if batch else 0

    def rows(self, sql: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        """Runs a statement on tables of others; gives its rows."""
        return self._connection.execute(sql, values).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """What is done within it is on the disk once it ends, or none of it is there."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def insert(self, rows: Rows) -> None:
        """Adds rows that are not there yet, within a transaction."""
        many = self._connection.executemany
        many(_insertion(LINE), rows.lines)
        many(_insertion(DECISION), rows.decisions)
        many(_insertion(SERVICE), rows.services)
        many(
            "INSERT INTO tally VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (kind, hour, name, outcome) DO UPDATE SET count = count + excluded.count",
            [(*name, number) for name, number in rows.tally.items()],
        )

    def expire(self, seconds: float) -> bool:
        """Removes some rows of a day that nothing was added to for so long; tells whether there is more to remove."""
        with self.transaction():
            found = self._connection.execute(
                "SELECT day FROM stay WHERE seconds <= (SELECT seconds FROM clock) - ? ORDER BY day LIMIT 1", (seconds,)
            ).fetchone()
            if found is not None:
                self._remove(found[0])
        return found is not None

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()

    def _make_ready(self) -> None:
        run = self._connection.execute
        run("PRAGMA journal_mode = WAL")
        # The cursor is on the disk as soon as a batch is stored: the batch must be, too.
        run("PRAGMA synchronous = FULL")
        run("PRAGMA wal_autocheckpoint = 4000")
        run("PRAGMA cache_size = -65536")
        with self.transaction():
            for step in STEPS[version_of(self._connection, self._path) :]:
                for statement in step:
                    run(statement)
            run(f"PRAGMA application_id = {APPLICATION_ID}")
            run(f"PRAGMA user_version = {len(STEPS)}")

    def _write(self, batch: Sequence[Shipment]) -> int:
        keyed: dict[int, Shipment] = {}
        for one in batch:
            keyed[key_of(self.chain(one.instance), one.seq)] = one
        there: dict[int, bytes] = dict(
            self._connection.execute("SELECT key, hash FROM line WHERE key BETWEEN ? AND ?", (min(keyed), max(keyed)))
        )
        stale = [key for key, one in keyed.items() if key in there and there[key] != bytes.fromhex(one.hash)]
        rows = rows_of((key, keyed[key]) for key in sorted(keyed) if key not in there or key in stale)
        if stale:
            rows.tally.subtract(self._taken_out(stale))
        self.insert(rows)
        if stale:
            self._connection.execute("DELETE FROM tally WHERE count <= 0")
        self.delivered(keyed, {row.time // DAY for row in rows.lines})
        return len(rows.lines)

    def _taken_out(self, keys: Sequence[int]) -> Tally:
        """Takes out lines that others come in place of, and keeps them where they are no longer asked about. Gives how their
        decisions were counted."""
        run, counted = self._connection.execute, Tally()
        for key in keys:
            run(f"INSERT OR IGNORE INTO {REPLACED.name} SELECT * FROM line WHERE key = ?", (key,))  # noqa: S608 (a table's name)
            asked = (
                "SELECT line.body, decision.* FROM decision JOIN line ON line.key = decision.key WHERE decision.key = ?"
            )
            for body, *row in run(asked, (key,)):
                uncount(counted, DecisionRow(*row), body)
            for table in (LINE, DECISION, SERVICE):
                run(f"DELETE FROM {table.name} WHERE key = ?", (key,))  # noqa: S608 (a table's name)
        return counted

    def chain(self, instance: str) -> int:
        """Gives a chain's number in this store, a new one if need be."""
        run = self._connection.execute
        known = run("SELECT number FROM chain WHERE instance = ?", (instance,)).fetchone()
        if known is None:
            known = run("INSERT INTO chain (instance) VALUES (?) RETURNING number", (instance,)).fetchone()
        number: int = known[0]
        return number

    def holds(self, instance: str) -> bool:
        """Whether anything of a chain was ever delivered."""
        asked = "SELECT 1 FROM span JOIN chain ON chain.number = span.chain WHERE chain.instance = ? LIMIT 1"
        return self._connection.execute(asked, (instance,)).fetchone() is not None

    def delivered(self, keys: Iterable[int], days: set[int]) -> None:
        """Notes which lines have been delivered, and which days have got rows."""
        run = self._connection.execute
        chains: dict[int, list[int]] = {}
        for chain, seq in map(place_of, keys):
            chains.setdefault(chain, []).append(seq)
        for chain, seqs in chains.items():
            found = stretches(seqs)
            reach = (chain, found[-1][1] + 1, found[0][0] - 1)
            beside = run("SELECT first, last FROM span WHERE chain = ? AND first <= ? AND last >= ?", reach).fetchall()
            run("DELETE FROM span WHERE chain = ? AND first <= ? AND last >= ?", reach)
            self._connection.executemany(
                "INSERT INTO span VALUES (?, ?, ?)", [(chain, *one) for one in merged([*found, *beside])]
            )
        self._connection.executemany(
            "INSERT INTO stay SELECT ?, seconds FROM clock WHERE true"
            " ON CONFLICT (day) DO UPDATE SET seconds = excluded.seconds",
            [(day,) for day in days],
        )

    def _remove(self, day: int) -> None:
        """Removes some of a day's rows, and in the end what is known of the day."""
        run, many = self._connection.execute, self._connection.executemany
        begin, end = day * DAY, (day + 1) * DAY
        for table in (DECISION.name, SERVICE.name):
            found = f"SELECT key FROM {table} INDEXED BY {table}_time WHERE time >= ? AND time < ? LIMIT {_REMOVED}"  # noqa: S608 (a table's name)
            if keys := run(found, (begin, end)).fetchall():
                many("DELETE FROM line WHERE key = ?", keys)
                many(f"DELETE FROM {table} WHERE key = ?", keys)  # noqa: S608 (a table's name)
                return
        run("DELETE FROM replaced WHERE time >= ? AND time < ?", (begin, end))
        run("DELETE FROM tally WHERE hour >= ? AND hour < ?", (begin // HOUR, end // HOUR))
        run("DELETE FROM stay WHERE day = ?", (day,))


def _insertion(table: Table) -> str:
    return f"INSERT INTO {table.name} VALUES ({', '.join('?' * len(table.columns))})"  # noqa: S608 (a table's name)
