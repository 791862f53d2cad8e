"""The tables and queries of deploy/clickhouse, in a real ClickHouse engine: held to the SQLite store's answers on the same records."""

import json
import os
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bench.records import BEGIN, Company
from hookgate.audit.chain import Link, linked
from hookgate.audit.shipping.shipment import Shipment
from hookgate.audit.store.file import StoreFile
from hookgate.audit.store.opening import open_store
from hookgate.audit.store.question import Filter, Row, Store
from tests.support import clickhouse
from tests.support.audited import chained, decision, service, stamp

_LATER = BEGIN + timedelta(days=2)
_PERIOD = {"since": "2026-01-01", "until": "2027-01-01"}
_ANY = {
    **dict.fromkeys(("user", "role", "tool", "event", "outcome", "session", "policy", "error", "mode", "verified"), ""),
    **dict.fromkeys(("reason", "text", "before_id"), ""),
    "before_time": "2100-01-01",
    "limit": 100_000,
}
#: Inputs whose subjects are put together: of tools that the client has, of others, and of events without one.
_ODD: tuple[dict[str, Any], ...] = (
    {"tool": "Grep", "input": {"path": "src", "pattern": "x_[a-z]", "glob": "*.py"}},
    {"tool": "mcp__a__b", "input": {"n": 3, "flag": True, "none": None, "text": "A_B% „ß“"}},
    {"tool": "AskUserQuestion", "input": {"questions": [{"question": "Now?"}, {"question": "Or later?"}]}},
    {"tool": "Bash", "input": {"command": "printf 'a\\0' | wc\n# zweite Zeile, ÄRGER"}, "reason": "Ä_%: not so."},
    {"tool": "Unknown", "input": {}, "facts": {"paths": [{"path": "/etc/a"}, {"path": "/etc/b"}]}},
    {"event": "UserPromptSubmit", "tool": "", "input": {}, "content_bytes": {"prompt": 812}},
    {"event": "Stop", "tool": "", "input": {}, "content": {"last_assistant_message": "Done."}},
    {"event": "SubagentStop", "tool": "", "input": {}, "agent_type": "Explore"},
    {"event": "PostToolBatch", "tool": "", "input": {}, "calls": [{"tool": "Read", "tool_use_id": "t-1"}]},
)


@pytest.fixture(scope="module")
def lines() -> list[Shipment]:
    """A company's everyday records of two days, odd ones, and what does not add up: two chains."""
    company = Company(users=20)
    found = [*company.day(1, 700), *company.day(2, 500)]
    odd = [
        decision(
            **{"id": f"odd-{number}", "time": stamp(_LATER + timedelta(seconds=number)), "session_id": "odd", **one}
        )
        for number, one in enumerate(_ODD)
    ]
    asked = {"session_id": "odd", "tool_use_id": "t-1", "prompt_id": "p", "input_digest": "d" * 64}
    call = [
        decision(id="pre", time=stamp(_LATER), **asked, outcome="deny"),
        decision(id="may", time=stamp(_LATER), event="PermissionRequest", **{**asked, "tool_use_id": ""}),
        decision(id="post", time=stamp(_LATER), event="PostToolUse", failed=False, interrupted=True, **asked),
        service("enforcement_violated", _LATER, decision="pre", found_by="post", tool="Read"),
        service("unasked", _LATER, found_by="odd-3", tool="Bash", tool_use_id="t-9"),
        service("checkpoint", _LATER),
    ]
    half = len(found) // 2
    return [
        *chained(({**one, "instance": "first"} for one in found[:half]), "first"),
        *chained(({**one, "instance": "second"} for one in [*found[half:], *call, *odd]), "second"),
    ]


