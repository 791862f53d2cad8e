"""The journal as a shipper reads it: every line, once, in order, whatever happens to the files."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookgate.audit.chain import Link
from hookgate.audit.shipping import reader as reading
from hookgate.audit.shipping.cursor import Cursor
from hookgate.audit.shipping.reader import Oddity, Read, Reader
from tests.support.laid import LaidJournal

_ENOUGH = 1 << 20


@pytest.fixture
def journal(tmp_path: Path) -> LaidJournal:
    """A journal with one line."""
    return LaidJournal(tmp_path)


@contextmanager
def laid() -> Iterator[LaidJournal]:
    """A journal in a directory of its own, for tests that make many."""
    with tempfile.TemporaryDirectory() as directory:
        yield LaidJournal(Path(directory))


def all_of(reader: Reader, *, records: int = 1000, size_bytes: int = _ENOUGH) -> Read:
    """Reads to the end; gives all of it as one."""
    parts: list[Read] = []
    while (part := reader.read(records, size_bytes, settled=True)) != Read():
        parts.append(part)
    return Read(
        tuple(one for part in parts for one in part.shipments),
        tuple(one for part in parts for one in part.cursors),
        tuple(one for part in parts for one in part.oddities),
        parts[-1].end if parts else None,
    )


def lines(read: Read) -> list[bytes]:
    return [shipment.line for shipment in read.shipments]


def end_of(journal: LaidJournal) -> Cursor:
    """Gives the cursor behind all that is there."""
    end = all_of(Reader(journal.directory, None)).end
    assert end is not None
    return end


class TestReading:
    def test_gives_every_line_as_it_stands_with_its_place_in_the_chain(self, journal: LaidJournal) -> None:
        journal.fill(3)
        read = all_of(Reader(journal.directory, None))
        assert lines(read) == journal.lines
        assert [one.seq for one in read.shipments] == [1, 2, 3, 4]
        assert {one.instance for one in read.shipments} == {"chain-1"}
        assert read.shipments[-1].hash == journal.end.hash.decode() == read.shipments[-1].record["hash"]
        assert read.oddities == ()

    def test_gives_nothing_where_there_is_no_journal_yet_and_then_what_comes(self, tmp_path: Path) -> None:
        reader = Reader(tmp_path / "audit", None)
        assert reader.read(10, _ENOUGH) == Read()
        journal = LaidJournal(tmp_path / "audit")
        assert lines(all_of(reader)) == journal.lines

    def test_knows_the_chain_although_it_came_before_the_first_line(self, tmp_path: Path) -> None:
        segment = tmp_path / "segments" / f"{1:016}.jsonl"
        segment.parent.mkdir()
        segment.touch()
        reader = Reader(tmp_path, None)
        assert reader.read(10, _ENOUGH, settled=True) == Read()
        LaidJournal(tmp_path, "chain-7")
        assert [one.instance for one in all_of(reader).shipments] == ["chain-7"]

    @given(
        sizes=st.lists(st.integers(0, 9), min_size=1, max_size=5),
        records=st.integers(1, 7),
        size_bytes=st.integers(1, 900),
        restarts=st.sets(st.integers(0, 40)),
    )
    def test_gives_each_line_once_in_any_bunches_over_segments_and_restarts(
        self, sizes: list[int], records: int, size_bytes: int, restarts: set[int]
    ) -> None:
        with laid() as journal:
            for size in sizes:
                journal.fill(size)
                journal.next_segment()
            reader = Reader(journal.directory, None)
            got: list[bytes] = []
            while True:
                read = reader.read(records, size_bytes, settled=True)
                if read.end is None:
                    break
                assert 1 <= len(read.shipments) <= records
                assert len(read.shipments) == 1 or sum(map(len, lines(read))) <= size_bytes
                got += lines(read)
                assert read.cursors[-1] == read.end
                if len(got) in restarts:
                    reader.close()
                    reader = Reader(journal.directory, read.end)
            reader.close()
            assert got == journal.lines

    @given(cuts=st.lists(st.integers(1, 400), max_size=30), each=st.booleans())
    def test_gives_no_line_before_its_end_is_there(self, cuts: list[int], each: bool) -> None:
        with laid() as journal:
            data = b"".join(journal.line() for _ in range(20))
            reader = Reader(journal.directory, None)
            got: list[bytes] = []
            for cut in [*cuts, len(data)]:
                piece, data = data[:cut], data[cut:]
                journal.write(piece)
                got += lines(all_of(reader, records=1 if each else 100))
                assert journal.lines[: len(got)] == got
            reader.close()
            assert got == journal.lines

    def test_goes_on_in_a_segment_that_begins_while_it_reads(self, journal: LaidJournal) -> None:
        reader = Reader(journal.directory, None)
        got = lines(all_of(reader))
        journal.fill(2)
        journal.next_segment()
        journal.fill(2)
        assert got + lines(all_of(reader)) == journal.lines


class TestWhatHasNotSettled:
    def test_is_read_once_it_has_stood_there_for_a_while(self, journal: LaidJournal) -> None:
        reader = Reader(journal.directory, None, settle_seconds=0.0)
        assert reader.read(10, _ENOUGH).shipments == ()
        assert lines(reader.read(10, _ENOUGH)) == journal.lines
        journal.fill(1)
        assert reader.read(10, _ENOUGH).shipments == ()
        assert lines(reader.read(10, _ENOUGH)) == journal.lines[-1:]

    def test_is_not_read_when_it_is_taken_back(self, journal: LaidJournal) -> None:
        reader = Reader(journal.directory, None, settle_seconds=0.0)
        reader.read(10, _ENOUGH)
        reader.read(10, _ENOUGH)
        size, end = journal.path.stat().st_size, journal.end
        journal.fill(2)
        assert reader.read(10, _ENOUGH).shipments == ()
        with journal.path.open("r+b") as stream:
            stream.truncate(size)
        journal.end, journal.lines = end, journal.lines[:-2]
        journal.add("gap")
        assert reader.read(10, _ENOUGH).shipments == ()
        read = reader.read(10, _ENOUGH)
        assert lines(read) == journal.lines[-1:]
        assert read.oddities == ()

    def test_counts_at_once_in_a_segment_that_another_follows(self, journal: LaidJournal) -> None:
        journal.fill(2)
        journal.next_segment()
        reader = Reader(journal.directory, None, settle_seconds=60)
        assert lines(reader.read(10, _ENOUGH)) == journal.lines


class TestOddities:
    def test_a_torn_tail_that_is_cut_at_recovery_goes_by_unseen(self, journal: LaidJournal) -> None:
        journal.fill(2)
        whole, end = journal.path.stat().st_size, journal.end
        journal.write(journal.line()[:40])
        reader = Reader(journal.directory, None)
        got = lines(all_of(reader))
        assert got == journal.lines[:-1]
        with journal.path.open("r+b") as stream:
            stream.truncate(whole)
        journal.end, journal.lines = end, journal.lines[:-1]
        journal.add("journal_repair")
        read = all_of(reader)
        assert got + lines(read) == journal.lines
        assert read.oddities == ()

    @pytest.mark.parametrize("restarted", [True, False])
    def test_a_segment_that_is_gone_is_told_with_what_it_held(self, journal: LaidJournal, restarted: bool) -> None:
        reader = Reader(journal.directory, None)
        journal.fill(4)
        end = all_of(reader).end
        for _ in range(2):
            journal.next_segment()
            journal.fill(5)
        gone = sorted((journal.directory / "segments").iterdir())[:2]
        for path in gone:
            path.unlink()
        if restarted:
            reader = Reader(journal.directory, end)
        read = all_of(reader)
        assert lines(read) == journal.lines[10:]
        assert read.oddities == (Oddity("removed", 6, 10),)
        assert read.oddities[0].left_out == 5

    def test_one_gone_from_the_middle_is_told_too(self, journal: LaidJournal) -> None:
        for _ in range(2):
            journal.next_segment()
            journal.fill(3)
        reader = Reader(journal.directory, None)
        end = reader.read(3, _ENOUGH, settled=True).end
        sorted((journal.directory / "segments").iterdir())[1].unlink()
        read = all_of(Reader(journal.directory, end))
        assert lines(read) == journal.lines[4:]
        assert read.oddities == (Oddity("removed", 4, 4),)

    def test_what_was_delivered_and_removed_is_not_missed(self, journal: LaidJournal) -> None:
        journal.fill(2)
        end = end_of(journal)
        before = journal.path
        journal.next_segment()
        journal.fill(2)
        before.unlink()
        read = all_of(Reader(journal.directory, end))
        assert lines(read) == journal.lines[3:]
        assert read.oddities == ()

    @given(at=st.integers(0, 9), spoil=st.sampled_from([b"", b"null", b"{}", b"\x00\xff", b'{"seq":1,', b"x" * 3000]))
    def test_a_damaged_line_is_left_out_and_told_and_the_others_are_read(self, at: int, spoil: bytes) -> None:
        with laid() as journal:
            journal.fill(9)
            content = list(journal.lines)
            content[at] = spoil
            journal.path.write_bytes(b"".join(line + b"\n" for line in content))
            reader = Reader(journal.directory, None)
            read = all_of(reader)
            assert lines(read) == journal.lines[:at] + journal.lines[at + 1 :]
            assert read.oddities == (Oddity("damaged", at + 1, at + 1),)
            reader.close()
            assert read.end is not None
            assert read.end.seq == 10
            again = Reader(journal.directory, read.end)
            journal.add()
            rest = all_of(again)
            again.close()
            assert lines(rest) == journal.lines[-1:]
            assert rest.oddities == ()

    def test_a_changed_line_is_damaged_and_so_are_many_in_a_row(self, journal: LaidJournal) -> None:
        journal.fill(5)
        content = [line.replace(b"decision", b"Decision") for line in journal.lines]
        journal.path.write_bytes(b"".join(line + b"\n" for line in content))
        read = all_of(Reader(journal.directory, None))
        assert lines(read) == journal.lines[:1]
        assert read.oddities == (Oddity("damaged", 2, 6),)

    def test_a_line_too_long_for_memory_is_damaged(self, journal: LaidJournal, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(reading, "MAX_LINE_BYTES", 4096)
        monkeypatch.setattr(reading, "_BLOCK_BYTES", 1024)
        journal.fill(1)
        journal.add(input={"content": "x" * 10_000})
        journal.fill(1)
        read = all_of(Reader(journal.directory, None))
        assert [one.seq for one in read.shipments] == [1, 2, 4]
        assert read.oddities == (Oddity("damaged", 3, 3),)

    @pytest.mark.parametrize("restarted", [True, False])
    def test_a_directory_begun_anew_is_read_from_its_beginning(self, tmp_path: Path, restarted: bool) -> None:
        journal = LaidJournal(tmp_path)
        journal.fill(4)
        reader = Reader(tmp_path, None)
        end = all_of(reader).end
        shutil.rmtree(tmp_path / "segments")
        journal = LaidJournal(tmp_path, "chain-2")
        journal.fill(9)
        read = all_of(Reader(tmp_path, end) if restarted else reader)
        assert lines(read) == journal.lines
        assert {one.instance for one in read.shipments} == {"chain-2"}
        assert read.oddities == (Oddity("new_chain", 1, 5),)

    @pytest.mark.parametrize("restarted", [True, False])
    @pytest.mark.parametrize("fewer", [True, False])
    def test_a_journal_that_was_rewritten_is_read_again_from_its_segment(
        self, tmp_path: Path, restarted: bool, fewer: bool
    ) -> None:
        journal = LaidJournal(tmp_path)
        journal.fill(2)
        journal.next_segment()
        begun: Link = journal.end
        journal.fill(5)
        reader = Reader(tmp_path, None)
        end = all_of(reader).end
        with journal.path.open("r+b") as stream:
            stream.truncate(0)
        journal.end, journal.lines = begun, journal.lines[:3]
        for number in range(2 if fewer else 9):
            journal.add(user=f"other{number}")
        read = all_of(Reader(tmp_path, end) if restarted else reader)
        assert lines(read) == journal.lines[3:]
        assert read.oddities == (Oddity("rewritten", 4, 8),)

    def test_a_cursor_whose_place_is_wrong_is_found_by_its_hash(self, journal: LaidJournal) -> None:
        journal.fill(6)
        read = Reader(journal.directory, None).read(3, _ENOUGH, settled=True)
        assert read.end is not None
        for change in ({"offset": 7}, {"offset": 1 << 40}, {"segment": "none"}):
            moved = Cursor(**{**{name: getattr(read.end, name) for name in read.end.__struct_fields__}, **change})
            rest = all_of(Reader(journal.directory, moved))
            assert lines(rest) == journal.lines[3:]
            assert rest.oddities == ()
