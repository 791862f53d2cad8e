"""Into the store in PostgreSQL, which several Hookgates may share."""

import time
from collections.abc import Sequence

import asyncpg

from hookgate.audit.shipping.shipment import Shipment, SinkError, SinkRefusedError
from hookgate.audit.store.columns import DecisionRow, Rows, Tally, key_of, place_of, rows_of, uncount
from hookgate.audit.store.moment import DAY
from hookgate.audit.store.postgres import connect, name_of, said
from hookgate.audit.store.postgres_tables import STEPS, drop_days, make_days, migrate
from hookgate.audit.store.spans import merged, stretches
from hookgate.audit.store.tables import DECISION, LINE, REPLACED, SERVICE, Column, Table
from hookgate.config.shippers import PostgresShipper

_DAY_SECONDS = 86400.0
_EXPIRE_SECONDS = 300.0
#: How long others' locks are waited for: a batch that must wait longer comes again.
_LOCK_SECONDS = 5
_ARRAYS = {
    Column.WHOLE: "bigint",
    Column.FLAG: "smallint",
    Column.REAL: "double precision",
    Column.TEXT: "text",
    Column.BYTES: "bytea",
    Column.MAYBE_TEXT: "text",
    Column.MAYBE_FLAG: "smallint",
    Column.MAYBE_REAL: "double precision",
}
#: Classes of SQLSTATE that say that a value is at fault, or one that breaks a bound of the server's.
_AT_FAULT = frozenset({"21", "22", "23", "54"})
#: Of a constraint, which has a name then; or of a row that no partition has room for.
_NO_PARTITION = "23514"


