"""How each machine stands: heard or silent, verified up to where, deciding by which policies, and what is wrong."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from hookgate.audit.fleet.expected import Expected
from hookgate.audit.store.fleet import FleetFinding, FleetKind, Member
from hookgate.audit.store.moment import text_of
from hookgate.meaning import Meaningful

_SECOND = 1_000_000
#: What is tolerated of a machine's clock.
_CLOCK_SECONDS = 300.0
#: Findings of one machine that are told in words.
_TOLD = 5


class Mark(Meaningful):
    """What asks for attention of a machine."""

    TAMPERED = (
        "tampered",
        "Its journal forked, was rewound or altered, signed by another key, or not signed as it should be.",
    )
    FOREIGN = "foreign", "It sent records of another journal."
    MISSING_RECORDS = (
        "missing_records",
        "Lines are missing that its journal no longer has, or came as metadata only; or it began another journal.",
    )
    UNASKED = "unasked", "Calls ran on it that were never asked about."
    SILENT = "silent", "Nothing was heard of it, while others of its group were heard."
    NEVER_HEARD = "never_heard", "It was enrolled, and nothing was ever heard of it."
    NEVER_ENROLLED = "never_enrolled", "It is expected, and was never enrolled."
    UNEXPECTED = "unexpected", "It is enrolled, and not among those that are expected."
    UNVERIFIED = "unverified", "No checkpoint vouches for what it sent, for longer than one takes to come."
    LATE = "late", "What comes of it is old: it has a backlog."
    OTHER_POLICIES = "other_policies", "It decides by another version of the policies than most of its group."
    OLDER_VERSION = "older_version", "Its Hookgate is older than that of most of its group."
    OLDER_CLIENT = "older_client", "Its client is older than that of most of its group, as far as clients tell."
    OBSERVING = "observing", "It only observes, while most of its group enforce."
    CLOCK = "clock", "Its clock is far off."
    REVOKED = "revoked", "It was revoked, and still sends."


#: Findings of a collector, as marks.
_FOUND: dict[str, Mark] = {
    **dict.fromkeys(
        (FleetKind.FORK, FleetKind.REWIND, FleetKind.ALTERED, FleetKind.WRONG_KEY, FleetKind.BAD_SIGNATURE),
        Mark.TAMPERED,
    ),
    **dict.fromkeys((FleetKind.GAP, FleetKind.REDUCED, FleetKind.NEW_CHAIN), Mark.MISSING_RECORDS),
    FleetKind.FOREIGN_INSTANCE: Mark.FOREIGN,
    FleetKind.CLOCK: Mark.CLOCK,
    FleetKind.REVOKED: Mark.REVOKED,
}


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a collector found: what, at which line (0 for none), when last (UTC), how often, and in words."""

    kind: FleetKind
    seq: int
    time: str
    count: int
    detail: str


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """One machine. Times are UTC, empty where there is none; what is not known is empty."""

    name: str
    instance: str = ""
    host: str = ""
    user: str = ""
    group: str = ""
    version: str = ""
    policies: str = ""
    client: str = ""
    mode: str = ""
    enrolled: str = ""
    heard: str = ""
    silent_seconds: float | None = None
    #: The last line that is here, and the last one that a checkpoint vouches for.
    seq: int = 0
    verified_seq: int = 0
    verified_time: str = ""
    #: How old its newest line was when it came.
    lag_seconds: float | None = None
    records: int = 0
    unasked: int = 0
    marks: tuple[Mark, ...] = ()
    #: What a collector found, by kind; and the newest of it.
    findings: dict[str, int] = {}
    told: tuple[Told, ...] = ()


