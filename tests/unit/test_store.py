"""What the store in a file answers, compared with plain Python over the same records."""

import asyncio
import base64
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hookgate.audit.shipping.reduced import reduced
from hookgate.audit.shipping.shipment import Shipment
from hookgate.audit.sinks.sqlite import SqliteSink
from hookgate.audit.store.opening import open_store
from hookgate.audit.store.packing import packed, unpacked
from hookgate.audit.store.question import Filter, Store, StoreError
from hookgate.audit.store.subject import subject_of
from tests.support.oracle import Oracle
from tests.support.questions import PLAIN_FILTERS, agrees, journals
from tests.support.records import INSTANCE, decision, service, shipments


def fill(path: Path, *batches: list[Shipment]) -> None:
    """Sends batches as a shipper does."""

    async def send() -> None:
        sink = SqliteSink(path)
        await sink.open()
        for batch in batches:
            if batch:
                await sink.send(batch)
        await sink.close()

    asyncio.run(send())


@pytest.fixture
def stored(tmp_path: Path) -> Iterator[Callable[..., Store]]:
    """Fills a store with records and opens it: `stored(record, record, …)`."""
    opened: list[Store] = []

    def make(*records: dict[str, Any]) -> Store:
        fill(tmp_path / "store.sqlite", shipments(records))
        opened.append(open_store(tmp_path / "store.sqlite"))
        return opened[-1]

    yield make
    for store in opened:
        store.close()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(journal=journals(), wanted=st.lists(PLAIN_FILTERS, min_size=1, max_size=4), limit=st.integers(1, 7))
def test_a_store_answers_what_plain_python_finds_in_the_same_records(
    journal: list[Shipment], wanted: list[Filter], limit: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "store.sqlite")
        half = len(journal) // 2
        fill(path, journal[:half], journal[half:])
        with closing(open_store(path)) as store:
            for one in wanted:
                agrees(store, Oracle(journal), one, limit)


def test_a_call_is_shown_with_all_that_belongs_to_it(stored: Callable[..., Store]) -> None:
    store = stored(
        decision(1, tool_use_id="t1", prompt_id="p", input_digest="d" * 64),
        decision(2, event="PermissionRequest", tool_use_id="", prompt_id="p", input_digest="d" * 64),
        decision(3, event="PostToolUse", tool_use_id="t1"),
        decision(4, event="PostToolUse", tool_use_id="t1", session_id="another"),
        decision(5, event="PostToolBatch", tool="", tool_use_id="", calls=[{"tool": "Bash", "tool_use_id": "t1"}]),
        decision(6, event="PostToolBatch", tool="", tool_use_id="", calls=[{"tool": "Bash", "tool_use_id": "t11"}]),
        service(7, "executed_differs", {"decision": "decision-000001", "found_by": "decision-000003"}),
        service(8, "undelivered", {"decision": "decision-000004"}),
    )
    whole = ["decision-000001", "decision-000002", "decision-000003", "decision-000005", "service-000007"]
    assert [entry.record["id"] for entry in store.show("decision-000001")] == whole
    assert [entry.record["id"] for entry in store.show("decision-000002")] == [whole[1], whole[0], *whole[2:]]
    assert [entry.record["id"] for entry in store.show("service-000008")] == ["service-000008"]
    assert store.show("decision-000009") == store.show("") == ()


def test_a_record_comes_back_byte_for_byte_with_the_hash_that_it_really_has(
    stored: Callable[..., Store], tmp_path: Path
) -> None:
    import sqlite3

    (line,) = shipments([decision(1, reason="nul \0, half \ud800, ümlaut", input={"command": "x" * 5000})])
    store = stored(decision(1, reason="nul \0, half \ud800, ümlaut", input={"command": "x" * 5000}))
    (entry,) = store.show("decision-000001")
    assert (entry.instance, entry.seq, entry.hash, entry.record) == (INSTANCE, 1, line.hash, line.record)
    with closing(sqlite3.connect(tmp_path / "store.sqlite")) as forger:
        (body,) = forger.execute("SELECT body FROM line").fetchone()
        forged = packed(unpacked(body).replace(b'"allow"', b'"deny"'))
        forger.execute("UPDATE line SET body = ?", (forged,))
        forger.commit()
    (entry,) = store.show("decision-000001")
    assert entry.record["outcome"] == "deny"
    assert entry.hash != line.hash == entry.record["hash"]


