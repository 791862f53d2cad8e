"""The store's tables in PostgreSQL: made, brought up to date, and split up by days."""

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime

import asyncpg

from hookgate.audit.store.moment import DAY, HOUR, moment_of
from hookgate.audit.store.tables import DAILY, FLEET, FLEET_INDEXES, INDEXES, REPLACED, TABLES, Column, Table

_COLUMNS = {
    Column.WHOLE: "bigint NOT NULL",
    Column.FLAG: "smallint NOT NULL",
    Column.REAL: "double precision NOT NULL",
    # Compared byte by byte, so that both kinds of store give the same order and know the same letters.
    Column.TEXT: 'text COLLATE "C" NOT NULL',
    Column.BYTES: "bytea NOT NULL",
    Column.MAYBE_TEXT: 'text COLLATE "C"',
    Column.MAYBE_FLAG: "smallint",
    Column.MAYBE_REAL: "double precision",
}
#: For people who read the tables with a tool of their own.
_VIEW = """CREATE VIEW decisions AS
SELECT timestamptz 'epoch' + d.time * interval '1 microsecond' AS at, c.instance, d.key & ((1::bigint << 44) - 1) AS seq, d.*
FROM decision d JOIN chain c ON c.number = d.key >> 44"""


def _made(table: Table) -> str:
    columns = ", ".join(f"{name} {_COLUMNS[kind]}" for name, kind in table.columns.items())
    primary = (*table.primary, "time") if table.daily else table.primary
    daily = " PARTITION BY RANGE (time)" if table.daily else ""
    return f"CREATE TABLE {table.name} ({columns}, PRIMARY KEY ({', '.join(primary)})){daily}"


#: What leads from each version to the next, beginning with an empty schema.
STEPS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE version (number integer NOT NULL)",
        "INSERT INTO version VALUES (0)",
        'CREATE TABLE chain (number integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, instance text COLLATE "C" NOT NULL UNIQUE)',
        # When a day was last added to, by the database's clock: one that no machine with a Hookgate sets.
        "CREATE TABLE stay (day bigint PRIMARY KEY, added timestamptz NOT NULL)",
        *(_made(table) for table in TABLES),
        *(index.sql() for index in INDEXES),
        _VIEW,
    ),
    (_made(REPLACED),),
    (*(_made(table) for table in FLEET), *(index.sql() for index in FLEET_INDEXES)),
)


async def version_of(connection: "asyncpg.Connection[asyncpg.Record]", schema: str) -> int | None:
    """Gives the version of a schema's tables: 0 where there are none, None for one that this Hookgate does not read."""
    if await connection.fetchval("SELECT to_regclass($1)", f'"{schema}".version') is None:
        return 0
    number = await connection.fetchval("SELECT number FROM version")
    return number if number == len(STEPS) else None


async def migrate(connection: "asyncpg.Connection[asyncpg.Record]", schema: str) -> int:
    """Makes the schema and its tables, or brings them up to date; gives the version found, which is larger than `len(STEPS)` if
    a newer Hookgate made them: then nothing is touched. One at a time, however many start together."""
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", lock_of(schema))
        if not await connection.fetchval("SELECT count(*) FROM pg_namespace WHERE nspname = $1", schema):
            await connection.execute(f'CREATE SCHEMA "{schema}"')
        found = 0
        if await connection.fetchval("SELECT to_regclass($1)", f'"{schema}".version') is not None:
            found = await connection.fetchval("SELECT number FROM version")
        if found < len(STEPS):
            for step in STEPS[found:]:
                for statement in step:
                    await connection.execute(statement)
            await connection.execute("UPDATE version SET number = $1", len(STEPS))
    return max(found, len(STEPS))


async def make_days(connection: "asyncpg.Connection[asyncpg.Record]", schema: str, days: Iterable[int]) -> None:
    """Makes the partitions of these days (since 1970) where they are missing, without making readers wait."""
    for day in sorted(days):
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", lock_of(schema))
            for table in DAILY:
                name = partition(table, day)
                if await connection.fetchval("SELECT to_regclass($1)", f'"{schema}".{name}') is not None:
                    continue
                await connection.execute(f"CREATE TABLE {name} (LIKE {table.name} INCLUDING ALL)")
                bounds = f"FROM ({day * DAY}) TO ({(day + 1) * DAY})"
                await connection.execute(f"ALTER TABLE {table.name} ATTACH PARTITION {name} FOR VALUES {bounds}")


async def drop_days(connection: "asyncpg.Connection[asyncpg.Record]", schema: str, older_seconds: float) -> int:
    """Drops the partitions of days that nothing was added to for so long; gives how many days that were."""
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", lock_of(schema))
        days = await connection.fetch(
            "DELETE FROM stay WHERE added < clock_timestamp() - $1 * interval '1 second' RETURNING day", older_seconds
        )
        for (day,) in days:
            for table in DAILY:
                await connection.execute(f"DROP TABLE IF EXISTS {partition(table, day)}")
            await connection.execute("DELETE FROM replaced WHERE time >= $1 AND time < $2", day * DAY, (day + 1) * DAY)
            first = day * DAY // HOUR
            await connection.execute("DELETE FROM tally WHERE hour >= $1 AND hour < $2", first, first + DAY // HOUR)  # fmt: skip
    return len(days)


def partition(table: Table, day: int) -> str:
    """Gives the name of a table's partition: readable where the day is one that people live in."""
    try:
        readable = moment_of(day * DAY).astimezone(UTC)
    except OverflowError:
        readable = datetime(1, 1, 1, tzinfo=UTC)
    return f"{table.name}_{readable:%Y%m%d}"


def lock_of(schema: str) -> int:
    """Gives the number of the lock under which a schema's tables are changed."""
    return int.from_bytes(hashlib.sha256(f"hookgate store {schema}".encode()).digest()[:8], signed=True)
