"""How machines of a fleet stand, compared with each other, with what is expected, and with what collectors found."""

import json
from pathlib import Path
from typing import Any

import pytest

from hookgate.audit.fleet.expected import Expected, ExpectedError, read_expected
from hookgate.audit.fleet.standing import Mark, Standing, counted, standings
from hookgate.audit.store.fleet import FleetFinding, FleetKind, Member, Progress

NOW = 1_800_000_000_000_000
SECOND = 1_000_000


def machine(name: str, *, silent: float = 5, revoked: int = 0, enrolled: int = NOW - 10**12, **far: Any) -> Member:
    """A machine that was heard so many seconds ago, and is well."""
    heard = NOW - round(silent * SECOND)
    plain = {
        "instance": f"i-{name}",
        "seq": 100,
        "signed_seq": 100,
        "signed_time": heard,
        "last_time": heard,
        "heard": heard,
        "host": f"{name}.example.com",
        "version": "0.1.0",
        "mode": "enforce",
        "policies": "abc",
    }
    progress = Progress(**{**plain, **far})
    return Member(
        instance=progress.instance,
        name=name,
        key_id="k",
        how="code",
        enrolled=enrolled,
        revoked=revoked,
        progress=progress,
    )


def found(name: str, kind: FleetKind, count: int = 1) -> FleetFinding:
    return FleetFinding(
        instance=f"i-{name}", name=name, kind=kind, seq=7, time=NOW, last=NOW, count=count, detail="what it was"
    )


def marks(rows: tuple[Standing, ...]) -> dict[str, set[str]]:
    return {row.name: {mark.value for mark in row.marks} for row in rows}


def test_a_fleet_that_is_well_has_no_mark() -> None:
    rows = standings([machine("a"), machine("b")], [], now=NOW)
    assert marks(rows) == {"a": set(), "b": set()}
    assert rows[0].silent_seconds == 5
    assert (rows[0].lag_seconds, rows[0].seq, rows[0].verified_seq) == (0, 100, 100)
    assert set(counted(rows).values()) == {0}


def test_who_is_silent_while_others_of_the_group_are_not_is_told() -> None:
    fleet = [machine("a", silent=1000), machine("b"), machine("c", silent=5000), machine("d", silent=6000)]
    assert marks(standings(fleet, [], now=NOW))["a"] == {"silent"}
    groups = [Expected(name=name, group="night" if name in "cd" else "day") for name in "abcd"]
    told = marks(standings(fleet, [], groups, now=NOW))
    assert told == {"a": {"silent"}, "b": set(), "c": set(), "d": set()}
    assert marks(standings(fleet, [], now=NOW, silent_seconds=1500))["a"] == set()


def test_who_was_enrolled_and_never_heard_is_told() -> None:
    never = machine("a", heard=0, last_time=0, seq=0, signed_seq=0, signed_time=0, policies="", version="")
    (row,) = (row for row in standings([never, machine("b")], [], now=NOW) if row.name == "a")
    assert row.marks == (Mark.NEVER_HEARD,)
    assert (row.heard, row.silent_seconds, row.lag_seconds) == ("", None, None)


def test_who_decides_otherwise_than_most_of_the_group_is_told() -> None:
    fleet = [machine("a"), machine("b"), machine("c", policies="old"), machine("d", policies="")]
    told = marks(standings([*fleet, machine("e", version="0.0.9", mode="observe")], [], now=NOW))
    assert told == {
        "a": set(),
        "b": set(),
        "c": {"other_policies"},
        "d": {"other_policies"},
        "e": {"older_version", "observing"},
    }


def test_whose_client_is_older_than_most_of_those_that_tell_theirs_is_told() -> None:
    clients = {"a": "2.1.330", "b": "2.1.330", "f": "2.1.330", "c": "2.1.197", "d": "2.2.0", "e": ""}
    told = marks(standings([machine(name, client=client) for name, client in clients.items()], [], now=NOW))
    assert {name for name, found in told.items() if found} == {"c"}
    assert told["c"] == {"older_client"}


def test_nobody_is_behind_where_there_is_no_majority_or_nobody_says_anything() -> None:
    assert marks(standings([machine("a", policies="x"), machine("b", policies="y")], [], now=NOW)) == {
        "a": set(),
        "b": set(),
    }
    assert marks(standings([machine("a", policies=""), machine("b", policies="")], [], now=NOW))["a"] == set()


def test_a_newer_version_than_most_is_no_fault() -> None:
    fleet = [machine("a"), machine("b"), machine("c", version="0.10.0")]
    assert marks(standings(fleet, [], now=NOW))["c"] == set()


@pytest.mark.parametrize(
    ("kind", "mark"),
    [
        (FleetKind.FORK, "tampered"),
        (FleetKind.REWIND, "tampered"),
        (FleetKind.WRONG_KEY, "tampered"),
        (FleetKind.GAP, "missing_records"),
        (FleetKind.FOREIGN_INSTANCE, "foreign"),
        (FleetKind.CLOCK, "clock"),
    ],
)
def test_what_a_collector_found_is_a_mark(kind: FleetKind, mark: str) -> None:
    rows = standings([machine("a"), machine("b")], [found("b", kind, 3)], now=NOW)
    assert [row.name for row in rows] == ["b", "a"]
    assert marks(rows) == {"a": set(), "b": {mark}}
    assert rows[0].findings == {kind.value: 3}
    assert counted(rows)[mark] == 1


