"""The real Cerbos PDP, on a unix socket or a TCP port of the test's own."""

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import grpc
import yaml

from hookgate.binaries import find_cerbos
from hookgate.pdp.process import TUNING
from tests.support.wait import freeze, until


class Pdp:
    """One `cerbos server`. `policies` may be edited while it runs: an edit is live after some seconds. `key_sets` are the files of
    keys that it verifies `aux_data` with; `variables` are laid over the environment."""

    def __init__(
        self,
        policies: Path | None = None,
        *,
        strict: bool = True,
        listen: str = "",
        tls: dict[str, str] | None = None,
        key_sets: dict[str, str] | None = None,
        variables: dict[str, str] | None = None,
    ) -> None:
        self._environment = {**TUNING, **os.environ, **(variables or {})}
        self.directory = Path(tempfile.mkdtemp(prefix="pdp-"))
        self.policies = self.directory / "policies"
        if policies is None:
            self.policies.mkdir()
        else:
            shutil.copytree(policies, self.policies)
        self.address = listen or f"unix:{self.directory}/pdp.sock"
        self._configuration: dict[str, Any] = {
            "server": {
                "grpcListenAddr": self.address,
                "httpListenAddr": f"unix:{self.directory}/http.sock",
                **({"tls": tls} if tls else {}),
            },
            "engine": {"strictEvaluation": strict},
            "telemetry": {"disabled": True},
            **({"auxData": {"jwt": {"keySets": _key_sets(key_sets)}}} if key_sets else {}),
            "audit": {"enabled": False},
            "storage": {"driver": "disk", "disk": {"directory": str(self.policies), "watchForChanges": True}},
        }
        self._tls = bool(tls)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> "Pdp":
        """Starts it and waits until it takes connections."""
        configuration = self.directory / "pdp.yaml"
        configuration.write_text(yaml.safe_dump(self._configuration))
        binary = find_cerbos(fetch=False, say=print).path
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [binary, "server", f"--config={configuration}", "--log-level=warn"],
                stdout=log,
                stderr=log,
                env=self._environment,
            )
        until(self._serving, seconds=60, what="the PDP to serve")
        return self

    def _serving(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise AssertionError(f"the PDP ended: {(self.directory / 'log').read_text()[-2000:]}")
        if self._tls:
            return "Starting gRPC server" in (self.directory / "log").read_text() or self._accepts()
        with grpc.insecure_channel(self.address) as channel:
            try:
                check: Any = channel.unary_unary("/grpc.health.v1.Health/Check")
                check(b"", timeout=0.5)
            except grpc.RpcError:
                return False
            return True

    def _accepts(self) -> bool:
        import socket

        host, _, port = self.address.rpartition(":")
        with socket.socket() as probe:
            return probe.connect_ex((host, int(port))) == 0

    def freeze(self) -> None:
        """Stops it without ending it: connections stay open and nothing is answered."""
        assert self._process is not None
        freeze(self._process.pid)

    def thaw(self) -> None:
        """Lets it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """Ends it at once."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """Ends it and removes what it left."""
        if self._process is not None and self._process.poll() is None:
            self.thaw()
            self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)


def _key_sets(files: dict[str, str]) -> list[dict[str, Any]]:
    return [{"id": name, "local": {"file": file}} for name, file in files.items()]
