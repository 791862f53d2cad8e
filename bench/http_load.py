"""Load over HTTP/1.1, over connections that are kept: written on the transport itself and without a task per request, so that
the client's own cost stays small beside what it measures: it shares the machine with it."""

import asyncio
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self, cast

from bench.window import Window, WrongAnswerError

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def request(port: int, path: str, headers: dict[str, str], body: bytes) -> bytes:
    """Gives a request's bytes."""
    lines = [f"POST {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


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
        return request(self.port, self.path, self.headers, self.body)


async def run(target: HttpTarget, callers: int, window: Window) -> int:
    """Lets so many callers send until the window ends, each its next request once it has the answer; gives how many requests were
    answered in all. Raises WrongAnswerError."""
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


class _Answers(asyncio.Protocol, ABC):
    """Takes answers apart."""

    def __init__(self) -> None:
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no instances of asyncio's classes.
        self.transport = cast(asyncio.Transport, transport)

    def close(self) -> None:
        self.transport.close()

    def data_received(self, data: bytes) -> None:
        self._received = data = self._received + data if self._received else data
        head, found, body = data.partition(b"\r\n\r\n")
        if not found:
            return
        length = _LENGTH.search(head)
        if length is None:
            self.failed(f"an answer without a length: {head[:200]!r}")
        elif len(body) >= int(length[1]):
            self._received = b""
            self.took(head, body)

    def connection_lost(self, exc: Exception | None) -> None:
        self.failed(f"the connection was closed ({exc or 'by the server'})")

    @abstractmethod
    def took(self, head: bytes, body: bytes) -> None:
        """Is given the head and the body of each answer."""

    @abstractmethod
    def failed(self, what: str) -> None:
        """Is told what went wrong."""


class _Caller(_Answers):
    def __init__(self, request: bytes, is_right: Callable[[bytes], bool], window: Window) -> None:
        super().__init__()
        self._request = request
        self._is_right = is_right
        self._window = window
        self._begun = 0.0
        self.answered = 0
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def send(self) -> None:
        self._begun = time.perf_counter()
        self.transport.write(self._request)

    def took(self, head: bytes, body: bytes) -> None:
        ended = time.perf_counter()
        self.answered += 1
        if head[9:12] != b"200" or not self._is_right(body):
            self.failed(f"{head[:15]!r} {body[:500]!r}")
        elif self._window.took(self._begun, ended):
            self.send()
        elif not self.finished.done():
            self.finished.set_result(None)

    def failed(self, what: str) -> None:
        if not self.finished.done():
            self.finished.set_exception(WrongAnswerError(what))


class Connection(_Answers):
    """One connection, asked one request at a time. Use it with `async with`."""

    def __init__(self, port: int, path: str, headers: dict[str, str]) -> None:
        super().__init__()
        self._port, self._path, self._headers = port, path, headers
        self._answer: asyncio.Future[bytes] | None = None

    async def __aenter__(self) -> Self:
        await asyncio.get_running_loop().create_connection(lambda: self, "127.0.0.1", self._port)
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.close()

    async def ask(self, body: bytes) -> bytes:
        """Gives the body of the answer. Raises WrongAnswerError where it is no 200, or none."""
        if self.transport.is_closing():
            raise WrongAnswerError("the connection was closed")
        self._answer = asyncio.get_running_loop().create_future()
        self.transport.write(request(self._port, self._path, self._headers, body))
        return await self._answer

    def took(self, head: bytes, body: bytes) -> None:
        if head[9:12] != b"200":
            self.failed(f"{head[:15]!r} {body[:500]!r}")
        elif self._answer is not None and not self._answer.done():
            self._answer.set_result(body)

    def failed(self, what: str) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(WrongAnswerError(what))
