"""Waiting for a condition instead of sleeping."""

import fcntl
import os
import random
import signal
import socket
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


def until(condition: Callable[[], object], *, seconds: float = 10.0, what: str = "") -> None:
    """Returns once the condition holds; fails after so many seconds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s in vain for {what or condition}")
        time.sleep(0.01)


def freeze(pid: int) -> None:
    """Stops a process without ending it; once this returns, none of its threads does anything."""
    os.kill(pid, signal.SIGSTOP)
    threads = Path(f"/proc/{pid}/task")
    until(lambda: all(_state(thread) in "TtZX" for thread in threads.iterdir()), what=f"process {pid} to stand still")


def _state(thread: Path) -> str:
    with suppress(FileNotFoundError, ProcessLookupError):
        return (thread / "stat").read_text().rpartition(")")[2].split()[0]
    return "X"


#: Below the ports that systems give to outgoing connections, so that none of these takes one between its choice and its use.
_PORTS = range(12_000, 32_000)
_given: dict[int, int] = {}


def free_port() -> int:
    """Gives a TCP port on 127.0.0.1 that was free a moment ago, and that no test of this or another process was given before.

    Each port has a lock file that is held until the process ends.
    """
    locks = Path(tempfile.gettempdir()) / f"hookgate-test-ports-{os.getuid()}"
    locks.mkdir(exist_ok=True)
    while True:
        port = random.choice(_PORTS)
        if port in _given:
            continue
        lock = os.open(locks / str(port), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            os.close(lock)
            continue
        _given[port] = lock
        return port
