"""A real ClickHouse engine: chdb, which is ClickHouse as a Python package, in a process of its own.

The package is kept in the cache, not in the lock files, because it is 180 MB; pip takes only what `clickhouse.pins` names. Fetch it
with `make clickhouse`. A new version: put it there, with what `pip hash` prints for each platform's wheel.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hookgate.binaries.cache import cache_folder

_PINS = Path(__file__).with_suffix(".pins")
DEPLOY = Path(__file__).parents[2] / "deploy" / "clickhouse"
#: Each line in is a statement with its parameters; each line out is what it gave, or why it could not be.
_DRIVER = """
import json, sys
sys.path.insert(0, sys.argv[1])
from chdb import session
engine = session.Session(sys.argv[2])
for line in sys.stdin:
    sql, given, kind = json.loads(line)
    try:
        found = engine.query(sql, kind, params=given).bytes().decode()
        said = {"found": found}
    except Exception as error:
        said = {"fault": str(error)}
    print(json.dumps(said), flush=True)
"""


class NoClickHouseError(Exception):
    """Why there is no engine to be had."""


def library(*, fetch: bool) -> Path:
    """Gives the folder with the package; with `fetch` it is fetched if it is not there. Raises NoClickHouseError."""
    name, version = _PINS.read_text().split()[0].split("==")
    folder = cache_folder() / name / version
    if folder.is_dir():
        return folder
    if not fetch:
        raise NoClickHouseError(f"{name} {version} is not in {folder.parent} (run: make clickhouse)")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder.parent) as scratch:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        pinned = ["--require-hashes", "--only-binary", ":all:", "--target", f"{scratch}/found", "-r", str(_PINS)]
        done = subprocess.run([*command, *pinned], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise NoClickHouseError(f"{name} {version} can't be fetched: {done.stderr.strip()[-300:]}")
        if not folder.is_dir():
            (Path(scratch) / "found").rename(folder)
    return folder


class ClickHouse:
    """An engine with its tables in a directory of its own."""

    def __init__(self, folder: Path) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="clickhouse-"))
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-c", _DRIVER, str(folder), str(self.directory / "tables")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, sql: str, given: Mapping[str, Any] | None = None, *, kind: str = "JSONEachRow") -> str:
        """Gives what a statement gives, as text of that kind."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([sql, dict(given or {}), kind]) + "\n")
        self._process.stdin.flush()
        said = json.loads(self._process.stdout.readline())
        assert "fault" not in said, f"{said['fault']}\n{sql}"
        found: str = said["found"]
        return found

    def rows(self, sql: str, **given: Any) -> list[dict[str, Any]]:
        """Gives the rows of a question; whole numbers as such, however large."""
        settings = " SETTINGS output_format_json_quote_64bit_integers = 0"
        return [json.loads(line) for line in self.run(sql.rstrip() + settings, given).splitlines()]

    def ask(self, name: str, **given: Any) -> list[dict[str, Any]]:
        """Gives the rows of a query of deploy/clickhouse/queries."""
        return self.rows((DEPLOY / "queries" / f"{name}.sql").read_text(), **given)

    def lay(self, name: str = "records") -> None:
        """Runs the statements of a file of deploy/clickhouse."""
        for statement in statements(DEPLOY / f"{name}.sql"):
            self.run(statement)

    def insert(self, lines: Iterable[bytes]) -> None:
        """Inserts lines as `POST /?query=INSERT INTO hookgate.lines FORMAT LineAsString` does."""
        body = self.directory / "lines"
        body.write_bytes(b"".join(line + b"\n" for line in lines))
        self.run(f"INSERT INTO hookgate.lines FROM INFILE '{body}' FORMAT LineAsString")

    def stop(self) -> None:
        """Ends it and removes its tables."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)
        assert self._process.stdout is not None
        self._process.stdout.close()
        shutil.rmtree(self.directory, ignore_errors=True)


def statements(path: Path) -> list[str]:
    """Gives the statements of a file, without what is only said."""
    code = "\n".join(line for line in path.read_text().splitlines() if not line.lstrip().startswith("--"))
    return [statement.strip() for statement in code.split(";") if statement.strip()]


def running() -> ClickHouse:
    """Gives an engine without tables. Raises NoClickHouseError."""
    return ClickHouse(library(fetch=os.environ.get("HOOKGATE_REQUIRE") == "all"))


if __name__ == "__main__":
    try:
        library(fetch=True)
    except NoClickHouseError as error:
        sys.exit(f"hookgate: {error}")