def test_a_record_that_was_made_smaller_on_its_way_is_stored_without_a_hash_of_its_own(tmp_path: Path) -> None:
    (whole,) = shipments([decision(1, input={"command": "x"})])
    small = reduced(whole)
    fill(tmp_path / "store.sqlite", [small])
    with closing(open_store(tmp_path / "store.sqlite")) as store:
        (entry,) = store.show("decision-000001")
        assert (entry.seq, entry.hash, entry.record["hash"], entry.record["reduced"]) == (1, "", whole.hash, True)
        (row,) = store.search(Filter()).rows
        assert (row.user, row.outcome, row.subject, row.total_seconds) == ("alex", "allow", "", 0.0)


def test_pages_stay_what_they_were_while_records_come_in(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    lines = shipments([decision(number) for number in range(1, 31)])
    fill(path, lines[:20])
    with closing(open_store(path)) as store:
        first = store.search(Filter(), limit=8)
        fill(path, lines[20:])
        second = store.search(Filter(), limit=8, cursor=first.cursor)
        third = store.search(Filter(), limit=8, cursor=second.cursor)
    ids = [row.id for page in (first, second, third) for row in page.rows]
    assert ids == [f"decision-{number:06d}" for number in range(20, 0, -1)]
    assert third.cursor == ""


def test_a_cursor_that_is_none_is_refused(stored: Callable[..., Store]) -> None:
    store = stored(*(decision(number) for number in range(5)))
    good = store.search(Filter(user="alex"), limit=2).cursor
    assert store.search(Filter(user="alex", since=datetime(2026, 1, 1, tzinfo=UTC)), cursor=good).rows
    for bad in ("x", "ä", good[:-4], good + "AAAA", base64.urlsafe_b64encode(b"\xff" * 24).decode(), "' OR 1"):
        with pytest.raises(StoreError, match="cursor"):
            store.search(Filter(user="alex"), cursor=bad)
    for wanted, oldest_first in ((Filter(user="bo"), False), (Filter(user="alex"), True)):
        with pytest.raises(StoreError, match="another search"):
            store.search(wanted, cursor=good, oldest_first=oldest_first)


def test_how_a_call_ended_is_told_by_the_record_that_came_after_it(stored: Callable[..., Store]) -> None:
    after = {"event": "PostToolUse", "failed": False, "interrupted": False, "ran_seconds": 1.5}
    store = stored(
        decision(1, tool_use_id="t1"),
        decision(2, tool_use_id="t2"),
        decision(3, tool_use_id="t3"),
        decision(4, tool_use_id="t4"),
        decision(5, **{**after, "tool_use_id": "t1"}),
        decision(6, **{**after, "tool_use_id": "t2", "event": "PostToolUseFailure", "failed": True}),
        decision(7, **{**after, "tool_use_id": "t3", "failed": True, "interrupted": True}),
    )
    rows = store.session("session-1").rows
    assert [row.ran and (row.ran.how, row.ran.seconds) for row in rows[:4]] == [
        ("ran", 1.5),
        ("failed", 1.5),
        ("interrupted", 1.5),
        None,
    ]
    assert [row.ran for row in rows[4:]] == [None] * 3


def test_statistics_of_a_quarter_and_of_minutes_count_the_same_decisions(stored: Callable[..., Store]) -> None:
    begin = datetime(2026, 7, 1, 0, 30, tzinfo=UTC)
    times = [begin + timedelta(hours=hour * 7, seconds=hour) for hour in range(300)]
    store = stored(*(decision(n, time=at.isoformat(), outcome=("allow", "deny")[n % 2]) for n, at in enumerate(times)))
    whole = store.stats(Filter())
    assert whole.total == 300
    assert whole.bucket_seconds == 48 * 3600
    assert sum(sum(bucket.outcomes.values()) for bucket in whole.buckets) == 300
    for since, until in ((times[3], times[200]), (times[10].replace(minute=0), times[11]), (times[5], times[5])):
        part = store.stats(Filter(since=since, until=until))
        inside = [number for number, at in enumerate(times) if since <= at < until]
        assert part.total == len(inside)
        assert {one.name: one.count for one in part.outcomes}.get("deny", 0) == sum(n % 2 for n in inside)


def test_an_empty_store_has_nothing_to_tell(stored: Callable[..., Store]) -> None:
    store = stored(service(1, "start"))
    assert store.search(Filter()).rows == ()
    stats = store.stats(Filter())
    assert (stats.total, stats.outcomes, stats.denied) == (0, (), ())
    assert [entry.record["type"] for entry in store.service_entries(None, None)] == ["start"]
    assert store.instances() == (INSTANCE,)


def test_types_of_service_records_are_chosen_and_checkpoints_only_given_when_named(
    stored: Callable[..., Store],
) -> None:
    store = stored(service(1, "start"), service(2, "checkpoint"), service(3, "gap"), service(4, "stop"))

    def types(*chosen: str) -> list[str]:
        return [entry.record["type"] for entry in store.service_entries(None, None, chosen)]

    assert types() == ["start", "gap", "stop"]
    assert types("checkpoint", "gap") == ["checkpoint", "gap"]


@pytest.mark.parametrize(
    ("record", "subject"),
    [
        ({"tool": "Bash", "input": {"command": "ls -l", "description": "List"}}, "ls -l"),
        ({"tool": "Grep", "input": {"pattern": "x+", "path": "/src"}}, "x+ · /src"),
        (
            {"tool": "Agent", "input": {"prompt": "…", "description": "Find it", "subagent_type": "Explore"}},
            "Explore · Find it",
        ),
        ({"tool": "AskUserQuestion", "input": {"questions": [{"question": "Which?"}]}}, "Which?"),
        (
            {"tool": "mcp__tracker__get", "input": {"id": 7, "deep": True, "of": {"a": [1, None]}}},
            "id=7, deep=true, of={a: 1, }",
        ),
        ({"tool": "Bash", "input": {}, "facts": {"paths": [{"path": "/a"}, {"path": "/b"}]}}, "/a, /b"),
        ({"event": "PostToolBatch", "calls": [{"tool": "Read"}, {"tool": "Bash"}]}, "2 calls: Read, Bash"),
        ({"event": "UserPromptSubmit", "content": {"prompt": "Mend it"}}, "Mend it"),
        ({"event": "UserPromptSubmit", "content_bytes": {"prompt": 7}}, "prompt: 7 bytes"),
        ({"event": "SubagentStop", "agent_type": "Explore"}, "Explore"),
        ({"tool": ["no", "name"], "input": "none"}, ""),
    ],
)
def test_what_a_call_is_about_is_told_in_one_line(record: dict[str, Any], subject: str) -> None:
    assert subject_of(record) == subject


@given(st.binary(max_size=20_000))
def test_whatever_is_kept_comes_back(body: bytes) -> None:
    assert unpacked(packed(body)) == body


@given(st.binary(max_size=50), st.integers(0, 400))
def test_what_was_damaged_is_told(junk: bytes, cut: int) -> None:
    whole = packed(b'{"type":"decision","reason":"' + b"x" * 40 + b'"}')
    for kept in (b"\x02" + junk, whole[: min(cut, len(whole) - 1)]):
        with pytest.raises(ValueError, match="damaged|form"):
            unpacked(kept)
