"""A collector as a process: nothing that it acknowledged is lost or doubled, and nobody speaks for another."""

import asyncio
import gzip
import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from typer.testing import CliRunner

from hookgate.audit.store.fleet import FleetKind
from hookgate.audit.store.opening import open_store
from hookgate.audit.store.postgres_tables import drop_days
from hookgate.audit.store.question import Filter, Store
from hookgate.collect import postgres as collect_postgres
from hookgate.collect.appending import Incoming
from hookgate.collect.batching import Batcher, BusyError
from hookgate.collect.body import lines_of
from hookgate.collect.enrolment import Request, digest_of, enroll_by_code, issue_code, proof_text
from hookgate.collect.postgres import PostgresPool
from hookgate.commands import app
from hookgate.config.shippers import PostgresShipper
from tests.support.chains import Machine, body
from tests.support.collecting import CollectProcess, asked, enroll, send
from tests.support.collectors import Collector
from tests.support.journals import written
from tests.support.postgres import PostgresServer, running_postgres
from tests.support.wait import until


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres"], scope="module")
def section(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The store's section, for each kind."""
    if request.param == "sqlite":
        return {"type": "sqlite", "path": str(tmp_path_factory.mktemp("collect") / "store.sqlite")}
    server: PostgresServer = request.getfixturevalue("postgres")
    return {"type": "postgres", "url": server.url(), "schema": f"c{uuid4().hex[:12]}"}


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory, section: dict[str, Any]) -> Iterator[CollectProcess]:
    """One for all tests with a kind of store: each has machines with names of its own."""
    made = CollectProcess(tmp_path_factory.mktemp("collector"), section).start()
    yield made
    made.kill()


def opened(section: dict[str, Any]) -> Store:
    if section["type"] == "sqlite":
        return open_store(section["path"])
    return open_store(section["url"], schema=section["schema"])


def stored(section: dict[str, Any], *instances: str) -> list[bytes]:
    """The hashes of all decisions of some chains, with their numbers, in order."""
    with closing(opened(section)) as store:
        found = [
            *store.entries(Filter()),
            *store.service_entries(None, None),
            *store.service_entries(None, None, ("checkpoint",)),
        ]
    return sorted(f"{one.instance} {one.seq:09} {one.hash}".encode() for one in found if one.instance in instances)


def expected(*machines: Machine) -> list[bytes]:
    return sorted(
        f"{one.instance} {one.seq:09} {one.hash}".encode() for machine in machines for one in machine.shipments
    )


def kinds(section: dict[str, Any]) -> dict[str, set[FleetKind]]:
    found: dict[str, set[FleetKind]] = {}
    with closing(opened(section)) as store:
        for one in store.findings():
            found.setdefault(one.name, set()).add(one.kind)
    return found


def test_what_a_machine_sends_is_stored_once_and_each_cheat_is_found_and_told(
    collector: CollectProcess, section: dict[str, Any]
) -> None:
    url, honest, other = collector.url, Machine(), Machine()
    for machine in (honest, other):
        machine.decide(3)
        machine.sign()
    mine, its = collector.enrolled(honest, "alex"), collector.enrolled(other, "kim")
    assert send(url, mine, honest.lines)[:2] == (
        200,
        {"seq": 5, "hash": honest.ends[-1].hash.decode(), "taken": 5, "known": 0},
    )
    assert send(url, mine, honest.lines[2:])[1]["known"] == 3
    assert asked(f"{url}/v1/position", token=mine)[1]["seq"] == 5
    assert asked(f"{url}/v1/position", token=its)[1]["seq"] == 0
    # Kim's machine sends Alex's records, then a changed one, and then tells its own anew.
    assert send(url, its, honest.lines)[0] == 403
    assert send(url, its, [other.lines[0], other.lines[1].replace(b'"allow"', b'"deny"')])[0] == 422
    assert asked(f"{url}/v1/position", token=its)[1]["seq"] == 0
    assert send(url, its, other.lines)[0] == 200
    anew = other.cut(2)
    anew.decide(2, reason="told anew")
    assert send(url, its, anew.lines)[0] == 200
    assert stored(section, honest.instance, other.instance) == expected(honest, other)
    found = kinds(section)
    assert found["kim"] == {FleetKind.FOREIGN_INSTANCE, FleetKind.ALTERED, FleetKind.REWIND}
    assert "alex" not in found
    with closing(opened(section)) as store:
        records = [one.record["detail"] for one in store.service_entries(None, None, ("fleet_finding",))]
        names = {one.name: one.progress for one in store.members()}
    told = [one["kind"] for one in records if one["journal"] == other.instance]
    assert sorted(told) == ["altered", "foreign_instance", "rewind"]
    assert (names["alex"].seq, names["alex"].signed_seq, names["alex"].principal) == (5, 5, "alex")
    assert 'hookgate_collect_findings_total{finding="rewind"} 1.0' in collector.metrics()