def test_every_kind_of_finding_that_tells_of_a_cheat_has_a_mark() -> None:
    for kind in FleetKind:
        (row,) = standings([machine("a")], [found("a", kind)], now=NOW)
        assert row.marks, kind


def test_what_comes_late_or_unsigned_or_with_a_wrong_clock_is_told() -> None:
    backlog = machine("a", last_time=NOW - 3600 * SECOND, signed_time=NOW - 3600 * SECOND)
    unsigned = machine("b", signed_seq=4, signed_time=NOW - 2000 * SECOND)
    ahead = machine("c", skew_seconds=4000.0, last_time=NOW + 4000 * SECOND, signed_time=NOW + 4000 * SECOND)
    told = marks(standings([backlog, unsigned, ahead], [], now=NOW))
    assert told == {"a": {"late"}, "b": {"unverified"}, "c": {"clock"}}


def test_calls_that_were_not_asked_about_count_for_the_period_that_is_asked_for() -> None:
    fleet = [machine("a", unasked=4), machine("b")]
    assert marks(standings(fleet, [], now=NOW))["a"] == {"unasked"}
    assert marks(standings(fleet, [], now=NOW, unasked={}))["a"] == set()
    assert marks(standings(fleet, [], now=NOW, unasked={"i-b": 1})) == {"a": set(), "b": {"unasked"}}


def test_of_a_machine_that_was_enrolled_anew_the_newest_journal_counts() -> None:
    old = machine("a", instance="i-old", silent=10**6)
    rows = standings([old, machine("a", enrolled=NOW), machine("b")], [], now=NOW)
    assert [row.instance for row in rows] == ["i-a", "i-b"]


def test_nobody_gets_rid_of_what_was_found_by_beginning_another_journal() -> None:
    old = machine("a", instance="i-old", revoked=NOW - 10)
    seen = [found("old", FleetKind.REWIND, 2), found("old", FleetKind.REVOKED), found("a", FleetKind.NEW_CHAIN)]
    rows = standings([old, machine("a", enrolled=NOW)], seen, now=NOW)
    assert marks(rows) == {"a": {"tampered", "missing_records"}}
    assert rows[0].findings == {"new_chain": 1, "rewind": 2}
    assert {one.kind for one in rows[0].told} == {FleetKind.REWIND, FleetKind.NEW_CHAIN}


def test_a_finding_that_is_not_among_the_newest_counts() -> None:
    (row,) = standings([machine("a")], [], now=NOW, counts={"i-a": {"rewind": 1}})
    assert (row.marks, row.told) == ((Mark.TAMPERED,), ())


def test_nobody_takes_the_place_of_another_by_the_host_that_its_records_name() -> None:
    mine = machine("x-17", host="kim-laptop.example.com")
    thief = machine("mallory", host="kim-laptop", enrolled=NOW)
    expected = [Expected(host="kim-laptop"), Expected(host="mallory-laptop")]
    told = marks(standings([thief, mine], [], expected, now=NOW))
    assert told == {"x-17": set(), "mallory": {"unexpected"}, "mallory-laptop": {"never_enrolled"}}


def test_who_was_revoked_is_there_only_while_it_sends() -> None:
    gone = machine("a", revoked=NOW - 10)
    assert [row.name for row in standings([gone, machine("b")], [], now=NOW)] == ["b"]
    rows = standings([gone, machine("b")], [found("a", FleetKind.REVOKED)], now=NOW)
    assert marks(rows)["a"] == {"revoked"}


def test_who_is_expected_and_who_is_not_are_told_by_name_or_host() -> None:
    expected = [Expected(name="A"), Expected(host="B.corp"), Expected(name="c", user="kim", group="day")]
    rows = standings([machine("a"), machine("b"), machine("x")], [], expected, now=NOW)
    assert marks(rows) == {"a": set(), "b": set(), "x": {"unexpected"}, "c": {"never_enrolled"}}
    (row,) = (row for row in rows if row.name == "c")
    assert (row.user, row.group, row.instance) == ("kim", "day", "")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("mdm.csv", "\ufeffComputer Name,User-Email,Department,Serial\nmac-1,alex@example.com,web,X1\nmac-2,,,\n"),
        ("mdm.json", json.dumps([{"name": "mac-1", "email": "alex@example.com", "team": "web"}, "mac-2"])),
        ("mdm.yaml", "- {name: mac-1, user: alex@example.com, group: web}\n- mac-2\n"),
    ],
)
def test_an_inventory_is_read_as_it_comes(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    first, second = read_expected(tmp_path / name)
    assert first == Expected(name="mac-1", user="alex@example.com", group="web")
    assert second == Expected(name="mac-2")


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("a.csv", "serial,owner\n1,alex\n", "machine 1 has neither"),
        ("a.csv", "name,owner\n", "names no machine"),
        ("a.csv", "", "names no machine"),
        ("a.json", '{"name": "a"}', "expected a list"),
        ("a.yaml", "- {user: x}", "machine 1 has neither"),
        ("a.yaml", "- [", "can't be read as .yaml"),
        ("a.yaml", "- !!python/object/apply:os.system [id]", "can't be read"),
    ],
)
def test_an_inventory_that_can_not_be_read_is_named(tmp_path: Path, name: str, text: str, why: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(ExpectedError, match=why):
        read_expected(tmp_path / name)
    with pytest.raises(ExpectedError, match="No such file"):
        read_expected(tmp_path / "none.csv")
