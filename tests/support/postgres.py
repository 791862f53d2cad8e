"""A real PostgreSQL server, with its data in a directory of the test's own."""

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from hookgate.binaries import BinaryError, find_postgres
from tests.support.wait import free_port, until

#: No test needs its data after a power cut.
_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "shared_buffers": "32MB",
    "max_connections": "40",
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "log_min_messages": "warning",
}
#: PostgreSQL refuses to run as root; the first of these that there is runs it then.
_USERS = ("postgres", "nobody")


@contextmanager
def running_postgres() -> Iterator["PostgresServer"]:
    """A server that runs. Where there is none, the test is left out, unless everything is required."""
    try:
        server = PostgresServer().start()
    except BinaryError as error:
        if os.environ.get("HOOKGATE_REQUIRE") == "all":
            raise
        pytest.skip(f"{error} (run: make prepare)")
    try:
        yield server
    finally:
        server.stop()


class PostgresServer:
    """One server. Whoever connects from this machine may do everything."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="postgres-"))
        self.port = free_port()
        self._account = _account()
        self._folder = self._programs()
        self._process: subprocess.Popen[bytes] | None = None
        if self._account:
            os.chown(self.directory, self._account["user"], self._account["group"])
        self._call("initdb", "-D", self._data, "-U", "tester", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C")

    def url(self, database: str = "postgres", user: str = "tester") -> str:
        """Gives the URL of a database on it."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def start(self) -> "PostgresServer":
        """Starts it and waits until it takes connections."""
        options = [part for name, value in _SETTINGS.items() for part in ("-c", f"{name}={value}")]
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._folder / "postgres", "-D", self._data, "-p", str(self.port), *options],
                stdout=log,
                stderr=log,
                **self._account,
            )
        until(self._serving, seconds=30, what="PostgreSQL to serve")
        return self

    def freeze(self) -> None:
        """Stops the server and all that serve a connection, without ending them: nothing is answered."""
        assert self._process is not None
        for process in (self._process.pid, *self._children()):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGSTOP)

    def thaw(self) -> None:
        """Lets all of them go on."""
        assert self._process is not None
        for process in (self._process.pid, *self._children()):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGCONT)

    def kill(self) -> None:
        """Ends it without letting anything be finished."""
        assert self._process is not None
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(20)

    def stop(self) -> None:
        """Ends it and removes what it left."""
        if self._process is not None and self._process.poll() is None:
            self.thaw()
            self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def _data(self) -> str:
        return str(self.directory / "data")

    def _programs(self) -> Path:
        """Gives a folder with the programs that whoever runs them can read."""
        folder = find_postgres(fetch=os.environ.get("HOOKGATE_REQUIRE") == "all", say=print).path.parent
        if not self._account:
            return folder
        self.directory.chmod(0o755)
        try:
            subprocess.run([folder / "postgres", "--version"], check=True, capture_output=True, **self._account)
        except (OSError, subprocess.CalledProcessError):
            shutil.copytree(folder.parent, self.directory / "programs", symlinks=True)
            return self.directory / "programs" / "bin"
        return folder

    def _call(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self._folder / program, *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.directory,
            **self._account,
        )
        assert done.returncode == 0, done.stderr

    def _serving(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise AssertionError(f"PostgreSQL ended: {(self.directory / 'log').read_text(errors='replace')[-2000:]}")
        return _answers(self.url())

    @property
    def pids(self) -> list[int]:
        """The ids of its processes."""
        assert self._process is not None
        return [self._process.pid, *self._children()]

    def _children(self) -> list[int]:
        assert self._process is not None
        listed = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        if listed.exists():
            return [int(number) for number in listed.read_text().split()]
        found = subprocess.run(["pgrep", "-P", str(self._process.pid)], capture_output=True, text=True, check=False)
        return [int(line) for line in found.stdout.split()]


def _answers(url: str) -> bool:
    async def ask() -> None:
        connection = await asyncpg.connect(url, timeout=5)
        await connection.close()

    try:
        asyncio.run(ask())
    except (OSError, asyncpg.PostgresError, TimeoutError):
        return False
    return True


def _account() -> dict[str, Any]:
    """Gives as whom it must run: nothing unless this is root."""
    if os.geteuid() != 0:
        return {}
    for name in _USERS:
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": []}
    raise AssertionError(f"PostgreSQL does not run as root, and there is none of the users {_USERS}")
