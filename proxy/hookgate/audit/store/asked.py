"""The questions, put to either database."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

import msgspec

from hookgate.audit.store import counting, fleet, looking
from hookgate.audit.store.columns import looked_up, member, place_of
from hookgate.audit.store.condition import Condition, condition, index_for
from hookgate.audit.store.cursor import Place, cursor_of
from hookgate.audit.store.cursor import place_of as cursor_place
from hookgate.audit.store.dialect import Database, Row
from hookgate.audit.store.fleet import FleetFinding, Member
from hookgate.audit.store.moment import text_of
from hookgate.audit.store.packing import line_of
from hookgate.audit.store.question import (
    Active,
    Arrival,
    Entry,
    Filter,
    Page,
    Ran,
    Reasons,
    Span,
    Stats,
    StoreError,
)
from hookgate.audit.store.question import Row as Found
from hookgate.audit.store.tables import RAN

_SHOWN = (
    "d.key, d.time, d.id, d.principal, d.verified, d.event, d.tool, d.outcome, d.mode, d.subject, d.reason, d.policy,"
    " d.error, d.session_id, d.tool_use_id, d.agent_id, d.total_seconds"
)
#: What each of the two records of one question is joined with, by session, prompt and input.
_ASKED = {"PreToolUse": "PermissionRequest", "PermissionRequest": "PreToolUse"}
_MAX_ROWS = 1000
#: Entries that are read together: records are some kilobytes, a few of them hundreds.
_ENTRIES = 200
#: Records that belong to one call, and more of them than anybody reads.
_MAX_RELATED = 200
#: Answers to all of a page's calls. Two instances may each have recorded one.
_MAX_ANSWERS = 5000


class SqlStore:
    """A store in an SQL database; see `Store`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._chains: dict[int, str] = {}

    def search(self, wanted: Filter, *, limit: int = 50, cursor: str = "", oldest_first: bool = False) -> Page:
        """Gives one page."""
        limit = max(1, min(limit, _MAX_ROWS))
        place = cursor_place(cursor, wanted, oldest_first=oldest_first)
        found = self._decisions(_SHOWN, wanted, limit + 1, place, oldest_first=oldest_first)
        shown = found[:limit]
        more = len(found) > limit
        end = cursor_of(Place(shown[-1][1], shown[-1][0]), wanted, oldest_first=oldest_first) if more else ""
        return Page(rows=self._joined(shown), cursor=end)

    def show(self, record_id: str) -> tuple[Entry, ...]:
        """Gives a record and those that belong to it."""
        own = self._named(record_id)
        if not own:
            return ()
        names, related = [record_id], own[1:]
        for place in own:
            for time, key, name, _ in self._of_the_same_call(place):
                related.append(Place(time, key))
                names.append(name)
        related += self._about(names)
        later = sorted(set(related) - {own[0]})
        return tuple(self._entries_of([own[0], *later]))

    def session(self, session_id: str, *, limit: int = 1000, cursor: str = "") -> Page:
        """Gives a session's decisions, the oldest first."""
        return self.search(Filter(session_id=session_id), limit=limit, cursor=cursor, oldest_first=True)

    def stats(self, wanted: Filter, *, top: int = 10, buckets: int = 48, closely: bool = True) -> Stats:
        """Counts the decisions of a period."""
        return counting.stats(self._database, wanted, top=top, buckets=buckets, closely=closely)

    def reasons(self, wanted: Filter, *, top: int = 10, most: int = 2000) -> Reasons:
        """Counts the reasons of the newest."""
        counts, is_sample = looking.reasons(self._database, wanted, top=top, most=most)
        return Reasons(counts=counts, is_sample=is_sample)

    def active(self, kind: str, since: datetime, until: datetime) -> dict[str, Active]:
        """Gives what was counted of each name."""
        return looking.active(self._database, kind, since, until)

    def newest(self, users: tuple[str, ...]) -> tuple[Entry, ...]:
        """Gives each user's newest record."""
        places = looking.newest(self._database, users)
        return tuple(self._entries_of(places)) if places else ()

    def arrived(self, wanted: Filter, places: Mapping[int, int] | None, *, limit: int = 200) -> Arrival:
        """Gives what has arrived."""
        if places is None:
            return Arrival(rows=(), places=looking.ends(self._database))
        rows, reached = looking.arrived(
            self._database, _SHOWN, wanted, places, now=datetime.now(UTC), limit=max(1, min(limit, _MAX_ROWS))
        )
        return Arrival(rows=self._joined(rows), places=reached)

    def entries(self, wanted: Filter) -> Iterator[Entry]:
        """Gives the whole records of all decisions that match, the oldest first."""
        place: Place | None = None
        while found := self._decisions("d.key, d.time", wanted, _ENTRIES, place, oldest_first=True):
            yield from self._entries_of([Place(time, key) for key, time in found])
            place = Place(found[-1][1], found[-1][0])

    def service_entries(
        self, since: datetime | None, until: datetime | None, types: tuple[str, ...] = ()
    ) -> Iterator[Entry]:
        """Gives the records about the services, the oldest first."""
        place: Place | None = None
        while True:
            where = Condition(self._database)
            where.period("s.time", since, until)
            if types:
                where.values.append(self._database.listed([looked_up(kind) for kind in types]))
                where.add(self._database.among("s.type", len(where.values)))
            else:
                where.add("s.type <> 'checkpoint'")
            _behind(where, "s", place, oldest_first=True)
            sql = f"SELECT s.key, s.time FROM service s{where.where()} ORDER BY s.time, s.key LIMIT {_ENTRIES}"  # noqa: S608 (values are bound)
            found = self._database.rows(sql, where.values)
            if not found:
                return
            yield from self._entries_of([Place(time, key) for key, time in found])
            place = Place(found[-1][1], found[-1][0])

    def instances(self) -> tuple[str, ...]:
        """Gives the ids of the chains that rows come from."""
        return tuple(row[0] for row in self._database.rows("SELECT instance FROM chain ORDER BY instance"))

    def spans(self) -> tuple[Span, ...]:
        """Gives the stretches of each chain that have been delivered."""
        found = self._database.rows(
            "SELECT c.instance, s.first, s.last FROM span s JOIN chain c ON c.number = s.chain ORDER BY c.instance, s.first"
        )
        return tuple(Span(instance=instance, first=first, last=last) for instance, first, last in found)

    def members(self) -> tuple[Member, ...]:
        """Gives who was enrolled with a collector."""
        return fleet.members(self._database)

    def findings(self, since: datetime | None = None) -> tuple[FleetFinding, ...]:
        """Gives what collectors found wrong with journals."""
        return fleet.findings(self._database, since)

    def found(self, since: datetime) -> dict[str, dict[str, int]]:
        """Counts findings."""
        return fleet.found(self._database, since)

    def unasked(self, since: datetime) -> dict[str, int]:
        """Counts calls that were not asked about."""
        return fleet.unasked(self._database, since)

    def close(self) -> None:
        """Lets the store go."""
        self._database.close()

    def _decisions(
        self, columns: str, wanted: Filter, limit: int, place: Place | None, *, oldest_first: bool
    ) -> list[Row]:
        where = condition(self._database, wanted)
        _behind(where, "d", place, oldest_first=oldest_first)
        order = "d.time, d.key" if oldest_first else "d.time DESC, d.key DESC"
        using = self._database.use(index_for(wanted))
        sql = f"SELECT {columns} FROM decision d{using}{where.where()} ORDER BY {order} LIMIT {limit}"  # noqa: S608 (values are bound)
        return self._database.rows(sql, where.values)

    def _joined(self, found: list[Row]) -> tuple[Found, ...]:
        calls = [row[14] for row in found if row[5] == "PreToolUse" and row[14]]
        ran = self._ran(calls) if calls else {}
        violations = self._violations([row[2] for row in found if row[2]]) if found else {}
        return tuple(
            Found(
                id=row[2],
                time=text_of(row[1]),
                user=row[3],
                verified=bool(row[4]),
                event=row[5],
                tool=row[6],
                outcome=row[7],
                mode=row[8],
                subject=row[9],
                reason=row[10],
                policy=row[11],
                error=row[12],
                session_id=row[13],
                tool_use_id=row[14],
                agent_id=row[15],
                total_seconds=row[16],
                ran=ran.get((row[13], row[14])) if row[5] == "PreToolUse" else None,
                violations=tuple(sorted(violations.get(row[2], ()))),
            )
            for row in found
        )

    def _ran(self, calls: list[str]) -> dict[tuple[str, str], Ran]:
        among = self._database.among("tool_use_id", 1)
        answers = self._database.rows(
            "SELECT session_id, tool_use_id, id, time, failed, interrupted, ran_seconds FROM decision"  # noqa: S608 (values are bound)
            f" WHERE {among} AND {RAN} ORDER BY time, key LIMIT {_MAX_ANSWERS}",
            [self._database.listed(calls)],
        )
        found: dict[tuple[str, str], Ran] = {}
        for session_id, tool_use_id, record_id, time, failed, interrupted, seconds in answers:
            how = "interrupted" if interrupted else "failed" if failed else "ran"
            ran = Ran(id=record_id, time=text_of(time), how=how, seconds=seconds)
            found.setdefault((session_id, tool_use_id), ran)
        return found

    def _violations(self, ids: list[str]) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        listed = self._database.listed(ids)
        for column in ("decision", "found_by"):
            among = self._database.among(column, 1)
            sql = f"SELECT {column}, type FROM service WHERE {among} AND {column} <> '' LIMIT {_MAX_ANSWERS}"  # noqa: S608 (values are bound)
            for name, kind in self._database.rows(sql, [listed]):
                if kind in counting.VIOLATIONS:
                    found.setdefault(name, set()).add(kind)
        return found

    def _named(self, record_id: str) -> list[Place]:
        mark, name = self._database.mark(1), looked_up(record_id)
        if not name:
            return []
        return [
            Place(*row)
            for table in ("decision", "service")
            for row in self._database.rows(
                f"SELECT time, key FROM {table} WHERE id = {mark} ORDER BY time, key LIMIT {_MAX_RELATED}",  # noqa: S608 (values are bound)
                [name],
            )
        ]

    def _of_the_same_call(self, place: Place) -> list[Row]:
        """Gives time, key, id and event of each. From a PermissionRequest the PreToolUse leads to how the call ended."""
        where, same = Condition(self._database), []
        where.add(f"time = {where.value(place.time)} AND key = {where.value(place.key)}")
        columns = "session_id, tool_use_id, prompt_id, input_digest, event"
        rows = self._database.rows(f"SELECT {columns} FROM decision{where.where()}", where.values)  # noqa: S608 (values are bound)
        if not rows or not rows[0][0]:
            return []
        session_id, tool_use_id, prompt_id, input_digest, event = rows[0]
        where = Condition(self._database)
        where.add(f"session_id = {where.value(session_id)}")
        if tool_use_id:
            same.append(f"tool_use_id = {where.value(tool_use_id)}")
            where.values.append(member(tool_use_id))
            same.append(self._database.holds("calls", len(where.values)))
        if input_digest and event in _ASKED:
            other = _ASKED[event]
            prompt, digest = where.value(prompt_id), where.value(input_digest)
            same.append(f"(prompt_id = {prompt} AND input_digest = {digest} AND event = '{other}')")
        if not same:
            return []
        where.add(f"({' OR '.join(same)})")
        sql = f"SELECT time, key, id, event FROM decision{where.where()} ORDER BY time, key LIMIT {_MAX_RELATED}"  # noqa: S608 (values are bound)
        found = self._database.rows(sql, where.values)
        if event == "PermissionRequest":
            asked = [Place(row[0], row[1]) for row in found if row[3] == "PreToolUse"]
            return [*found, *(row for one in asked for row in self._of_the_same_call(one))]
        return found

    def _about(self, ids: list[str]) -> list[Place]:
        listed = self._database.listed([name for name in dict.fromkeys(ids) if name])
        return [
            Place(*row)
            for column in ("decision", "found_by")
            for row in self._database.rows(
                f"SELECT time, key FROM service WHERE {self._database.among(column, 1)} AND {column} <> ''"  # noqa: S608 (values are bound)
                f" ORDER BY time, key LIMIT {_MAX_RELATED}",
                [listed],
            )
        ]

    def _entries_of(self, places: list[Place]) -> list[Entry]:
        """Gives the lines of these places, in their order. Their time leads to the days that they are in."""
        where, keys = Condition(self._database), [place.key for place in places]
        where.add(f"key IN ({', '.join(where.value(key) for key in keys)})")
        where.between("time", min(place.time for place in places), max(place.time for place in places) + 1)
        rows = self._database.rows(f"SELECT key, prev, hash, body FROM line{where.where()}", where.values)  # noqa: S608 (values are bound)
        found = {row[0]: self._entry(row) for row in rows}
        return [found[key] for key in keys if key in found]

    def _entry(self, row: Row) -> Entry:
        key, prev, own, body = row
        chain, seq = place_of(key)
        try:
            line, digest = line_of(seq, bytes(prev), bytes(own), bytes(body))
            record = msgspec.json.decode(line)
        except (ValueError, msgspec.DecodeError) as error:
            raise StoreError(
                f"line {seq} of chain {self._instance(chain)} is damaged in the store ({error}): fill it anew from the journal"
            ) from None
        return Entry(instance=self._instance(chain), seq=seq, hash=digest, record=record)

    def _instance(self, chain: int) -> str:
        if chain not in self._chains:
            self._chains = dict((row[0], row[1]) for row in self._database.rows("SELECT number, instance FROM chain"))  # noqa: C402 (rows are sequences)
        return self._chains.get(chain, "")


def _behind(where: Condition, table: str, place: Place | None, *, oldest_first: bool) -> None:
    if place is None:
        return
    than = ">" if oldest_first else "<"
    time, again, key = where.value(place.time), where.value(place.time), where.value(place.key)
    where.add(f"{table}.time {than}= {time}")
    where.add(f"({table}.time {than} {again} OR {table}.key {than} {key})")
