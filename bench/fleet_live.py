"""A fleet's machines as most of the time they are: each sends what it has just written, a line or two, and all at once."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Protocol
from urllib.parse import urlsplit

import msgspec

from bench.usage import cpu_seconds
from hookgate.audit.shipping.shipment import Shipment
from hookgate.audit.sinks.collector import CollectorSink
from hookgate.config.shippers import CollectorShipper
from tests.support.collecting import CollectProcess
from tests.support.postgres import PostgresServer


class Sender(Protocol):
    """A machine that is enrolled."""

    instance: str

    @property
    def lines(self) -> list[bytes]:
        """The journal's lines."""

    @property
    def token_path(self) -> str:
        """Where its token is."""


class Live(msgspec.Struct, frozen=True):
    """Of a line: bytes with all that is sent around it, both ways, before TLS; and processor time of the collector and the
    database, in milliseconds."""

    wire_bytes: float
    collector_ms: float
    database_ms: float


async def line_by_line(
    machines: Sequence[Sender], collector: CollectProcess, server: PostgresServer, begins: Sequence[int]
) -> Live:
    """Has machines send all from so many lines on, each line in a request of its own, all machines at once."""
    counted = [0]
    async with _counting(collector.url, counted) as counting:
        sinks = [CollectorSink(CollectorShipper(url=counting, token_file=one.token_path)) for one in machines]
        await asyncio.gather(*(sink.open() for sink in sinks))
        counted[0] = 0
        before = _spent(collector, server)
        sent = await asyncio.gather(
            *(_sent(sink, one, begin) for sink, one, begin in zip(sinks, machines, begins, strict=True))
        )
        after = _spent(collector, server)
        await asyncio.gather(*(sink.close() for sink in sinks))
    lines = sum(sent)
    return Live(counted[0] / lines, *((now - was) / lines * 1000 for now, was in zip(after, before, strict=True)))


def _spent(collector: CollectProcess, server: PostgresServer) -> tuple[float, float]:
    """Processor seconds so far, of the collector and of the database."""
    return cpu_seconds(collector.pid), sum(cpu_seconds(pid) for pid in server.pids)


async def _sent(sink: CollectorSink, one: Sender, begin: int) -> int:
    lines = one.lines[begin:]
    for line in lines:
        record = msgspec.json.decode(line)
        await sink.send([Shipment(line, record["seq"], record["hash"], one.instance)])
    return len(lines)


@asynccontextmanager
async def _counting(url: str, counted: list[int]) -> AsyncIterator[str]:
    """Gives an address that leads to another one, and counts what passes."""
    place = urlsplit(url)

    async def passed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            counted[0] += len(data)
            writer.write(data)
            await writer.drain()
        writer.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(place.hostname, place.port)
        await asyncio.gather(passed(reader, back), passed(there, writer), return_exceptions=True)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
