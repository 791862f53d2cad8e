"""Records and filters for stores as hypothesis makes them, and the comparison of a store's answers with plain Python's."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from hookgate.audit.shipping.shipment import Shipment
from hookgate.audit.store.question import Filter, Page, Store
from tests.support.oracle import Oracle, matches, moment, stretch
from tests.support.records import shipments

_BEGIN = datetime(2026, 11, 20, 22, 58, tzinfo=UTC)
_TEXTS = (
    "",
    "a%b",
    "A_B!",
    "Ärger[*]",
    "ÄRGER]?",
    "ß·ẞ",
    "x\0y",
    "e\u0301é",
    "日本",
    "rm -rf ^$.(|)",
    "line\nline",
    "i" * 250 + "END",
)
_USERS = ("", "alex", "Alex", "o'brien", "x\0y", "ünal")
_TOOLS = ("", "Bash", "Read", "mcp__a__b")
_EVENTS = ("PreToolUse", "PostToolUse", "PostToolUseFailure", "PermissionRequest", "UserPromptSubmit")
_OUTCOMES = ("allow", "deny", "ask", "no_match", "error")
_SESSIONS = ("", "s1", "s2")
_CALLS = ("", "t1", "t2", "t3")
_ROLES = ("engineer", "admin", "a,b", "a%2Cb", "b")
_POLICIES = ("", "NO_MATCH", "resource.PreToolUse.vdefault")

#: Close together, on whole hours, just before them, the same twice, days apart.
_TIMES = st.one_of(
    st.integers(0, 8).map(lambda hours: _BEGIN + timedelta(hours=hours, minutes=2)),
    st.integers(0, 5_000_000).map(lambda micros: _BEGIN + timedelta(microseconds=micros * 2000)),
    st.integers(0, 8).map(lambda hours: _BEGIN + timedelta(hours=hours * 31) - timedelta(microseconds=1)),
)
_DECISIONS = st.fixed_dictionaries(
    {
        "time": _TIMES.map(lambda at: at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")),
        "outcome": st.sampled_from(_OUTCOMES),
        "event": st.sampled_from(_EVENTS),
        "tool": st.sampled_from(_TOOLS),
        "input": st.sampled_from(_TEXTS).map(lambda text: {"command": text} if text else {}),
    },
    optional={
        "mode": st.sampled_from(("enforce", "observe")),
        "user": st.sampled_from(_USERS),
        "roles": st.lists(st.sampled_from(_ROLES), max_size=3),
        "verified": st.booleans(),
        "session_id": st.sampled_from(_SESSIONS),
        "tool_use_id": st.sampled_from(_CALLS),
        "policy": st.sampled_from(_POLICIES),
        "reason": st.sampled_from(_TEXTS),
        "error": st.sampled_from(("", "pdp_timeout")),
        "failed": st.booleans(),
        "total_seconds": st.sampled_from((0.5, 2, None)),
    },
)
_SERVICES = st.fixed_dictionaries(
    {
        "time": _TIMES.map(lambda at: at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")),
        "type": st.sampled_from(("enforcement_violated", "unasked", "start", "checkpoint", "gap")),
        "detail": st.fixed_dictionaries(
            {}, optional={name: st.integers(0, 9).map(lambda at: f"r{at}") for name in ("decision", "found_by")}
        ),
    }
)


@st.composite
def journals(draw: st.DrawFn, most: int = 30) -> list[Shipment]:
    """Lines of two chains, some of which come twice."""
    found: list[dict[str, Any]] = []
    for number in range(draw(st.integers(0, most))):
        if draw(st.integers(0, 5)):
            found.append({"version": 1, "type": "decision", "id": f"r{number}", **draw(_DECISIONS)})
        else:
            found.append({"version": 1, "id": f"r{number}", **draw(_SERVICES)})
    cut = draw(st.integers(0, len(found)))
    lines = [*shipments(found[:cut], instance="first"), *shipments(found[cut:], instance="second")]
    return [*lines, *lines[: draw(st.integers(0, 3))]]


FILTERS = st.builds(
    Filter,
    since=st.none() | _TIMES,
    until=st.none() | _TIMES,
    user=st.none() | st.sampled_from(_USERS),
    role=st.none() | st.sampled_from(_ROLES),
    tool=st.none() | st.sampled_from(_TOOLS),
    event=st.none() | st.sampled_from(_EVENTS),
    outcome=st.none() | st.sampled_from(_OUTCOMES),
    session_id=st.none() | st.sampled_from(_SESSIONS),
    policy=st.none() | st.sampled_from(_POLICIES),
    error=st.none() | st.sampled_from(("pdp_timeout",)),
    reason=st.none() | st.sampled_from(("ärger[", "A%", "_", "É", "e", "N\nl", "end")),
    text=st.none() | st.sampled_from(("ärger]?", "a_b", "%B", "ẞ", "本", "-RF ^$", "\0", "END", "")),
    verified=st.none() | st.booleans(),
    mode=st.none() | st.sampled_from(("enforce", "observe")),
)
#: Most filters ask for much at once, and find nothing.
PLAIN_FILTERS = st.one_of(
    FILTERS,
    st.builds(Filter, since=st.none() | _TIMES, until=st.none() | _TIMES),
    st.builds(Filter, text=st.sampled_from(("ärger", "a", "%", "_b!", "ß", "END"))),
    st.builds(Filter, tool=st.sampled_from(_TOOLS), outcome=st.none() | st.sampled_from(_OUTCOMES)),
    st.builds(Filter, user=st.sampled_from(_USERS), since=st.none() | _TIMES),
    st.builds(Filter, role=st.sampled_from(_ROLES)),
)


def agrees(store: Store, oracle: Oracle, wanted: Filter, limit: int) -> None:
    """Fails unless the store answers every question as plain Python does."""
    expected = oracle.matching(wanted)
    ids = [record["id"] for record in expected]
    assert [row.id for page in _pages(store, wanted, limit) for row in page.rows] == ids[::-1]
    assert [row.id for page in _pages(store, wanted, limit, oldest_first=True) for row in page.rows] == ids
    for row in (row for page in _pages(store, wanted, 1000) for row in page.rows):
        record = next(one for one in expected if one["id"] == row.id)
        assert datetime.fromisoformat(row.time) == moment(record)
        assert (row.ran and row.ran.id) == oracle.ran(record)
        assert row.violations == oracle.violations(record)
        assert (row.outcome, row.verified) == (record["outcome"], record.get("verified", False))
    entries = list(store.entries(wanted))
    assert [entry.record["id"] for entry in entries] == ids
    assert all(entry.hash == entry.record["hash"] for entry in entries)
    found = store.service_entries(wanted.since, wanted.until)
    assert [entry.record["id"] for entry in found] == [
        record["id"]
        for record in oracle.services
        if record["type"] != "checkpoint"
        and matches({**record, "outcome": ""}, Filter(since=wanted.since, until=wanted.until))
    ]
    _statistics_agree(store, oracle, wanted, expected)


def _statistics_agree(store: Store, oracle: Oracle, wanted: Filter, expected: list[dict[str, Any]]) -> None:
    stats = store.stats(wanted, top=1000, buckets=10)
    period = Filter(since=wanted.since, until=wanted.until)
    counts = oracle.counts(wanted)
    for name, listed in counts.items():
        if name == "violations" and wanted != period:
            continue
        assert [(one.name, one.count) for one in getattr(stats, name)] == listed, name
    assert stats.total == len(expected)
    assert len(stats.buckets) <= 10
    for bucket in stats.buckets:
        assert bucket.outcomes == stretch(bucket.begin, stats.bucket_seconds, expected)
    assert sum(sum(bucket.outcomes.values()) for bucket in stats.buckets) == len(expected)


def _pages(store: Store, wanted: Filter, limit: int, *, oldest_first: bool = False) -> list[Page]:
    pages = [store.search(wanted, limit=limit, oldest_first=oldest_first)]
    while pages[-1].cursor:
        pages.append(store.search(wanted, limit=limit, cursor=pages[-1].cursor, oldest_first=oldest_first))
    return pages
