"""One shipper at work: everything arrives, whatever its sink does, and what a sink refuses stops nothing."""

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from hookgate.audit.chain import taken_apart
from hookgate.audit.shipping import courier as at_work
from hookgate.audit.shipping import delivery
from hookgate.audit.shipping.courier import Courier
from hookgate.audit.shipping.cursor import cursor_path, load_cursor
from hookgate.audit.shipping.notes import NoteWriter, waiting_notes
from hookgate.audit.shipping.reduced import reduced
from hookgate.audit.shipping.shipment import Shipment, Sink, SinkError, SinkRefusedError
from hookgate.audit.sinks.sqlite import SqliteSink
from hookgate.audit.store.opening import open_store
from hookgate.config.shippers import StdoutShipper
from hookgate.ids import uuid7
from tests.support.laid import LaidJournal
from tests.support.sinks import FakeSink, Refuses, away


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses as short as they can be."""
    monkeypatch.setattr(delivery, "_FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(delivery, "_LAST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(at_work, "_POLL_SECONDS", 0.01)


@pytest.fixture
def journal(tmp_path: Path) -> LaidJournal:
    return LaidJournal(tmp_path)


def courier(journal: LaidJournal, sink: Sink, patience_seconds: float = 10.0, **options: Any) -> Courier:
    shipper = StdoutShipper(name="mine", **options)
    return Courier(shipper, journal.directory, sink, structlog.get_logger(), patience_seconds=patience_seconds)


async def shipped(journal: LaidJournal, sink: Sink, **options: Any) -> Courier:
    """Ships all that is there."""
    one = courier(journal, sink, **options)
    one.end(is_closed=True)
    async with asyncio.timeout(20):
        await one.run()
    return one


async def until(condition: Callable[[], object]) -> None:
    """Lets the others go on until the condition holds."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 (a list has no event)
            await asyncio.sleep(0.005)


def notes(journal: LaidJournal) -> list[tuple[str, dict[str, Any]]]:
    found = [note for _, note in waiting_notes(journal.directory)]
    return [(note.type, note.detail) for note in found if note is not None]


