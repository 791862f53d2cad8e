"""What pages over the store ask beside searches: who is active, what was said most, what has just arrived. Each question is
bounded, in what it reads or in what it gives."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec

from hookgate.audit.store.columns import key_of, looked_up, place_of
from hookgate.audit.store.condition import Condition, condition, index_for
from hookgate.audit.store.cursor import Place
from hookgate.audit.store.dialect import Database, Row
from hookgate.audit.store.moment import HOUR, micros
from hookgate.audit.store.question import Active, Count, Filter

#: What needs a reason.
_TOLD = ("deny", "ask", "error")
#: Names that are given of one kind.
_MOST_NAMES = 50_000
#: A record that comes later than that is no news.
_NEWS = timedelta(days=2)


def reasons(database: Database, wanted: Filter, *, top: int, most: int) -> tuple[tuple[Count, ...], bool]:
    """Gives why decisions were no plain yes, of the newest so many of each outcome; and whether there are more."""
    found: Counter[str] = Counter()
    is_more = False
    for outcome in _TOLD if wanted.outcome is None else (wanted.outcome,):
        one = msgspec.structs.replace(wanted, outcome=outcome)
        where = condition(database, one)
        sql = (
            f"SELECT d.reason, d.error FROM decision d{database.use(index_for(one))}{where.where()}"  # noqa: S608 (values are bound)
            f" ORDER BY d.time DESC, d.key DESC LIMIT {most + 1}"
        )
        rows = database.rows(sql, where.values)
        is_more = is_more or len(rows) > most
        found.update(error or reason.split("\n", 1)[0] for reason, error in rows[:most] if error or reason)
    ordered = sorted(found.items(), key=lambda pair: (-pair[1], pair[0].encode()))
    return tuple(Count(name=name, count=number) for name, number in ordered[:top]), is_more


def active(database: Database, kind: str, since: datetime, until: datetime) -> dict[str, Active]:
    """Gives what is counted of a kind of name (`user`, `rule`, …) in the whole hours that a period touches."""
    where = Condition(database)
    where.add(f"kind = {where.value(kind)}")
    where.between("hour", micros(since) // HOUR, -(-micros(until) // HOUR))
    sql = (
        f"SELECT name, outcome, sum(count), max(hour) FROM tally{where.where()} GROUP BY name, outcome"  # noqa: S608 (values are bound)
        f" LIMIT {_MOST_NAMES}"
    )
    counts: dict[str, dict[str, int]] = {}
    last: dict[str, int] = {}
    for name, outcome, number, hour in database.each(sql, where.values):
        if number > 0:
            counts.setdefault(name, {})[outcome] = int(number)
            last[name] = max(last.get(name, 0), hour)
    return {name: Active(outcomes=found, last_hour=last[name]) for name, found in counts.items()}


def newest(database: Database, users: tuple[str, ...]) -> list[Place]:
    """Gives where each user's newest decision is."""
    found: list[Place] = []
    using = database.use("decision_principal")
    for user in users:
        where = Condition(database)
        where.add(f"d.principal = {where.value(looked_up(user))}")
        sql = f"SELECT d.time, d.key FROM decision d{using}{where.where()} ORDER BY d.time DESC, d.key DESC LIMIT 1"  # noqa: S608 (values are bound)
        found += [Place(*row) for row in database.rows(sql, where.values)]
    return found


def ends(database: Database) -> dict[int, int]:
    """Gives the number of the last line that was delivered of each chain."""
    return {chain: int(last) for chain, last in database.rows("SELECT chain, max(last) FROM span GROUP BY chain")}


def arrived(
    database: Database, columns: str, wanted: Filter, places: Mapping[int, int], *, now: datetime, limit: int
) -> tuple[list[Row], dict[int, int]]:
    """Gives the decisions that came behind these places, each chain in its order, and the places behind them. A chain that
    is not among the places is new, and counts from its first line."""
    rows: list[Row] = []
    reached = dict(places)
    for chain, last in sorted(ends(database).items()):
        first = places.get(chain, 0)
        room = limit - len(rows)
        if last <= first or room <= 0:
            continue
        where = Condition(database)
        where.add(f"d.key > {where.value(key_of(chain, first) if first else key_of(chain, 1) - 1)}")
        where.add(f"d.key <= {where.value(key_of(chain, last))}")
        where.add(f"d.time >= {where.value(micros(now - _NEWS))}")
        where.wanted(wanted)
        sql = f"SELECT {columns} FROM decision d{where.where()} ORDER BY d.key LIMIT {room}"  # noqa: S608 (values are bound)
        found = database.rows(sql, where.values)
        rows += found
        reached[chain] = place_of(found[-1][0])[1] if len(found) == room else last
    return rows, reached
