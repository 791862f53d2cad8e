"""A real collector: `python -m hookgate collect` as a process of its own, and machines that speak to it."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from hookgate.collect.enrolment import digest_of, issue_code, proof_text
from hookgate.collect.server import database_of
from hookgate.config import load
from tests.support.chains import Machine, body
from tests.support.service import ROOT
from tests.support.wait import free_port, until


class CollectProcess:
    """One collector. `store` is its section of `audit.shippers`, `forward` are others."""

    def __init__(
        self,
        directory: Path,
        store: dict[str, Any] | None = None,
        *,
        forward: Sequence[dict[str, Any]] = (),
        **collect: Any,
    ) -> None:
        self.directory = directory
        self.port, self.admin_port = free_port(), free_port()
        self.store = store or {"type": "sqlite", "path": str(directory / "store.sqlite")}
        self.settings: dict[str, Any] = {
            "collect": {"port": self.port, **collect},
            "admin": {"port": self.admin_port},
            "audit": {"directory": str(directory / "audit"), "shippers": [self.store, *forward], "supervise": False},
            "log": {"format": "json"},
        }
        scheme = "https" if collect.get("tls") else "http"
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        self.configuration = directory / f"collect-{self.port}.yaml"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> "CollectProcess":
        """Starts it and waits until it is ready."""
        self.configuration.write_text(yaml.safe_dump(self.settings))
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "hookgate", "collect", "--config", str(self.configuration)],
                env={**os.environ, "PYTHONPATH": str(ROOT / "proxy")},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        until(self.is_ready, seconds=30, what="the collector to be ready")
        return self

    @property
    def pid(self) -> int:
        """The process id."""
        assert self.process is not None
        return self.process.pid

    def is_ready(self) -> bool:
        """Whether /readyz says so."""
        assert self.process is not None
        assert self.process.poll() is None, self.log()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.admin_port}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def metrics(self) -> str:
        """Gives /metrics."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin_port}/metrics", timeout=5) as answer:
            return str(answer.read().decode())

    def kill(self) -> None:
        """Ends it without letting anything be finished."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ends it in order."""
        self._end(signal.SIGTERM)

    def log(self) -> str:
        """Gives what it has logged."""
        return self._log.read_text(errors="replace")

    def command(self, *arguments: str) -> str:
        """Runs `hookgate collect …`; gives what it prints."""
        name, *others = arguments
        done = subprocess.run(
            [sys.executable, "-m", "hookgate", "collect", name, *others, "--config", str(self.configuration)],
            env={**os.environ, "PYTHONPATH": str(ROOT / "proxy")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def code(self, name: str) -> str:
        """Makes a code as `hookgate collect code` does, without another process."""

        async def made() -> str:
            database = database_of(load(self.configuration, {}, needs_pdp=False), alone=False)
            try:
                now = time.time_ns() // 1000
                return await issue_code(database, name, now=now, expires=now + 60_000_000)
            finally:
                await database.close()

        return asyncio.run(made())

    def enrolled(self, machine: Machine, name: str) -> str:
        """Enrols a machine; gives its token."""
        status, answer, _ = enroll(self.url, machine, self.code(name))
        assert status == 200, answer
        return str(answer["token"])

    @property
    def _log(self) -> Path:
        return self.directory / f"collect-{self.port}.log"

    def _end(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(30)


def asked(
    url: str, *, data: bytes | None = None, token: str = "", headers: dict[str, str] | None = None
) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Gives status, answer and headers."""
    given = dict(headers or {})
    if token:
        given["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(url, data=data, headers=given)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.loads(answer.read()), dict(answer.headers)
    except urllib.error.HTTPError as error:
        content = error.read()
        return error.code, json.loads(content) if content[:1] == b"{" else {}, dict(error.headers)


def enroll(
    url: str, machine: Machine, code: str, *, as_key: Machine | None = None
) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Asks to enrol a machine; signs with another one's key if that is wanted."""
    signature = (as_key or machine).key.sign(proof_text(machine.instance, digest_of(code))).hex()
    wanted = {"instance": machine.instance, "public_key": machine.public_key, "signature": signature, "code": code}
    return asked(f"{url}/v1/enroll", data=json.dumps(wanted).encode())


def send(url: str, token: str, lines: list[bytes], **headers: str) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Posts lines, compressed; underscores in names of headers are hyphens."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    data = zlib.compress(body(lines))
    return asked(f"{url}/v1/records", data=data, token=token, headers={"Content-Encoding": "deflate", **given})