class TestDelivering:
    async def test_delivers_all_in_batches_and_keeps_how_far_it_is(self, journal: LaidJournal) -> None:
        journal.fill(24)
        sink = FakeSink()
        one = await shipped(journal, sink, batch_records=10)
        assert sink.lines == journal.lines
        assert sink.batches == [10, 10, 5]
        cursor = load_cursor(journal.directory, "mine")
        assert cursor is not None
        assert (cursor.seq, cursor.hash, cursor.instance) == (25, journal.end.hash.decode(), "chain-1")
        assert cursor_path(journal.directory, "mine").stat().st_mode & 0o777 == 0o600
        status = one.status(25)
        assert (status.shipped, status.lag_records, status.lag_seconds, status.failures) == (25, 0, 0.0, 0)
        assert sink.closed == 1

    async def test_goes_on_where_it_was(self, journal: LaidJournal) -> None:
        journal.fill(3)
        await shipped(journal, FakeSink())
        journal.fill(2)
        sink = FakeSink()
        await shipped(journal, sink)
        assert sink.lines == journal.lines[-2:]

    async def test_delivers_what_comes_while_it_runs(self, journal: LaidJournal) -> None:
        sink = FakeSink()
        one = courier(journal, sink)
        running = asyncio.create_task(one.run())
        for _ in range(3):
            journal.fill(2)
            await until(lambda: len(sink.taken) == len(journal.lines))
        one.end(is_closed=True)
        await running
        assert sink.lines == journal.lines

    async def test_holds_no_more_bytes_at_once_than_it_may(
        self, journal: LaidJournal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(at_work, "BATCH_BYTES", 5000)
        for _ in range(6):
            journal.add(input={"content": "x" * 2000})
        journal.add(input={"content": "x" * 20_000})
        sink = FakeSink()
        await shipped(journal, sink)
        assert sink.lines == journal.lines
        assert max(sink.batches) <= 3

    async def test_a_cursor_that_is_damaged_begins_anew_and_is_told(self, journal: LaidJournal) -> None:
        journal.fill(3)
        await shipped(journal, FakeSink())
        cursor_path(journal.directory, "mine").write_bytes(b'{"seq": 4')
        sink = FakeSink()
        await shipped(journal, sink)
        assert sink.lines == journal.lines
        assert notes(journal) == [
            ("shipper_restarted", {"shipper": "mine", "why": "cursor_damaged", "first_seq": 0, "last_seq": 0})
        ]

    async def test_lines_that_are_gone_are_told_and_counted(self, journal: LaidJournal) -> None:
        journal.fill(4)
        before = journal.path
        journal.next_segment()
        journal.fill(2)
        await shipped(journal, FakeSink(), patience_seconds=0.0)
        journal.next_segment()
        journal.fill(3)
        for path in sorted((journal.directory / "segments").iterdir())[:2]:
            path.unlink()
        assert not before.exists()
        journal.path.write_bytes(b"".join(line + b"\n" for line in journal.lines[-2:]))
        sink = FakeSink()
        one = await shipped(journal, sink)
        assert sink.lines == journal.lines[-2:]
        assert one.status(0).dropped == 1
        assert notes(journal) == [
            ("shipper_skipped", {"shipper": "mine", "why": "removed", "first_seq": 8, "last_seq": 8})
        ]


class TestASinkThatFails:
    @pytest.mark.parametrize("error", [away(), TimeoutError(), OSError(5, "no")], ids=repr)
    async def test_is_tried_until_it_takes_everything(self, journal: LaidJournal, error: Exception) -> None:
        journal.fill(9)
        sink = FakeSink(fails=[error] * 12)
        one = await shipped(journal, sink)
        assert sink.lines == journal.lines
        status = one.status(10)
        assert (status.failures, status.refused, status.dropped, status.error) == (12, 0, 0, "")
        assert sink.opened == 13
        assert notes(journal) == []

    async def test_whose_own_code_is_at_fault_gets_everything_once_that_is_over(self, journal: LaidJournal) -> None:
        journal.fill(9)

        class Broken(FakeSink):
            async def send(self, batch: Any) -> None:
                if len(self.batches) < 30:
                    self.batches.append(len(batch))
                    raise KeyError(batch[0].record.get("reduced", "whole"))
                await super().send(batch)

        sink = Broken()
        one = await shipped(journal, sink)
        assert len(sink.lines) == 10
        assert one.status(10).dropped == 0
        assert sum(b"reduced" in line for line in sink.lines) <= 1

    async def test_is_given_less_at_once_when_it_is_too_slow(self, journal: LaidJournal) -> None:
        journal.fill(31)

        class Slow(FakeSink):
            async def send(self, batch: Any) -> None:
                self.hangs = len(batch) > 4
                await super().send(batch)

        sink = Slow()
        await shipped(journal, sink, timeout_seconds=0.02)
        assert sink.lines == journal.lines

    async def test_is_given_up_soon_when_the_process_ends(self, journal: LaidJournal) -> None:
        journal.fill(3)
        sink = FakeSink(hangs=True)
        begun = time.monotonic()
        one = await shipped(journal, sink, timeout_seconds=0.05, patience_seconds=0.0)
        assert time.monotonic() - begun < 10
        status = one.status(4)
        assert (status.shipped, status.lag_records, status.error) == (0, 4, "no answer within 0.05 s")
        assert status.lag_seconds > 0
        assert load_cursor(journal.directory, "mine") is None

    async def test_waits_ever_longer(self, journal: LaidJournal, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(delivery, "_LAST_PAUSE_SECONDS", 30.0)
        waited: list[float] = []

        async def pause(_: object, seconds: float) -> None:
            waited.append(seconds)

        monkeypatch.setattr(delivery.Delivery, "pause", pause)
        sink = FakeSink(fails=[away() for _ in range(20)])
        one = courier(journal, sink)
        running = asyncio.create_task(one.run())
        await until(lambda: sink.taken)
        one.end(is_closed=True)
        await running
        bounds = [min(30.0, 0.001 * 2**number) for number in range(20)]
        waited = [seconds for seconds in waited if seconds != at_work._POLL_SECONDS]
        assert all(bound / 2 <= seconds <= bound for bound, seconds in zip(bounds, waited, strict=False))
        assert max(waited) >= 15

    async def test_delays_no_other(self, journal: LaidJournal) -> None:
        journal.fill(5)
        stuck = courier(journal, FakeSink(hangs=True), timeout_seconds=60.0)
        running = asyncio.create_task(stuck.run())
        sink = FakeSink()
        other = Courier(StdoutShipper(name="other"), journal.directory, sink, structlog.get_logger())
        other.end(is_closed=True)
        async with asyncio.timeout(20):
            await other.run()
        assert sink.lines == journal.lines
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    async def test_keeps_no_secret_terminal_code_or_novel_in_what_is_told(self, journal: LaidJournal) -> None:
        sink = FakeSink(fails=[SinkError("\x1b]0;x\x07" + "y" * 4000)])
        one = courier(journal, sink, patience_seconds=0.0)
        one.end(is_closed=True)
        await one.run()
        assert len(one.status(0).error) < 400
        assert one.status(0).error.isprintable()


class TestAStoreThatIsEmpty:
    async def test_gets_the_whole_journal_also_where_nothing_new_has_come(self, journal: LaidJournal) -> None:
        journal.fill(9)
        path = journal.directory / "store.sqlite"
        await shipped(journal, SqliteSink(path))
        for left in journal.directory.glob("store.sqlite*"):
            left.unlink()
        await shipped(journal, SqliteSink(path))
        with closing(open_store(path)) as store:
            assert [(one.first, one.last) for one in store.spans()] == [(1, 10)]
        detail = {"shipper": "mine", "why": "sink_empty", "first_seq": 1, "last_seq": 10}
        assert notes(journal) == [("shipper_restarted", detail)]
        await shipped(journal, SqliteSink(path))
        assert len(notes(journal)) == 1

    async def test_is_noticed_when_it_is_removed_while_it_is_filled(self, journal: LaidJournal) -> None:
        journal.fill(9)
        path = journal.directory / "store.sqlite"
        one = courier(journal, SqliteSink(path))
        running = asyncio.create_task(one.run())
        await until(lambda: one.status(10).lag_records == 0)
        for left in journal.directory.glob("store.sqlite*"):
            left.unlink()
        journal.fill(1)
        await until(lambda: notes(journal))
        one.end(is_closed=True)
        async with asyncio.timeout(20):
            await running
        with closing(open_store(path)) as store:
            assert [(span.first, span.last) for span in store.spans()] == [(1, 11)]


class TestARecordThatIsRefused:
    @settings(max_examples=12)
    @given(bad=st.sets(st.integers(2, 30), max_size=8), size=st.integers(1, 40))
    def test_is_found_and_reduced_and_the_others_arrive_whole(
        self, tmp_path_factory: pytest.TempPathFactory, bad: set[int], size: int
    ) -> None:
        journal = LaidJournal(tmp_path_factory.mktemp("audit"))
        for seq in range(2, 31):
            journal.add(user="alex", outcome="deny", input={"poison": seq in bad})
        sink = FakeSink(refuses=lambda record: bool(record.get("input", {}).get("poison")))
        one = asyncio.run(shipped(journal, sink, batch_records=size))
        assert len(sink.lines) == 30
        for line, whole in zip(sink.lines, journal.lines, strict=True):
            found, record = json.loads(line), json.loads(whole)
            if record["seq"] in bad:
                assert found["reduced"] is True
                kept = ("seq", "hash", "prev", "id", "time", "type", "user", "outcome")
                assert {name: found[name] for name in kept} == {name: record[name] for name in kept}
                assert "input" not in found
            else:
                assert line == whole
        status = one.status(30)
        assert (status.refused, status.dropped, status.lag_records) == (len(bad), 0, 0)
        assert sorted(detail["seq"] for _, detail in notes(journal)) == sorted(bad)
        assert {kind for kind, _ in notes(journal)} <= {"shipper_refused"}
        assert {detail["shipped"] for _, detail in notes(journal)} <= {"reduced"}

    async def test_is_left_out_where_not_even_that_is_taken(self, journal: LaidJournal) -> None:
        journal.fill(3)
        sink = FakeSink(refuses=lambda record: record["seq"] == 3)
        one = await shipped(journal, sink)
        assert sink.lines == [*journal.lines[:2], journal.lines[3]]
        assert (one.status(4).refused, one.status(4).dropped, one.status(4).shipped) == (1, 1, 3)
        [(kind, detail)] = notes(journal)
        assert (kind, detail["shipped"], detail["record"], detail["error"]) == (
            "shipper_refused",
            "nothing",
            "r3",
            "it says no",
        )

    async def test_is_told_from_a_fault_in_the_sinks_own_code(self, journal: LaidJournal) -> None:
        """The reduced record arrives: so the record is at fault."""

        class Stumbles(FakeSink):
            async def send(self, batch: Any) -> None:
                if any("poison" in shipment.record for shipment in batch):
                    raise RecursionError
                await super().send(batch)

        journal.fill(2)
        journal.add(poison=1)
        journal.fill(2)
        sink = Stumbles()
        one = await shipped(journal, sink)
        assert [shipment.seq for shipment in sink.taken] == [1, 2, 3, 4, 5, 6]
        assert one.status(6).refused == 1
        assert [detail["seq"] for _, detail in notes(journal)] == [4]

    async def test_a_sink_that_refuses_everything_is_waited_for(self, journal: LaidJournal) -> None:
        journal.fill(40)
        sink = FakeSink(refuses=lambda _: True)
        one = courier(journal, sink)
        running = asyncio.create_task(one.run())
        await until(lambda: one.status(41).failures >= 5)
        assert one.status(41).dropped == 10
        assert one.status(41).error == "refuses everything: it says no"
        sink.refuses = lambda _: False
        one.end(is_closed=True)
        await running
        assert sink.lines == journal.lines[10:]

    async def test_a_note_that_is_refused_makes_no_other(self, journal: LaidJournal) -> None:
        journal.add("shipper_refused", detail={"poison": 1})
        sink = FakeSink(refuses=lambda record: "detail" in record and record["seq"] > 1)
        one = await shipped(journal, sink)
        assert one.status(2).refused == 1
        assert notes(journal) == []

    @pytest.mark.parametrize(
        "fields",
        [
            {"user": "a\x00b"},
            {"user": "\ud800"},
            {"user": "x" * 100_000, "tool": ["no", "text"], "event": None},
            {"input": {f"key{number}": number for number in range(20_000)}},
            {"input": {"deep": json.loads("[" * 900 + "]" * 900)}},
            {"input": {"big": 10**400}},
        ],
        ids=["U+0000", "half a pair", "long", "many names", "deep", "a large number"],
    )
    @pytest.mark.parametrize(
        "refuses", [lambda record: "input" in record or len(str(record)) > 2000 or "\x00" in record.get("user", "")]
    )
    async def test_nothing_that_a_record_may_hold_stops_the_cursor(
        self, journal: LaidJournal, fields: dict[str, Any], refuses: Refuses
    ) -> None:
        journal.fill(1)
        journal.add(**fields)
        journal.fill(1)
        sink = FakeSink(refuses=refuses)
        one = await shipped(journal, sink)
        assert one.status(4).lag_records == 0
        assert [shipment.seq for shipment in sink.taken] == [1, 2, 3, 4]
        third = sink.taken[2].line
        assert b"\\u0000" not in third
        assert len(third) < 3000
        json.loads(third)


class TestReduced:
    @settings(max_examples=40)
    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        )
    )
    def test_is_a_small_object_of_plain_text(self, value: Any) -> None:
        line = json.dumps(
            {"seq": 7, "prev": "0" * 64, "hash": "1" * 64, "type": value, "id": value, "user": value, "tool": value}
        ).encode()
        made = reduced(Shipment(line, 7, "1" * 64, "chain-1"))
        assert (made.seq, made.hash, made.instance) == (7, "1" * 64, "chain-1")
        assert made.record["reduced"] is True
        assert all(str(item).isprintable() and len(str(item)) < 4000 for item in made.record.values())

    def test_stands_for_a_line_that_can_not_be_read(self) -> None:
        line = b'{"seq":7,"prev":"%b","hash":"%b",nonsense}' % (b"0" * 64, b"1" * 64)
        assert taken_apart(line) is not None
        assert reduced(Shipment(line, 7, "1" * 64, "c")).record["hash"] == "1" * 64


