"""HTTP by hand: requests as no client sends them, and answers read without one."""

import asyncio
import contextlib
import json
import re
import socket
import struct
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Any

#: An answer takes a decision's deadline at the most; past this there is none.
_ANSWER_SECONDS = 20
_SLICE_BYTES = 256 * 1024
_STATUS = re.compile(rb"HTTP/1\.[01] 200 OK")

JSON = b"Content-Type: application/json"
HOST = b"Host: 127.0.0.1:3594"
SMALL = (
    b'{"session_id":"s1","cwd":"/project","hook_event_name":"PreToolUse","tool_name":"Bash",'
    b'"tool_input":{"command":"ls"},"tool_use_id":"toolu_1"}'
)

#: Bytes are sent; a number is a pause in seconds, where the moment is what the case is about.
Piece = bytes | float


@dataclass(frozen=True)
class Answer:
    """One answer as it came: the status line, the fields by lower-case name, the body."""

    status: bytes
    fields: dict[bytes, bytes]
    body: bytes

    def value(self) -> dict[str, Any]:
        """Gives the JSON object; fails for anything but a 200 that declares and holds one."""
        assert _STATUS.fullmatch(self.status), self.status
        assert self.fields[b"content-type"] == b"application/json"
        found = json.loads(self.body.decode("utf-8"), parse_constant=_no_constant)
        assert isinstance(found, dict)
        return found


def request(
    body: bytes = SMALL,
    *fields: bytes,
    method: bytes = b"POST",
    target: bytes = b"/ext/claude",
    version: bytes = b"HTTP/1.1",
    host: bytes | None = HOST,
    content_type: bytes | None = JSON,
    length: bool = True,
) -> bytes:
    """Gives a hook request; every part may be replaced or left out."""
    lines = [
        b" ".join((method, target, version)),
        *(line for line in (host, content_type) if line is not None),
        *fields,
    ]
    if length:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def chunked(body: bytes, size: int = 7) -> bytes:
    """Gives the body in chunks of so many bytes."""
    parts = (body[begin : begin + size] for begin in range(0, len(body), size))
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


async def exchange(port: int, *pieces: Piece) -> Answer:
    """Sends the pieces on a connection of their own and gives the first answer that is not an interim one."""
    return (await exchanges(port, 1, *pieces))[0]


async def exchanges(port: int, count: int, *pieces: Piece) -> list[Answer]:
    """Sends the pieces on one connection and gives so many answers."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    sending = asyncio.create_task(_send(writer, pieces))
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            return [await answer(reader) for _ in range(count)]
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        await close(writer)


async def answer(reader: asyncio.StreamReader) -> Answer:
    """Reads one answer, and passes over `100 Continue`."""
    while True:
        head = await reader.readuntil(b"\r\n\r\n")
        status, *lines = head[:-4].split(b"\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
        if b" 100 " not in status:
            return Answer(status, fields, await reader.readexactly(int(fields.get(b"content-length", b"0"))))


async def ended(reader: asyncio.StreamReader) -> bytes:
    """Gives what still comes until the other side closes."""
    async with asyncio.timeout(_ANSWER_SECONDS):
        with contextlib.suppress(ConnectionError):
            return await reader.read()
        return b""


@contextlib.asynccontextmanager
async def crowd(port: int, count: int, sent: bytes = b"") -> AsyncIterator[list[asyncio.StreamReader]]:
    """So many connections, each of which sends this and then nothing more; gives what can be read from them."""
    opened = []
    try:
        for _ in range(count):
            opened.append(await asyncio.open_connection("127.0.0.1", port))
            opened[-1][1].write(sent)
            await asyncio.sleep(0)
        yield [reader for reader, _ in opened]
    finally:
        for _, writer in opened:
            await close(writer)


async def close(writer: asyncio.StreamWriter) -> None:
    """Closes a connection, whatever its state."""
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


def leave(port: int, sent: bytes) -> None:
    """Sends something and is gone at once: the connection is reset, nothing is read."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(sent)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def _send(writer: asyncio.StreamWriter, pieces: Iterable[Piece]) -> None:
    """Sends; that the other side stops listening is no fault here: what it answers is."""
    with contextlib.suppress(ConnectionError):
        for piece in pieces:
            if isinstance(piece, float):
                await asyncio.sleep(piece)
                continue
            view = memoryview(piece)
            for begin in range(0, len(piece), _SLICE_BYTES):
                writer.write(view[begin : begin + _SLICE_BYTES])
                await writer.drain()


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
