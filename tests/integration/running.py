"""`hookgate` commands as processes of their own."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from tests.conftest import ROOT
from tests.support.wait import until

COMMAND = (sys.executable, "-m", "hookgate")


def environment(more: Mapping[str, str | None] | None = None) -> dict[str, str]:
    """Gives the environment of a command; a variable set to None is left out."""
    found = {**os.environ, "PYTHONPATH": str(ROOT / "proxy"), "COLUMNS": "200", **(more or {})}
    return {key: value for key, value in found.items() if value is not None}


def run(
    *arguments: str | Path,
    stdin: bytes = b"",
    cwd: Path = ROOT,
    env: Mapping[str, str | None] | None = None,
    before: str = "",
) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end; `before` is Python that the process runs first."""
    command = (
        [sys.executable, "-c", f"{before}\nimport hookgate.commands\nhookgate.commands.main()"] if before else COMMAND
    )
    done = subprocess.run(
        [*command, *arguments],
        input=stdin,
        capture_output=True,
        cwd=cwd,
        env=environment(env),
        timeout=60,
        check=False,
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


class Running:
    """A command under way whose output is read line by line."""

    def __init__(self, *arguments: str | Path, cwd: Path = ROOT, env: Mapping[str, str | None] | None = None) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env=environment(env),
            text=True,
            start_new_session=True,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as stream:
            self.lines.extend(line.rstrip("\n") for line in stream)

    def until_said(self, text: str, *, times: int = 1, seconds: float = 60) -> list[str]:
        """Waits for so many lines that hold the text; gives them."""
        until(
            lambda: len(self._with(text)) >= times or self.process.poll() is not None,
            seconds=seconds,
            what=f"{text!r} in {self.lines}",
        )
        assert len(self._with(text)) >= times, self.lines
        return self._with(text)

    def _with(self, text: str) -> list[str]:
        return [line for line in self.lines if text in line]

    def children(self) -> list[int]:
        """Gives the process ids of its children."""
        told = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True)
        pairs = [tuple(map(int, line.split())) for line in told.stdout.splitlines()]
        return [pid for pid, parent in pairs if parent == self.process.pid]

    def end(self, number: int = signal.SIGINT) -> int:
        """Ends it as Ctrl-C does; gives the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            code = self.process.wait(60)
        finally:
            if self.process.poll() is None:
                self.process.kill()
            self._reader.join(5)
        return code
