"""Retention: what is shipped and old goes from the beginning of the journal, and nothing else does."""

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hookgate.audit import retention as module
from hookgate.audit.age import FILE_NAME, MAX_PAUSE_SECONDS, Clocks
from hookgate.audit.chain import BEGINNING, Link, linked, taken_apart
from hookgate.audit.checkpoint import Signer, service_line
from hookgate.audit.error import JournalError
from hookgate.audit.finding import FindingKind as Kind
from hookgate.audit.finding import NoticeKind, Verification
from hookgate.audit.journal import Journal
from hookgate.audit.ledger import Options
from hookgate.audit.observer import Nobody
from hookgate.audit.recovery import newest_checkpoint
from hookgate.audit.removal import Removal, removal_line
from hookgate.audit.retention import Retention, Terms
from hookgate.audit.segments import first_seq, segment_paths
from hookgate.audit.shipping.cursor import Cursor, cursor_path, save_cursor
from hookgate.audit.signing import signing_key
from hookgate.audit.verify import verify
from tests.support.journals import ids, lines, record, segments

DAY = 86400.0
KEEP = Terms(shippers=("one", "two"), keep_seconds=3 * DAY)


class Clock:
    """The machine's clocks, as the test sets them."""

    def __init__(self) -> None:
        self.now = Clocks(running_seconds=100.0, boot_id="first", wall_seconds=1_700_000_000.0)

    def __call__(self) -> Clocks:
        return self.now

    def pass_days(self, days: float) -> None:
        """Time passes, on all of them."""
        self.now = replace(
            self.now,
            running_seconds=self.now.running_seconds + days * DAY,
            wall_seconds=self.now.wall_seconds + days * DAY,
        )

    def set_wall(self, days: float) -> None:
        """Somebody sets the time."""
        self.now = replace(self.now, wall_seconds=self.now.wall_seconds + days * DAY)

    def reboot(self, days: float = 0.0) -> None:
        """The machine is off for so long."""
        self.set_wall(days)
        self.now = replace(self.now, running_seconds=5.0, boot_id=self.now.boot_id + "+")


class Listening(Nobody):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.removals: list[Removal] = []
        self.held: list[str] = []

    def removed(self, removal: Removal) -> None:
        self.removals.append(removal)

    def held_up(self, why: str) -> None:
        self.held.append(why)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def told() -> Listening:
    return Listening()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "audit"


Open = Callable[..., Awaitable[Journal]]


@pytest.fixture
async def opened(home: Path, told: Listening) -> AsyncIterator[Open]:
    """Opens the journal in `home`, with small segments, and closes it in the end."""
    made: list[Journal] = []

    async def open_one(**options: Any) -> Journal:
        journal = Journal(home, Options(**{"segment_bytes": 2000, **options}), told)
        journal.open()
        made.append(journal)
        return journal

    yield open_one
    for journal in made:
        await journal.close(timeout_seconds=5)


async def filled(journal: Journal, count: int = 40) -> Journal:
    """Appends so many records, and more until the newest segment has some."""
    for number in range(count):
        await journal.append(record(str(number)))
    while not segments(journal._directory)[-1].stat().st_size:
        await journal.append(record("more"))
    return journal


def ship(home: Path, journal: Journal, up_to: int, *names: str, instance: str = "") -> None:
    """Puts shippers' cursors on a line."""
    for name in names or KEEP.shippers:
        cursor = Cursor(
            instance=instance or journal.instance, seq=up_to, hash="", segment="", offset=0, time="2026-01-01T00:00:00Z"
        )
        save_cursor(home, name, cursor)


def retention(home: Path, journal: Journal, clock: Clock, terms: Terms = KEEP, told: Nobody | None = None) -> Retention:
    return Retention(home, journal, terms, told, clock)


def left(before: list[Path]) -> list[Path]:
    """Gives those segments that are still there; the record of a removal may have begun another."""
    return [path for path in before if path.exists()]


def removals(home: Path) -> list[dict[str, Any]]:
    return [line["detail"] for line in lines(home) if line["type"] == "retention"]


def kinds(found: Verification) -> list[Kind]:
    return [finding.kind for finding in found.findings]


