"""The rollout, followed to the letter: each file of the page is written, each command run, and what it prints compared."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.docs import tables
from tests.docs.markdown import Page
from tests.support.wait import free_port, until

PAGE = Page(tables.ROOT / "docs" / "walkthrough.md")
#: A policy's edit is noticed within some seconds, on a busy machine in more.
PATIENCE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Step:
    """A file to write (`name`), or a command to run whose output holds `expected`."""

    text: str
    name: str = ""
    expected: str = ""


def steps(page: Page) -> list[Step]:
    """Gives the page's files and commands in their order."""
    found = []
    for block in page.blocks:
        if block.language == "yaml":
            found.append(Step(block.text, name=block.text.split("\n")[0].removeprefix("# ")))
        elif block.language == "sh":
            for line in block.text.splitlines():
                command, _, expected = line.partition("#> ")
                found.append(Step(command.strip(), expected=expected.strip()))
    return found


class Shell:
    """One bash, in which a person would follow the page."""

    def __init__(self, place: Path, **environment: str) -> None:
        self._process = subprocess.Popen(
            ["bash", "--norc"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            cwd=place, env={**os.environ, **environment}, start_new_session=True,
        )  # fmt: skip

    def run(self, command: str) -> tuple[int, str]:
        """Gives a command's exit code and all that it prints."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{command}\necho; echo =END= $?\n")
        self._process.stdin.flush()
        told: list[str] = []
        for line in self._process.stdout:
            if line.startswith("=END="):
                return int(line.split()[1]), "".join(told)
            told.append(line)
        raise AssertionError(f"the shell ended: {command}: {''.join(told)}")

    def end(self) -> None:
        """Ends it with all that it started."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self._process.pid, number)
                self._process.wait(10)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


@pytest.fixture
def shell(cerbos: Path) -> Iterator[tuple[Shell, Path, dict[str, str]]]:
    """A shell in an empty directory with both programs on PATH, and the ports that it takes instead of the usual ones."""
    place = Path(tempfile.mkdtemp(prefix="rollout-"))
    programs = place / "bin"
    programs.mkdir()
    (programs / "cerbos").symlink_to(cerbos)
    (programs / "hookgate").write_text(f'#!/bin/sh\nexec {sys.executable} -m hookgate "$@"\n')
    (programs / "hookgate").chmod(0o755)
    work = place / "work"
    work.mkdir()
    ports = {"3594": str(free_port()), "9464": str(free_port())}
    running = Shell(
        work,
        PATH=f"{programs}:{os.environ['PATH']}",
        PYTHONPATH=str(tables.ROOT / "proxy"),
        SOURCE=str(tables.ROOT),
        CERBOS_BIN=str(cerbos),
        HOOKGATE__SERVER__PORT=ports["3594"],
        HOOKGATE__ADMIN__PORT=ports["9464"],
        no_proxy="*",
    )
    yield running, work, ports
    running.end()
    shutil.rmtree(place, ignore_errors=True)


def test_the_page_can_be_followed_to_the_letter(shell: tuple[Shell, Path, dict[str, str]]) -> None:
    bash, work, ports = shell
    for step in steps(PAGE):
        if step.name:
            (work / step.name).write_text(step.text)
            continue
        command = re.sub(r"127\.0\.0\.1:(3594|9464)", lambda found: f"127.0.0.1:{ports[found[1]]}", step.text)
        told = ["nothing"]

        def says_it(command: str = command, expected: str = step.expected, told: list[str] = told) -> bool:
            code, told[0] = bash.run(command)
            said = told[0].strip() == "{}" if expected == "{}" else expected in told[0]
            return code == 0 and said

        try:
            until(says_it, seconds=PATIENCE_SECONDS if step.expected else 0, what=f"`{command}` to say {step.expected}")
        except AssertionError as late:
            logs = "".join(
                (work / name).read_text()[-1500:] for name in ("hookgate.log", "cerbos.log") if (work / name).exists()
            )
            raise AssertionError(f"{late}; it said: {told[0][-1500:]}\n{logs}") from None


def test_every_command_that_shows_something_says_what() -> None:
    commands = [step for step in steps(PAGE) if not step.name]
    assert sum(bool(step.expected) for step in commands) > 20
    assert [step.text for step in commands if step.text.startswith("ask ") and not step.expected] == []