@pytest.fixture(scope="module")
def store(lines: list[Shipment], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    path = tmp_path_factory.mktemp("store") / "store.sqlite"
    with closing(StoreFile(path)) as file:
        file.write(lines)
    with closing(open_store(path)) as opened:
        yield opened


@pytest.fixture(scope="module")
def engine(lines: list[Shipment]) -> Iterator[clickhouse.ClickHouse]:
    """Filled with some lines twice, in several inserts."""
    try:
        found = clickhouse.running()
    except clickhouse.NoClickHouseError as fault:
        message = f"{fault}: the tests with a real ClickHouse engine are left out"
        pytest.fail(message) if os.environ.get("HOOKGATE_REQUIRE") == "all" else pytest.skip(message)
    found.lay()
    found.insert(one.line for one in lines[:800])
    found.insert(one.line for one in lines[500:])
    yield found
    found.stop()


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"user": "dev0003"},
        {"role": "engineer", "tool": "Bash"},
        {"tool": "Read", "outcome": "deny"},
        {"event": "PostToolUseFailure"},
        {"session": "odd"},
        {"policy": "NO_MATCH"},
        {"error": "pdp_unavailable"},
        {"mode": "observe"},
        {"verified": "true"},
        {"verified": "false", "outcome": "ask"},
        {"reason": "KEYS are"},
        {"reason": "ä_%"},
        {"text": "ärger"},
        {"text": "a_b%"},
        {"text": "git STATUS"},
        {"text": "none of all these"},
    ],
    ids=str,
)
def test_a_search_finds_the_same_rows(engine: clickhouse.ClickHouse, store: Store, asked: dict[str, str]) -> None:
    named = {"session_id" if name == "session" else name: value for name, value in asked.items()}
    wanted = Filter(**{**named, **({"verified": asked["verified"] == "true"} if "verified" in asked else {})})  # type: ignore[arg-type]
    expected = {row.id: row for row in _all(store, wanted)}
    found = engine.ask("search", **_PERIOD, **{**_ANY, **asked})
    assert {row["id"] for row in found} == expected.keys()
    assert len(found) == len(expected)
    assert [row["time"] for row in found] == sorted((row["time"] for row in found), reverse=True)
    for row in found:
        one = expected[row["id"]]
        assert _moment(row["time"]) == datetime.fromisoformat(one.time)
        for name in ("user", "verified", "event", "tool", "outcome", "mode", "reason", "policy", "error", "session_id"):
            assert row[name] == getattr(one, name), name
        # What is nested in the input of a tool that Hookgate does not know stands there as JSON.
        subject = one.subject.replace("\ufffd", "\0")
        assert row["subject"] == subject or row["subject"].split("=[")[0] == subject.split("={")[0] == "todos"
        assert row["ended"] == (one.ran.how if one.ran else "")
        assert tuple(row["violations"]) == one.violations


def test_pages_follow_each_other_without_a_row_twice_or_left_out(engine: clickhouse.ClickHouse, store: Store) -> None:
    ids: list[str] = []
    place = {"before_time": "2100-01-01", "before_id": ""}
    while found := engine.ask("search", **_PERIOD, **{**_ANY, **place, "outcome": "deny", "limit": 7}):
        ids += [row["id"] for row in found]
        place = {"before_time": found[-1]["time"], "before_id": found[-1]["id"]}
    expected = [row.id for row in _all(store, Filter(outcome="deny"))]
    assert sorted(ids) == sorted(expected)
    assert len(expected) > 7


@pytest.mark.parametrize("hours", [(0, 48 * 40), (30, 40), (47, 49)])
def test_everything_is_counted_alike(engine: clickhouse.ClickHouse, store: Store, hours: tuple[int, int]) -> None:
    since, until = (BEGIN + timedelta(hours=number) for number in hours)
    stats = store.stats(Filter(since=since, until=until), top=1000)
    period = {"since": _text(since), "until": _text(until)}
    found: dict[str, list[tuple[str, int]]] = {}
    for row in engine.ask("stats", **period, top=1000):
        found.setdefault(row["list"], []).append((row["name"].replace("\0", "\ufffd"), row["count"]))
    assert set(found) >= {"outcomes", "tools", "users"}
    for name in (*found, "violations", "denied", "unmatched", "errors"):
        assert found.get(name, []) == [(one.name, one.count) for one in getattr(stats, name)], name
    assert sum(row["count"] for row in engine.ask("hours", **period)) == stats.total


def test_a_record_brings_what_belongs_to_it(engine: clickhouse.ClickHouse, store: Store, lines: list[Shipment]) -> None:
    calls = [one.record["id"] for one in lines if one.record.get("event") == "PreToolUse"]
    for record_id in ("pre", "post", "odd-3", calls[0], calls[-1]):
        expected = store.show(record_id)
        found = engine.ask("show", id=record_id)
        assert {row["id"] for row in found} == {entry.record["id"] for entry in expected}, record_id
        assert {row["line"] for row in found} == {_line(lines, entry.instance, entry.seq) for entry in expected}
    assert len(engine.ask("show", id="pre")) == 5
    assert engine.ask("show", id="nobody") == []


def test_a_session_is_told_in_order(engine: clickhouse.ClickHouse, store: Store) -> None:
    expected = [row.id for row in store.session("odd").rows]
    assert [row["id"] for row in engine.ask("session", session="odd")] == expected