def standings(
    members: Sequence[Member],
    findings: Iterable[FleetFinding],
    expected: Sequence[Expected] = (),
    *,
    now: int,
    silent_seconds: float = 900.0,
    late_seconds: float = 900.0,
    unasked: Mapping[str, int] | None = None,
    counts: Mapping[str, Mapping[str, int]] | None = None,
) -> tuple[Standing, ...]:
    """Gives how each machine stands at `now` (microseconds since 1970): those that ask for attention first, then by name.

    `findings` are those of the period that counts; `counts` has how many there are by journal and kind, where `findings` has
    not all of them. What was found of a journal that a name had before counts for the name: nobody gets rid of it with
    another one. `unasked` likewise has the calls that were not asked about by instance, and without it all that ever were
    count. Of journals that one name enrolled the newest counts. With `expected`, who is not among them, or not enrolled, has a
    mark; its groups are what machines are compared within, else all are one group. A member that was revoked is there only
    while it sends.
    """
    seen = sorted(findings, key=lambda one: one.last, reverse=True)
    counted_kinds = counts if counts is not None else _counts(seen)
    current = _current(members, counted_kinds)
    kinds = _by_name(members, counted_kinds)
    told = _told_by_name(members, seen)
    known, missing = _matched(current, expected)
    rows = []
    for member in current:
        entry = known.get(member.instance)
        row = _row(member, entry, now, kinds[member.name], unasked)
        marks = [*_own(row, member, late_seconds)]
        if expected and entry is None:
            marks.append(Mark.UNEXPECTED)
        rows.append(msgspec.structs.replace(row, marks=tuple(marks), told=tuple(told[member.name])))
    groups: dict[str, list[Standing]] = defaultdict(list)
    for row in rows:
        groups[row.group].append(row)
    compared = [
        msgspec.structs.replace(row, marks=_ordered([*row.marks, *_beside(row, groups[row.group], silent_seconds)]))
        for row in rows
    ]
    compared += [
        Standing(name=one.name or one.host, host=one.host, user=one.user, group=one.group, marks=(Mark.NEVER_ENROLLED,))
        for one in missing
    ]
    order = list(Mark)
    return tuple(
        sorted(
            compared, key=lambda row: (order.index(row.marks[0]) if row.marks else len(order), row.name, row.instance)
        )
    )


def counted(rows: Iterable[Standing]) -> dict[str, int]:
    """Gives how many machines have each mark, those without one included."""
    found = Counter(mark for row in rows for mark in row.marks)
    return {mark.value: found[mark] for mark in Mark}


def _counts(findings: Iterable[FleetFinding]) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for one in findings:
        found[one.instance][one.kind.value] += one.count
    return found


def _replaced(members: Sequence[Member]) -> set[str]:
    """Journals of before. That such a one was revoked and is still sent is no fault of the one that counts now."""
    active = {member.name for member in members if not member.revoked}
    return {member.instance for member in members if member.revoked and member.name in active}


def _by_name(members: Sequence[Member], counts: Mapping[str, Mapping[str, int]]) -> dict[str, Counter[str]]:
    found, replaced = defaultdict[str, Counter[str]](Counter), _replaced(members)
    for member in members:
        of_it = Counter(counts.get(member.instance, {}))
        if member.instance in replaced:
            del of_it[FleetKind.REVOKED.value]
        found[member.name].update(of_it)
    return found


def _told_by_name(members: Sequence[Member], newest_first: Iterable[FleetFinding]) -> dict[str, list[Told]]:
    told, replaced = defaultdict[str, list[Told]](list), _replaced(members)
    names = {member.instance: member.name for member in members}
    for one in newest_first:
        of_name = told[names.get(one.instance, "")]
        if len(of_name) < _TOLD and not (one.kind is FleetKind.REVOKED and one.instance in replaced):
            of_name.append(_told(one))
    return told


def _current(members: Sequence[Member], kinds: Mapping[str, Mapping[str, int]]) -> list[Member]:
    newest: dict[str, Member] = {}
    for member in members:
        if member.revoked and FleetKind.REVOKED.value not in kinds.get(member.instance, {}):
            continue
        other = newest.get(member.name)
        if other is None or (not member.revoked, member.enrolled) > (not other.revoked, other.enrolled):
            newest[member.name] = member
    return list(newest.values())


