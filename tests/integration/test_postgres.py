"""The store in a real PostgreSQL: the same answers as from a file, and nothing lost or doubled whatever happens to the server."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hookgate.audit.shipping.shipment import Shipment, SinkError, SinkRefusedError
from hookgate.audit.sinks.postgres import PostgresSink
from hookgate.audit.store import postgres_tables
from hookgate.audit.store.opening import open_store
from hookgate.audit.store.question import Filter, StoreError
from hookgate.config.shippers import PostgresShipper
from tests.support.oracle import Oracle
from tests.support.postgres import PostgresServer, running_postgres
from tests.support.questions import PLAIN_FILTERS, agrees, journals
from tests.support.records import INSTANCE, decision, service, shipments
from tests.support.wait import free_port


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


@pytest.fixture
def schema() -> str:
    return f"s{uuid4().hex[:12]}"


@pytest.fixture
async def connection(server: PostgresServer, schema: str) -> AsyncIterator[Any]:
    """Somebody else's connection, with the schema's tables at hand."""
    found = await asyncpg.connect(server.url(), server_settings={"search_path": schema})
    yield found
    await found.close()


def sink(server: PostgresServer, schema: str, **settings: Any) -> PostgresSink:
    return PostgresSink(PostgresShipper(url=server.url(), schema=schema, **settings))


async def send(server: PostgresServer, schema: str, *batches: list[Shipment], **settings: Any) -> None:
    made = sink(server, schema, **settings)
    await made.open()
    try:
        for batch in batches:
            if batch:
                await made.send(batch)
    finally:
        await made.close()


async def deliver(
    made: PostgresSink, lines: list[Shipment], *, size: int = 20, seconds: float = 20, pause: float = 0
) -> int:
    """Delivers as a shipper does: the same batch again until it is taken, with a limit for each try. Gives the failures."""
    failures, is_open = 0, False
    for begin in range(0, len(lines), size):
        while True:
            try:
                async with asyncio.timeout(seconds):
                    if not is_open:
                        await made.open()
                        is_open = True
                    await made.send(lines[begin : begin + size])
                await asyncio.sleep(pause)
                break
            except (SinkError, TimeoutError):
                failures, is_open = failures + 1, False
                await asyncio.sleep(0.02)
    await made.close()
    return failures


async def counted(connection: Any) -> tuple[int, int, int]:
    """Lines, decisions, and decisions as counted by the hour."""
    return (
        await connection.fetchval("SELECT count(*) FROM line"),
        await connection.fetchval("SELECT count(*) FROM decision"),
        await connection.fetchval("SELECT coalesce(sum(count), 0)::bigint FROM tally WHERE kind = 'mode'"),
    )


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(journal=journals(most=40), wanted=st.lists(PLAIN_FILTERS, min_size=4, max_size=12), limit=st.integers(2, 9))
def test_a_database_answers_what_plain_python_finds_in_the_same_records(
    server: PostgresServer, journal: list[Shipment], wanted: list[Filter], limit: int
) -> None:
    schema = f"h{uuid4().hex[:12]}"
    half = len(journal) // 2
    asyncio.run(send(server, schema, journal[:half], journal[half:]))
    with closing(open_store(server.url(), schema=schema)) as store:
        for one in wanted:
            agrees(store, Oracle(journal), one, limit)


def test_a_call_is_shown_with_all_that_belongs_to_it_and_every_byte_of_it(server: PostgresServer, schema: str) -> None:
    lines = shipments(
        [
            decision(1, tool_use_id="t1", reason="nul \0 here", user="x\0y"),
            decision(2, event="PostToolUse", tool_use_id="t1", time="2026-11-23T00:00:01Z"),
            service(3, "executed_differs", {"decision": "decision-000001"}, time="2026-11-23T00:00:02Z"),
        ]
    )
    asyncio.run(send(server, schema, lines))
    with closing(open_store(f"{server.url()}?search_path={schema}")) as store:
        found = store.show("decision-000001")
        assert [(entry.instance, entry.seq, entry.hash, entry.record) for entry in found] == [
            (INSTANCE, line.seq, line.hash, line.record) for line in lines
        ]
        (row,) = store.search(Filter(user="x\0y")).rows
        assert (row.user, row.reason) == ("x\ufffdy", "nul \ufffd here")
        assert [(span.first, span.last) for span in store.spans()] == [(1, 3)]


async def test_a_line_that_comes_with_another_hash_takes_the_place_of_the_old_one(
    server: PostgresServer, schema: str, connection: Any
) -> None:
    old = shipments([decision(1), decision(2, user="lost"), service(3, "canary"), decision(4, user="lost")])
    late = {"time": "2026-12-01T00:00:00.000000Z"}
    new = shipments([decision(1), service(12, "canary"), decision(13, **late), decision(14)])
    await send(server, schema, old, new[:3], new[3:], new)
    kept = await connection.fetch("SELECT encode(hash, 'hex') FROM line ORDER BY key")
    assert [row[0] for row in kept] == [one.hash for one in new]
    replaced = await connection.fetch("SELECT encode(hash, 'hex') FROM replaced ORDER BY key")
    assert [row[0] for row in replaced] == [one.hash for one in old[1:]]
    assert await counted(connection) == (4, 3, 3)
    assert await connection.fetchval("SELECT count(*) FROM service") == 1
    assert await connection.fetchval("SELECT count(*) FROM tally WHERE name = 'lost' OR count <= 0") == 0


async def test_a_schema_that_was_dropped_is_told_to_be_empty(
    server: PostgresServer, schema: str, connection: Any
) -> None:
    made = sink(server, schema)
    await made.open()
    await made.send(shipments([decision(1)]))
    assert await made.holds(INSTANCE)
    await connection.execute(f'DROP SCHEMA "{schema}" CASCADE')
    with pytest.raises(SinkError):
        await made.holds(INSTANCE)
    await made.open()
    assert not await made.holds(INSTANCE)
    await made.close()


async def test_replicas_that_start_and_deliver_at_once_make_one_store(
    server: PostgresServer, schema: str, connection: Any
) -> None:
    # Days of all of them are the same, and new to each; some chains come from two places.
    journals = [
        shipments(
            [decision(number, time=f"2026-11-{1 + number % 9:02d}T10:00:00Z") for number in range(60)], instance=name
        )
        for name in ("one", "two", "three")
    ]
    failures = await asyncio.gather(*(deliver(sink(server, schema), lines) for lines in [*journals, *journals]))
    assert await counted(connection) == (180, 180, 180)
    assert sum(failures) < 20, failures


async def test_a_server_that_is_frozen_killed_and_started_again_loses_nothing_and_doubles_nothing(
    schema: str, server: PostgresServer
) -> None:
    lines = shipments(
        [decision(number, time=f"2026-11-{1 + number % 5:02d}T10:{number % 60:02d}:00Z") for number in range(600)]
    )
    made = sink(server, schema, timeout_seconds=1)
    shipping = asyncio.create_task(deliver(made, lines, size=5, seconds=0.5, pause=0.02))
    for trouble in ("freeze", "kill", "freeze", "kill"):
        await asyncio.sleep(0.1)
        assert not shipping.done()
        if trouble == "freeze":
            server.freeze()
            await asyncio.sleep(0.7)
            server.thaw()
        else:
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
    assert await shipping > 0
    connection = await asyncpg.connect(server.url(), server_settings={"search_path": schema})
    assert await counted(connection) == (600, 600, 600)
    assert await connection.fetchval("SELECT count(*) FROM span") == 1
    await connection.close()


async def test_a_frozen_server_is_let_go_within_the_time_that_it_is_given(server: PostgresServer, schema: str) -> None:
    made = sink(server, schema)
    await made.open()
    server.freeze()
    try:
        with pytest.raises((TimeoutError, SinkError)):
            async with asyncio.timeout(0.3):
                await made.send(shipments([decision(1)]))
        async with asyncio.timeout(5):
            await made.close()
    finally:
        server.thaw()


async def test_a_record_with_a_time_of_another_century_has_its_day_and_one_without_a_time_too(
    server: PostgresServer, schema: str, connection: Any
) -> None:
    odd = [decision(1, time="9999-12-31T23:59:59Z"), decision(2, time="0001-01-01T00:00:00Z"), decision(3, time="soon")]
    await send(server, schema, shipments(odd))
    assert await counted(connection) == (3, 3, 3)
    assert await connection.fetchval("SELECT count(*) FROM decision_99991231") == 1
    assert await connection.fetchval("SELECT count(*) FROM decision_19700101") == 1


async def test_days_that_are_old_enough_are_dropped_by_the_databases_own_clock(
    server: PostgresServer, schema: str, connection: Any
) -> None:
    lines = shipments([decision(1, time="2026-08-01T10:00:00Z"), decision(2, time="2026-11-22T10:00:00Z")])
    await send(server, schema, lines)
    await send(server, schema, lines[1:], retention_days=30)
    assert await counted(connection) == (2, 2, 2)
    await connection.execute("UPDATE stay SET added = now() - interval '31 days' WHERE day < 20700")
    await send(server, schema, lines[1:], retention_days=30)
    assert await counted(connection) == (1, 1, 1)
    assert await connection.fetchval("SELECT to_regclass('decision_20260801')") is None


async def test_a_day_is_dropped_later_while_somebody_reads_it(
    server: PostgresServer, schema: str, connection: Any
) -> None:
    lines = shipments([decision(1, time="2026-08-01T10:00:00Z"), decision(2, time="2026-11-22T10:00:00Z")])
    await send(server, schema, lines)
    await connection.execute("UPDATE stay SET added = now() - interval '31 days' WHERE day < 20700")
    made = sink(server, schema, retention_days=30)
    await made.open()
    async with connection.transaction():
        assert await connection.fetchval("SELECT count(*) FROM decision") == 2
        assert made._connection is not None
        await made._connection.execute("SET lock_timeout = '100ms'")
        await made.send(lines[1:])
        assert await connection.fetchval("SELECT count(*) FROM decision") == 2
    made._expire_at = 0
    await made.send(lines[1:])
    await made.close()
    assert await counted(connection) == (1, 1, 1)


async def test_an_older_schema_is_brought_up_to_date_with_its_rows_and_a_newer_one_refused(
    server: PostgresServer, schema: str, connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await send(server, schema, shipments([decision(1)]))
    steps = (*postgres_tables.STEPS, ("ALTER TABLE decision ADD COLUMN colour text NOT NULL DEFAULT 'blue'",))
    with monkeypatch.context() as newer:
        newer.setattr(postgres_tables, "STEPS", steps)
        newer.setattr("hookgate.audit.sinks.postgres.STEPS", steps)
        made = sink(server, schema)
        await made.open()
        await made.close()
    assert await connection.fetchval("SELECT string_agg(colour, ',') FROM decision") == "blue"
    with pytest.raises(SinkError, match="newer Hookgate"):
        await sink(server, schema).open()
    with pytest.raises(StoreError, match="of another version"):
        await asyncio.to_thread(open_store, server.url(), schema=schema)


async def test_what_a_value_is_at_fault_for_is_refused_for_good_without_telling_the_value(
    server: PostgresServer, schema: str, connection: Any
) -> None:
    made = sink(server, schema)
    await made.open()
    with pytest.raises(SinkRefusedError):
        await made.send([Shipment(b"[]", 1, "ab" * 32, INSTANCE)])
    await connection.execute("ALTER TABLE decision ADD CONSTRAINT few CHECK (reason <> 'private words')")
    with pytest.raises(SinkRefusedError) as refused:
        await made.send(shipments([decision(1, reason="private words")]))
    assert "private" not in str(refused.value)
    await made.send(shipments([decision(1)]))
    await made.close()
    assert await counted(connection) == (1, 1, 1)


async def test_no_fault_tells_the_password(server: PostgresServer, schema: str) -> None:
    place = f"127.0.0.1:{server.port}"
    for url in (
        f"postgresql://tester:hunter2@127.0.0.1:{free_port()}/x",
        f"postgresql://nobody:hunter2@{place}/none",
        f"postgresql://nobody:hunter2?hunter2@{place}/none",
        f"postgresql://nobody:hunter2/hunter2#@{place}/none",
        f"postgresql://{place}/none?user=nobody&password=hunter2",
    ):
        with pytest.raises(SinkError) as fault:
            await PostgresSink(PostgresShipper(url=url, schema=schema)).open()
        with pytest.raises(StoreError) as unread:
            await asyncio.to_thread(open_store, url, schema=schema)
        for error in (fault, unread):
            assert "hunter2" not in str(error.value)
            assert str(error.value).startswith(
                ("postgresql://127.0.0.1:", "PostgreSQL (schema", "the store's URL can't be read")
            )
            assert "\n" not in str(error.value)


def test_a_database_without_a_store_says_how_to_make_one(server: PostgresServer, schema: str) -> None:
    with pytest.raises(StoreError, match="no store there: `hookgate ship` makes it"):
        open_store(server.url(), schema=schema)


def test_a_store_is_opened_for_reading_only(server: PostgresServer, schema: str) -> None:
    asyncio.run(send(server, schema, shipments([decision(1)])))
    with closing(open_store(server.url(), schema=schema)) as store:
        with pytest.raises(StoreError, match="read-only"):
            store._database.rows("DELETE FROM decision")  # type: ignore[attr-defined]
        assert store.stats(Filter(until=datetime(2027, 1, 1, tzinfo=UTC))).total == 1


async def test_who_fills_the_store_needs_no_right_but_to_make_schemas_and_who_reads_it_only_to_read(
    server: PostgresServer, schema: str, connection: Any
) -> None:
    name = f"db{uuid4().hex[:8]}"
    await connection.execute(f"CREATE ROLE {name}_writer LOGIN")
    await connection.execute(f"CREATE ROLE {name}_reader LOGIN")
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.execute(f"GRANT CREATE ON DATABASE {name} TO {name}_writer")
    writer = PostgresSink(PostgresShipper(url=server.url(name, f"{name}_writer"), schema=schema))
    await writer.open()
    owner = await asyncpg.connect(server.url(name, f"{name}_writer"), server_settings={"search_path": schema})
    await owner.execute(f"GRANT USAGE ON SCHEMA {schema} TO {name}_reader")
    await owner.execute(f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT ON TABLES TO {name}_reader")
    await owner.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {name}_reader")
    await writer.send(shipments([decision(1)]))
    await writer.close()

    def read() -> int:
        with closing(open_store(server.url(name, f"{name}_reader"), schema=schema)) as store:
            return len(list(store.entries(Filter())))

    assert await asyncio.to_thread(read) == 1
    at = await owner.fetchrow("SELECT at, instance, seq, principal FROM decisions")
    assert at is not None
    assert tuple(at) == (datetime(2026, 11, 22, 0, 0, 1, tzinfo=UTC), INSTANCE, 1, "alex")
    await owner.close()