def test_what_does_not_add_up_is_found_with_its_call(engine: clickhouse.ClickHouse) -> None:
    found = {row["type"]: row for row in engine.ask("violations", **_PERIOD)}
    assert found["enforcement_violated"]["decision"] == "pre"
    assert found["enforcement_violated"]["user"] == "alex"
    assert found["unasked"]["subject"].startswith("printf")


def test_coverage_tells_what_never_came(engine: clickhouse.ClickHouse, store: Store, lines: list[Shipment]) -> None:
    found = {row["instance"]: row for row in engine.ask("coverage", **_PERIOD)}
    for span in store.spans():
        assert (found[span.instance]["first_seq"], found[span.instance]["last_seq"]) == (span.first, span.last)
        assert found[span.instance]["missing"] == 0
    engine.insert(one.line for one in chained(({**decision(), "instance": "third"} for _ in range(9)), "third")[::2])
    third = next(row for row in engine.ask("coverage", **_PERIOD) if row["instance"] == "third")
    assert (third["first_seq"], third["last_seq"], third["missing"]) == (1, 9, 4)


def test_a_line_that_was_changed_does_not_hold(engine: clickhouse.ClickHouse, lines: list[Shipment]) -> None:
    assert engine.ask("chain", **_PERIOD) == []
    made = chained(({**decision(), "instance": "fourth"} for _ in range(6)), "fourth")
    forged, _ = linked(
        _behind(made[2]), b'{"version":1,"type":"stop","id":"f","time":"2026-03-02T08:00:00Z","instance":"fourth"}\n'
    )
    changed = made[1].line.replace(b'"allow"', b'"deny"', 1)
    engine.insert([made[0].line, changed, made[2].line, forged.rstrip(b"\n"), made[4].line, made[5].line])
    found = [(row["seq"], row["finding"]) for row in engine.ask("chain", **_PERIOD)]
    assert found == [(2, "changed"), (5, "cut")]


def test_what_comes_by_an_opentelemetry_collector_is_the_same_record(engine: clickhouse.ClickHouse) -> None:
    engine.run("CREATE DATABASE otel")
    # What its exporter makes has more columns; these are read.
    columns = "Timestamp DateTime64(9), ServiceName LowCardinality(String), Body String"
    engine.run(f"CREATE TABLE otel.otel_logs ({columns}) ENGINE = MergeTree ORDER BY Timestamp")
    engine.lay("otlp")
    made = chained([{**decision(id="by-otlp"), "instance": "otlp"}], "otlp")[0]
    for name in ("hookgate", "another"):
        row = json.dumps({"Timestamp": 1, "ServiceName": name, "Body": made.line.decode()})
        engine.run(f"INSERT INTO otel.otel_logs FORMAT JSONEachRow {row}")
    engine.insert([made.line])
    found = engine.rows("SELECT line FROM hookgate.records WHERE id = 'by-otlp'")
    assert [row["line"] for row in found] == [made.line.decode()]


def test_a_line_that_is_no_record_stops_nobody(engine: clickhouse.ClickHouse) -> None:
    engine.insert([b"no JSON", b'{"id":"odd-time","time":"yesterday","type":"start"}'])
    found = engine.rows(
        "SELECT toYear(time) AS year, line FROM hookgate.records WHERE type = 'start' OR line = 'no JSON'"
    )
    assert sorted((row["year"], row["line"][:7]) for row in found) == [(1970, "no JSON"), (1970, '{"id":"')]


@pytest.mark.parametrize("name", ["kafka", "access"])
def test_what_needs_more_than_an_engine_is_at_least_read_by_one(engine: clickhouse.ClickHouse, name: str) -> None:
    for statement in clickhouse.statements(clickhouse.DEPLOY / f"{name}.sql"):
        quoted = statement.replace("\\", "\\\\").replace("'", "\\'")
        assert engine.rows(f"SELECT formatQuery('{quoted}') AS told")


def _all(store: Store, wanted: Filter) -> list[Row]:
    page = store.search(wanted, limit=1000)
    rows = list(page.rows)
    while page.cursor:
        page = store.search(wanted, limit=1000, cursor=page.cursor)
        rows += page.rows
    return rows


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f")


def _line(lines: list[Shipment], instance: str, seq: int) -> str:
    return next(one.line for one in lines if (one.instance, one.seq) == (instance, seq)).decode()


def _behind(shipment: Shipment) -> Link:
    return Link(shipment.seq, shipment.hash.encode())
