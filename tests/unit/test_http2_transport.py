"""Our own transport to the PDP: addresses, connections that come and go, and when it leaves the work to grpcio."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme

from hookgate.config.tree import Pdp, PdpTls, PdpTransport
from hookgate.errors import ErrorKind, GateError
from hookgate.pdp.channel import GrpcTransport
from hookgate.pdp.http2 import Dial, WaryTransport, frames
from hookgate.pdp.http2 import transport as module
from hookgate.pdp.http2.transport import Http2Transport
from hookgate.pdp.transport import ChannelError, channel_for
from tests.support.wait import free_port
from tests.unit.http2_peer import answer

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

GREETING = frames.settings({}) + frames.frame(frames.SETTINGS, frames.ACK, 0)


async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Takes the client's preface, and greets it."""
    await reader.readexactly(len(frames.PREFACE))
    writer.write(GREETING)


async def request(reader: asyncio.StreamReader) -> int:
    """Reads on to the end of a request; gives its stream."""
    while True:
        head = await reader.readexactly(frames.HEAD_BYTES)
        await reader.readexactly(int.from_bytes(head[:3], "big"))
        if head[3] == frames.DATA and head[4] & frames.END_STREAM:
            return int.from_bytes(head[5:], "big")


async def answering(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers every request."""
    await greet(reader, writer)
    while True:
        writer.write(answer(await request(reader)))


class Served:
    """A server that talks as it is told, and a transport to it."""

    def __init__(self, talk: Talk) -> None:
        self.talk = talk
        self.connections = 0
        self.unfamiliar: list[str] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Begins."""
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{self.server.sockets[0].getsockname()[1]}"
        dial = Dial.of(Pdp(address=self.address))
        assert dial is not None
        self.transport = Http2Transport(dial, unfamiliar=self.unfamiliar.append)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self.talk(reader, writer)
        except (EOFError, ConnectionError):
            pass
        finally:
            writer.close()

    async def fails(self, seconds: float = 5.0) -> GateError:
        """Gives the error that a call ends with."""
        with pytest.raises(GateError) as caught:
            await self.transport(b"", seconds)
        return caught.value

    async def stop(self) -> None:
        """Ends it."""
        await self.transport.close()
        self.server.close()


@asynccontextmanager
async def served(talk: Talk) -> AsyncIterator[Served]:
    """Gives a server that talks so."""
    made = Served(talk)
    await made.start()
    try:
        yield made
    finally:
        await made.stop()


async def test_one_connection_serves_all_calls() -> None:
    async with served(answering) as server:
        assert await asyncio.gather(*(server.transport(b"", 5.0) for _ in range(20))) == [b"answer"] * 20
        assert server.connections == 1


async def test_a_connection_that_ends_between_calls_is_not_noticed() -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await greet(reader, writer)
        writer.write(answer(await request(reader)))
        await asyncio.sleep(0.01)

    async with served(once) as server:
        for _ in range(3):
            assert await server.transport(b"", 5.0) == b"answer"
            await asyncio.sleep(0.05)
        assert server.connections == 3


async def test_a_call_that_the_server_did_not_take_is_asked_again_once() -> None:
    async def refusing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await greet(reader, writer)
        while True:
            writer.write(frames.reset(await request(reader), frames.REFUSED_STREAM))

    async def leaving(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await greet(reader, writer)
        await request(reader)
        writer.write(frames.frame(frames.GOAWAY, 0, 0, bytes(8)))
        server.talk = answering
        await reader.read()

    async with served(refusing) as server:
        assert (await server.fails()).kind is ErrorKind.PDP_UNAVAILABLE
    async with served(answering) as server:
        assert await server.transport(b"", 5.0) == b"answer"
    async with served(leaving) as server:
        # It never answered on that connection, so the next one is opened after a while.
        assert (await server.fails()).kind is ErrorKind.PDP_UNAVAILABLE
        await asyncio.sleep(0.15)
        assert await server.transport(b"", 5.0) == b"answer"


async def test_while_in_back_off_a_call_fails_at_once_and_then_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    async def closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(5)

    async with served(closing) as server:
        monkeypatch.setattr(module, "_FIRST_BACKOFF_SECONDS", 0.3)
        assert (await server.fails()).kind is ErrorKind.PDP_UNAVAILABLE
        for _ in range(50):
            assert (await server.fails()).kind is ErrorKind.PDP_UNAVAILABLE
        assert server.connections == 1
        server.talk = answering
        await asyncio.sleep(0.5)
        assert await server.transport(b"", 5.0) == b"answer"
        assert server.connections == 2


async def test_a_server_that_does_not_greet_is_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with served(silent) as server:
        # First the call's own time is over, then the server's.
        assert (await server.fails(0.05)).detail == "DEADLINE_EXCEEDED: no connection in time"
        monkeypatch.setattr(module, "_OPEN_SECONDS", 0.05)
        await server.transport.close()
    async with served(silent) as server:
        assert (await server.fails()).detail == "DEADLINE_EXCEEDED: the server does not greet"


async def test_closing_ends_calls_that_wait_for_a_connection() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with served(silent) as server:
        asking = asyncio.ensure_future(server.fails(30.0))
        await asyncio.sleep(0.05)
        await server.transport.close()
        assert (await asking).kind is ErrorKind.PDP_UNAVAILABLE
        assert (await server.fails()).kind is ErrorKind.PDP_UNAVAILABLE


async def test_long_times_are_told_in_milliseconds() -> None:
    seen: list[bytes] = []

    async def reading(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await greet(reader, writer)
        while b"grpc-timeout" not in b"".join(seen):
            seen.append(await reader.read(1000))

    async with served(reading) as server:
        await server.fails(600.0)
        told = re.search(rb"grpc-timeout\x07(\d{6})m", b"".join(seen))
        # What the call has taken until then is gone from it.
        assert told is not None
        assert 590_000 < int(told[1]) <= 600_000


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("unix:/run/pdp.sock", ("localhost", "/run/pdp.sock", "", 0)),
        ("unix:///run/pdp.sock", ("localhost", "/run/pdp.sock", "", 0)),
        ("unix:pdp.sock", ("localhost", "pdp.sock", "", 0)),
        ("127.0.0.1:3593", ("127.0.0.1:3593", "", "127.0.0.1", 3593)),
        ("[::1]:3593", ("[::1]:3593", "", "::1", 3593)),
        ("dns:///pdp.example:3593", ("pdp.example:3593", "", "pdp.example", 3593)),
        ("dns:pdp:1", ("pdp:1", "", "pdp", 1)),
        ("ipv4:10.0.0.1:3593", ("10.0.0.1:3593", "", "10.0.0.1", 3593)),
        ("ipv6:[::1]:3593", ("[::1]:3593", "", "::1", 3593)),
        ("ipv4:10.0.0.1:3593,10.0.0.2:3593", None),
        ("dns://8.8.8.8/pdp:3593", None),
        ("xds:///pdp", None),
        ("unix-abstract:pdp", None),
        ("unix://host/path", None),
        ("unix:", None),
        ("pdp", None),
        ("pdp:0", None),
        ("pdp:65536", None),
        ("::1:3593", None),
    ],
)
def test_addresses_are_read_as_grpc_reads_them(address: str, expected: tuple[str, str, str, int] | None) -> None:
    found = Dial.of(Pdp(address=address))
    assert (found and (found.authority, found.path, found.host, found.port)) == expected


@pytest.mark.parametrize(
    ("address", "transport", "tls", "own"),
    [
        ("unix:/run/pdp.sock", PdpTransport.AUTO, False, True),
        ("127.0.0.1:1", PdpTransport.AUTO, False, True),
        ("localhost:1", PdpTransport.AUTO, False, True),
        ("pdp.example:1", PdpTransport.AUTO, False, False),
        ("127.0.0.1:1", PdpTransport.AUTO, True, False),
        ("pdp.example:1", PdpTransport.HTTP2, True, True),
        ("unix:/run/pdp.sock", PdpTransport.GRPCIO, False, False),
        ("xds:///pdp", PdpTransport.HTTP2, False, False),
    ],
)
async def test_auto_is_our_own_where_nobody_listens_in(
    address: str, transport: PdpTransport, tls: bool, own: bool
) -> None:
    told: list[str] = []
    config = Pdp(address=address, transport=transport, tls=PdpTls(enabled=tls))
    made = channel_for(config, fell_back=told.append)
    assert isinstance(made, WaryTransport if own else GrpcTransport)
    assert bool(told) == (transport is PdpTransport.HTTP2 and not own)
    await made.close()


async def test_what_is_not_known_is_left_to_grpcio_from_then_on() -> None:
    told: list[str] = []

    async def odd(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await greet(reader, writer)
        await request(reader)
        writer.write(frames.frame(frames.PUSH_PROMISE, 4, 1, bytes(4)))
        await reader.read()

    async with served(odd) as server:
        transport = channel_for(Pdp(address=server.address, transport=PdpTransport.HTTP2), fell_back=told.append)
        with pytest.raises(GateError) as caught:
            await transport(b"", 5.0)
        assert caught.value.kind is ErrorKind.PDP_UNAVAILABLE
        assert told == ["a push, which was not allowed"]
        server.talk = answering
        assert await transport(b"", 10.0) == b"answer"
        assert len(told) == 1
        await transport.close()


class TestTls:
    """Certificates, and what was agreed on."""

    @staticmethod
    @asynccontextmanager
    async def tls_server(tmp_path: Path, *protocols: str) -> AsyncIterator[Pdp]:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(tmp_path / "ca.pem")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(context)
        if protocols:
            context.set_alpn_protocols(list(protocols))

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await answering(reader, writer)
            except (EOFError, ConnectionError):
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        tls = PdpTls(enabled=True, ca=str(tmp_path / "ca.pem"), server_name="localhost")
        yield Pdp(address=address, tls=tls, transport=PdpTransport.HTTP2)
        server.close()

    @pytest.mark.parametrize(("protocols", "detail"), [(("h2",), ""), ((), "(ALPN)"), (("http/1.1",), "(ALPN)")])
    async def test_is_spoken_where_http2_was_agreed_on(
        self, tmp_path: Path, protocols: tuple[str, ...], detail: str
    ) -> None:
        async with self.tls_server(tmp_path, *protocols) as pdp:
            transport = channel_for(pdp)
            if not detail:
                assert await transport(b"", 10.0) == b"answer"
            else:
                with pytest.raises(GateError, match="ALPN") as caught:
                    await transport(b"", 10.0)
                assert caught.value.kind is ErrorKind.PDP_UNAVAILABLE
            await transport.close()

    @pytest.mark.parametrize("key", ["ca", "certificate"])
    async def test_a_file_that_is_no_certificate_is_named(self, tmp_path: Path, key: str) -> None:
        file = tmp_path / "file.pem"
        file.write_text("nothing")
        files = {"ca": str(file)} if key == "ca" else {"certificate": str(file), "key": str(file)}
        config = Pdp(
            address=f"127.0.0.1:{free_port()}", tls=PdpTls(enabled=True, **files), transport=PdpTransport.HTTP2
        )
        with pytest.raises(ChannelError, match=rf"pdp\.tls\.{key}: .*file\.pem"):
            channel_for(config)