class PostgresSink:
    """Writes each batch in one transaction."""

    def __init__(self, shipper: PostgresShipper) -> None:
        self._url = shipper.url
        self._schema = shipper.schema
        self._name = name_of(shipper.url, shipper.schema)
        self._timeout_seconds = shipper.timeout_seconds
        days = shipper.retention_days
        self._retention_seconds = None if days is None else days * _DAY_SECONDS
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        self._chains: dict[str, int] = {}
        self._days: set[int] = set()
        self._expire_at = 0.0

    async def open(self) -> None:
        """Connects, and makes the tables ready. Raises SinkError."""
        await self.close()
        try:
            self._connection = await connect(
                self._url,
                self._schema,
                timeout_seconds=self._timeout_seconds,
                settings={
                    "statement_timeout": f"{max(1, int(self._timeout_seconds * 1000))}ms",
                    "lock_timeout": f"{_LOCK_SECONDS}s",
                    # The cursor moves on once a batch is stored: it must be on the disk by then.
                    "synchronous_commit": "on",
                },
            )
            version = await migrate(self._connection, self._schema)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError, ValueError) as error:
            await self.close()
            raise SinkError(f"{self._name}: {said(error)}") from None
        if version > len(STEPS):
            await self.close()
            raise SinkError(
                f"{self._name}: made by a newer Hookgate (version {version}, this one knows {len(STEPS)}): use that one"
            )

    async def send(self, batch: Sequence[Shipment]) -> None:
        """Stores a batch. Raises SinkError or SinkRefusedError."""
        connection = self._connection
        if connection is None:
            raise SinkError(f"{self._name}: not connected")
        try:
            await self.store(connection, batch)
            await self._expire(connection)
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            self.forget()
            if is_of_content(error):
                raise SinkRefusedError(f"{self._name}: {said(error)}") from None
            raise SinkError(f"{self._name}: {said(error)}") from None
        except (OSError, TimeoutError) as error:
            self.forget()
            raise SinkError(f"{self._name}: {said(error)}") from None
        except ValueError as error:
            raise SinkRefusedError(str(error)) from None

    async def holds(self, instance: str) -> bool:
        """Whether anything of a chain was ever delivered. Raises SinkError."""
        if self._connection is None:
            raise SinkError(f"{self._name}: not connected")
        try:
            return bool(
                await self._connection.fetchval(
                    "SELECT EXISTS (SELECT 1 FROM span s JOIN chain c ON c.number = s.chain WHERE c.instance = $1)",
                    instance,
                )
            )
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            raise SinkError(f"{self._name}: {said(error)}") from None

    async def close(self) -> None:
        """Lets the connection go at once: a server that hangs is not waited for."""
        connection, self._connection = self._connection, None
        self.forget()
        if connection is not None:
            connection.terminate()

    def forget(self) -> None:
        """What was made in a transaction that failed is not there; somebody may have removed what was."""
        self._chains.clear()
        self._days.clear()

    async def store(self, connection: "asyncpg.Connection[asyncpg.Record]", batch: Sequence[Shipment]) -> None:
        """Stores a batch, in a transaction of its own or as a part of one. Raises what the driver raises; after that, `forget`
        is due."""
        keyed: dict[int, Shipment] = {}
        for one in batch:
            keyed[key_of(await self._chain(connection, one.instance), one.seq)] = one
        rows = rows_of(sorted(keyed.items()))
        days = {row.time // DAY for row in rows.lines}
        if missing := days - self._days:
            await make_days(connection, self._schema, missing)
            self._days |= missing
        async with connection.transaction():
            chains = sorted({place_of(key)[0] for key in keyed})
            # Two shippers of one chain take turns.
            await connection.execute(
                "SELECT number FROM chain WHERE number = ANY($1) ORDER BY number FOR UPDATE", chains
            )
            gone = await _replaced(connection, keyed)
            new = {row["key"] for row in await _inserted(connection, LINE, rows.lines)}
            if len(new) < len(rows.lines):
                rows = rows_of((key, one) for key, one in sorted(keyed.items()) if key in new)
            await _inserted(connection, DECISION, rows.decisions)
            await _inserted(connection, SERVICE, rows.services)
            rows.tally.subtract(gone)
            await _counted(connection, rows)
            if gone:
                await connection.execute("DELETE FROM tally WHERE count <= 0")
            for chain in chains:
                await _delivered(connection, chain, [place_of(key)[1] for key in keyed if place_of(key)[0] == chain])
            await connection.execute(
                "INSERT INTO stay SELECT day, clock_timestamp() FROM unnest($1::bigint[]) AS day ORDER BY day"
                " ON CONFLICT (day) DO UPDATE SET added = excluded.added",
                sorted(days),
            )

    async def _chain(self, connection: "asyncpg.Connection[asyncpg.Record]", instance: str) -> int:
        if instance not in self._chains:
            await connection.execute("INSERT INTO chain (instance) VALUES ($1) ON CONFLICT DO NOTHING", instance)
            self._chains[instance] = await connection.fetchval("SELECT number FROM chain WHERE instance = $1", instance)
        return self._chains[instance]

    async def _expire(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        now = time.monotonic()
        if self._retention_seconds is None or now < self._expire_at:
            return
        self._expire_at = now + _EXPIRE_SECONDS
        try:
            if await drop_days(connection, self._schema, self._retention_seconds):
                self._days.clear()
        except asyncpg.LockNotAvailableError:
            # Somebody reads what is to go: later.
            return


def is_of_content(error: Exception) -> bool:
    """Whether it would be raised again for the same lines. A partition that is missing is none: another process has dropped it
    since it was seen, as old enough to go; it is made again."""
    state = getattr(error, "sqlstate", None) or ""
    if state == _NO_PARTITION and not getattr(error, "constraint_name", None):
        return False
    return isinstance(error, asyncpg.DataError) or state[:2] in _AT_FAULT


async def _replaced(connection: "asyncpg.Connection[asyncpg.Record]", keyed: dict[int, Shipment]) -> Tally:
    """Takes out lines that others come in place of, and keeps them where they are no longer asked about; gives how their
    decisions were counted. All days are looked through, but only where something was delivered before."""
    counted, chains = Tally(), {place_of(key)[0] for key in keyed}
    seqs = [place_of(key)[1] for key in keyed]
    if not await connection.fetchval(
        "SELECT EXISTS (SELECT 1 FROM span WHERE chain = ANY($1) AND first <= $2 AND last >= $3)",
        list(chains),
        max(seqs),
        min(seqs),
    ):
        return counted
    there = await connection.fetch("SELECT key, time, hash FROM line WHERE key = ANY($1)", list(keyed))
    stale = [row for row in there if row["hash"] != bytes.fromhex(keyed[row["key"]].hash)]
    if not stale:
        return counted
    where = "WHERE key = ANY($1) AND time = ANY($2)"
    of_them = [row["key"] for row in stale], [row["time"] for row in stale]
    await connection.execute(
        f"INSERT INTO {REPLACED.name} SELECT * FROM line {where} ON CONFLICT DO NOTHING",  # noqa: S608 (values are bound)
        *of_them,
    )
    lines = await connection.fetch(f"SELECT key, body FROM line {where}", *of_them)  # noqa: S608 (values are bound)
    bodies = {row["key"]: row["body"] for row in lines}
    for row in await connection.fetch(f"DELETE FROM decision {where} RETURNING *", *of_them):  # noqa: S608 (values are bound)
        uncount(counted, DecisionRow(*row), bodies[row["key"]])
    for table in (LINE, SERVICE):
        await connection.execute(f"DELETE FROM {table.name} {where}", *of_them)  # noqa: S608 (values are bound)
    return counted


async def _inserted(
    connection: "asyncpg.Connection[asyncpg.Record]", table: Table, rows: Sequence[Sequence[object]]
) -> "list[asyncpg.Record]":
    """Adds rows that are not there yet; gives the keys of those."""
    if not rows:
        return []
    arrays = ", ".join(f"${number}::{_ARRAYS[kind]}[]" for number, kind in enumerate(table.columns.values(), 1))
    return await connection.fetch(
        f"INSERT INTO {table.name} SELECT * FROM unnest({arrays}) ON CONFLICT DO NOTHING RETURNING key",  # noqa: S608 (a table's name)
        *(list(column) for column in zip(*rows, strict=True)),
    )


async def _counted(connection: "asyncpg.Connection[asyncpg.Record]", rows: Rows) -> None:
    """In one order for all, so that no two wait for each other."""
    counts = [(*name, number) for name, number in sorted(rows.tally.items())]
    if counts:
        await connection.execute(
            "INSERT INTO tally SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::bigint[])"
            " ON CONFLICT (kind, hour, name, outcome) DO UPDATE SET count = tally.count + excluded.count",
            *(list(column) for column in zip(*counts, strict=True)),
        )


async def _delivered(connection: "asyncpg.Connection[asyncpg.Record]", chain: int, seqs: Sequence[int]) -> None:
    found = stretches(seqs)
    beside = await connection.fetch(
        "DELETE FROM span WHERE chain = $1 AND first <= $2 AND last >= $3 RETURNING first, last",
        chain,
        found[-1][1] + 1,
        found[0][0] - 1,
    )
    whole = merged([*found, *((row["first"], row["last"]) for row in beside)])
    await connection.executemany("INSERT INTO span VALUES ($1, $2, $3)", [(chain, *one) for one in whole])
