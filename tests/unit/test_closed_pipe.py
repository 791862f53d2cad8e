"""A reader that has had enough, as `head` has."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hookgate.audit.sinks.sqlite import SqliteSink
from tests.conftest import ROOT
from tests.support.journals import written
from tests.support.records import decision, shipments


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal; not to be changed by a test."""
    return written(tmp_path_factory.mktemp("made"), 30)


@pytest.fixture
async def store(tmp_path: Path) -> Path:
    """A store with a few decisions in it."""
    path = tmp_path / "store.sqlite"
    sink = SqliteSink(path)
    await sink.open()
    await sink.send(shipments([decision(number) for number in range(1, 4)]))
    await sink.close()
    return path


def ended(*arguments: str | Path) -> tuple[int, str]:
    """Runs a command whose output nobody reads; gives its exit code and what it complains of."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "hookgate", "audit", *arguments],
            stdout=writing,
            stderr=subprocess.PIPE,
            env={"PYTHONPATH": str(ROOT / "proxy")},
            timeout=60,
            check=False,
        )
    finally:
        os.close(writing)
    return done.returncode, done.stderr.decode()


@pytest.mark.parametrize("more", [[], ["--json"]], ids=["lines", "json"])
def test_tail_ends_silently(directory: Path, more: list[str]) -> None:
    assert ended("tail", *more, directory) == (0, "")


@pytest.mark.parametrize("command", [["stats"], ["stats", "--json"], ["search"], ["export"]], ids=" ".join)
def test_questions_end_silently(store: Path, tmp_path: Path, command: list[str]) -> None:
    assert ended(*command, "--store", store, "--directory", tmp_path, "--since", "2000-01-01") == (0, "")


def test_whether_a_journal_is_intact_is_not_lost(directory: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in directory.iterdir():
        if path.is_file():
            (copy / path.name).write_bytes(path.read_bytes().replace(b'"decision"', b'"decisiom"', 1))
    assert ended("verify", copy)[0] != 0
