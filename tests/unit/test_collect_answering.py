"""A collector in this process, on a file: who may enrol and send, and what one sender can take from the others."""

import asyncio
import json
import time
import zlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest
import structlog
from aiohttp import web

from hookgate.audit.store.fleet import FleetKind
from hookgate.collect import answering, who
from hookgate.collect.batching import Batcher
from hookgate.collect.enrolment import (
    EnrolmentError,
    Request,
    digest_of,
    enroll_by_certificate,
    enroll_by_code,
    issue_code,
    proof_text,
    revoke,
)
from hookgate.collect.lines import Lines
from hookgate.collect.server import application
from hookgate.collect.sqlite import SqliteFile
from hookgate.collect.who import Who
from hookgate.config.collect import Collect
from hookgate.identity.certificate import Revocations
from hookgate.telemetry.collecting import CollectMetrics
from tests.support.chains import Machine, body


class Running:
    """The collector and a client of it."""

    def __init__(self, database: SqliteFile, batcher: Batcher, client: aiohttp.ClientSession, url: str) -> None:
        self.database, self.batcher = database, batcher
        self._client, self._url = client, url

    async def enrolled(self, machine: Machine, name: str, code: str = "") -> str:
        """Enrols a machine; gives its token."""
        code = code or await self.code(name)
        found = await enroll_by_code(self.database, wanted(machine, code), now=now())
        assert found[0] == name
        return found[1]

    async def code(self, name: str) -> str:
        """A code that is good for a minute."""
        return await issue_code(self.database, name, now=now(), expires=now() + 60_000_000)

    async def asked(
        self, method: str, path: str, token: str = "", data: bytes | AsyncIterator[bytes] | None = None, **headers: str
    ) -> int:
        """Gives an answer's status."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if token:
            given["Authorization"] = f"Bearer {token}"
        async with self._client.request(method, self._url + path, data=data, headers=given) as response:
            await response.read()
            return response.status

    async def send(self, token: str, lines: list[bytes]) -> int:
        """Posts lines."""
        return await self.asked("POST", "/v1/records", token, zlib.compress(body(lines)), Content_Encoding="deflate")

    async def found(self, name: str) -> set[str]:
        """Kinds of findings of who was enrolled under a name."""
        async with self.database.transaction() as session:
            rows = await session.rows(
                "SELECT f.kind FROM finding f JOIN member m ON m.instance = f.instance WHERE m.name = $1", name
            )
        return {row[0] for row in rows}

    async def stored(self, instance: str) -> int:
        """How many lines of a chain, its branches included, are there."""
        async with self.database.transaction() as session:
            rows = await session.rows(
                "SELECT count(*) FROM chain c JOIN line l ON l.key >> 44 = c.number WHERE c.instance LIKE $1",
                f"{instance}%",
            )
        return int(rows[0][0])


async def soon(condition: Callable[[], bool]) -> None:
    """Returns once it holds."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 (nothing tells)
            await asyncio.sleep(0.01)


def now() -> int:
    return time.time_ns() // 1000


def wanted(machine: Machine, code: str = "", *, challenge: str = "") -> Request:
    text = proof_text(machine.instance, challenge or digest_of(code))
    return Request(
        instance=machine.instance, public_key=machine.public_key, signature=machine.key.sign(text).hex(), code=code
    )


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    database, metrics, log = SqliteFile(tmp_path / "made" / "store.sqlite"), CollectMetrics(), structlog.get_logger()
    await database.open()
    batcher = Batcher(database, forwards=False)
    config = Collect(records_per_second=50, burst_records=3000)
    app = application(
        answering.Answering(
            config,
            database,
            batcher,
            Who(database, "", Revocations()),
            lines=Lines(100),
            metrics=metrics,
            log=log,
        )
    )
    runner = web.AppRunner(app, auto_decompress=False)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    storing = asyncio.create_task(batcher.run())
    async with aiohttp.ClientSession() as client:
        yield Running(database, batcher, client, f"http://127.0.0.1:{runner.addresses[0][1]}")
    storing.cancel()
    await runner.cleanup()
    await database.close()


async def test_who_guesses_from_an_address_takes_nothing_from_others_there(running: Running) -> None:
    """All machines have one address for a collector behind a load balancer."""
    machine = Machine()
    token, code = await running.enrolled(machine, "alex"), await running.code("kim")
    guesses = [await running.asked("GET", "/v1/position", f"hgi_{number}") for number in range(40)]
    assert (guesses[0], guesses[-1]) == (403, 429)
    assert await running.send(token, machine.lines) == 200
    kim = wanted(Machine(), code)
    said = json.dumps(
        {"instance": kim.instance, "public_key": kim.public_key, "signature": kim.signature, "code": code}
    )

    async def slowly() -> AsyncIterator[bytes]:
        for half in (said[:100], said[100:]):
            yield half.encode()
            await asyncio.sleep(0.05)

    assert await running.asked("POST", "/v1/enroll", data=slowly()) == 200


