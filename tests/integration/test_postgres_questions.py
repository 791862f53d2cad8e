"""The commands that ask the trail say the same of PostgreSQL as of a file."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hookgate.audit.sinks.postgres import PostgresSink
from hookgate.audit.store.opening import open_store
from hookgate.audit.store.question import Filter, TooLongError
from hookgate.commands import app
from hookgate.config.shippers import PostgresShipper
from tests.support.audited import BEGIN, everyday, shipments, stored, written
from tests.support.postgres import running_postgres

SCHEMA = "trail"


@pytest.fixture(scope="module")
def url(trail: Path) -> Iterator[str]:
    """A database that has the trail's records."""
    with running_postgres() as server:

        async def fill() -> None:
            sink = PostgresSink(PostgresShipper(url=server.url(), schema=SCHEMA))
            await sink.open()
            await sink.send(shipments(trail))
            await sink.close()

        asyncio.run(fill())
        yield server.url()


@pytest.fixture(scope="module")
def trail(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trail with its store in a file."""
    directory = written(tmp_path_factory.mktemp("trail"), everyday())
    stored(directory)
    return directory


def said(trail: Path, *arguments: str, **environment: str) -> str:
    places = {"HOOKGATE__AUDIT__DIRECTORY": str(trail), **environment}
    result = CliRunner().invoke(app, ["audit", *arguments], env=places)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize(
    "question",
    [
        ("search", "--limit", "1000", "--json"),
        ("search", "--outcome", "deny", "--reason", "SECRETS", "--text", "prod.key"),
        ("search", "--from", "2026-03-02T08:30", "--to", "2026-03-02T09:00", "--unverified", "--csv"),
        ("session", "s-kim-0", "--json"),
        ("stats",),
        ("stats", "--user", "kim", "--json"),
        ("export",),
        ("export", "--format", "csv", "--observed"),
    ],
    ids=" ".join,
)
def test_a_question_has_the_same_answer(trail: Path, url: str, question: tuple[str, ...]) -> None:
    expected = said(trail, *question)
    assert expected.strip()
    assert said(trail, *question, "--schema", SCHEMA, HOOKGATE_STORE=url) == expected


def test_what_pages_ask_has_the_same_answer(trail: Path, url: str) -> None:
    period = BEGIN - timedelta(hours=1), BEGIN + timedelta(days=1)
    found = []
    for store in (open_store(trail / "store.sqlite"), open_store(url, schema=SCHEMA)):
        with closing(store):
            kinds = {
                kind: store.active(kind, *period)
                for kind in ("user", "unverified", "tool", "policy", "rule", "finding")
            }
            assert kinds["user"]
            users = store.newest(tuple(sorted(kinds["user"])))
            reasons = store.reasons(Filter(since=period[0], until=period[1]))
            stats = store.stats(Filter(since=period[0], until=period[1]), closely=False)
            arrived = store.arrived(Filter(outcome="deny"), {}, limit=7)
            ends = store.arrived(Filter(), None).places
            found.append(
                (kinds, [entry.record for entry in users], reasons, stats, arrived.rows, sorted(ends.values()))
            )
    assert found[0] == found[1]


def test_a_question_that_takes_too_long_is_given_up(url: str) -> None:
    with closing(open_store(url, schema=SCHEMA, limit_seconds=0.05)) as store:
        with pytest.raises(TooLongError):
            store._database.rows("SELECT pg_sleep(30)")  # type: ignore[attr-defined]
        assert store.search(Filter(), limit=1).rows


def test_a_report_says_the_same(trail: Path, url: str, tmp_path: Path) -> None:
    found = []
    for name, options, environment in (
        ("file.json", [], {}),
        ("postgres.json", ["--schema", SCHEMA], {"HOOKGATE_STORE": url}),
    ):
        arguments = ["report", "--from", "2026-03-02", "--to", "2026-03-02", "--paths", "**/secrets/**", *options]
        said(trail, *arguments, "--out", str(tmp_path / name), **environment)
        found.append(json.loads((tmp_path / name).read_bytes()))
    assert found[0]["access_list"]
    assert found[0] | {"made": ""} == found[1] | {"made": ""}
