"""The journal: whole lines of the chain on the disk before anybody is told so, whatever the disk does."""

import asyncio
import errno
import os
import shutil
import stat
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from hookgate.audit import journal as module
from hookgate.audit import ledger
from hookgate.audit import syncer as syncing
from hookgate.audit.error import JournalError
from hookgate.audit.gap import Entry, Gap
from hookgate.audit.journal import Journal
from hookgate.audit.ledger import Options
from hookgate.audit.observer import Nobody
from hookgate.audit.recovery import newest_checkpoint
from hookgate.audit.rotation import NEXT_NAME, ask_for
from hookgate.audit.signing import former_keys, signing_key
from hookgate.audit.verify import verify
from hookgate.commands.rotate import rotate_key
from tests.support.journals import ids, lines, record, segments

#: More than any pipe holds.
MUCH = 1 << 20

Open = Callable[..., Awaitable[Journal]]


def padded(text: str, size: int) -> bytes:
    """Gives a record of about so many bytes."""
    return b'{"type":"decision","id":"%b","time":"2026-01-01T00:00:00Z","x":"%b"}\n' % (text.encode(), b"x" * size)


def types(directory: Path) -> list[str]:
    """Gives the types of all lines."""
    return [line["type"] for line in lines(directory)]


def put(path: Path, content: bytes) -> None:
    """Writes a file, and makes the directories that it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def modes(directory: Path) -> dict[str, int]:
    """Gives the mode of a directory and of all that is in it."""
    found = [directory, *directory.rglob("*")]
    return {path.relative_to(directory).as_posix(): stat.S_IMODE(path.stat().st_mode) for path in found}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A directory that is not there yet."""
    return tmp_path / "audit"


@pytest.fixture
async def opened(home: Path) -> AsyncIterator[Open]:
    """Opens journals, by default in `home`, and closes them in the end."""
    made: list[Journal] = []

    async def open_one(directory: Path | None = None, **options: Any) -> Journal:
        journal = Journal(directory or home, Options(**options))
        journal.open()
        made.append(journal)
        return journal

    yield open_one
    for journal in made:
        await journal.close(timeout_seconds=0.1)


class Pipe:
    """A segment that takes what fits into a pipe and then blocks its writer, as a disk that hangs does."""

    def __init__(self, directory: Path) -> None:
        (directory / "segments").mkdir(parents=True)
        self.directory = directory
        path = directory / "segments" / f"{1:016}.jsonl"
        os.mkfifo(path)
        self._end = os.open(path, os.O_RDWR | os.O_NONBLOCK)

    def drain(self) -> bytes:
        """Takes what is in it."""
        try:
            return os.read(self._end, 1 << 20)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        """Lets go of our end."""
        os.close(self._end)


@pytest.fixture
async def pipe(tmp_path: Path) -> AsyncIterator[Pipe]:
    found = Pipe(tmp_path / "hanging")
    yield found
    found.drain()
    found.close()


class TestAppending:
    async def test_a_line_is_in_the_file_when_its_future_is_done(self, opened: Open, home: Path) -> None:
        journal = await opened()
        for number in range(10):
            await journal.append(record(str(number)))
            assert ids(home) == [str(one) for one in range(number + 1)]

    async def test_lines_appended_together_stand_in_the_order_of_appending(self, opened: Open, home: Path) -> None:
        journal = await opened()
        await asyncio.gather(*(journal.append(record(str(number))) for number in range(2000)))
        assert ids(home) == [str(number) for number in range(2000)]
        assert verify(home).intact

    async def test_directory_and_files_belong_to_their_owner_alone(self, opened: Open, home: Path) -> None:
        await opened()
        found = modes(home)
        assert found.pop("segments") == found.pop(".") == 0o700
        assert found == dict.fromkeys(("lock", "signing.key", "signing.pub", "segments/0000000000000001.jsonl"), 0o600)

    async def test_the_chain_begins_with_its_key_and_a_checkpoint(self, opened: Open, home: Path) -> None:
        await opened()
        assert types(home) == ["chain_start", "checkpoint"]

    async def test_the_chain_goes_on_over_restarts(self, opened: Open, home: Path) -> None:
        for number in range(3):
            journal = await opened()
            await journal.append(record(str(number)))
            await journal.close(timeout_seconds=5)
        found = verify(home)
        assert (found.intact, found.segments, len(found.keys)) == (True, 1, 1)
        assert ids(home) == ["0", "1", "2"]
        assert types(home).count("chain_start") == 1

    async def test_records_of_an_earlier_version_stay_and_are_named(self, opened: Open, home: Path) -> None:
        put(home / "records.jsonl", b"{}\n")
        journal = await opened()
        assert journal.earlier_records == home / "records.jsonl"
        assert (home / "records.jsonl").read_text() == "{}\n"

    async def test_no_earlier_version_is_named_where_there_was_none(self, opened: Open) -> None:
        assert (await opened()).earlier_records is None