async def test_who_sends_what_can_not_be_read_again_and_again_has_to_wait(running: Running) -> None:
    machine = Machine()
    token = await running.enrolled(machine, "alex")
    bomb = zlib.compress(b"\0" * (8 << 20))
    answers = [await running.asked("POST", "/v1/records", token, bomb, Content_Encoding="deflate") for _ in range(4)]
    assert answers == [413, 413, 429, 429]
    other = Machine()
    assert await running.send(await running.enrolled(other, "kim"), other.lines) == 200


async def test_large_records_count_as_many(running: Running) -> None:
    machine = Machine()
    token = await running.enrolled(machine, "alex")
    for _ in range(4):
        machine.decide(1, reason="x" * 4_000_000)
    answers = [await running.send(token, machine.lines[at : at + 1]) for at in range(5)]
    assert answers == [200, 200, 200, 200, 200]
    assert await running.send(token, machine.lines[-1:]) == 429


async def test_what_waits_for_a_store_that_hangs_is_bounded(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "_HELD_BYTES", 1)
    machines = [Machine(), Machine()]
    tokens = [await running.enrolled(machine, f"m{number}") for number, machine in enumerate(machines)]
    assert [await running.asked("GET", "/v1/position", token) for token in tokens] == [200, 200]
    async with running.database.transaction():
        first = asyncio.create_task(running.send(tokens[0], machines[0].lines))
        await soon(lambda: running.batcher.has(machines[0].instance))
        assert await running.send(tokens[1], machines[1].lines) == 503
    assert await first == 200
    assert await running.send(tokens[1], machines[1].lines) == 200


async def test_two_machines_with_one_journal_are_stored_once_however_often_they_take_turns(running: Running) -> None:
    machine = Machine()
    token = await running.enrolled(machine, "alex")
    twins = [machine.cut(1), machine.cut(1)]
    for number in range(40):
        twin = twins[number % 2]
        twin.decide(1, reason=f"turn {number}")
        assert await running.send(token, twin.lines) == 200
    assert await running.stored(machine.instance) == 41


async def test_many_findings_of_one_batch_are_few_rows(running: Running) -> None:
    machine = Machine()
    token = await running.enrolled(machine, "alex")
    machine.decide(100)
    assert await running.send(token, machine.lines[::2]) == 200
    async with running.database.transaction() as session:
        rows = await session.rows("SELECT count(*), sum(count) FROM finding WHERE kind = 'gap'")
    assert tuple(rows[0]) == (21, 50)


async def test_a_journal_that_was_revoked_and_still_asks_is_told(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shipper asks for its position before it sends."""
    monkeypatch.setattr(who, "_SECONDS", 0.0)
    machine = Machine()
    token = await running.enrolled(machine, "alex")
    assert await running.send(token, machine.lines) == 200
    assert (await revoke(running.database, "alex", now=now())).instances == (machine.instance,)
    assert await running.asked("GET", "/v1/position", token) == 403
    assert await running.send(token, machine.lines) == 403
    assert await running.found("alex") == {FleetKind.REVOKED}
    assert await running.stored(machine.instance) == 1


async def test_a_code_that_was_not_used_ends_with_the_name_it_is_for(running: Running) -> None:
    code = await running.code("alex")
    assert await revoke(running.database, "alex", now=now()) == ((), 1)
    with pytest.raises(EnrolmentError, match="not known"):
        await running.enrolled(Machine(), "alex", code)


async def test_a_journal_that_was_revoked_can_not_be_taken_by_another_key_and_name(running: Running) -> None:
    machine = Machine()
    await running.enrolled(machine, "alex")
    await revoke(running.database, "alex", now=now())
    with pytest.raises(EnrolmentError, match="another key"):
        await running.enrolled(Machine(machine.instance), "mallory")
    await running.enrolled(machine, "alex-again")


async def test_the_collectors_own_chain_is_nobodys_journal(running: Running) -> None:
    await running.code("alex")
    async with running.database.transaction() as session:
        own = (await session.rows("SELECT text FROM collector WHERE name = 'trail'"))[0][0].split()[0]
    with pytest.raises(EnrolmentError, match="no collector took"):
        await running.enrolled(Machine(own), "mallory")


async def test_who_was_revoked_after_a_code_does_not_enrol_by_a_certificate(running: Running) -> None:
    await running.enrolled(Machine(), "alex")
    await revoke(running.database, "alex", now=now())
    with pytest.raises(EnrolmentError, match="revoked"):
        await enroll_by_certificate(running.database, wanted(Machine(), challenge="f"), "alex", "f", now=now())
