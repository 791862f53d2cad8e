"""The overview: how many decisions, of what kind, and what asks for attention; each number leads to its records."""

from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from aiohttp import web

from hookgate.audit.store.counting import VIOLATIONS
from hookgate.audit.store.question import Count, Entry, Filter, Reasons, Stats, Store
from hookgate.console.asked import Asked, asked
from hookgate.console.shown import page
from hookgate.console.surroundings import around, remote_of, visitor_of
from hookgate.errors import ErrorKind

#: Outcomes in the order in which they are stacked and listed.
ORDER = ("allow", "no_match", "ask", "defer", "deny", "error")
PERIODS = {"1h": "hour", "1d": "day", "7d": "week", "30d": "30 days", "90d": "90 days"}
_TOP = 8
#: Enough for a sum over all users and tools of most companies; the lists show the first of them.
_NAMES = 1000
_MOST_BUCKETS = 96
_FIRST = datetime(2000, 1, 1, tzinfo=UTC)
_PERIOD = ("since", "from", "to")
_SERVICE_ROWS = 200
_ERRORS = frozenset(one.value for one in ErrorKind)


async def show(request: web.Request) -> web.Response:
    """The page."""
    question, wanted = _period(request)
    buckets = _buckets(wanted)

    def ask(store: Store) -> tuple[Stats, str]:
        found = store.stats(wanted, top=_NAMES, buckets=buckets, closely=False)
        newest = "" if found.total else next((row.time for row in store.search(Filter(), limit=1).rows), "")
        return found, newest

    stats, newest = await around(request).ask(ask)
    await around(request).looks.viewed(visitor_of(request), remote_of(request), "overview", dict(question.given), 0)
    outcomes = {one.name: one.count for one in stats.outcomes}
    return page(
        request,
        "overview.html.j2",
        asked=question,
        keep=_kept(question),
        periods=PERIODS,
        stats=stats,
        newest=newest,
        outcomes=outcomes,
        order=[name for name in ORDER if name in outcomes],
        chart=_chart(stats),
        top=_TOP,
        unmatched=sum(one.count for one in stats.unmatched),
        unverified=sum(one.count for one in stats.unverified),
        violations=sum(one.count for one in stats.violations),
    )


async def closer(request: web.Request) -> web.Response:
    """What has to be counted one by one, which comes a moment later."""
    question, wanted = _period(request)

    def ask(store: Store) -> tuple[Stats, Reasons]:
        return store.stats(wanted, top=_TOP, buckets=1), store.reasons(wanted, top=_TOP)

    stats, reasons = await around(request).ask(ask)
    await around(request).looks.viewed(
        visitor_of(request), remote_of(request), "overview_closer", dict(question.given), 0
    )
    return page(
        request,
        "closer.html.j2",
        keep=_kept(question),
        denied=[_denied(one) for one in stats.denied],
        sessions=stats.denying_sessions,
        reasons=[_reason(one) for one in reasons.counts],
        is_sample=reasons.is_sample,
    )


async def service(request: web.Request) -> web.Response:
    """Records about the service: what does not add up, what the PDP's canary found, who has looked."""
    question, wanted = _period(request)
    kind = request.query.get("type", "")[:60]
    types = VIOLATIONS if kind == "violations" else (kind,) if kind else ()

    def ask(store: Store) -> tuple[Entry, ...]:
        return tuple(islice(store.service_entries(wanted.since, wanted.until, types), _SERVICE_ROWS))

    entries = await around(request).ask(ask)
    await around(request).looks.viewed(
        visitor_of(request), remote_of(request), "service", {**question.given, "type": kind}, len(entries)
    )
    return page(
        request,
        "service.html.j2",
        asked=question,
        keep=_kept(question),
        kind=kind,
        entries=entries,
        periods=PERIODS,
        is_more=len(entries) == _SERVICE_ROWS,
    )


def _period(request: web.Request) -> tuple[Asked, Filter]:
    """Gives the period asked for, by itself the last day, always with an end."""
    now = datetime.now(UTC)
    question = asked({name: request.query.get(name, "") for name in _PERIOD}, now, default_since="1d")
    # Before it nothing was recorded, and arithmetic ends some years before the first one.
    until = max(question.filter.until or now, _FIRST + timedelta(days=1))
    since = question.filter.since
    since = until - timedelta(days=1) if since is None or since >= until else max(since, _FIRST)
    return question, Filter(since=since, until=until)


def _kept(question: Asked) -> str:
    """The period for links, with fixed times, so that what they lead to is what was counted."""
    return question.query() if "since" in question.given else question.fixed


def _buckets(wanted: Filter) -> int:
    """Where whole hours are counted beforehand, no shorter stretches are asked for."""
    if wanted.since is None or wanted.until is None:
        return _MOST_BUCKETS
    hours = (wanted.until - wanted.since).total_seconds() / 3600
    return _MOST_BUCKETS if hours < 12 else max(12, min(_MOST_BUCKETS, int(hours) + 2))


def _chart(stats: Stats) -> dict[str, Any]:
    """What the script draws: the beginning of each stretch in seconds, and the counts by outcome."""
    series = {
        name: [bucket.outcomes.get(name, 0) for bucket in stats.buckets]
        for name in ORDER
        if any(name in bucket.outcomes for bucket in stats.buckets)
    }
    return {
        "t": [int(bucket.begin.timestamp()) for bucket in stats.buckets],
        "step": stats.bucket_seconds,
        "series": series,
        "held": {name: counts for name, counts in series.items() if name != "allow"},
    }


def _denied(one: Count) -> dict[str, Any]:
    tool, _, subject = one.name.partition(": ")
    return {"name": one.name, "count": one.count, "query": {"tool": tool, "text": subject, "outcome": "deny"}}


def _reason(one: Count) -> dict[str, Any]:
    query = {"error": one.name} if one.name in _ERRORS else {"reason": one.name}
    return {"name": one.name, "count": one.count, "query": query}