class TestRecovery:
    @pytest.mark.parametrize(
        "torn",
        [b"x", b'{"seq":9,"prev":"', b"\x00" * 4096, b"x" * 200_000],
        ids=["a byte", "half a line", "zeros", "a long one"],
    )
    async def test_a_torn_last_line_is_cut_and_noted_in_the_chain(self, opened: Open, home: Path, torn: bytes) -> None:
        journal = await opened()
        await journal.append(record("before"))
        await journal.close(timeout_seconds=5)
        whole = segments(home)[0].read_bytes()
        segments(home)[0].write_bytes(whole + torn)
        journal = await opened()
        await journal.append(record("after"))
        assert segments(home)[0].read_bytes().startswith(whole)
        (repair,) = [line for line in lines(home) if line["type"] == "journal_repair"]
        assert repair["detail"] == {"cut_bytes": len(torn), "damaged_lines": 0}
        assert ids(home) == ["before", "after"]
        assert verify(home).intact

    async def test_a_kill_at_any_byte_of_the_last_line_leaves_a_chain_that_goes_on(
        self, opened: Open, home: Path
    ) -> None:
        journal = await opened()
        await journal.append(record("before"))
        await journal.close(timeout_seconds=5)
        whole = segments(home)[0].read_bytes()
        last = whole[:-1].rfind(b"\n") + 1
        for cut in range(last, len(whole), 7):
            segments(home)[0].write_bytes(whole[:cut])
            await (await opened()).close(timeout_seconds=5)
            assert verify(home).findings == (), cut

    async def test_a_start_that_was_cut_short_begins_the_chain_anew(self, opened: Open, home: Path) -> None:
        put(home / "segments" / f"{1:016}.jsonl", b'{"seq":1,"prev":"00')
        await opened()
        assert types(home) == ["chain_start", "journal_repair", "checkpoint"]
        assert verify(home).intact

    async def test_a_crash_between_the_chains_start_and_its_checkpoint_changes_no_key(
        self, opened: Open, home: Path
    ) -> None:
        await (await opened()).close(timeout_seconds=5)
        first = segments(home)[0].read_bytes().splitlines(keepends=True)[0]
        segments(home)[0].write_bytes(first)
        await opened()
        assert types(home) == ["chain_start", "checkpoint"]
        assert verify(home).intact

    async def test_a_crash_right_after_a_new_segment_was_begun_is_taken_up_in_it(
        self, opened: Open, home: Path
    ) -> None:
        await (await opened()).close(timeout_seconds=5)
        following = home / "segments" / f"{len(lines(home)) + 1:016}.jsonl"
        following.touch(0o600)
        await opened()
        assert segments(home)[-1] == following
        assert following.read_bytes()
        assert verify(home).intact

    async def test_damaged_lines_at_the_end_stay_as_they_are_and_are_noted(self, opened: Open, home: Path) -> None:
        journal = await opened()
        await journal.append(record("kept"))
        await journal.close(timeout_seconds=5)
        whole = segments(home)[0].read_bytes()
        damaged = whole[:-20] + b"~" + whole[-19:]
        segments(home)[0].write_bytes(damaged)
        await opened()
        assert segments(home)[0].read_bytes() == damaged
        assert len(segments(home)) == 2
        assert b'"damaged_lines":1' in segments(home)[1].read_bytes()
        found = verify(home)
        assert [finding.kind.value for finding in found.findings] == ["changed"]
        assert found.findings[0].seq == len(whole.splitlines())

    async def test_a_journal_of_nothing_but_damage_is_kept_beside_what_follows(self, opened: Open, home: Path) -> None:
        put(home / "segments" / f"{1:016}.jsonl", b"a\nb\r\nc\n")
        await opened()
        assert [path.name for path in segments(home)] == [f"{1:016}.jsonl", f"{4:016}.jsonl"]
        assert not verify(home).intact

    async def test_another_key_for_the_chain_is_on_record(self, opened: Open, home: Path) -> None:
        await (await opened()).close(timeout_seconds=5)
        (home / "signing.key").unlink()
        await opened()
        (changed,) = [line["detail"] for line in lines(home) if line["type"] == "key_changed"]
        found = verify(home)
        assert found.keys == (changed["previous_key_id"], changed["key_id"])
        assert [finding.kind.value for finding in found.findings] == ["new_key"]
        assert verify(home, trusted=found.keys).intact