def test_nobody_without_a_credential_appends_and_a_revoked_one_is_none(
    collector: CollectProcess, section: dict[str, Any]
) -> None:
    url, machine = collector.url, Machine()
    assert send(url, "", machine.lines)[0] == 403
    assert send(url, "hgi_" + "x" * 43, machine.lines)[0] == 403
    code = collector.command("code", "--name", "robin")
    assert enroll(url, machine, code, as_key=Machine())[0] == 403
    status, answer, _ = enroll(url, machine, code)
    assert (status, answer["name"]) == (200, "robin")
    assert enroll(url, Machine(), code)[0] == 403
    assert send(url, answer["token"], machine.lines)[0] == 200
    collector.command("revoke", "robin")
    machine.decide()
    until(lambda: send(url, answer["token"], machine.lines)[0] == 403, what="the revocation")
    assert stored(section, machine.instance) == expected(machine)[:1]
    dump = collector.log()
    assert answer["token"] not in dump
    assert code not in dump


def test_a_code_enrols_nobody_in_the_place_of_another(collector: CollectProcess) -> None:
    url, machine = collector.url, Machine()
    token = collector.enrolled(machine, "sam")
    thief = Machine(machine.instance)
    status, answer, _ = enroll(url, thief, collector.code("mallory"))
    assert (status, "another name" in answer["error"]) == (403, True)
    assert send(url, token, machine.lines)[0] == 200


def test_a_machine_that_begins_a_journal_anew_is_enrolled_again_and_that_is_told(
    collector: CollectProcess, section: dict[str, Any]
) -> None:
    first, second = Machine(), Machine()
    old = collector.enrolled(first, "toni")
    new = collector.enrolled(second, "toni")
    assert send(collector.url, new, second.lines)[0] == 200
    until(lambda: send(collector.url, old, first.lines)[0] == 403, what="the old token to count no more")
    assert kinds(section)["toni"] == {FleetKind.NEW_CHAIN, FleetKind.REVOKED}


def test_a_key_that_was_rotated_counts_and_one_that_was_swapped_does_not_until_a_code_says_so(
    collector: CollectProcess, section: dict[str, Any], tmp_path: Path
) -> None:
    directory = written(tmp_path, 0)
    journal = Machine.of(directory)
    token = collector.enrolled(journal, "dana")

    def sent() -> int:
        """Sends what is new; gives up to which line the journal is verified."""
        lines = Machine.of(directory).lines
        begin = asked(f"{collector.url}/v1/position", token=token)[1]["seq"]
        assert send(collector.url, token, lines[begin:])[0] == 200
        with closing(opened(section)) as store:
            (progress,) = [one.progress for one in store.members() if one.instance == journal.instance]
        assert progress.seq == len(lines)
        return progress.signed_seq

    assert CliRunner().invoke(app, ["audit", "rotate-key", str(directory)]).exit_code == 0
    verified = sent()
    assert verified == len(Machine.of(directory).lines)
    assert "dana" not in kinds(section)
    (directory / "signing.key").unlink()
    written(directory, 0)
    assert sent() == verified
    assert kinds(section)["dana"] == {FleetKind.WRONG_KEY}
    token = collector.enrolled(Machine.of(directory), "dana")
    written(directory, 0)
    assert sent() == len(Machine.of(directory).lines)
    # A journal that had other keys before it was enrolled.
    other = written(tmp_path / "other", 0)
    assert CliRunner().invoke(app, ["audit", "rotate-key", str(other)]).exit_code == 0
    late = Machine.of(other)
    assert send(collector.url, collector.enrolled(late, "late"), late.lines)[0] == 200
    assert "late" not in kinds(section)


