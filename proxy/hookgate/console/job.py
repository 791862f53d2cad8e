"""Work that takes longer than a page: verification of the journal, and reports, each in a process of its own at low priority."""

import asyncio
import os
import secrets
import signal
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from hookgate.audit.error import UNREADABLE
from hookgate.config.load import ENV_PREFIX

#: The variable in which a process is told what it is asked: other users of the machine see a program's arguments.
ASKED = "HOOKGATE_ASKED"
_NICENESS = 15
#: A line of a process's output; a verification's result has 500 findings at the most.
_LINE_BYTES = 4 * 1024 * 1024
_SAID_CHARACTERS = 2000
#: How long what was made is kept for whoever asked for it.
_KEPT_SECONDS = 3600.0
_LONGEST_SECONDS = 6 * 3600.0


class TakenError(Exception):
    """Somebody else has the same under way."""


@dataclass(slots=True)
class Job:
    """One piece of work. `state`: `running`, `done` or `failed`."""

    kind: str
    name: str
    user: str
    begun: float
    state: str = "running"
    done_bytes: int = 0
    total_bytes: int = 0
    result: dict[str, Any] = field(default_factory=dict)
    #: What it has said, where it failed or something does not hold.
    said: str = ""
    path: Path | None = None
    ended: float = 0.0

    @property
    def percent(self) -> int:
        """How far it is."""
        return min(100, self.done_bytes * 100 // self.total_bytes) if self.total_bytes else 0


class Jobs:
    """The newest piece of work of each kind; one of each at a time."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def of(self, kind: str, name: str = "") -> Job | None:
        """Gives the newest of a kind; None where it is not the one named."""
        job = self._jobs.get(kind)
        if job is not None and job.path is not None and job.ended and time.monotonic() - job.ended > _KEPT_SECONDS:
            job.path.unlink(missing_ok=True)
            del self._jobs[kind]
            return None
        return job if job is not None and name in ("", job.name) else None

    def begin(self, kind: str, user: str, arguments: list[str], environment: dict[str, str], suffix: str = "") -> Job:
        """Begins one. With a suffix, the process is told `--out` and a file. Raises TakenError, OSError."""
        if (running := self._jobs.get(kind)) is not None:
            if running.state == "running":
                raise TakenError
            if running.path is not None:
                running.path.unlink(missing_ok=True)
        job = Job(kind, secrets.token_urlsafe(12), user, time.monotonic())
        if suffix:
            job.path = self.folder() / f"{job.name}{suffix}"
            arguments = [*arguments, "--out", str(job.path)]
        self._jobs[kind] = job
        self._tasks[kind] = asyncio.create_task(self._run(job, arguments, environment))
        return job

    def folder(self) -> Path:
        """Gives a folder for what is made; it is gone when the jobs are closed. Raises OSError."""
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="hookgate-console-")
        return Path(self._folder.name)

    async def close(self) -> None:
        """Ends all of them, and removes what they made."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        if self._folder is not None:
            self._folder.cleanup()

    async def _run(self, job: Job, arguments: list[str], environment: dict[str, str]) -> None:
        try:
            async with asyncio.timeout(_LONGEST_SECONDS):
                await self._once(job, arguments, environment)
        except (OSError, TimeoutError, ValueError) as error:
            job.state, job.said = "failed", getattr(error, "strerror", "") or type(error).__name__
        finally:
            job.ended = time.monotonic()
            if job.state == "running":
                job.state = "failed"

    async def _once(self, job: Job, arguments: list[str], environment: dict[str, str]) -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *(["-I"] if sys.flags.isolated else []),
            "-m",
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=_LINE_BYTES,
            start_new_session=True,
            env={key: value for key, value in os.environ.items() if not key.startswith(ENV_PREFIX)} | environment,
        )
        try:
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, process.pid, _NICENESS)
            said = asyncio.create_task(_all_of(process.stderr))
            await _progress(job, process.stdout)
            job.said = (await said)[-_SAID_CHARACTERS:]
            code = await process.wait()
            # 5: it was made, and says that something does not hold.
            is_made = code in (0, 5) and (job.path.is_file() if job.path is not None else bool(job.result))
            job.state = "done" if is_made else "failed"
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.send_signal(signal.SIGKILL)
                await asyncio.shield(process.wait())


async def _all_of(stream: asyncio.StreamReader | None) -> str:
    found = b""
    while stream is not None and (piece := await stream.read(65536)):
        found = (found + piece)[-4 * _SAID_CHARACTERS :]
    return found.decode(errors="replace")


async def _progress(job: Job, stream: asyncio.StreamReader | None) -> None:
    while stream is not None and (line := await stream.readline()):
        try:
            told = msgspec.json.decode(line)
        except UNREADABLE:
            continue
        if isinstance(told, dict):
            job.done_bytes, job.total_bytes = (
                int(told.get("done", job.done_bytes)),
                int(told.get("total", job.total_bytes)),
            )
            job.result = told.get("result", job.result)