class TestRotation:
    async def test_a_key_that_waits_is_announced_by_the_one_before_and_takes_its_place(
        self, opened: Open, home: Path
    ) -> None:
        journal = await opened(checkpoint_seconds=0.02)
        await journal.append(record("before"))
        _, kept = newest_checkpoint(home)
        first = signing_key(home).public
        await asyncio.to_thread(rotate_key, home)
        following = signing_key(home).public
        await journal.append(record("after"))
        await journal.close(timeout_seconds=5)
        assert not (home / NEXT_NAME).exists()
        assert [key.id for key in former_keys(home)] == [first.id]
        found = verify(home, against=kept)
        assert (found.intact, found.keys) == (True, (first.id, following.id))
        assert [notice.kind.value for notice in found.notices] == ["new_chain", "key_changed"]
        # Who trusts the first key trusts whom it has announced; who trusts another one trusts none of them.
        assert verify(home, trusted=[first.id]).intact
        assert not verify(home, trusted=["0" * 16]).intact

    @pytest.mark.parametrize("fails", ["Segment.write", "flush", "put_in_place"])
    async def test_wherever_a_rotation_is_cut_off_the_next_start_ends_it_or_has_it_still_to_do(
        self, opened: Open, home: Path, monkeypatch: pytest.MonkeyPatch, fails: str
    ) -> None:
        await (await opened()).close(timeout_seconds=5)
        following = ask_for(home).public

        def rotated(*, fault: str = "") -> str:
            one = ledger.Ledger(home, Options(), Gap(), Nobody())
            one.open()
            with monkeypatch.context() as disk:
                if fault:
                    disk.setattr(f"hookgate.audit.ledger.{fault}", unwilling)
                    with pytest.raises(OSError, match="No space"):
                        one.rotate()
                else:
                    one.rotate()
            one.close(5)
            return signing_key(home).public.id

        assert rotated(fault=fails) != following.id
        assert rotated() == following.id
        assert types(home).count("key_changed") == 1
        assert verify(home).intact
        await opened()
        assert verify(home).intact

    async def test_a_key_that_can_not_be_read_takes_no_turn_and_keeps_nothing_from_being_written(
        self, opened: Open, home: Path
    ) -> None:
        put(home / NEXT_NAME, b"nonsense")
        journal = await opened(checkpoint_seconds=0.0)
        await journal.append(record("still written"))
        await journal.close(timeout_seconds=5)
        await (await opened()).close(timeout_seconds=5)
        assert ids(home) == ["still written"]
        assert (verify(home).intact, len(verify(home).keys)) == (True, 1)


