"""The shipping process's keeper: starts it, listens to it, and starts it again when it ends or hangs. No decision waits for
any of that."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress

import msgspec
import structlog

from hookgate.app.control import LINE_BYTES, Handover
from hookgate.app.shipping import DRAIN_SECONDS
from hookgate.audit.error import UNREADABLE
from hookgate.audit.shipping.status import Status
from hookgate.config import ENV_PREFIX, Config
from hookgate.telemetry.shipping import ShipMetrics

_FIRST_PAUSE_SECONDS, _LAST_PAUSE_SECONDS = 0.5, 30.0
#: It has run well if it has run so long.
_WELL_SECONDS = 60.0
#: It is given so long to say something first, and then between two reports.
_START_SECONDS, _SILENT_SECONDS = 60.0, 15.0
_NICENESS = 10


class Supervisor:
    """Keeps one `hookgate ship` running. `start` inside the running loop, `stop` at the end."""

    def __init__(
        self,
        config: Config,
        metrics: ShipMetrics,
        log: structlog.typing.FilteringBoundLogger,
        *,
        admin: str = "",
        silent_seconds: float = _SILENT_SECONDS,
        command: Sequence[str] = (),
    ) -> None:
        self._handover = (
            msgspec.json.encode(Handover(audit=config.audit, log=config.log, console=config.console, admin=admin))
            + b"\n"
        )
        self._metrics = metrics
        self._log = log
        self._silent_seconds = silent_seconds
        # As isolated from the environment as this process itself is.
        self._command = command or (
            sys.executable,
            *(["-I"] if sys.flags.isolated else []),
            *("-m", "hookgate", "ship", "--control"),
        )
        self._names = [one.called for one in config.audit.shippers]
        self._process: asyncio.subprocess.Process | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._stopping = False

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if running and self._process else None

    def start(self) -> None:
        """Begins, and returns at once."""
        self._metrics.expect(*self._names)
        self._metrics.up.set(0)
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Has it deliver what is left, for some seconds, and ends it."""
        self._stopping = True
        if self._process is None or self._writer is None:
            self._task.cancel()
        else:
            with suppress(OSError, RuntimeError):
                self._writer.write_eof()
        await asyncio.wait([self._task], timeout=DRAIN_SECONDS + 1.0)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        pause = _FIRST_PAUSE_SECONDS
        while True:
            begun = loop.time()
            try:
                why, code = await self._once()
            except OSError as error:
                why, code = f"could not be started: {error.strerror}", None
            if self._stopping:
                return
            self._metrics.up.set(0)
            self._metrics.restarts.inc()
            if loop.time() - begun >= _WELL_SECONDS:
                pause = _FIRST_PAUSE_SECONDS
            self._log.error("ship_process_ended", why=why, code=code, again_in_seconds=pause)
            await asyncio.sleep(pause)
            pause = min(_LAST_PAUSE_SECONDS, pause * 2)

    async def _once(self) -> tuple[str, int | None]:
        """Runs it until it ends; gives why, and its exit code."""
        ours, theirs = socket.socketpair()
        try:
            process = self._process = await asyncio.create_subprocess_exec(
                *self._command,
                str(theirs.fileno()),
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                # A terminal's Ctrl-C is for us: it ends after us, when all is written.
                start_new_session=True,
                env={key: value for key, value in os.environ.items() if not key.startswith(ENV_PREFIX)},
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        try:
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, process.pid, _NICENESS)
            reader, self._writer = await asyncio.open_unix_connection(sock=ours, limit=LINE_BYTES)
            self._writer.write(self._handover)
            self._metrics.begin()
            why = await self._listen(reader)
            return why, await process.wait()
        finally:
            if self._writer is not None:
                self._writer.close()
            self._writer = None
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await asyncio.shield(process.wait())

    async def _listen(self, reader: asyncio.StreamReader) -> str:
        """Takes reports until none come any more; gives why."""
        patience = _START_SECONDS
        while True:
            try:
                line = await asyncio.wait_for(reader.readline(), patience)
            except TimeoutError:
                # It is stopped, or hangs: no end of it is to be waited for.
                if self._process is not None:
                    self._process.kill()
                return "it hangs"
            except (OSError, ValueError):
                return "it is not to be understood"
            if not line:
                return "it ended"
            try:
                status = msgspec.json.decode(line, type=Status)
            except UNREADABLE:
                continue
            patience = self._silent_seconds
            self._metrics.up.set(1)
            for one in status.shippers:
                self._metrics.take(one)
