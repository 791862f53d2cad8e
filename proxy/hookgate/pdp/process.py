"""A Cerbos PDP of our own beside us, on a private unix socket: for development, checks and tests."""

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import yaml

from hookgate.config.tree import Pdp
from hookgate.errors import GateError
from hookgate.pdp.transport import channel_for

#: Reading the policies that ship takes some seconds of processor time, which a loaded machine gives slowly.
_START_SECONDS = 60.0
_STOP_SECONDS = 5.0
#: More memory for less time in the garbage collector: under load, and while policies are read, which takes a quarter of the time
#: then, and 100 MB more for a moment.
TUNING = {"GOGC": "400", "CERBOS_RULE_TABLE_GC_PERCENT": "0"}


class CerbosError(Exception):
    """The PDP could not be started; one line that says why and what to do."""


class CerbosProcess:
    """One `cerbos server` with the policies of a directory, watched for changes; strict evaluation, no telemetry."""

    def __init__(
        self, binary: Path, policies: Path, *, strict: bool = True, start_seconds: float = _START_SECONDS
    ) -> None:
        self._binary = binary
        self._policies = policies
        self._strict = strict
        self._start_seconds = start_seconds
        self._process: asyncio.subprocess.Process | None = None
        # Whoever can reach the socket can pose as a client, whoever can replace it as the PDP: a directory of our own.
        self._directory = Path(tempfile.mkdtemp(prefix="hookgate-"))
        self.address = f"unix:{self._directory}/pdp.sock"

    @property
    def log(self) -> Path:
        """What the PDP wrote to standard output and error."""
        return self._directory / "pdp.log"

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if running and self._process else None

    async def start(self) -> None:
        """Starts it and waits until it answers. Raises CerbosError, with what the PDP said against a broken policy; it may be
        started again then, and is to be stopped in any case."""
        if not self._policies.is_dir():
            raise CerbosError(f"{self._policies}: no such directory of policies")
        configuration = self._directory / "pdp.yaml"
        configuration.write_text(yaml.safe_dump(self._configuration()))
        (self._directory / "pdp.sock").unlink(missing_ok=True)
        environment = {key: value for key, value in os.environ.items() if key in ("PATH", "HOME", "TMPDIR")}
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                self._binary,
                "server",
                f"--config={configuration}",
                "--log-level=warn",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment | TUNING | {"CERBOS_NO_TELEMETRY": "1"},
                # A terminal's Ctrl-C is for us; we end the PDP ourselves, after the last answer.
                start_new_session=True,
            )
        try:
            await self._until_serving(self._process)
        except BaseException:
            await self.end()
            raise

    async def wait(self) -> int:
        """Waits until the process has ended; gives its exit code."""
        return await self._process.wait() if self._process else 0

    async def stop(self) -> None:
        """Ends it and removes its directory."""
        await self.end()
        shutil.rmtree(self._directory, ignore_errors=True)

    async def end(self) -> None:
        """Ends the process, but leaves its directory for another start."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), _STOP_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()

    async def _until_serving(self, process: asyncio.subprocess.Process) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + self._start_seconds
        socket = self._directory / "pdp.sock"
        while loop.time() < end:
            if process.returncode is not None:
                raise CerbosError(await self._complaint())
            if socket.exists() and await self._answers():
                return
            await asyncio.sleep(0.02)
        raise CerbosError(f"the PDP did not start within {self._start_seconds:g} s: {await self._complaint()}")

    async def _answers(self) -> bool:
        transport = channel_for(Pdp(address=self.address))
        try:
            await transport(b"", 1.0)
        except GateError as error:
            # An empty request is refused as invalid: then somebody is there to refuse it.
            return error.kind.value == "pdp_invalid"
        finally:
            await transport.close()
        return True

    async def _complaint(self) -> str:
        """The compiler says more about a broken policy than the server's log does."""
        compiler = await asyncio.create_subprocess_exec(
            self._binary,
            *("compile", "--skip-tests", "--color=never", str(self._policies)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        told, _ = await compiler.communicate()
        if compiler.returncode == 0:
            lines = self.log.read_text(errors="replace").strip().splitlines()
            return f"the PDP ended: {lines[-1] if lines else 'no message'}"
        said = " ".join(told.decode(errors="replace").split())
        return f"{self._policies}: the policies don't compile: {said} (see: hookgate policies check {self._policies})"

    def _configuration(self) -> dict[str, object]:
        return {
            "server": {
                "grpcListenAddr": self.address,
                "httpListenAddr": f"unix:{self._directory}/http.sock",
                "udsFileMode": "0600",
            },
            "engine": {"strictEvaluation": self._strict},
            "telemetry": {"disabled": True},
            "audit": {"enabled": False},
            "storage": {
                "driver": "disk",
                "disk": {"directory": str(self._policies.resolve()), "watchForChanges": True},
            },
        }
