"""What pages ask of a store beside searches: who is active, what was said most, what has just arrived."""

import asyncio
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hookgate.audit.sinks.sqlite import SqliteSink
from hookgate.audit.store.columns import JOINT
from hookgate.audit.store.opening import open_store
from hookgate.audit.store.question import Filter, Store, TooLongError
from tests.support.records import decision, shipments

RULE = "resource.PreToolUse.vdefault#secrets"
DAY = datetime(2026, 11, 22, tzinfo=UTC)


def fill(path: Path, records: list[dict[str, Any]], instance: str = "chain-1", **options: Any) -> None:
    async def send() -> None:
        sink = SqliteSink(path)
        await sink.open()
        await sink.send(shipments(records, instance=instance, **options))
        await sink.close()

    asyncio.run(send())


@pytest.fixture
def stored(tmp_path: Path) -> Iterator[Callable[..., Store]]:
    opened: list[Store] = []

    def make(*records: dict[str, Any]) -> Store:
        fill(tmp_path / "store.sqlite", list(records))
        opened.append(open_store(tmp_path / "store.sqlite"))
        return opened[-1]

    yield make
    for store in opened:
        store.close()


def recent(number: int, **changes: Any) -> dict[str, Any]:
    """Gives a record of today."""
    at = datetime.now(UTC) - timedelta(seconds=60 - number)
    return decision(number, time=at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"), **changes)


def test_who_is_active_is_counted_by_whole_hours(stored: Callable[..., Store]) -> None:
    store = stored(
        decision(10),
        decision(11, outcome="deny"),
        decision(3600, user="kim", verified=True),
        decision(7300, user="kim"),
    )
    found = store.active("user", DAY, DAY + timedelta(hours=2))
    assert {name: one.outcomes for name, one in found.items()} == {"alex": {"allow": 1, "deny": 1}, "kim": {"allow": 1}}
    assert found["kim"].last_hour - found["alex"].last_hour == 1
    assert {name: one.count for name, one in store.active("unverified", DAY, DAY + timedelta(days=1)).items()} == {
        "alex": 2,
        "kim": 1,
    }
    assert store.active("user", DAY + timedelta(hours=3), DAY + timedelta(hours=4)) == {}


def test_rules_are_counted_by_their_outputs_and_for_whom(stored: Callable[..., Store]) -> None:
    output = {"source": RULE, "value": {"reason": "no"}}
    store = stored(
        decision(1, outcome="deny", outputs=[output, output]),
        decision(2, outcome="deny", outputs=[output], user="kim"),
        decision(3, outputs=[{"source": RULE, "error": "no such key"}], contradictions=["p#r"]),
        decision(4, dropped=[{"source": "p#r", "field": "colour", "why": "unknown_field"}]),
        decision(5, outputs="none", contradictions=[7], dropped=[{}, "x"]),
    )
    period = DAY, DAY + timedelta(days=1)
    assert {name: one.outcomes for name, one in store.active("rule", *period).items()} == {
        RULE: {"allow": 1, "deny": 2}
    }
    users = {name: one.count for name, one in store.active("rule_user", *period).items()}
    assert users == {f"{RULE}{JOINT}alex": 2, f"{RULE}{JOINT}kim": 1}
    assert set(store.active("finding", *period)) == {
        f"contradiction{JOINT}p#r",
        f"evaluation_error{JOINT}{RULE}",
        f"dropped{JOINT}p#r{JOINT}colour{JOINT}unknown_field",
        f"dropped{JOINT}{JOINT}{JOINT}",
    }


def test_a_line_in_whose_place_another_came_is_no_longer_counted(tmp_path: Path) -> None:
    output = {"source": RULE, "value": {}}
    fill(tmp_path / "s.sqlite", [decision(1, outputs=[output], contradictions=["p#r"])])
    fill(tmp_path / "s.sqlite", [decision(2)])
    store = open_store(tmp_path / "s.sqlite")
    for kind in ("rule", "rule_user", "finding"):
        assert store.active(kind, DAY, DAY + timedelta(days=1)) == {}
    store.close()


def test_reasons_are_those_of_the_newest_and_say_so(stored: Callable[..., Store]) -> None:
    store = stored(
        *(decision(number, outcome="deny", reason="keys\nmore") for number in range(5)),
        decision(6, outcome="deny", reason="history"),
        decision(7, outcome="error", error="pdp_timeout"),
        decision(8, outcome="allow", reason="not told"),
    )
    found = store.reasons(Filter())
    assert [(one.name, one.count) for one in found.counts] == [("keys", 5), ("history", 1), ("pdp_timeout", 1)]
    assert not found.is_sample
    sample = store.reasons(Filter(), most=2)
    assert sample.is_sample
    assert {one.name: one.count for one in sample.counts} == {"history": 1, "keys": 1, "pdp_timeout": 1}
    assert [one.name for one in store.reasons(Filter(outcome="error")).counts] == ["pdp_timeout"]


def test_the_newest_record_of_each_user_is_whole(stored: Callable[..., Store]) -> None:
    store = stored(decision(1, remote="10.0.0.1"), decision(2, remote="10.0.0.2"), decision(3, user="kim"))
    found = {entry.record["user"]: entry.record for entry in store.newest(("alex", "kim", "nobody"))}
    assert found["alex"]["remote"] == "10.0.0.2"
    assert set(found) == {"alex", "kim"}
    assert store.newest(()) == ()


def test_what_arrives_is_given_once_and_in_order_whatever_its_time(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    first = [recent(number) for number in range(6)]
    fill(path, first)
    store = open_store(path)
    places = store.arrived(Filter(), None).places
    assert store.arrived(Filter(), places).rows == ()
    # Another chain comes, with a record that is older than those that are there.
    late = [recent(-30, id="late"), recent(9, id="newer", user="kim")]
    fill(path, late, "chain-2")
    found = store.arrived(Filter(), places)
    assert [row.id for row in found.rows] == ["late", "newer"]
    assert store.arrived(Filter(), found.places).rows == ()
    assert [row.id for row in store.arrived(Filter(user="kim"), places).rows] == ["newer"]
    # Bit by bit, all chains from their beginning.
    got: list[str] = []
    at: dict[int, int] = {}
    while (part := store.arrived(Filter(), at, limit=3)).rows:
        got += [row.id for row in part.rows]
        at = part.places
    assert got == [one["id"] for one in [*first, *late]]
    store.close()


def test_what_is_old_when_it_arrives_is_no_news(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    fill(path, [recent(1)])
    store = open_store(path)
    places = store.arrived(Filter(), None).places
    old = (datetime.now(UTC) - timedelta(days=3)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    fill(path, [decision(1, time=old)], "chain-2")
    found = store.arrived(Filter(), places)
    assert found.rows == ()
    assert found.places != places
    store.close()


def test_a_question_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    fill(path, [decision(number) for number in range(2)])
    store = open_store(path, limit_seconds=0.05)
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    began = time.monotonic()
    with pytest.raises(TooLongError, match=r"longer than 0\.05 s"):
        store._database.rows(endless)  # type: ignore[attr-defined]
    assert time.monotonic() - began < 20
    # The next one has its own time.
    assert len(store.search(Filter()).rows) == 2
    store.close()