def unwilling(*arguments: object, **options: object) -> None:
    """A disk that is full."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class TestOpening:
    async def test_a_second_journal_in_the_same_directory_is_refused_with_the_mend(
        self, opened: Open, home: Path
    ) -> None:
        first = await opened()
        second = Journal(home)
        with pytest.raises(
            JournalError, match=r"^audit.directory: .* is in use by another Hookgate; give each its own"
        ):
            second.open()
        await second.close(timeout_seconds=1)
        await first.append(record("still mine"))
        await first.close(timeout_seconds=5)
        await opened()

    async def test_a_journal_that_is_let_go_in_time_is_taken_over_and_the_wait_is_told_once(
        self, opened: Open, home: Path
    ) -> None:
        first, waits = await opened(), threading.Semaphore(0)

        class Waiting(Nobody):
            def locked(self) -> None:
                waits.release()

        second = Journal(home, Options(), Waiting())
        opening = asyncio.create_task(asyncio.to_thread(second.open, patience_seconds=30))
        assert await asyncio.to_thread(waits.acquire, timeout=10)
        await first.append(record("first"))
        await first.close(timeout_seconds=5)
        await opening
        await second.append(record("second"))
        await second.close(timeout_seconds=5)
        assert not waits.acquire(blocking=False)
        assert ids(home) == ["first", "second"]
        assert verify(home).intact

    @pytest.mark.parametrize("name", ["file/below", "file"])
    async def test_a_directory_that_cannot_be_had_is_one_clear_line(self, tmp_path: Path, name: str) -> None:
        (tmp_path / "file").write_text("")
        journal = Journal(tmp_path / name)
        with pytest.raises(JournalError) as caught:
            journal.open()
        assert str(caught.value).startswith(f"audit.directory: {tmp_path / name}: ")
        assert "\n" not in str(caught.value)
        await journal.close(timeout_seconds=1)

    @pytest.mark.parametrize("content", [b"", b"nonsense"])
    async def test_a_damaged_signing_key_is_one_clear_line_with_the_mend(
        self, opened: Open, home: Path, content: bytes
    ) -> None:
        put(home / "signing.key", content)
        with pytest.raises(JournalError, match=r"signing.key is damaged: put the right key back, or remove it"):
            await opened()

    async def test_a_journal_that_was_never_opened_can_be_closed(self, home: Path) -> None:
        await Journal(home).close(timeout_seconds=1)
        assert not segments(home)


class TestSegments:
    async def test_a_full_segment_ends_with_a_checkpoint_and_another_goes_on(self, opened: Open, home: Path) -> None:
        journal = await opened(segment_bytes=5000)
        for number in range(100):
            await journal.append(record(str(number)))
        assert len(segments(home)) > 3
        for path in segments(home)[:-1]:
            assert b'"type":"checkpoint"' in path.read_bytes().splitlines()[-1]
            assert path.stat().st_size < 6000
        assert ids(home) == [str(number) for number in range(100)]
        assert verify(home).intact

    async def test_an_old_segment_gives_way_to_another(self, opened: Open, home: Path) -> None:
        journal = await opened(segment_seconds=0.0)
        for number in range(3):
            await journal.append(record(str(number)))
        assert len(segments(home)) == 4
        assert verify(home).intact

    async def test_where_no_segment_can_be_begun_the_full_one_goes_on(
        self, opened: Open, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        journal = await opened(segment_bytes=1)
        real = os.open

        def none_new(path: Any, flags: int, *more: Any, **named: Any) -> int:
            if flags & os.O_EXCL:
                raise OSError(errno.EMFILE, "Too many open files")
            return real(path, flags, *more, **named)

        with monkeypatch.context() as disk:
            disk.setattr(os, "open", none_new)
            for number in range(3):
                await journal.append(record(str(number)))
        assert len(segments(home)) == 1
        await journal.append(record("3"))
        assert len(segments(home)) == 2
        assert ids(home) == ["0", "1", "2", "3"]
        assert verify(home).intact

    async def test_what_is_written_after_a_segment_was_removed_goes_where_it_is_found(
        self, opened: Open, home: Path
    ) -> None:
        journal = await opened(checkpoint_seconds=0.0)
        await journal.append(record("lost"))
        segments(home)[0].unlink()
        await journal.append(record("kept"))
        assert ids(home) == ["kept"]
        assert verify(home).findings[0].kind.value == "removed_segment"


class TestCheckpoints:
    async def test_are_made_while_nobody_writes(self, opened: Open, home: Path) -> None:
        await opened(checkpoint_seconds=0.05)
        await until(lambda: types(home).count("checkpoint") >= 4)
        assert verify(home).intact

    async def test_stand_before_the_lines_that_come_when_one_is_due(self, opened: Open, home: Path) -> None:
        journal = await opened(checkpoint_seconds=0.0)
        await journal.append(record("one"))
        found = types(home)
        assert found[found.index("decision") - 1] == "checkpoint"

    async def test_end_the_journal_when_it_is_closed(self, opened: Open, home: Path) -> None:
        journal = await opened()
        await journal.append(record("one"))
        await journal.close(timeout_seconds=5)
        assert types(home) == ["chain_start", "checkpoint", "decision", "checkpoint"]
        found = verify(home)
        assert found.signed_seq == found.last_seq == 4


class TestDurability:
    async def test_with_disk_each_line_is_flushed_before_anybody_is_told(
        self, opened: Open, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        flushed: list[int] = []
        real = os.fdatasync

        def noted(file: int) -> None:
            real(file)
            flushed.append(os.fstat(file).st_size)

        monkeypatch.setattr(os, "fdatasync", noted)
        journal = await opened(sync=True)
        for number in range(5):
            await journal.append(record(str(number)))
            assert flushed[-1] == segments(home)[0].stat().st_size

    async def test_with_disk_lines_that_come_together_share_a_flush(
        self, opened: Open, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        journal = await opened(sync=True)
        flushes = 0

        def slow(file: int) -> None:
            nonlocal flushes
            flushes += 1
            time.sleep(0.01)

        monkeypatch.setattr(os, "fdatasync", slow)
        await asyncio.gather(*(journal.append(record(str(number))) for number in range(100)))
        assert flushes <= 3

    async def test_with_disk_a_line_that_can_t_be_flushed_is_taken_back_and_fails(
        self, opened: Open, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        journal = await opened(sync=True)
        with monkeypatch.context() as disk:
            disk.setattr(os, "fdatasync", broken)
            with pytest.raises(JournalError, match="Input/output error"):
                await journal.append(record("lost"), outcome="error")
        await journal.append(record("kept"))
        assert ids(home) == ["kept"]
        assert verify(home).intact

    async def test_with_process_lines_are_flushed_a_little_later_and_a_slow_disk_delays_none(
        self, opened: Open, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        slow, flushed = threading.Event(), threading.Event()

        def flush(file: int) -> None:
            flushed.set()
            slow.wait(10)

        monkeypatch.setattr(syncing, "flush", flush)
        journal = await opened(sync_seconds=0.01)
        await journal.append(record("one"))
        assert await asyncio.to_thread(flushed.wait, 5)
        await asyncio.wait_for(journal.append(record("two")), 5)
        slow.set()

    async def test_with_process_a_flush_that_fails_is_reported_and_stops_nobody(
        self, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        told: list[OSError | None] = []

        class Listening(Nobody):
            def synced(self, seconds: float, fault: OSError | None) -> None:
                told.append(fault)

        monkeypatch.setattr(syncing, "flush", broken)
        journal = Journal(home, Options(sync_seconds=0.01), Listening())
        journal.open()
        await journal.append(record("one"))
        await until(lambda: told)
        assert told[0] is not None
        await journal.append(record("two"))
        await journal.close(timeout_seconds=5)
        assert ids(home) == ["one", "two"]


def full(file: int, data: bytes) -> int:
    raise OSError(errno.ENOSPC, "No space left on device")


def broken(file: int) -> None:
    raise OSError(errno.EIO, "Input/output error")


async def until(condition: Callable[[], object], seconds: float = 10) -> None:
    """Waits for a condition."""
    end = asyncio.get_running_loop().time() + seconds
    while not condition():
        assert asyncio.get_running_loop().time() < end
        await asyncio.sleep(0.01)


class TestNoRoom:
    async def test_a_line_that_cannot_be_written_fails_and_the_next_one_is_tried_again(
        self, opened: Open, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        journal = await opened()
        with monkeypatch.context() as disk:
            disk.setattr(os, "write", full)
            for _ in range(3):
                with pytest.raises(JournalError, match=r"0001.jsonl: No space left on device"):
                    await journal.append(record("one"))
        await journal.append(record("two"))
        assert ids(home) == ["two"]
        assert verify(home).intact

    async def test_a_journal_opens_on_a_full_disk_and_says_what_it_has_to_once_there_is_room(
        self, opened: Open, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await (await opened()).close(timeout_seconds=5)
        with (home / "segments" / f"{1:016}.jsonl").open("ab") as segment:
            segment.write(b'{"seq":')
        with monkeypatch.context() as disk:
            disk.setattr(os, "write", full)
            journal = await opened()
            with pytest.raises(JournalError, match="No space left"):
                await journal.append(record("lost"), outcome="error")
        await journal.append(record("after"))
        assert types(home)[-4:] == ["gap", "journal_repair", "checkpoint", "decision"]
        assert verify(home).intact

    async def test_a_journal_that_can_t_even_be_begun_for_want_of_room_is_begun_once_there_is_some(
        self, opened: Open, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = os.open

        def none(path: Any, flags: int, *more: Any, **named: Any) -> int:
            if flags & os.O_CREAT:
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(path, flags, *more, **named)

        with monkeypatch.context() as disk:
            disk.setattr(os, "open", none)
            journal = await opened()
            instance = journal.instance
            with pytest.raises(JournalError, match="audit: No space left on device"):
                await journal.append(record("lost"), outcome="error")
        await journal.append(record("kept"))
        assert types(home) == ["chain_start", "gap", "checkpoint", "decision"]
        assert lines(home)[0]["detail"]["instance"] == instance == journal.instance
        assert verify(home).intact

    async def test_what_else_is_kept_in_the_directory_is_made_when_there_is_room_and_after_it_was_removed(
        self, home: Path
    ) -> None:
        calls = 0

        def prepare() -> None:
            nonlocal calls
            calls += 1
            if calls == 1:
                raise OSError(errno.ENOSPC, "No space left on device")
            (home / "more").touch()

        journal = Journal(home, Options(), prepare=prepare)
        journal.open()
        await journal.append(record("kept"))
        assert (home / "more").exists()
        shutil.rmtree(home)
        await journal.append(record("kept, too"))
        assert (home / "more").exists()
        await journal.close(timeout_seconds=5)
        assert ids(home) == ["kept, too"]

    async def test_the_first_record_afterwards_is_a_gap_with_a_checkpoint_right_behind_it(
        self, opened: Open, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        journal = await opened()
        await journal.append(record("before"))
        with monkeypatch.context() as disk:
            disk.setattr(os, "write", full)
            lost = [journal.append(record("lost"), outcome="error") for _ in range(5)]
            lost += [journal.append(record("lost"), outcome="allow"), journal.append(record("c"), "canary")]
            found = await asyncio.gather(*lost, return_exceptions=True)
        assert all(isinstance(one, JournalError) for one in found)
        await journal.append(record("after"))
        assert types(home)[2:] == ["decision", "gap", "checkpoint", "decision"]
        detail = next(line["detail"] for line in lines(home) if line["type"] == "gap")
        assert detail["answers"] == {"error": 5, "allow": 1}
        assert detail["records"] == {"canary": 1}
        assert detail["since"] <= detail["until"]
        verified = verify(home)
        assert verified.intact
        assert "gap" in [notice.kind.value for notice in verified.notices]
        await journal.append(record("more"))
        assert types(home).count("gap") == 1

    async def test_a_gap_is_recorded_although_nobody_writes(
        self, opened: Open, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        journal = await opened()
        with monkeypatch.context() as disk:
            disk.setattr(os, "write", full)
            with pytest.raises(JournalError):
                await journal.append(record("lost"), outcome="error")
        await until(lambda: types(home)[-2:] == ["gap", "checkpoint"])

    async def test_a_line_written_in_part_is_taken_back_so_that_the_file_stays_whole(
        self, opened: Open, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        journal = await opened()
        await journal.append(record("one"))
        write, calls = os.write, 0

        def filling_up(file: int, data: bytes) -> int:
            nonlocal calls
            calls += 1
            if calls % 2 == 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            return write(file, data[:3])

        with monkeypatch.context() as disk:
            disk.setattr(os, "write", filling_up)
            with pytest.raises(JournalError, match="No space left on device"):
                await journal.append(record("two"))
        assert ids(home) == ["one"]
        await journal.append(record("three"))
        assert ids(home) == ["one", "three"]
        assert verify(home).intact

    async def test_a_part_that_can_t_be_taken_back_is_taken_back_later(
        self, opened: Open, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        journal = await opened()
        write, calls = os.write, 0

        def half(file: int, data: bytes) -> int:
            nonlocal calls
            calls += 1
            if calls % 2 == 0:
                raise OSError(errno.EIO, "Input/output error")
            return write(file, data[:9])

        with monkeypatch.context() as disk:
            disk.setattr(os, "write", half)
            disk.setattr(os, "ftruncate", full)
            for _ in range(2):
                with pytest.raises(JournalError):
                    await journal.append(record("lost"))
        await journal.append(record("kept"))
        assert ids(home) == ["kept"]
        assert verify(home).intact

    async def test_a_disk_that_takes_a_little_at_a_time_gets_the_whole_line(
        self, opened: Open, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        journal = await opened()
        write = os.write
        with monkeypatch.context() as disk:
            disk.setattr(os, "write", lambda file, data: write(file, data[:7]))
            await journal.append(record("a line longer than seven bytes"))
        assert ids(home) == ["a line longer than seven bytes"]

    async def test_a_line_that_is_written_counts_as_written_although_the_disk_can_t_be_measured(
        self, opened: Open, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        journal = await opened(checkpoint_seconds=0.0)

        def unreadable(directory: Path) -> tuple[int, int]:
            raise PermissionError(errno.EACCES, "Permission denied")

        with monkeypatch.context() as disk:
            disk.setattr(ledger, "usage", unreadable)
            await journal.append(record("one"))
        await journal.close(timeout_seconds=5)
        assert ids(home) == ["one"]
        assert "gap" not in types(home)

    async def test_whatever_else_goes_wrong_those_who_wait_are_told(
        self, opened: Open, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        journal = await opened()

        def nonsense(file: int, data: bytes) -> int:
            raise MemoryError

        with monkeypatch.context() as disk:
            disk.setattr(os, "write", nonsense)
            with pytest.raises(JournalError, match="MemoryError"):
                await journal.append(record("one"))
        await journal.append(record("two"))
        assert ids(home) == ["two"]


def test_what_is_lost_while_a_gap_is_written_is_told_by_the_next() -> None:
    gap = Gap()
    gap.lost(Entry("decision", "error"))
    first = gap.so_far()
    assert first is not None
    gap.lost(Entry("decision", "error"))
    gap.lost(Entry("canary"))
    gap.recorded(first)
    second = gap.so_far()
    assert second is not None
    assert (second.answers, second.records) == ({"error": 1}, {"canary": 1})
    gap.recorded(second)
    assert gap.so_far() is None


async def drained(pipe: Pipe, *written: asyncio.Future[None]) -> bytes:
    """Reads the pipe until all is written; gives what was read."""
    taken = b""
    while not all(one.done() for one in written):
        taken += await asyncio.to_thread(pipe.drain)
        await asyncio.sleep(0)
    await asyncio.gather(*written)
    return taken + pipe.drain()


class TestHangingDisk:
    async def test_lines_wait_and_the_loop_goes_on(self, opened: Open, pipe: Pipe) -> None:
        journal = await opened(pipe.directory)
        written = journal.append(padded("long", MUCH))
        behind = journal.append(padded("behind", 1))
        done, pending = await asyncio.wait([written, behind], timeout=0.1)
        assert (done, len(pending)) == (set(), 2)
        taken = await drained(pipe, written, behind)
        assert taken.index(b'"id":"long"') < taken.index(b'"id":"behind"')

    async def test_past_a_bound_of_waiting_bytes_appending_fails_at_once(
        self, opened: Open, pipe: Pipe, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "MAX_WAITING_BYTES", MUCH * 3)
        journal = await opened(pipe.directory)
        hanging = journal.append(padded("hanging", MUCH))
        with pytest.raises(JournalError, match="bytes are waiting to be written"):
            await asyncio.wait_for(journal.append(padded("refused", MUCH * 2), outcome="error"), 1)
        fitting = journal.append(padded("fitting", MUCH))
        taken = await drained(pipe, hanging, fitting)
        # What was written waits no more, and what was refused is in a gap.
        taken += await drained(pipe, journal.append(padded("last", MUCH * 2)))
        assert b'"answers":{"error":1}' in taken
        assert b"refused" not in taken

    async def test_a_caller_that_stops_waiting_leaves_the_line_in_the_queue(self, opened: Open, pipe: Pipe) -> None:
        journal = await opened(pipe.directory)
        hanging = journal.append(padded("hanging", MUCH))
        late = journal.append(padded("late", 1))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(late), 0.05)
        assert b'"id":"late"' in await drained(pipe, hanging, late)

    async def test_closing_does_not_wait_longer_than_it_is_told(self, opened: Open, pipe: Pipe) -> None:
        journal = await opened(pipe.directory)
        hanging = journal.append(padded("hanging", MUCH))
        await asyncio.wait_for(journal.close(timeout_seconds=0.05), 5)
        assert not hanging.done()
        await drained(pipe, hanging)


async def test_closing_writes_what_waits_and_refuses_what_comes_later(opened: Open, home: Path) -> None:
    journal = await opened()
    waiting = [journal.append(record(str(number))) for number in range(100)]
    await journal.close(timeout_seconds=5)
    await asyncio.gather(*waiting)
    assert len(ids(home)) == 100
    with pytest.raises(JournalError, match="closed"):
        await journal.append(record("late"))
    await journal.close(timeout_seconds=5)
