"""Lines to a stream that may block."""

import io
import os
import threading
import time
from typing import TextIO

import pytest

from hookgate.telemetry import writer as module
from hookgate.telemetry.writer import LineWriter
from tests.support.wait import until


class Gated(io.StringIO):
    """A stream that blocks its writer until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()
        self.reached = threading.Event()

    def write(self, text: str) -> int:
        self.reached.set()
        self.go.wait()
        return super().write(text)


class Broken(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_lines_come_out_whole_and_in_order() -> None:
    stream = io.StringIO()
    writer = LineWriter(stream)
    for number in range(1000):
        writer(f"line {number}")
    writer.close()
    assert stream.getvalue().splitlines() == [f"line {number}" for number in range(1000)]
    assert writer.dropped == 0


def test_lines_are_flushed_when_no_more_are_waiting() -> None:
    reading, writing = os.pipe()
    stream: TextIO = os.fdopen(writing, "w")
    writer = LineWriter(stream)
    writer("one")
    assert os.read(reading, 100) == b"one\n"
    writer.close()
    stream.close()
    os.close(reading)


def test_a_stream_that_blocks_does_not_block_the_caller_and_lines_beyond_a_bound_are_dropped_and_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_MAX_LINES", 10)
    stream = Gated()
    writer = LineWriter(stream)
    writer("held")
    assert stream.reached.wait(5)
    begun = time.monotonic()
    for number in range(1000):
        writer(str(number))
    assert time.monotonic() - begun < 1
    assert writer.dropped == 990
    stream.go.set()
    writer.close()
    assert stream.getvalue().splitlines() == ["held", *map(str, range(10))]


@pytest.mark.parametrize("lines", [1, 100])
def test_closing_does_not_wait_longer_than_it_is_told(monkeypatch: pytest.MonkeyPatch, lines: int) -> None:
    monkeypatch.setattr(module, "_MAX_LINES", 10)
    stream = Gated()
    writer = LineWriter(stream)
    for number in range(lines):
        writer(str(number))
    begun = time.monotonic()
    writer.close(timeout_seconds=0.1)
    assert time.monotonic() - begun < 2
    stream.go.set()


def test_a_broken_stream_only_counts() -> None:
    writer = LineWriter(Broken())
    writer("one")
    writer("two")
    until(lambda: writer.dropped == 2, seconds=5, what="both lines to be dropped")
    writer.close()


def test_a_closed_stream_only_counts() -> None:
    stream = io.StringIO()
    stream.close()
    writer = LineWriter(stream)
    writer("one")
    writer.close()
    assert writer.dropped == 1
