"""Standard output and files as sinks: whole lines, whatever happens in between."""

import asyncio
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from hookgate.audit.shipping.shipment import Shipment, SinkError
from hookgate.audit.sinks.file import FileSink
from hookgate.audit.sinks.making import sink_for
from hookgate.audit.sinks.stdout import StdoutSink
from hookgate.audit.worker import Worker
from hookgate.config.shippers import FileShipper, StdoutShipper
from tests.support.laid import LaidJournal


def shipments(directory: Path, count: int, size: int = 10) -> list[Shipment]:
    """Gives so many records of about that size."""
    journal = LaidJournal(directory)
    for _ in range(count - 1):
        journal.add(user="x" * size)
    return [Shipment(line, seq, "", "chain-1") for seq, line in enumerate(journal.lines, 1)]


def lines(batch: list[Shipment]) -> bytes:
    return b"".join(shipment.line + b"\n" for shipment in batch)


def file_sink(path: Path, **options: Any) -> FileSink:
    return FileSink(FileShipper(path=str(path), **options))


class TestFile:
    async def test_holds_each_record_on_a_line_for_its_owner_only(self, tmp_path: Path) -> None:
        batch, path = shipments(tmp_path, 5), tmp_path / "out"
        sink = file_sink(path)
        await sink.open()
        await sink.send(batch[:3])
        await sink.send(batch[3:])
        await sink.close()
        assert path.read_bytes() == lines(batch)
        assert path.stat().st_mode & 0o777 == 0o600

    async def test_goes_on_behind_whole_lines_only(self, tmp_path: Path) -> None:
        batch, path = shipments(tmp_path, 2), tmp_path / "out"
        path.write_bytes(lines(batch[:1]) + batch[1].line[:20])
        sink = file_sink(path)
        await sink.open()
        await sink.send(batch[1:])
        assert path.read_bytes() == lines(batch)

    async def test_is_rotated_by_size_and_no_line_is_parted(self, tmp_path: Path) -> None:
        batch, path = shipments(tmp_path, 9, size=30_000), tmp_path / "out"
        sink = file_sink(path, max_bytes=65536, keep_files=2)
        await sink.open()
        for shipment in batch:
            await sink.send([shipment])
        kept = [tmp_path / name for name in ("out.2", "out.1", "out")]
        assert b"".join(path.read_bytes() for path in kept) == lines(batch[-6:])
        assert not (tmp_path / "out.3").exists()
        assert all(path.stat().st_size <= 65536 for path in kept)

    async def test_is_made_again_when_another_program_has_moved_it(self, tmp_path: Path) -> None:
        batch, path = shipments(tmp_path, 2), tmp_path / "out"
        sink = file_sink(path)
        await sink.open()
        await sink.send(batch[:1])
        path.rename(tmp_path / "moved")
        await sink.send(batch[1:])
        assert (tmp_path / "moved").read_bytes() == lines(batch[:1])
        assert path.read_bytes() == lines(batch[1:])

    async def test_takes_back_what_it_could_not_write_whole(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        batch, path = shipments(tmp_path, 2), tmp_path / "out"
        sink = file_sink(path)
        await sink.open()
        await sink.send(batch[:1])
        real = os.write

        def full(file: int, data: memoryview) -> int:
            if len(data) < 50:
                raise OSError(28, "No space left on device")
            return real(file, data[:-20])

        monkeypatch.setattr(os, "write", full)
        with pytest.raises(SinkError, match="No space left on device"):
            await sink.send(batch[1:])
        monkeypatch.undo()
        assert path.read_bytes() == lines(batch[:1])
        await sink.open()
        await sink.send(batch[1:])
        assert path.read_bytes() == lines(batch)

    async def test_that_can_not_be_made_says_which(self, tmp_path: Path) -> None:
        with pytest.raises(SinkError, match="none/out: No such file or directory"):
            await file_sink(tmp_path / "none" / "out").open()


class TestStdout:
    async def test_a_reader_that_pauses_gets_whole_lines_and_each_in_order(self, tmp_path: Path) -> None:
        batch = shipments(tmp_path, 40, size=20_000)
        read_end, write_end = os.pipe()
        sink = StdoutSink(StdoutShipper(), write_end)
        await sink.open()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await sink.send(batch)
        again = asyncio.create_task(sink.send(batch))
        found = bytearray()

        def read() -> None:
            while len(found) < 2 * len(lines(batch)):
                found.extend(os.read(read_end, 65536))

        await asyncio.to_thread(read)
        await again
        assert bytes(found) == 2 * lines(batch)
        await sink.close()
        os.close(read_end)
        os.close(write_end)

    async def test_nobody_reading_is_a_failure(self, tmp_path: Path) -> None:
        read_end, write_end = os.pipe()
        os.close(read_end)
        with pytest.raises(SinkError, match="standard output: Broken pipe"):
            await StdoutSink(StdoutShipper(), write_end).send(shipments(tmp_path, 1))
        os.close(write_end)


class TestWorker:
    async def test_gives_what_a_call_gives_and_raises_what_it_raises(self) -> None:
        worker = Worker("test")
        assert await worker(max, 2, 3) == 3
        with pytest.raises(ZeroDivisionError):
            await worker(divmod, 1, 0)
        worker.close()

    async def test_runs_one_call_after_another_also_where_nobody_waits_any_more(self) -> None:
        worker, gate, ran = Worker("test"), threading.Event(), list[int]()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await worker(lambda: ran.append(1) if gate.wait(20) else None)
        second = asyncio.create_task(worker(ran.append, 2))
        await asyncio.sleep(0)
        assert ran == []
        gate.set()
        await second
        assert ran == [1, 2]
        worker.close()


async def test_a_sink_whose_library_is_missing_says_which_extra_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(shipper: object, directory: Path) -> None:
        raise ModuleNotFoundError("No module named 'aiokafka'", name="aiokafka")

    monkeypatch.setattr("hookgate.audit.sinks.making._made", missing)
    with pytest.raises(SinkError, match=r"aiokafka is missing: pip install 'hookgate\[stdout\]', or take stdout out"):
        await sink_for(StdoutShipper(), tmp_path).open()
