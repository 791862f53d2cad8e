"""People and agents: who sends hooks, from where, verified how, how much of it is denied; and who went silent."""

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from aiohttp import web

from hookgate.audit.store.question import Active, Entry, Store
from hookgate.console.overview import PERIODS
from hookgate.console.shown import page
from hookgate.console.surroundings import around, remote_of, visitor_of
from hookgate.moments import moment

_ROWS = 50
#: Who has made so many decisions in the period before is missed when there are none.
_USUAL = 10
_MOST_SILENT = 50
_MOST_LOOKED_AT = 200


class Person(NamedTuple):
    """One user, with their newest record."""

    name: str
    active: Active
    unverified: int
    record: dict[str, Any]

    @property
    def denied(self) -> int:
        """Their denials."""
        return self.active.outcomes.get("deny", 0)


class _Found(NamedTuple):
    people: list[Person]
    total: int
    silent: list[Person]


async def show(request: web.Request) -> web.Response:
    """The page."""
    now = datetime.now(UTC)
    since_text = request.query.get("since", "")
    since_text = since_text if since_text in PERIODS else "7d"
    begin = _number(request.query.get("begin", ""))
    order = request.query.get("order", "")
    needle = request.query.get("user", "").strip()[:100]
    since = moment(since_text, now)

    found = await around(request).ask(lambda store: _people(store, since, now, begin=begin, order=order, needle=needle))
    await around(request).looks.viewed(
        visitor_of(request), remote_of(request), "people", {"since": since_text, "user": needle}, len(found.people)
    )
    return page(
        request,
        "people.html.j2",
        since=since_text,
        periods={name: text for name, text in PERIODS.items() if name != "1h"},
        found=found,
        begin=begin,
        rows=_ROWS,
        order=order,
        needle=needle,
    )


def _people(store: Store, since: datetime, until: datetime, *, begin: int, order: str, needle: str) -> _Found:
    users = store.active("user", since, until)
    unverified = store.active("unverified", since, until)
    names = [name for name in users if needle.casefold() in name.casefold()]
    names.sort(key=lambda name: _key(users[name], order, name))
    shown = tuple(names[begin : begin + _ROWS])
    records = _records(store.newest(shown))
    people = [_person(name, users[name], unverified.get(name), records) for name in shown]
    return _Found(people, len(names), _silent(store, users, since, until) if not begin and not needle else [])


def _key(found: Active, order: str, name: str) -> tuple[float, str]:
    if order == "denied":
        return -found.outcomes.get("deny", 0) / max(1, found.count), name
    if order == "seen":
        return -float(found.last_hour), name
    return -float(found.count), name


def _person(name: str, active: Active, unverified: Active | None, records: dict[str, dict[str, Any]]) -> Person:
    return Person(name, active, unverified.count if unverified is not None else 0, records.get(name, {}))


def _records(entries: tuple[Entry, ...]) -> dict[str, dict[str, Any]]:
    return {str(entry.record.get("user", "")): entry.record for entry in entries}


def _silent(store: Store, now_active: dict[str, Active], since: datetime, until: datetime) -> list[Person]:
    """Gives who worked in the period before and does not in this one, while others with a role of theirs do."""
    before = store.active("user", since - (until - since), since - timedelta(hours=1))
    missed = sorted(
        (name for name, found in before.items() if name not in now_active and found.count >= _USUAL),
        key=lambda name: -before[name].count,
    )[:_MOST_SILENT]
    if not missed or not now_active:
        return []
    busiest = sorted(now_active, key=lambda name: -now_active[name].count)[:_MOST_LOOKED_AT]
    roles = {role for record in _records(store.newest(tuple(busiest))).values() for role in _roles(record)}
    records = _records(store.newest(tuple(missed)))
    return [_person(name, before[name], None, records) for name in missed if set(_roles(records.get(name, {}))) & roles]


def _roles(record: dict[str, Any]) -> list[str]:
    found = record.get("roles")
    return [role for role in found if isinstance(role, str)] if isinstance(found, list) else []


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else 0