class TestNotes:
    def test_are_bounded_and_the_next_tells_how_many_are_missing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("hookgate.audit.shipping.notes.MAX_WAITING", 3)
        writer = NoteWriter(tmp_path)
        for number in range(6):
            writer.note("shipper_refused", {"seq": number})
        waiting = waiting_notes(tmp_path)
        # Those of one millisecond come in any order.
        assert sorted(note.detail["seq"] for _, note in waiting if note) == [0, 1, 2]
        assert {path.stat().st_mode & 0o777 for path, _ in waiting} == {0o600}
        for path, _ in waiting:
            path.unlink()
        writer.note("shipper_refused", {"seq": 6})
        assert [note.detail for _, note in waiting_notes(tmp_path) if note] == [{"seq": 6, "left_out": 3}]

    def test_are_files_and_no_other_thing_of_such_a_name(self, tmp_path: Path) -> None:
        writer = NoteWriter(tmp_path)
        writer.note("shipper_refused", {"seq": 1})
        (tmp_path / "notes" / f"{uuid7()}.json").mkdir()
        assert [note.detail for _, note in waiting_notes(tmp_path) if note] == [{"seq": 1}]

    def test_are_no_more_than_some_a_minute(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("hookgate.audit.shipping.notes.MAX_A_MINUTE", 4)
        writer = NoteWriter(tmp_path)
        for number in range(9):
            writer.note("shipper_refused", {"seq": number})
        assert len(waiting_notes(tmp_path)) == 4

    @pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b'{"type":"stop","id":"%b","time":"","detail":{}}'])
    def test_that_are_none_are_told_apart(self, tmp_path: Path, content: bytes) -> None:
        name = "01a20514-1c8d-7932-a83d-fa46bb849852"
        (tmp_path / "notes").mkdir()
        path = tmp_path / "notes" / f"{name}.json"
        path.write_bytes(content.replace(b"%b", name.encode()))
        (tmp_path / "notes" / "draft.new").touch()
        assert waiting_notes(tmp_path) == [(path, None)]


def test_a_refusal_is_a_failure_of_the_sink() -> None:
    assert issubclass(SinkRefusedError, SinkError)