def _matched(members: Sequence[Member], expected: Sequence[Expected]) -> tuple[dict[str, Expected], list[Expected]]:
    """Gives what is expected of each instance, and what nobody is. Names are compared without case, hosts without domain, too."""
    found: dict[str, Expected] = {}
    left, missing = sorted(members, key=lambda member: member.enrolled), list(expected)
    # What host it is a machine says itself: it takes nobody's place by it who was there before, and one place only.
    ways: tuple[tuple[Callable[[Member], str], Callable[[Expected], str]], ...] = (
        (lambda member: member.name.casefold(), lambda one: one.name.casefold()),
        (lambda member: _short(member.progress.host), lambda one: _short(one.host)),
        (lambda member: _short(member.progress.host), lambda one: _short(one.name)),
    )
    for of_member, of_one in ways:
        there: dict[str, Member] = {}
        for member in left:
            there.setdefault(of_member(member), member)
        there.pop("", None)
        rest = []
        for one in missing:
            match = there.pop(of_one(one), None)
            if match is None:
                rest.append(one)
            else:
                found[match.instance] = one
        missing = rest
        left = [member for member in left if member.instance not in found]
    return found, missing


def _row(
    member: Member, expected: Expected | None, now: int, kinds: Counter[str], unasked: Mapping[str, int] | None
) -> Standing:
    far = member.progress
    sent = far.last_time - round(far.skew_seconds * _SECOND)
    return Standing(
        name=member.name,
        instance=member.instance,
        host=far.host or (expected.host if expected else ""),
        user=far.principal or (expected.user if expected else ""),
        group=expected.group if expected else "",
        version=far.version,
        policies=far.policies,
        client=far.client,
        mode=far.mode,
        enrolled=_time(member.enrolled),
        heard=_time(far.heard),
        silent_seconds=max(0.0, (now - far.heard) / _SECOND) if far.heard else None,
        seq=far.seq,
        verified_seq=far.signed_seq,
        verified_time=_time(far.signed_time),
        lag_seconds=max(0.0, (far.heard - sent) / _SECOND) if far.heard and far.last_time else None,
        records=far.records,
        unasked=far.unasked if unasked is None else unasked.get(member.instance, 0),
        findings=dict(sorted(kinds.items())),
    )


def _told(finding: FleetFinding) -> Told:
    return Told(
        kind=finding.kind, seq=finding.seq, time=_time(finding.last), count=finding.count, detail=finding.detail
    )


def _own(row: Standing, member: Member, late_seconds: float) -> Iterable[Mark]:
    far = member.progress
    yield from {_FOUND[kind] for kind in row.findings if kind in _FOUND}
    if row.unasked:
        yield Mark.UNASKED
    if not far.heard:
        yield Mark.NEVER_HEARD
    if row.lag_seconds is not None and row.lag_seconds > late_seconds:
        yield Mark.LATE
    if row.seq > row.verified_seq and far.last_time - far.signed_time > late_seconds * _SECOND:
        yield Mark.UNVERIFIED
    if abs(far.skew_seconds) > _CLOCK_SECONDS:
        yield Mark.CLOCK


def _beside(row: Standing, group: Sequence[Standing], silent_seconds: float) -> Iterable[Mark]:
    """What is told by comparing with the others of a group."""
    others = [one for one in group if one.instance != row.instance]
    is_heard = any(one.silent_seconds is not None and one.silent_seconds <= silent_seconds for one in others)
    if is_heard and row.silent_seconds is not None and row.silent_seconds > silent_seconds:
        yield Mark.SILENT
    policies = _most(group, lambda one: one.policies)
    if policies and row.heard and row.policies != policies:
        yield Mark.OTHER_POLICIES
    if _is_older(row.version, _most(group, lambda one: one.version)):
        yield Mark.OLDER_VERSION
    if _is_older(row.client, _most(group, lambda one: one.client)):
        yield Mark.OLDER_CLIENT
    if row.mode == "observe" and _most(group, lambda one: one.mode) == "enforce":
        yield Mark.OBSERVING


def _most(group: Iterable[Standing], of: Callable[[Standing], str]) -> str:
    """Gives what more than half of those have that have any, else nothing."""
    found = Counter(text for one in group if (text := of(one)))
    if not found:
        return ""
    name, count = found.most_common(1)[0]
    return name if count * 2 > found.total() else ""


def _ordered(marks: Iterable[Mark]) -> tuple[Mark, ...]:
    there = set(marks)
    return tuple(mark for mark in Mark if mark in there)


def _is_older(version: str, other: str) -> bool:
    return bool(version and other) and _numbers(version) < _numbers(other)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:4])


def _short(host: str) -> str:
    return host.casefold().partition(".")[0]


def _time(micros: int) -> str:
    return text_of(micros) if micros else ""