class TestWhatGoes:
    async def test_is_what_every_shipper_has_had_for_the_time_that_is_set(
        self, opened: Open, home: Path, clock: Clock, told: Listening
    ) -> None:
        journal = await filled(await opened())
        before = segments(home)
        boundary = first_seq(before[3])
        ship(home, journal, boundary - 1)
        keeper = retention(home, journal, clock, told=told)
        keeper.look()
        clock.pass_days(2.9)
        keeper.look()
        assert left(before) == before
        size = sum(path.stat().st_size for path in before[:3])
        last = taken_apart(before[2].read_bytes().splitlines()[-1])
        assert last is not None
        clock.pass_days(0.2)
        keeper.look()
        assert segments(home)[: len(before) - 3] == before[3:]
        (detail,) = removals(home)
        assert {
            key: detail[key] for key in ("first_seq", "last_seq", "last_hash", "segments", "bytes", "why", "missed")
        } == {
            "first_seq": 1,
            "last_seq": boundary - 1,
            "last_hash": last.hash.decode(),
            "segments": 3,
            "bytes": size,
            "why": "age",
            "missed": {},
        }
        assert [removal.last_seq for removal in told.removals] == [boundary - 1]

    async def test_leaves_a_journal_that_verifies_and_tells_what_went(
        self, opened: Open, home: Path, clock: Clock
    ) -> None:
        journal = await filled(await opened())
        boundary = first_seq(segments(home)[2])
        ship(home, journal, boundary - 1)
        keeper = retention(home, journal, clock)
        keeper.look()
        clock.pass_days(4)
        keeper.look()
        found = verify(home)
        assert (found.findings, found.first_seq) == ((), boundary)
        (notice,) = [one for one in found.notices if one.kind is NoticeKind.RETENTION]
        assert notice.detail.startswith(f"lines 1 to {boundary - 1} were removed at 20")
        assert notice.detail.endswith(", by age")
        await journal.close(timeout_seconds=5)
        again = await filled(await opened(), 3)
        assert again.instance == journal.instance
        assert verify(home).intact

    @pytest.mark.parametrize("lacks", ["no cursor", "a damaged cursor", "another chain's cursor", "one line"])
    async def test_is_nothing_that_one_shipper_may_not_have(
        self, opened: Open, home: Path, clock: Clock, lacks: str
    ) -> None:
        journal = await filled(await opened())
        before = segments(home)
        boundary = first_seq(before[1])
        ship(home, journal, boundary - 1)
        match lacks:
            case "no cursor":
                cursor_path(home, "two").unlink()
            case "a damaged cursor":
                cursor_path(home, "two").write_bytes(b'{"instance":')
            case "another chain's cursor":
                ship(home, journal, boundary - 1, "two", instance="another")
            case _:
                ship(home, journal, boundary - 2, "two")
        keeper = retention(home, journal, clock)
        for _ in range(3):
            keeper.look()
            clock.pass_days(400)
        assert left(before) == before
        ship(home, journal, boundary - 1, "two")
        keeper.look()
        assert segments(home)[0] == before[0]
        clock.pass_days(3)
        keeper.look()
        assert segments(home)[0] == before[1]

    async def test_without_shippers_counts_from_the_end_of_the_segment_and_never_is_the_one_being_written(
        self, opened: Open, home: Path, clock: Clock
    ) -> None:
        journal = await filled(await opened())
        newest = segments(home)[-1]
        keeper = retention(home, journal, clock, Terms(keep_seconds=1.0))
        keeper.look()
        clock.pass_days(1000)
        keeper.look()
        assert newest in segments(home)
        assert not [path for path in segments(home) if path.name < newest.name]
        await filled(journal, 3)
        assert verify(home).intact

    async def test_is_nothing_where_segments_are_kept_for_ever(self, opened: Open, home: Path, clock: Clock) -> None:
        journal = await filled(await opened())
        before = segments(home)
        keeper = retention(home, journal, clock, Terms())
        keeper.look()
        clock.pass_days(10_000)
        keeper.look()
        assert left(before) == before

    async def test_is_nothing_before_a_segment_whose_beginning_does_not_hold(
        self, opened: Open, home: Path, clock: Clock
    ) -> None:
        journal = await filled(await opened())
        before = segments(home)
        before[1].write_bytes(b"{}\n" + before[1].read_bytes())
        ship(home, journal, first_seq(before[1]) - 1)
        keeper = retention(home, journal, clock)
        keeper.look()
        clock.pass_days(4)
        with pytest.raises(JournalError, match="its first line does not hold; nothing before it is removed"):
            keeper.look()
        assert left(before) == before


