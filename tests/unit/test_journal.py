"""The journal: whole lines on the disk before anybody is told so, whatever the disk does."""

import asyncio
import errno
import os
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from hookgate.audit import journal as module
from hookgate.audit.journal import FILE_NAME, Journal, JournalError

#: More than any pipe holds.
MUCH = 1 << 20

Open = Callable[..., Awaitable[Journal]]


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Open]:
    """Opens journals, by default in a directory that is not there yet, and closes them in the end."""
    made: list[Journal] = []

    async def open_one(directory: Path | None = None) -> Journal:
        journal = Journal(directory or tmp_path / "audit")
        journal.open()
        made.append(journal)
        return journal

    yield open_one
    for journal in made:
        await journal.close(timeout_seconds=0.1)


class Pipe:
    """A file that takes what fits into a pipe and then blocks its writer, as a disk that hangs does."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self.path = directory / FILE_NAME
        os.mkfifo(self.path)
        self._end = os.open(self.path, os.O_RDWR | os.O_NONBLOCK)

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


async def test_a_line_is_in_the_file_when_its_future_is_done(opened: Open) -> None:
    journal = await opened()
    for number in range(10):
        await journal.append(f"{number}\n".encode())
        assert journal.path.read_text() == "".join(f"{line}\n" for line in range(number + 1))


async def test_lines_appended_together_stand_in_the_order_of_appending(opened: Open) -> None:
    journal = await opened()
    await asyncio.gather(*(journal.append(f"{number}\n".encode()) for number in range(2000)))
    assert journal.path.read_text().splitlines() == [str(number) for number in range(2000)]


async def test_directory_and_file_belong_to_their_owner_alone(opened: Open) -> None:
    journal = await opened()
    assert stat.S_IMODE(journal.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(journal.path.parent.stat().st_mode) == 0o700


async def test_lines_go_behind_those_of_an_earlier_run(opened: Open, tmp_path: Path) -> None:
    first = await opened()
    await first.append(b"one\n")
    await first.close(timeout_seconds=5)
    second = await opened()
    await second.append(b"two\n")
    assert second.path.read_bytes() == b"one\ntwo\n"
    assert second.cut_bytes == 0


@pytest.mark.parametrize(
    ("before", "kept"),
    [
        (b"", b""),
        (b"one\n", b"one\n"),
        (b"one\ntw", b"one\n"),
        (b"torn", b""),
        (b"one\n\x00\x00", b"one\n"),
        (b"one\n" + b"x" * 200_000, b"one\n"),
        (b"x" * 70_000 + b"\n" + b"y" * 65_536, b"x" * 70_000 + b"\n"),
        (b"x" * 65_535 + b"\ny", b"x" * 65_535 + b"\n"),
    ],
)
async def test_a_torn_last_line_is_cut_and_counted(opened: Open, tmp_path: Path, before: bytes, kept: bytes) -> None:
    file = tmp_path / FILE_NAME
    file.write_bytes(before)
    journal = await opened(tmp_path)
    assert file.read_bytes() == kept
    assert journal.cut_bytes == len(before) - len(kept)
    await journal.append(b"next\n")
    assert file.read_bytes() == kept + b"next\n"


async def test_a_second_journal_in_the_same_directory_is_refused_with_the_mend(opened: Open, tmp_path: Path) -> None:
    first = await opened(tmp_path)
    second = Journal(tmp_path)
    with pytest.raises(JournalError, match=r"^audit.directory: .* is in use by another Hookgate; give each its own"):
        second.open()
    await second.close(timeout_seconds=1)
    await first.append(b"still mine\n")
    await first.close(timeout_seconds=5)
    await opened(tmp_path)


@pytest.mark.parametrize("name", ["file/below", "file"])
async def test_a_directory_that_cannot_be_had_is_one_clear_line(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    journal = Journal(tmp_path / name)
    with pytest.raises(JournalError) as caught:
        journal.open()
    assert str(caught.value).startswith(f"audit.directory: {tmp_path / name}: ")
    assert "\n" not in str(caught.value)
    await journal.close(timeout_seconds=1)


def full(file: int, data: bytes) -> int:
    raise OSError(errno.ENOSPC, "No space left on device")


async def test_a_line_that_cannot_be_written_fails_and_the_next_one_is_tried_again(
    opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = await opened(tmp_path)
    with monkeypatch.context() as disk:
        disk.setattr(os, "write", full)
        for _ in range(3):
            with pytest.raises(JournalError, match=r"records.jsonl: No space left on device"):
                await journal.append(b"one\n")
    await journal.append(b"two\n")
    assert (tmp_path / FILE_NAME).read_bytes() == b"two\n"


async def test_a_line_written_in_part_is_taken_back_so_that_the_file_stays_whole(
    opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = await opened(tmp_path)
    await journal.append(b"one\n")
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
            await journal.append(b"two-and-more\n")
    assert (tmp_path / FILE_NAME).read_bytes() == b"one\n"
    await journal.append(b"three\n")
    assert (tmp_path / FILE_NAME).read_bytes() == b"one\nthree\n"


async def test_a_disk_that_takes_a_little_at_a_time_gets_the_whole_line(
    opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = await opened(tmp_path)
    write = os.write
    with monkeypatch.context() as disk:
        disk.setattr(os, "write", lambda file, data: write(file, data[:7]))
        await journal.append(b"a line longer than seven bytes\n")
    assert (tmp_path / FILE_NAME).read_bytes() == b"a line longer than seven bytes\n"


async def test_all_lines_of_a_batch_that_fails_fail(
    opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = await opened(tmp_path)
    with monkeypatch.context() as disk:
        disk.setattr(os, "write", full)
        found = await asyncio.gather(*(journal.append(b"x\n") for _ in range(50)), return_exceptions=True)
    assert all(isinstance(one, JournalError) for one in found)


async def test_while_the_disk_hangs_lines_wait_and_the_loop_goes_on(opened: Open, pipe: Pipe) -> None:
    journal = await opened(pipe.path.parent)
    long = b"x" * MUCH + b"\n"
    written = journal.append(long)
    behind = journal.append(b"behind\n")
    done, pending = await asyncio.wait([written, behind], timeout=0.1)
    assert (done, len(pending)) == (set(), 2)
    taken = b""
    while not behind.done():
        taken += await asyncio.to_thread(pipe.drain)
        await asyncio.sleep(0)
    await behind
    assert taken + pipe.drain() == long + b"behind\n"


async def test_past_a_bound_of_waiting_bytes_appending_fails_at_once(
    opened: Open, pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_WAITING_BYTES", MUCH * 2)
    journal = await opened(pipe.path.parent)
    hanging = journal.append(b"x" * MUCH)
    with pytest.raises(JournalError, match="bytes are waiting to be written"):
        await asyncio.wait_for(journal.append(b"y" * (MUCH + 1)), 1)
    fitting = journal.append(b"z" * MUCH)
    while not fitting.done():
        await asyncio.to_thread(pipe.drain)
        await asyncio.sleep(0)
    await asyncio.gather(hanging, fitting)
    # What was written waits no more.
    last = journal.append(b"y" * (MUCH + 1))
    while not last.done():
        await asyncio.to_thread(pipe.drain)
        await asyncio.sleep(0)
    await last


async def test_a_caller_that_stops_waiting_leaves_the_line_in_the_queue(opened: Open, pipe: Pipe) -> None:
    journal = await opened(pipe.path.parent)
    hanging = journal.append(b"x" * MUCH)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(journal.append(b"late\n")), 0.05)
    taken = b""
    while not taken.endswith(b"late\n"):
        taken += await asyncio.to_thread(pipe.drain)
        await asyncio.sleep(0)
    await hanging


async def test_closing_writes_what_waits_and_refuses_what_comes_later(opened: Open, tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    waiting = [journal.append(f"{number}\n".encode()) for number in range(100)]
    await journal.close(timeout_seconds=5)
    await asyncio.gather(*waiting)
    assert len((tmp_path / FILE_NAME).read_text().splitlines()) == 100
    with pytest.raises(JournalError, match="closed"):
        await journal.append(b"late\n")
    await journal.close(timeout_seconds=5)


async def test_closing_does_not_wait_longer_than_it_is_told_for_a_disk_that_hangs(opened: Open, pipe: Pipe) -> None:
    journal = await opened(pipe.path.parent)
    hanging = journal.append(b"x" * MUCH)
    await asyncio.wait_for(journal.close(timeout_seconds=0.05), 5)
    assert not hanging.done()
    while not hanging.done():
        await asyncio.to_thread(pipe.drain)
        await asyncio.sleep(0)
    await hanging


async def test_a_journal_that_was_never_opened_can_be_closed(tmp_path: Path) -> None:
    await Journal(tmp_path).close(timeout_seconds=1)
    assert not (tmp_path / FILE_NAME).exists()
