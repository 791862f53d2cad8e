"""Statistics: counted by the hour when records are stored, so that a quarter of a year takes no longer than a day.

What is not on whole hours, or asks for more than a period, is counted from the decisions themselves.
"""

from collections import Counter
from datetime import UTC, datetime

from hookgate.audit.store.condition import Condition, index_for
from hookgate.audit.store.dialect import Database
from hookgate.audit.store.moment import DAY, HOUR, micros, moment_of
from hookgate.audit.store.question import Bucket, Count, Filter, Stats
from hookgate.audit.store.tables import DENIED

#: Types of service records that say that something does not add up.
VIOLATIONS = ("enforcement_violated", "executed_differs", "unasked", "undelivered")
_NO_POLICY = "NO_MATCH"
_SECOND = 1_000_000
_SHORT = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800)
_LONG = (1, 2, 3, 6, 12, 24, 48, 7 * 24, 14 * 24, 28 * 24)
_KINDS = ("mode", "event", "tool", "user", "unverified", "policy", "error")

#: Bucket or None for those of no account, outcome.
_Buckets = Counter[tuple[int, str]]


def stats(database: Database, wanted: Filter, *, top: int, buckets: int, closely: bool = True) -> Stats:
    """Counts the decisions of a period; see `Store.stats`."""
    since, until = _period(database, wanted)
    step = _step(since, until, max(1, buckets))
    counted = _Counted(database, wanted, step)
    if step % HOUR == 0 and _is_period(wanted):
        begin, end = -(-since // HOUR), until // HOUR
        if begin < end:
            counted.decisions(since, begin * HOUR)
            counted.hours(begin, end)
            counted.decisions(end * HOUR, until)
        else:
            counted.decisions(since, until)
    else:
        counted.decisions(since, until)
    outcomes = _by_outcome(counted.buckets)
    unmatched: Counter[str] = Counter()
    for (name, outcome), number in counted.named["tool"].items():
        if outcome == "no_match":
            unmatched[name] += number
    policies = _names(counted.named["policy"])
    policies.pop(_NO_POLICY, None)
    return Stats(
        since=moment_of(since),
        until=moment_of(until),
        total=outcomes.total(),
        buckets=_stretches(counted.buckets, since, until, step),
        bucket_seconds=step // _SECOND,
        outcomes=_most(outcomes, top),
        errors=_most(_names(counted.named["error"]), top),
        modes=_most(_names(counted.named["mode"]), top),
        events=_most(_names(counted.named["event"]), top),
        tools=_most(_names(counted.named["tool"]), top),
        users=_most(_names(counted.named["user"]), top),
        policies=_most(policies, top),
        denied=_denied(database, wanted, since, until, top) if closely else (),
        unmatched=_most(unmatched, top),
        unverified=_most(_names(counted.named["unverified"]), top),
        denying_sessions=_denying_sessions(database, wanted, since, until, top) if closely else (),
        violations=_violations(database, wanted, top),
    )


class _Counted:
    """What has been counted so far: by bucket and outcome, and by each kind of name and outcome."""

    def __init__(self, database: Database, wanted: Filter, step: int) -> None:
        self._database = database
        self._wanted = wanted
        self._step = step
        self.buckets: _Buckets = Counter()
        self.named: dict[str, Counter[tuple[str, str]]] = {kind: Counter() for kind in _KINDS}

    def hours(self, begin: int, end: int) -> None:
        """Counts whole hours, from one on and before the other."""
        for kind in _KINDS:
            where = Condition(self._database)
            where.add(f"kind = {where.value(kind)}")
            where.between("hour", begin, end)
            sql = f"SELECT name, outcome, sum(count) FROM tally{where.where()} GROUP BY name, outcome"  # noqa: S608 (values are bound)
            for name, outcome, number in self._database.each(sql, where.values):
                self.named[kind][name, outcome] += int(number)
        where = Condition(self._database)
        where.add(f"kind = {where.value('mode')}")
        where.between("hour", begin, end)
        sql = f"SELECT hour, outcome, sum(count) FROM tally{where.where()} GROUP BY hour, outcome"  # noqa: S608 (values are bound)
        for hour, outcome, number in self._database.each(sql, where.values):
            self.buckets[hour * HOUR // self._step, outcome] += int(number)

    def decisions(self, since: int, until: int) -> None:
        """Counts the decisions of a stretch of time one by one."""
        if since >= until:
            return
        where = _during(self._database, self._wanted, since, until)
        using = self._database.use(index_for(self._wanted))
        names = "d.outcome, d.mode, d.event, d.tool, d.principal, d.verified, d.policy, d.error"
        sql = (
            f"SELECT d.time / {self._step}, {names}, count(*) FROM decision d{using}{where.where()}"  # noqa: S608 (values are bound)
            f" GROUP BY d.time / {self._step}, {names}"
        )
        for row in self._database.each(sql, where.values):
            bucket, outcome, mode, event, tool, user, verified, policy, error, number = row
            self.buckets[bucket, outcome] += number
            unverified = "" if verified else user
            for kind, name in zip(_KINDS, (mode, event, tool, user, unverified, policy, error), strict=True):
                self.named[kind][name, outcome] += number


def _is_period(wanted: Filter) -> bool:
    """Whether a filter asks for nothing but a period."""
    return wanted == Filter(since=wanted.since, until=wanted.until)


def _period(database: Database, wanted: Filter) -> tuple[int, int]:
    """Gives the period asked for, or that of all decisions."""
    least = most = None
    if wanted.since is None:
        least = database.rows("SELECT min(time) FROM decision")[0][0]
    if wanted.until is None:
        most = database.rows("SELECT max(time) FROM decision")[0][0]
    now = micros(datetime.now(UTC))
    since = micros(wanted.since) if wanted.since is not None else now if least is None else least
    until = micros(wanted.until) if wanted.until is not None else now if most is None else most + 1
    return since, max(since, until)


def _step(since: int, until: int, most: int) -> int:
    """Gives the shortest stretch of which the period takes no more than so many."""
    steps = [seconds * _SECOND for seconds in _SHORT] + [hours * HOUR for hours in _LONG]
    while True:
        for step in steps:
            if -(-until // step) - since // step <= most:
                return step
        steps = [steps[-1] * 2]
        if steps[0] > 10_000 * 366 * DAY:
            # A period that lies on both sides of a boundary can't be one stretch.
            return steps[0]


def _stretches(found: _Buckets, since: int, until: int, step: int) -> tuple[Bucket, ...]:
    stretches: dict[int, dict[str, int]] = {number: {} for number in range(since // step, -(-until // step))}
    for (number, outcome), count in found.items():
        stretches.setdefault(number, {})[outcome] = count
    return tuple(
        Bucket(begin=moment_of(number * step), outcomes=dict(sorted(outcomes.items())))
        for number, outcomes in sorted(stretches.items())
    )


def _by_outcome(found: _Buckets) -> Counter[str]:
    outcomes: Counter[str] = Counter()
    for (_, outcome), number in found.items():
        outcomes[outcome] += number
    return outcomes


def _names(found: Counter[tuple[str, str]]) -> Counter[str]:
    names: Counter[str] = Counter()
    for (name, _), number in found.items():
        names[name] += number
    return names


def _most(found: Counter[str], top: int) -> tuple[Count, ...]:
    """Gives the names that occur most; the empty one is none."""
    ordered = sorted((pair for pair in found.items() if pair[0]), key=lambda pair: (-pair[1], pair[0].encode()))
    return tuple(Count(name=name, count=number) for name, number in ordered[:top])


def _during(database: Database, wanted: Filter, since: int, until: int) -> Condition:
    found = Condition(database)
    found.between("d.time", since, until)
    found.wanted(wanted)
    return found


def _denied(database: Database, wanted: Filter, since: int, until: int, top: int) -> tuple[Count, ...]:
    where = _during(database, wanted, since, until)
    where.add(f"d.{DENIED}")
    what = "CASE WHEN d.tool = '' THEN d.event ELSE d.tool END"
    using = database.use(_denied_index(wanted))
    sql = (
        f"SELECT {what}, d.subject, count(*) FROM decision d{using}{where.where()}"  # noqa: S608 (values are bound)
        f" GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT {top}"
    )
    return tuple(
        Count(name=f"{name}: {subject}" if subject else name, count=number)
        for name, subject, number in database.rows(sql, where.values)
    )


def _denying_sessions(database: Database, wanted: Filter, since: int, until: int, top: int) -> tuple[Count, ...]:
    where = _during(database, wanted, since, until)
    where.add(f"d.{DENIED}")
    where.add("d.session_id <> ''")
    using = database.use(_denied_index(wanted))
    sql = (
        f"SELECT d.session_id, count(*) FROM decision d{using}{where.where()}"  # noqa: S608 (values are bound)
        f" GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {top}"
    )
    return tuple(Count(name=name, count=number) for name, number in database.rows(sql, where.values))


def _denied_index(wanted: Filter) -> str:
    """A user or a session has fewer decisions than there are denials."""
    return "decision_denied" if wanted.session_id is None and wanted.user is None else index_for(wanted)


def _violations(database: Database, wanted: Filter, top: int) -> tuple[Count, ...]:
    """Counts the records of violations of a period; where more is asked for, of the decisions that match."""
    where = Condition(database)
    where.period("s.time", wanted.since, wanted.until)
    where.values.append(database.listed(VIOLATIONS))
    where.add(database.among("s.type", len(where.values)))
    join = ""
    if not _is_period(wanted):
        join = " JOIN decision d ON d.id = CASE WHEN s.decision = '' THEN s.found_by ELSE s.decision END"
        where.wanted(wanted)
    sql = f"SELECT s.type, count(DISTINCT s.key) FROM service s{join}{where.where()} GROUP BY s.type"  # noqa: S608 (values are bound)
    return _most(Counter({row[0]: row[1] for row in database.rows(sql, where.values)}), top)