class TestAge:
    @pytest.fixture
    async def journal(self, opened: Open, home: Path) -> Journal:
        journal = await filled(await opened())
        ship(home, journal, journal.last_seq)
        return journal

    async def test_is_not_moved_by_setting_the_time(self, journal: Journal, home: Path, clock: Clock) -> None:
        before = segments(home)
        keeper = retention(home, journal, clock)
        keeper.look()
        for _ in range(3):
            clock.set_wall(3650)
            keeper.look()
        clock.set_wall(-20_000)
        clock.pass_days(2.9)
        keeper.look()
        assert left(before) == before
        clock.pass_days(0.2)
        keeper.look()
        assert left(before) == before[-1:]

    async def test_goes_on_over_a_restart_and_is_not_moved_then_either(
        self, journal: Journal, home: Path, clock: Clock
    ) -> None:
        before = segments(home)
        retention(home, journal, clock).look()
        clock.pass_days(2)
        clock.set_wall(3650)
        retention(home, journal, clock).look()
        assert left(before) == before
        clock.pass_days(1.1)
        retention(home, journal, clock).look()
        assert left(before) == before[-1:]

    async def test_counts_the_time_that_the_machine_was_off_up_to_a_bound_and_never_backwards(
        self, journal: Journal, home: Path, clock: Clock
    ) -> None:
        terms = replace(KEEP, keep_seconds=3 * MAX_PAUSE_SECONDS)
        before = segments(home)
        retention(home, journal, clock, terms).look()
        for days in (3650, -400, 3650):
            clock.reboot(days)
            retention(home, journal, clock, terms).look()
        assert left(before) == before
        clock.reboot(6.9)
        retention(home, journal, clock, terms).look()
        assert left(before) == before
        clock.reboot(0.2)
        retention(home, journal, clock, terms).look()
        assert left(before) == before[-1:]

    @pytest.mark.parametrize("content", [b"", b"{}", b'{"age_seconds":"x"}', b'{"age_seconds":1e300,"instance":"x"}'])
    async def test_begins_anew_where_what_was_kept_is_damaged(
        self, journal: Journal, home: Path, clock: Clock, content: bytes
    ) -> None:
        before = segments(home)
        retention(home, journal, clock).look()
        (home / FILE_NAME).write_bytes(content)
        clock.pass_days(400)
        keeper = retention(home, journal, clock)
        keeper.look()
        assert left(before) == before
        clock.pass_days(3)
        keeper.look()
        assert left(before) == before[-1:]

    async def test_is_kept_for_the_owner_alone(self, journal: Journal, home: Path, clock: Clock) -> None:
        retention(home, journal, clock).look()
        assert (home / FILE_NAME).stat().st_mode & 0o777 == 0o600