@pytest.mark.parametrize(
    ("data", "encoding", "status"),
    [
        (b"\x1f\x8b nonsense", "gzip", 400),
        (gzip.compress(b"\0" * (40 << 20)), "gzip", 413),
        (b"{}\n", "br", 415),
        (b"{}\n", "", 422),
        (b'{"seq":1', "", 400),
        (b"\n" * 20_000, "", 413),
        (b"x" * (9 << 20), "", 413),
    ],
    ids=["no gzip", "a bomb", "another encoding", "no line", "half a line", "too many lines", "too large"],
)
def test_a_hostile_body_is_refused_and_the_collector_goes_on(
    standing: tuple[CollectProcess, Machine, str], data: bytes, encoding: str, status: int
) -> None:
    collector, machine, token = standing
    assert (
        asked(f"{collector.url}/v1/records", data=data, token=token, headers={"Content-Encoding": encoding})[0]
        == status
    )
    assert send(collector.url, token, machine.lines)[0] == 200


@pytest.mark.parametrize(
    "value",
    [b"[" * 5000 + b"]" * 5000, b"NaN", b"9" * 5000, b'"\\ud800"', b"1e999"],
    ids=["deep", "not a number", "a huge number", "half a character", "infinite"],
)
def test_a_hostile_record_is_refused_or_stored_as_it_is(
    standing: tuple[CollectProcess, Machine, str], section_of: dict[str, Any], value: bytes
) -> None:
    collector, machine, token = standing
    hostile = machine.cut(len(machine.lines))
    hostile.write(
        b'{"version":1,"type":"decision","id":"x","time":"2026-11-22T00:00:00Z","instance":"%b","tool_use_id":%b}\n'
        % (machine.instance.encode(), value)
    )
    status, answer, _ = send(collector.url, token, hostile.lines)
    assert status in (200, 422), answer
    if status == 200:
        machine.lines, machine.ends = hostile.lines, hostile.ends
    assert stored(section_of, machine.instance) == expected(machine)


