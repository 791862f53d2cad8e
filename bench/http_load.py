"""Load over HTTP/1.1: each caller has one connection and sends its next request once it has the answer.

Written on the transport itself and without a task per request, so that the client's own cost stays small beside what it
measures: it shares the machine with it.
"""

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from bench.window import Window, WrongAnswerError

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class HttpTarget:
    """Where to send what. `is_right` judges an answer's body."""

    port: int
    path: str
    headers: dict[str, str]
    body: bytes
    is_right: Callable[[bytes], bool]

    def request(self) -> bytes:
        """Gives the request's bytes."""
        lines = [f"POST {self.path} HTTP/1.1", f"Host: 127.0.0.1:{self.port}", f"Content-Length: {len(self.body)}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode() + self.body


async def run(target: HttpTarget, callers: int, window: Window) -> int:
    """Lets so many callers send until the window ends; gives how many requests were answered in all.

    Raises WrongAnswerError.
    """
    loop = asyncio.get_running_loop()
    request = target.request()
    made = [_Caller(request, target.is_right, window) for _ in range(callers)]
    for caller in made:
        await loop.create_connection(lambda caller=caller: caller, "127.0.0.1", target.port)  # type: ignore[misc]
    for caller in made:
        caller.send()
    try:
        await asyncio.gather(*(caller.finished for caller in made))
    finally:
        for caller in made:
            caller.close()
    return sum(caller.answered for caller in made)


class _Caller(asyncio.Protocol):
    def __init__(self, request: bytes, is_right: Callable[[bytes], bool], window: Window) -> None:
        self._request = request
        self._is_right = is_right
        self._window = window
        self._received = b""
        self._begun = 0.0
        self.answered = 0
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no instances of asyncio's classes.
        self._transport = cast(asyncio.Transport, transport)

    def send(self) -> None:
        self._begun = time.perf_counter()
        self._transport.write(self._request)

    def close(self) -> None:
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._received = data = self._received + data if self._received else data
        head, found, body = data.partition(b"\r\n\r\n")
        if not found:
            return
        length = _LENGTH.search(head)
        if length is None:
            self._fail(f"an answer without a length: {head[:200]!r}")
        elif len(body) >= int(length[1]):
            self._take(head, body)

    def _take(self, head: bytes, body: bytes) -> None:
        ended = time.perf_counter()
        self._received = b""
        self.answered += 1
        if head[9:12] != b"200" or not self._is_right(body):
            self._fail(f"{head[:15]!r} {body[:500]!r}")
        elif self._window.took(self._begun, ended):
            self.send()
        elif not self.finished.done():
            self.finished.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(f"the connection was closed ({exc or 'by the server'})")

    def _fail(self, what: str) -> None:
        if not self.finished.done():
            self.finished.set_exception(WrongAnswerError(what))
