"""Waiting for a condition instead of sleeping."""

import socket
import time
from collections.abc import Callable


def until(condition: Callable[[], object], *, seconds: float = 10.0, what: str = "") -> None:
    """Returns once the condition holds; fails after so many seconds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s in vain for {what or condition}")
        time.sleep(0.01)


_given: set[int] = set()


def free_port() -> int:
    """Gives a TCP port on 127.0.0.1 that was free a moment ago, and that was not given before."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        if port not in _given:
            _given.add(port)
            return port