class TestCrashes:
    @pytest.fixture
    async def journal(self, opened: Open, home: Path) -> Journal:
        journal = await filled(await opened())
        ship(home, journal, first_seq(segments(home)[3]) - 1)
        return journal

    @pytest.fixture
    def ripe(self, journal: Journal, home: Path, clock: Clock) -> Retention:
        """The first three segments may go."""
        found = retention(home, journal, clock)
        found.look()
        clock.pass_days(4)
        return found

    @pytest.mark.parametrize("gone", [0, 1, 2])
    async def test_between_the_record_and_the_files_are_made_good_at_the_next_start(
        self, journal: Journal, ripe: Retention, home: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, gone: int
    ) -> None:
        unlink, calls = Path.unlink, 0

        def dying(path: Path, *, missing_ok: bool = False) -> None:
            nonlocal calls
            calls += 1
            if calls > gone:
                raise OSError(errno.EIO, "Input/output error")
            unlink(path, missing_ok=missing_ok)

        before = segments(home)
        with monkeypatch.context() as disk:
            disk.setattr(Path, "unlink", dying)
            with pytest.raises(OSError, match="Input/output"):
                ripe.look()
        assert segments(home)[0] == before[gone]
        assert verify(home).intact
        await filled(journal, 3)
        retention(home, journal, clock).look()
        assert segments(home)[0] == before[3]
        assert len(removals(home)) == 1
        assert verify(home).intact

    async def test_before_the_record_remove_nothing(
        self, journal: Journal, ripe: Retention, home: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def dying(self: Journal, removal: Removal) -> None:
            raise KeyboardInterrupt

        before = segments(home)
        with monkeypatch.context() as process:
            process.setattr(Journal, "remove", dying)
            with pytest.raises(KeyboardInterrupt):
                ripe.look()
        assert left(before) == before
        # It is old enough all the same, and so goes with a record of its own.
        retention(home, journal, clock).look()
        assert segments(home)[0] == before[3]
        assert len(removals(home)) == 1

    async def test_a_record_that_can_t_be_written_keeps_the_files(
        self, journal: Journal, ripe: Retention, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(file: int, data: bytes) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        before = segments(home)
        with monkeypatch.context() as disk:
            disk.setattr(os, "write", full)
            with pytest.raises(JournalError, match="No space left"):
                ripe.look()
        assert left(before) == before
        ripe.look()
        assert segments(home)[0] == before[3]
        assert len(removals(home)) == 1
        assert verify(home).intact

    async def test_a_record_that_can_t_be_flushed_keeps_the_files(
        self, ripe: Retention, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(file: int) -> None:
            raise OSError(errno.EIO, "Input/output error")

        before = segments(home)
        with monkeypatch.context() as disk:
            disk.setattr("hookgate.audit.ledger.flush", broken)
            with pytest.raises(JournalError, match="Input/output"):
                ripe.look()
        assert left(before) == before
        ripe.look()
        assert segments(home)[0] == before[3]
        assert verify(home).intact

    async def test_no_room_for_what_is_kept_stops_no_removal(
        self, ripe: Retention, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(directory: Path, ages: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        before = segments(home)
        monkeypatch.setattr(module, "save_ages", full)
        ripe.look()
        assert segments(home)[0] == before[3]

    async def test_a_thread_of_its_own_does_it_and_ends_while_the_journal_hangs(
        self, journal: Journal, home: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = asyncio.Event()
        loop = asyncio.get_running_loop()

        def hanging(self: Journal, removal: Removal) -> Any:
            loop.call_soon_threadsafe(asked.set)
            return Future()

        monkeypatch.setattr(Journal, "remove", hanging)
        before = segments(home)
        keeper = retention(home, journal, clock, replace(KEEP, keep_seconds=0.0))
        keeper.start()
        await asyncio.wait_for(asked.wait(), 10)
        await asyncio.to_thread(keeper.stop, 10)
        assert not keeper._thread.is_alive()
        assert left(before) == before


class TestRoom:
    async def test_at_the_bound_the_oldest_go_whoever_has_them_and_the_record_says_what_was_missed(
        self, opened: Open, home: Path, clock: Clock, told: Listening
    ) -> None:
        journal = await filled(await opened())
        before = segments(home)
        ship(home, journal, first_seq(before[1]) + 1, "one")
        size = sum(path.stat().st_size for path in before[:2])
        total = sum(path.stat().st_size for path in before)
        terms = replace(KEEP, drop_beyond_bytes=total - size + 10)
        retention(home, journal, clock, terms, told).look()
        assert segments(home)[0] == before[2]
        last = first_seq(before[2]) - 1
        (detail,) = removals(home)
        assert (detail["why"], detail["missed"]) == ("disk", {"one": last - first_seq(before[1]) - 1, "two": last})
        assert told.removals[0].missed == detail["missed"]
        found = verify(home)
        assert found.intact
        assert "by disk; not shipped: one " in next(
            one.detail for one in found.notices if one.kind is NoticeKind.RETENTION
        )

    async def test_at_the_bound_what_is_shipped_goes_although_it_is_young(
        self, opened: Open, home: Path, clock: Clock
    ) -> None:
        journal = await filled(await opened())
        before = segments(home)
        ship(home, journal, journal.last_seq)
        retention(home, journal, clock, replace(KEEP, drop_beyond_bytes=1)).look()
        assert left(before) == before[-1:]
        assert removals(home)[0]["missed"] == {}

    async def test_below_the_bound_nothing_goes(self, opened: Open, home: Path, clock: Clock) -> None:
        journal = await filled(await opened())
        before = segments(home)
        retention(home, journal, clock, replace(KEEP, drop_beyond_bytes=1 << 20)).look()
        assert left(before) == before

    async def test_where_nothing_may_go_records_are_refused_until_there_is_room(
        self, opened: Open, home: Path, clock: Clock, told: Listening
    ) -> None:
        journal = await opened(disk_bytes=16_000)
        lost: list[Exception] = []
        while len(lost) < 5:
            try:
                await journal.append(record(), outcome="error")
            except JournalError as error:
                lost.append(error)
        assert sum(path.stat().st_size for path in segments(home)) < 17_000
        assert str(lost[-1]) == (
            f"{home}: audit.disk_bytes (16000) is reached, and no segment may be removed yet: give it more room, or see why "
            "a shipper lags"
        )
        assert len(told.held) == 1
        with pytest.raises(JournalError, match="audit.disk_bytes"):
            await journal.append(record("refused"), outcome="error")
        ship(home, journal, journal.last_seq)
        terms = replace(KEEP, keep_seconds=0.0)
        retention(home, journal, clock, terms).look()
        await journal.append(record("after"))
        assert ids(home)[-1] == "after"
        assert told.held == [told.held[0], ""]
        gaps = [line["detail"]["answers"]["error"] for line in lines(home) if line["type"] == "gap"]
        assert sum(gaps) == len(lost) + 1
        assert verify(home).intact

    async def test_room_that_somebody_else_makes_is_found_within_seconds(self, opened: Open, home: Path) -> None:
        journal = await opened(disk_bytes=8000, segment_bytes=2000)
        with pytest.raises(JournalError, match="audit.disk_bytes"):
            await filled(journal, 100)
        segments(home)[0].unlink()
        segments(home)[0].unlink()

        async def written() -> bool:
            try:
                await journal.append(record("after"))
            except JournalError:
                return False
            return True

        async with asyncio.timeout(10):
            while not await written():  # noqa: ASYNC110 (nobody tells when)
                await asyncio.sleep(0.05)
        assert ids(home)[-1] == "after"


class TestTampering:
    """A removal is believed where the chain's key says so, and only as far as it says so."""

    @pytest.fixture
    async def trimmed(self, opened: Open, home: Path, clock: Clock) -> Path:
        """A journal whose first segments were removed, three and then two."""
        journal = await filled(await opened(), 60)
        keeper = retention(home, journal, clock)
        for count in (3, 2):
            ship(home, journal, first_seq(segments(home)[count]) - 1)
            keeper.look()
            clock.pass_days(4)
            keeper.look()
            await filled(journal, 6)
        await journal.close(timeout_seconds=5)
        assert verify(home).intact
        return home

    def test_one_segment_more_that_was_removed_by_hand_is_found(self, trimmed: Path) -> None:
        gone, following = segments(trimmed)[:2]
        gone.unlink()
        found = verify(trimmed)
        assert kinds(found) == [Kind.REMOVED_SEGMENT]
        assert found.findings[0].seq == first_seq(gone)
        assert f"lines {first_seq(gone)} to {first_seq(following) - 1} are missing" in found.findings[0].detail

    def test_a_record_that_was_forged_is_not_believed_although_the_service_signs_a_checkpoint_behind_it(
        self, trimmed: Path
    ) -> None:
        first, second = segments(trimmed)[:2]
        before = taken_apart(second.read_bytes().splitlines()[0])
        assert before is not None
        genuine = lines(trimmed)[[line["type"] for line in lines(trimmed)].index("retention")]["detail"]
        detail = {
            **genuine,
            "first_seq": first_seq(first),
            "last_seq": before.seq - 1,
            "last_hash": before.prev.decode(),
        }
        appended(trimmed, service_line("retention", detail, instance=""))
        first.unlink()
        found = verify(trimmed)
        assert kinds(found) == [Kind.REMOVED_SEGMENT, Kind.FORGED_RETENTION]

    def test_a_record_without_a_checkpoint_behind_it_is_not_believed(self, trimmed: Path) -> None:
        first, second = segments(trimmed)[:2]
        before = taken_apart(second.read_bytes().splitlines()[0])
        assert before is not None
        removal = Removal(
            first_seq=first_seq(first),
            last_seq=before.seq - 1,
            last_hash=before.prev.decode(),
            segments=1,
            bytes=1,
            why="age",
        )
        instance = next(line["detail"]["instance"] for line in lines(trimmed) if line["type"] == "checkpoint")
        signer = Signer(instance, signing_key(trimmed))
        appended(trimmed, removal_line(removal, signer), signs=False)
        first.unlink()
        assert kinds(verify(trimmed)) == [Kind.REMOVED_SEGMENT]

    @pytest.mark.parametrize("field", ["first_seq", "last_hash", "segments", "why", "missed", "time"])
    def test_a_genuine_record_that_was_changed_is_not_believed(self, trimmed: Path, field: str) -> None:
        instance = next(line["detail"]["instance"] for line in lines(trimmed) if line["type"] == "checkpoint")
        signer = Signer(instance, signing_key(trimmed))
        removal = Removal(
            first_seq=1, last_seq=2, last_hash="0" * 64, segments=1, bytes=1, why="age", missed={"one": 3}
        )
        whole = removal_line(removal, signer)
        old, new = {
            "first_seq": (b'"first_seq":1', b'"first_seq":2'),
            "last_hash": (b"0" * 64, b"1" * 64),
            "segments": (b'"segments":1', b'"segments":2'),
            "why": (b'"why":"age"', b'"why":"disk"'),
            "missed": (b'{"one":3}', b"{}"),
            "time": (b'"time":"2', b'"time":"1'),
        }[field]
        assert old in whole
        appended(trimmed, whole.replace(old, new, 1))
        assert kinds(verify(trimmed)) == [Kind.FORGED_RETENTION]

    async def test_what_an_earlier_key_signed_holds_after_the_line_that_named_it_is_gone(
        self, opened: Open, home: Path, clock: Clock
    ) -> None:
        journal = await filled(await opened())
        await journal.close(timeout_seconds=5)
        first = verify(home).keys
        _, kept = newest_checkpoint(home)
        (home / "signing.key").unlink()
        journal = await filled(await opened(), 3)
        keeper = retention(home, journal, clock)
        ship(home, journal, first_seq(segments(home)[1]) - 1)
        keeper.look()
        clock.pass_days(4)
        keeper.look()
        found = verify(home)
        assert (kinds(found), len(found.keys)) == ([Kind.NEW_KEY], 2)
        assert found.keys[:1] == first
        assert verify(home, trusted=found.keys).intact
        assert verify(home, trusted=found.keys, against=kept).intact

    def test_a_segment_that_goes_while_it_is_verified_is_no_finding(
        self, trimmed: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stale = [[trimmed / "segments" / f"{1:016}.jsonl", *segments(trimmed)]]
        monkeypatch.setattr(
            "hookgate.audit.verify.segment_paths", lambda directory: stale.pop() if stale else segment_paths(directory)
        )
        assert verify(trimmed).intact
        assert not stale


def appended(home: Path, line: bytes, *, signs: bool = True) -> None:
    """Puts a record at the end of a journal, and a checkpoint of the journal's own key behind it."""
    path = segments(home)[-1]
    last = taken_apart(path.read_bytes().splitlines()[-1])
    assert last is not None
    whole, end = linked(Link(last.seq, last.hash), line)
    if signs:
        instance = next(one["detail"]["instance"] for one in lines(home) if one["type"] == "checkpoint")
        signed, _ = linked(end, Signer(instance, signing_key(home)).checkpoint(end))
        whole += signed
    with path.open("ab") as stream:
        stream.write(whole)
    assert end != BEGINNING
