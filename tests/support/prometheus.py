"""A real Prometheus, which scrapes what a test names and evaluates rules."""

import json
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import yaml

from tests.support.fetched import Fetched
from tests.support.wait import free_port, until


class Prometheus:
    """One server. `jobs` are addresses and paths to scrape, by the job's name."""

    def __init__(self, program: Fetched, jobs: dict[str, tuple[str, str]], rules: Path) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="prometheus-"))
        self.address = f"127.0.0.1:{free_port()}"
        self._program = program
        self._configuration = {
            "global": {"scrape_interval": "250ms", "scrape_timeout": "250ms", "evaluation_interval": "500ms"},
            "rule_files": [str(rules)],
            "scrape_configs": [
                {"job_name": job, "metrics_path": path, "static_configs": [{"targets": [address]}]}
                for job, (address, path) in jobs.items()
            ],
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Prometheus":
        """Starts it and waits until it answers queries."""
        configuration = self.directory / "prometheus.yaml"
        configuration.write_text(yaml.safe_dump(self._configuration))
        command = [
            *self._program.command,
            f"--config.file={configuration}",
            f"--storage.tsdb.path={self.directory / 'data'}",
            f"--web.listen-address={self.address}",
        ]
        with (self.directory / "log").open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.directory)
        until(self._is_ready, seconds=60, what="Prometheus to be ready")
        return self

    def _is_ready(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise AssertionError(f"Prometheus ended: {(self.directory / 'log').read_text()[-2000:]}")
        try:
            with urllib.request.urlopen(f"http://{self.address}/-/ready", timeout=5) as response:
                return bool(response.status == 200)
        except OSError:
            return False

    def get(self, path: str, **parameters: str) -> Any:
        """Gives the `data` of an answer of its API; a query that is refused fails with what it says."""
        url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as response:
                return json.load(response)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}") from None

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Gives an expression's samples now."""
        found: list[dict[str, Any]] = self.get("query", query=expression)["result"]
        return found

    def stop(self) -> None:
        """Ends it and removes what it left."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)
