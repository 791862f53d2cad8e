"""What a collector makes of the lines that a journal sends: any cheat is found, any honest retransmission is taken."""

import time
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hookgate.audit.chain import Link, linked
from hookgate.audit.checkpoint import Signer
from hookgate.audit.rotation import announcement, changed_line
from hookgate.audit.shipping.reduced import reduced
from hookgate.audit.store.fleet import FleetKind, Progress
from hookgate.collect.body import BodyError, lines_of
from hookgate.collect.judging import RefusedError, asked_about, check_order, judge
from tests.support.chains import Machine, body, new_key


class Collected:
    """A collector's memory of one journal."""

    def __init__(self, machine: Machine) -> None:
        self.progress = Progress(instance=machine.instance, key_id=machine.key.public.id, public_key=machine.public_key)
        self.there: dict[int, set[str]] = {}
        self.kept: list[tuple[int, bytes]] = []
        self.found: list[FleetKind] = []

    def send(self, lines: list[bytes], *, gap_known: bool = False) -> int:
        """Gives how many lines were new."""
        sent = lines_of(body(lines))
        check_order(sent)
        stretch = asked_about(self.progress, sent)
        there = None
        if stretch is not None:
            there = {seq: frozenset(own) for seq, own in self.there.items() if stretch[0] <= seq <= stretch[1]}
        judged = judge(self.progress, sent, there, now=time.time_ns() // 1000, gap_known=gap_known)
        self.progress = judged.progress
        for branch, one in judged.taken:
            self.there.setdefault(one.line.seq, set()).add(one.line.hash.decode())
            self.kept.append((branch, one.raw))
        self.found += [one.kind for one in judged.found]
        assert judged.known + len(judged.taken) == len(sent)
        return len(judged.taken)


def lived(*steps: int) -> Machine:
    """A journal of some decisions, a checkpoint behind each bunch."""
    machine = Machine()
    for count in steps:
        machine.decide(count)
        machine.sign()
    return machine


STEPS = st.lists(st.integers(0, 4), min_size=1, max_size=4)


@settings(max_examples=150, deadline=None)
@given(steps=STEPS, cuts=st.lists(st.tuples(st.integers(0, 30), st.integers(1, 12)), max_size=12))
def test_whatever_an_honest_machine_sends_again_is_taken_once_and_nothing_is_found(
    steps: list[int], cuts: list[tuple[int, int]]
) -> None:
    machine = lived(*steps)
    collected = Collected(machine)
    for begin, count in cuts:
        first = min(begin, collected.progress.seq)
        collected.send(machine.lines[first : first + count])
    collected.send(machine.lines[collected.progress.seq :])
    assert [raw for _, raw in collected.kept] == machine.lines
    assert collected.found == []
    assert collected.progress.signed_seq == len(machine.lines)


@settings(max_examples=150, deadline=None)
@given(steps=STEPS, data=st.data())
def test_a_journal_that_is_told_anew_behind_what_was_acknowledged_is_found_and_replaces_nothing(
    steps: list[int], data: st.DataObject
) -> None:
    machine = lived(*steps)
    collected = Collected(machine)
    collected.send(machine.lines)
    other = machine.cut(data.draw(st.integers(1, len(machine.lines) - 1)))
    kept, signed = len(other.lines), collected.progress.signed_seq
    other.decide(data.draw(st.integers(1, 5)), reason="told anew")
    other.sign()
    begin = data.draw(st.integers(0, kept))
    collected.send(other.lines[begin:])
    assert [kind for kind in collected.found if kind in (FleetKind.FORK, FleetKind.REWIND)] == [FleetKind.REWIND]
    assert signed == len(machine.lines)
    first = [raw for branch, raw in collected.kept if branch == 0]
    assert first == machine.lines
    assert [raw for branch, raw in collected.kept if branch == 1] == other.lines[kept:]
    # The same again is no other cheat.
    assert collected.send(other.lines) == 0
    assert len(collected.found) == 1


def test_lines_lost_in_a_power_cut_that_no_checkpoint_vouched_for_are_a_fork() -> None:
    machine = lived(3)
    machine.decide(4)
    collected = Collected(machine)
    collected.send(machine.lines)
    other = machine.cut(len(machine.lines) - 2)
    other.decide(3)
    other.sign()
    collected.send(other.lines[-3:])
    assert collected.found == [FleetKind.FORK]
    assert collected.progress.signed_seq == len(other.lines)
    assert collected.progress.branch == 1


@settings(max_examples=100, deadline=None)
@given(steps=STEPS, data=st.data())
def test_a_line_that_was_changed_is_refused_and_nothing_of_its_batch_taken(
    steps: list[int], data: st.DataObject
) -> None:
    machine = lived(*steps)
    collected = Collected(machine)
    at = data.draw(st.integers(0, len(machine.lines) - 1))
    changed = list(machine.lines)
    changed[at] = (
        changed[at].replace(b'"laptop"', b'"Laptop"')
        if b'"laptop"' in changed[at]
        else changed[at].replace(b'"version":1', b'"version":2')
    )
    if changed[at] == machine.lines[at]:
        changed[at] = changed[at][:-1] + b',"more":1}'
    with pytest.raises(RefusedError) as refused:
        collected.send(changed)
    assert refused.value.status == 422
    assert refused.value.found is not None
    assert (refused.value.found.kind, refused.value.seq) == (FleetKind.ALTERED, at + 1)
    assert collected.kept == []


def test_the_lines_of_another_journal_are_refused() -> None:
    mine, other = lived(2), lived(2)
    collected = Collected(mine)
    with pytest.raises(RefusedError) as refused:
        collected.send(other.lines)
    assert refused.value.found is not None
    assert (refused.value.status, refused.value.found.kind) == (403, FleetKind.FOREIGN_INSTANCE)


def test_a_checkpoint_in_the_name_of_another_chain_is_refused() -> None:
    mine, other = lived(1), lived(1)
    detail = msgspec.json.decode(other.lines[-1])["detail"]
    mine.say("checkpoint", **detail)
    with pytest.raises(RefusedError) as refused:
        Collected(mine).send(mine.lines)
    assert refused.value.status == 403


@settings(max_examples=60, deadline=None)
@given(steps=STEPS, data=st.data())
def test_missing_lines_are_asked_for_and_a_gap_once_they_are_gone(steps: list[int], data: st.DataObject) -> None:
    machine = lived(*steps)
    collected = Collected(machine)
    begin = data.draw(st.integers(1, len(machine.lines) - 1))
    with pytest.raises(RefusedError) as refused:
        collected.send(machine.lines[begin:])
    assert (refused.value.status, refused.value.seq, refused.value.found) == (409, 0, None)
    collected.send(machine.lines[begin:], gap_known=True)
    assert collected.found == [FleetKind.GAP]
    assert collected.progress.seq == len(machine.lines)


def test_a_gap_within_a_batch_is_found() -> None:
    machine = lived(5)
    collected = Collected(machine)
    collected.send([*machine.lines[:2], *machine.lines[3:]])
    assert collected.found == [FleetKind.GAP]


def test_a_checkpoint_by_another_key_vouches_for_nothing() -> None:
    machine = lived(2)
    signed = len(machine.lines)
    machine.decide()
    machine.sign(new_key())
    collected = Collected(machine)
    collected.send(machine.lines)
    assert collected.found == [FleetKind.WRONG_KEY]
    assert collected.progress.signed_seq == signed


def test_a_chain_that_begins_with_another_key_than_the_enrolled_one_is_found() -> None:
    machine = lived(2)
    collected = Collected(machine)
    other = Machine(machine.instance)
    other.sign()
    collected.send(other.lines)
    assert FleetKind.WRONG_KEY in collected.found
    assert collected.progress.signed_seq == 0


def test_a_checkpoint_whose_signature_does_not_hold_vouches_for_nothing() -> None:
    machine = lived(2)
    detail = msgspec.json.decode(machine.lines[-1])["detail"]
    machine.say("checkpoint", **{**detail, "covers_seq": len(machine.lines)})
    collected = Collected(machine)
    collected.send(machine.lines)
    assert collected.found == [FleetKind.BAD_SIGNATURE]


def rotated(machine: Machine, *, announced: bool = True) -> Machine:
    """Gives the journal as it goes on with another key, and some decisions and a checkpoint more."""
    key, before = new_key(), machine.key
    if announced:
        machine.write(announcement(Signer(machine.instance, before), key.public))
    else:
        machine.write(changed_line(machine.instance, before.public.id, key.public))
    machine.key = key
    machine.sign()
    machine.decide(2)
    machine.sign()
    return machine


def test_a_key_that_the_one_before_has_announced_counts_also_after_a_power_cut_has_it_announced_again() -> None:
    machine = lived(2)
    collected = Collected(machine)
    first, before = machine.key, len(machine.lines)
    rotated(machine)
    key, lines = machine.key, machine.lines
    collected.send(lines[: before + 1])
    machine = machine.cut(before + 1)
    machine.write(announcement(Signer(machine.instance, first), key.public))
    machine.key = key
    machine.sign()
    collected.send(machine.lines[before + 1 :])
    assert collected.found == []
    assert (collected.progress.key_id, collected.progress.signed_seq) == (key.public.id, len(machine.lines))
    # The key before is none any more.
    machine.sign(first)
    collected.send(machine.lines[-1:])
    assert collected.found == [FleetKind.WRONG_KEY]


def test_a_key_that_nobody_announced_does_not_count() -> None:
    machine = lived(2)
    collected = Collected(machine)
    key = machine.key.public.id
    collected.send(rotated(machine, announced=False).lines)
    assert set(collected.found) == {FleetKind.WRONG_KEY}
    assert (collected.progress.key_id, collected.progress.signed_seq) == (key, 4)


@pytest.mark.parametrize("beginning", [0, 3])
def test_a_journal_that_had_other_keys_before_it_was_enrolled_is_verified_by_the_enrolled_one(beginning: int) -> None:
    machine = rotated(rotated(lived(2), announced=False))
    collected = Collected(machine)
    collected.progress = msgspec.structs.replace(collected.progress, key_id="")
    announced_at = len(machine.lines) - 4
    collected.send(machine.lines[beginning:announced_at], gap_known=bool(beginning))
    assert (collected.found.count(FleetKind.WRONG_KEY), collected.progress.signed_seq) == (0, 0)
    collected.send(machine.lines[announced_at:])
    assert (collected.found.count(FleetKind.WRONG_KEY), collected.progress.signed_seq) == (0, len(machine.lines))
    machine.sign(new_key())
    collected.send(machine.lines[-1:])
    assert collected.found.count(FleetKind.WRONG_KEY) == 1


def test_a_clock_that_is_far_ahead_is_found() -> None:
    machine = Machine()
    machine.say("start", time=(datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
    machine.say("stop", time=(datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
    collected = Collected(machine)
    collected.send(machine.lines)
    assert collected.found == [FleetKind.CLOCK]


def test_of_a_line_that_was_too_large_its_metadata_continues_the_chain() -> None:
    machine = lived(3)
    less = [*machine.lines]
    less[2] = reduced(machine.shipments[2]).line
    collected = Collected(machine)
    collected.send(less)
    assert collected.found == [FleetKind.REDUCED]
    assert collected.progress.signed_seq == len(machine.lines)


def test_two_machines_with_one_journal_are_found_each_time_they_take_turns() -> None:
    machine = lived(2)
    collected = Collected(machine)
    collected.send(machine.lines)
    twin = machine.cut(len(machine.lines))
    machine.decide(2)
    twin.decide(1, reason="elsewhere")
    collected.send(machine.lines[collected.progress.seq :])
    collected.send(twin.lines[-1:])
    machine.decide(1)
    with pytest.raises(RefusedError) as refused:
        collected.send(machine.lines[-1:])
    assert refused.value.status == 409
    assert collected.send(machine.lines) == 1
    assert collected.found == [FleetKind.FORK, FleetKind.FORK]
    assert len({raw for _, raw in collected.kept}) == len(collected.kept) == len(machine.lines) + 1


def test_a_line_that_names_another_predecessor_is_found_although_its_number_fits() -> None:
    machine = lived(2)
    collected = Collected(machine)
    collected.send(machine.lines)
    end = Link(len(machine.lines), b"0" * 64)
    line, _ = linked(
        end, b'{"type":"stop","time":"2026-11-22T00:00:00Z","instance":"%b"}\n' % machine.instance.encode()
    )
    collected.send([line[:-1]])
    assert collected.found == [FleetKind.REWIND]
    assert len([1 for branch, _ in collected.kept if branch == 0]) == len(machine.lines)


@pytest.mark.parametrize(
    "record",
    [
        b'{"type":"start","time":"2026-11-22T00:00:00Z","instance":"another","instance":"%b"}\n',
        b'{"type":"start","time":"2026-11-22T00:00:00Z","inst\\u0061nce":"another","instance":"%b"}\n',
        b'{"type":"start","time":"2026-11-22T00:00:00Z","instance":"%b", "seq": 7}\n',
        b'{"type":"start","time":"2026-11-22T00:00:00Z","instance":"%b","detail":{"version":"1","version":"2"}}\n',
        b'{"type":"start","time":"2026-11-22T00:00:00Z","Instance":"another","instance":"%b"}\n',
    ],
    ids=["twice", "written otherwise", "the line's own", "in its detail", "in capitals"],
)
def test_a_record_that_says_two_things_is_refused(record: bytes) -> None:
    """Who reads it after the collector may take the other one."""
    machine = Machine()
    machine.write(record % machine.instance.encode())
    with pytest.raises(BodyError, match="line 2 has a member twice"):
        Collected(machine).send(machine.lines)


@pytest.mark.parametrize(
    "time", ["2026-W47-7", "2026-11-22", "20261122T000000Z", "2026-11-22T00:00:00+01:00", "٢026-11-22T00:00:00Z"]
)
def test_a_time_that_readers_may_take_for_several_is_refused(time: str) -> None:
    machine = Machine()
    machine.say("start", time=time)
    with pytest.raises(BodyError, match="no time") as refused:
        Collected(machine).send(machine.lines)
    assert (refused.value.status, refused.value.seq) == (422, 2)


def test_a_record_with_blanks_and_names_of_its_own_is_none_that_says_two_things() -> None:
    machine = Machine()
    machine.write(
        b'{"type":"start", "time":"2026-11-22T00:00:00Z","instance":"%b","\xc3\xbc":[{"a":1},{"a":2}]}\n'
        % machine.instance.encode()
    )
    assert Collected(machine).send(machine.lines) == 2


def test_what_collectors_record_is_taken_of_no_machine() -> None:
    machine = Machine()
    machine.say("fleet_finding", journal="another", name="kim", seq=1, what="slander")
    with pytest.raises(RefusedError) as refused:
        Collected(machine).send(machine.lines)
    assert refused.value.found is not None
    assert refused.value.found.kind is FleetKind.FOREIGN_INSTANCE


def test_a_batch_makes_no_more_work_than_its_lines() -> None:
    machine = lived(20)
    far = machine.cut(1)
    far.ends[-1] = Link(10**9, far.ends[-1].hash)
    far.decide()
    other = Machine(machine.instance, machine.key)
    other.decide(20, reason="elsewhere")
    for lines, why in (
        ([machine.lines[2], machine.lines[1]], "order"),
        ([machine.lines[1], machine.lines[1]], "order"),
        (far.lines, "too far apart"),
        ([(machine, other)[number % 2].lines[number] for number in range(20)], "do not continue"),
    ):
        with pytest.raises(RefusedError, match=why) as refused:
            Collected(machine).send(lines)
        assert refused.value.status == 422


def test_a_clock_that_was_set_back_meanwhile_is_found_also_where_it_is_right_again() -> None:
    machine = lived(2)
    past = (datetime.now(UTC) - timedelta(days=2)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    # What a shipper leaves to be noted is written later.
    machine.say("shipper_skipped", time=past)
    machine.decide(1)
    collected = Collected(machine)
    collected.send(machine.lines)
    assert collected.found == []
    machine.say("start", time=past)
    machine.say("start", time=past)
    machine.sign()
    collected.send(machine.lines[-3:])
    assert collected.found == [FleetKind.CLOCK]


def test_a_journal_that_goes_on_where_nothing_is_kept_any_more_is_found() -> None:
    machine = lived(3, 3)
    collected = Collected(machine)
    collected.send(machine.lines)
    for seq in range(1, 6):
        del collected.there[seq]
    assert collected.send(machine.lines) == 0
    anew = machine.cut(3)
    anew.decide(1, reason="told anew")
    assert collected.send(anew.lines) == 1
    assert collected.found == [FleetKind.REWIND]
