"""The real service: `python -m hookgate serve` as a process of its own."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.support.wait import free_port, until

ROOT = Path(__file__).resolve().parents[2]

#: A socket unit's contract: descriptors from 3 on, and LISTEN_PID naming the very process. (A shell's `exec 3<&N` takes
#: one digit only.)
_AS_A_SOCKET_UNIT = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
os.execv(sys.argv[2], sys.argv[2:])
"""


def merged(base: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Gives a configuration with another laid over it."""
    out = dict(base)
    for key, value in more.items():
        out[key] = merged(out[key], value) if isinstance(value, dict) and isinstance(out.get(key), dict) else value
    return out


class ServiceProcess:
    """One running Hookgate. With `listener`, a listening socket is handed over as a socket unit would (LISTEN_FDS).

    `program` is what Python is told to run: a benchmark runs Hookgate with a room taken away.
    """

    def __init__(
        self,
        pdp_address: str,
        settings: dict[str, Any] | None = None,
        *,
        listener: socket.socket | None = None,
        program: Sequence[str] = ("-m", "hookgate"),
    ) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="hookgate-"))
        self._listener = listener
        self._program = program
        self.port = listener.getsockname()[1] if listener else free_port()
        self.admin_port = free_port()
        self.settings = merged(
            {
                "pdp": {"address": pdp_address},
                "server": {"port": self.port, "linger_seconds": 0.2, "grace_seconds": 25},
                "admin": {"port": self.admin_port},
                # Without shippers no second process is started.
                "audit": {"directory": str(self.directory / "audit"), "shippers": []},
                "log": {"format": "json", "level": "info"},
            },
            settings or {},
        )
        path = self.settings["server"].get("path", "/ext/claude")
        self.url = f"http://127.0.0.1:{self.port}{path}"
        self.admin_url = f"http://127.0.0.1:{self.admin_port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *, ready: bool = True) -> "ServiceProcess":
        """Starts it and waits until it is ready (or at least alive)."""
        configuration = self.directory / "hookgate.yaml"
        configuration.write_text(yaml.safe_dump(self.settings))
        command = [sys.executable, *self._program, "serve", "--config", str(configuration)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "proxy")}
        passed: tuple[int, ...] = ()
        if self._listener is not None:
            command = [sys.executable, "-IS", "-c", _AS_A_SOCKET_UNIT, str(self._listener.fileno()), *command]
            passed = (self._listener.fileno(),)
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=passed,
                cwd=self.directory,
            )
        until(self.is_ready if ready else self.is_alive, seconds=60, what="Hookgate to be ready")
        return self

    def _running(self) -> None:
        if self.process is not None and self.process.poll() is not None:
            raise AssertionError(f"Hookgate ended with {self.process.returncode}: {self.log()[-3000:]}")

    def is_alive(self) -> bool:
        """Whether the admin listener answers."""
        self._running()
        return self.get("/livez")[0] == 200

    def is_ready(self) -> bool:
        """Whether /readyz says so."""
        self._running()
        return self.get("/readyz")[0] == 200

    def get(self, path: str) -> tuple[int, str]:
        """Asks the admin listener; status 0 if it does not answer."""
        try:
            with urllib.request.urlopen(self.admin_url + path, timeout=5) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def post(self, body: Any, headers: dict[str, str] | None = None, *, timeout: float = 15) -> dict[str, Any]:
        """Posts a hook (a JSON value, or bytes as they are) and gives the answer; anything but 200 with JSON fails."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(
            self.url, data=data, headers={"Content-Type": "application/json", **(headers or {})}, method="POST"
        )
        with urllib.request.urlopen(request, timeout=timeout) as response:
            assert response.status == 200, response.status
            answer: dict[str, Any] = json.loads(response.read())
            return answer

    def metric(self, name: str, **labels: str) -> float:
        """Gives the sum of a metric's samples that have these labels; 0 if there is none."""
        total = 0.0
        for line in self.get("/metrics")[1].splitlines():
            sample, _, value = line.rpartition(" ")
            found, _, rest = sample.partition("{")
            if found == name and all(f'{key}="{wanted}"' in rest for key, wanted in labels.items()):
                total += float(value)
        return total

    def records(self, kind: str | None = "decision") -> list[dict[str, Any]]:
        """Gives the records so far, of one type or (None) all; a line that is being written is none yet."""
        segments = sorted(Path(self.settings["audit"]["directory"], "segments").glob("*.jsonl"))
        found: list[dict[str, Any]] = []
        for segment in segments:
            # Retention may remove it at this moment.
            with contextlib.suppress(FileNotFoundError):
                found += [json.loads(line) for line in segment.read_bytes().split(b"\n")[:-1]]
        return [record for record in found if kind is None or record["type"] == kind]

    def log(self) -> str:
        """What it wrote to standard output and error."""
        return (self.directory / "log").read_text(errors="replace")

    def log_events(self, event: str) -> list[dict[str, Any]]:
        """Gives its log lines of one event."""
        lines = [json.loads(line) for line in self.log().split("\n")[:-1] if line.startswith("{")]
        return [line for line in lines if line.get("event") == event]

    def send(self, number: int) -> None:
        """Sends it a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self, *, number: int = signal.SIGTERM) -> int:
        """Ends it; gives the exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self.process.returncode

    def remove(self) -> None:
        """Ends it and removes what it left."""
        self.stop(number=signal.SIGKILL)
        shutil.rmtree(self.directory, ignore_errors=True)