@pytest.fixture(scope="module")
def section_of(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return {"type": "sqlite", "path": str(tmp_path_factory.mktemp("standing") / "store.sqlite")}


@pytest.fixture(scope="module")
def standing(section_of: dict[str, Any]) -> Iterator[tuple[CollectProcess, Machine, str]]:
    made, machine = CollectProcess(Path(section_of["path"]).parent, section_of).start(), Machine()
    yield made, machine, made.enrolled(machine, "alex")
    made.kill()


def test_one_journal_that_floods_has_to_wait_and_another_has_not(tmp_path: Path) -> None:
    collector = CollectProcess(tmp_path, records_per_second=1, burst_records=20).start()
    try:
        flood, calm = Machine(), Machine()
        its, mine = collector.enrolled(flood, "flood"), collector.enrolled(calm, "calm")
        flood.decide(30)
        assert send(collector.url, its, flood.lines)[0] == 200
        status, _, headers = send(collector.url, its, flood.lines)
        assert (status, int(headers["Retry-After"]) >= 1) == (429, True)
        assert send(collector.url, mine, calm.lines)[0] == 200
    finally:
        collector.kill()


def test_a_collector_that_is_killed_again_and_again_loses_and_doubles_nothing(
    collector: CollectProcess, section: dict[str, Any]
) -> None:
    machines = [Machine() for _ in range(4)]
    tokens = [collector.enrolled(machine, f"m{number}") for number, machine in enumerate(machines)]
    for machine in machines:
        for _ in range(12):
            machine.decide(9)
            machine.sign()

    async def ship() -> None:
        couriers = [sender(machine, token) for machine, token in zip(machines, tokens, strict=True)]
        await asyncio.gather(*couriers)

    async def sender(machine: Machine, token: str) -> None:
        """As a shipper does: the same again until it is taken, from where the collector is."""
        done = 0
        while done < len(machine.lines):
            batch = machine.lines[done : done + 11]
            try:
                status, answer, _ = await asyncio.to_thread(send, collector.url, token, batch)
            except OSError:
                status, answer = 0, {}
            if status == 200:
                done = answer["seq"]
            else:
                await asyncio.sleep(0.02)

    shipping = threading.Thread(target=lambda: asyncio.run(ship()))
    shipping.start()
    for _ in range(2):
        before = collector_lines(section)
        until(partial(has_more, section, before, shipping), seconds=30, what="more lines")
        collector.kill()
        collector.start()
    shipping.join(60)
    assert not shipping.is_alive()
    assert stored(section, *(machine.instance for machine in machines)) == expected(*machines)
    assert kinds(section).keys() & {f"m{number}" for number in range(4)} == set()


async def test_records_dated_on_any_day_make_no_tables_without_end_and_no_other_journal_waits_for_them(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each day has tables of its own in PostgreSQL, and a machine writes what times it wants."""
    monkeypatch.setattr(collect_postgres, "_NEW_DAYS", 3)
    monkeypatch.setattr(collect_postgres, "_ODD_DAYS", 5)
    pool = PostgresPool(PostgresShipper(url=postgres.url(), schema=f"c{uuid4().hex[:12]}"))
    batcher = Batcher(pool, forwards=False)
    storing = asyncio.create_task(batcher.run())
    try:
        liar, honest = Machine(), Machine()
        for machine in (liar, honest):
            code = await issue_code(pool, machine.instance, now=0, expires=1)
            signature = machine.key.sign(proof_text(machine.instance, digest_of(code))).hex()
            wanted = Request(instance=machine.instance, public_key=machine.public_key, signature=signature, code=code)
            await enroll_by_code(pool, wanted, now=1)
        for number in range(9):
            liar.say("start", time=f"1999-01-{number + 10}T00:00:00Z")

        async def take(machine: Machine, first: int, last: int) -> int:
            lines = lines_of(body(machine.lines[first:last]))
            return (await batcher.take(Incoming(machine.instance, lines, gap_known=True))).status

        # More days at once, among them what another sends; as many as there may be at once; and as many as there may be.
        assert [*await asyncio.gather(take(liar, 0, 10), take(honest, 0, 1))] == [422, 200]
        assert [await take(liar, *at) for at in ((0, 4), (4, 6), (6, 7), (4, 6))] == [200, 200, 422, 200]
        # Another collector, with a clock of its own, drops the days.
        connection = await asyncpg.connect(postgres.url(), server_settings={"search_path": pool._config.schema})
        assert await drop_days(connection, pool._config.schema, -1) >= 5
        await connection.close()
        liar.say("stop", time="1999-01-10T00:00:00Z")
        with pytest.raises(BusyError):
            await take(liar, 10, 11)
        assert await take(liar, 10, 11) == 200
    finally:
        storing.cancel()
        await pool.close()


def collector_lines(section: dict[str, Any]) -> int:
    with closing(opened(section)) as store:
        return sum(one.last - one.first + 1 for one in store.spans())


def has_more(section: dict[str, Any], before: int, shipping: threading.Thread) -> bool:
    return collector_lines(section) > before or not shipping.is_alive()


def test_two_collectors_forward_what_comes_to_either_and_go_on_with_each_others_work(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    section = {"type": "postgres", "url": postgres.url(), "schema": f"c{uuid4().hex[:12]}"}
    target = tmp_path / "forwarded.jsonl"
    forward = [{"type": "file", "path": str(target)}]
    first, second = (CollectProcess(tmp_path, section, forward=forward).start() for _ in range(2))
    try:
        machines = [Machine() for _ in range(3)]
        tokens = [first.enrolled(machine, f"m{number}") for number, machine in enumerate(machines)]
        for at, collector in enumerate((first, second)):
            for machine, token in zip(machines, tokens, strict=True):
                machine.decide(5)
                machine.sign()
                begin = asked(f"{collector.url}/v1/position", token=token)[1]["seq"]
                assert send(collector.url, token, machine.lines[begin:])[0] == 200
            wanted = {one.hash for machine in machines for one in machine.shipments}
            until(partial(is_forwarded, target, wanted), seconds=30, what="all lines to be forwarded")
            if at == 0:
                first.stop()
        found = [json.loads(line) for line in target.read_text().splitlines()]
        mine = [one["hash"] for one in found if one["instance"] in {machine.instance for machine in machines}]
        assert len(mine) == len(set(mine)) == 3 * 13
        assert {one["type"] for one in found} >= {"fleet_code", "fleet_enrolled", "decision", "checkpoint"}
    finally:
        first.kill()
        second.kill()


def test_when_the_collector_that_forwards_is_killed_another_goes_on_and_only_what_was_under_way_comes_twice(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    schema = f"c{uuid4().hex[:12]}"
    section = {"type": "postgres", "url": postgres.url(), "schema": schema}
    target = Collector(tmp_path).start()
    forward = [
        {"type": "http", "body": "elastic_bulk", "url": target.url("/_bulk")},
        {"type": "otlp", "url": target.url("/v1/logs")},
    ]
    first, second = (CollectProcess(tmp_path, section, forward=forward) for _ in range(2))

    def sent(count: int) -> set[str]:
        """Has so many decisions come; gives all ids until now."""
        begin = len(machine.lines)
        machine.decide(count)
        assert send(first.url, token, machine.lines[begin:])[0] == 200
        return {str(one.record["id"]) for one in machine.shipments}

    def has(wanted: set[str]) -> bool:
        return all(wanted <= set(had(target, path)) for path in ("/_bulk", "/v1/logs"))

    try:
        machine = Machine()
        token = first.start().enrolled(machine, "alex")
        assert send(first.url, token, machine.lines)[0] == 200
        before = sent(20)
        until(lambda: has(before), seconds=30, what="the first lines to be forwarded")
        second.start()
        target.freeze()
        wanted = sent(20)
        until(lambda: lag(first) >= 40, seconds=30, what="lines that wait for the frozen targets")
        first.kill()
        target.thaw()
        # The time in which nothing is heard of it.
        asyncio.run(executed(postgres, f"UPDATE {schema}.forwarder SET moved = moved - 31000000"))
        until(lambda: has(wanted), seconds=30, what="all lines to be forwarded")
        second.stop()
        assert set(had(target, "/_bulk").values()) == {1}
        # That sink knows nothing of what it has; see the table of docs/sinks.md.
        twice = {one for one, count in had(target, "/v1/logs").items() if count > 1}
        assert twice <= wanted - before
    finally:
        first.kill()
        second.kill()
        target.kill()


def had(target: Collector, path: str) -> Counter[str]:
    return Counter(one["id"] for one in target.records if one["path"] == path)


def lag(collector: CollectProcess) -> float:
    """How many lines wait to be forwarded."""
    found = re.findall(r"^hookgate_ship_lag_records\{.*\} (\S+)$", collector.metrics(), re.MULTILINE)
    return sum(map(float, found))


async def executed(server: PostgresServer, statement: str) -> None:
    connection = await asyncpg.connect(server.url())
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def is_forwarded(target: Path, wanted: set[str]) -> bool:
    return target.exists() and wanted <= {json.loads(line)["hash"] for line in target.read_text().splitlines()}
