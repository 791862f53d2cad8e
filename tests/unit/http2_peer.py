"""The other end of our own HTTP/2 connection, in memory: the library h2 as the server, or frames made by hand."""

import asyncio
from collections.abc import Iterable
from typing import Any

import h2.config
import h2.connection
import h2.events
import hpack
from h2.settings import Settings

from hookgate.pdp.http2 import frames
from hookgate.pdp.http2.call import Call
from hookgate.pdp.http2.connection import Connection
from hookgate.pdp.http2.fields import block

REQUEST = block([(":method", "POST"), (":scheme", "http"), (":path", "/a"), (":authority", "localhost")])
HEADERS = [(":status", "200"), ("content-type", "application/grpc")]
TRAILERS = [("grpc-status", "0"), ("grpc-message", "")]


def framed(message: bytes, compressed: int = 0) -> bytes:
    """Gives a gRPC message."""
    return bytes([compressed]) + len(message).to_bytes(4, "big") + message


class Wire(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False

    def write(self, data: Any) -> None:
        assert not self.closed
        self.written += bytes(data)

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        self.write(b"".join(map(bytes, list_of_data)))

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def taken(self) -> bytes:
        """Gives what was written since it was asked last."""
        written, self.written = self.written, b""
        return written


class Opened:
    """A connection, the wire behind it, and what it has told."""

    def __init__(self, settings: dict[int, int] | None = None, *, greeted: bool = True) -> None:
        self.unfamiliar: list[str] = []
        self.ended = 0
        self.connection = Connection(
            asyncio.get_running_loop(), unfamiliar=self.unfamiliar.append, ended=lambda _: self._end()
        )
        self.wire = Wire()
        self.connection.connection_made(self.wire)
        if greeted:
            self.feed(frames.settings(settings or {}), frames.frame(frames.SETTINGS, frames.ACK, 0))
            assert self.connection.usable
            self.wire.taken()

    def _end(self) -> None:
        self.ended += 1

    def feed(self, *data: bytes) -> None:
        """Lets bytes come in."""
        for part in data:
            self.connection.data_received(part)

    def ask(self, request: bytes = b"question") -> Call:
        """Begins a call."""
        return self.connection.ask(REQUEST, request)

    def sent(self) -> list[frames.Frame]:
        """Gives the frames that were written since it was asked last."""
        return list(frames.Splitter().frames(self.wire.taken()))


def fields(values: Iterable[tuple[str, str]]) -> bytes:
    """Gives a block as a server encodes it that was told to keep no table."""
    encoder = hpack.Encoder()
    encoder.header_table_size = 0
    return encoder.encode(values)


def headers(stream: int, values: Iterable[tuple[str, str]], *, end: bool = False) -> bytes:
    """Gives a HEADERS frame."""
    flags = frames.END_HEADERS | (frames.END_STREAM if end else 0)
    return frames.frame(frames.HEADERS, flags, stream, fields(values))


def data(stream: int, payload: bytes, *, end: bool = False) -> bytes:
    """Gives a DATA frame."""
    return frames.frame(frames.DATA, frames.END_STREAM if end else 0, stream, payload)


def answer(stream: int, message: bytes = b"answer") -> bytes:
    """Gives a whole answer."""
    return headers(stream, HEADERS) + data(stream, framed(message)) + headers(stream, TRAILERS, end=True)


class Library:
    """The library h2 as the server; it raises where our side breaks HTTP/2."""

    def __init__(self, settings: dict[Any, int] | None = None) -> None:
        self.server = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        self.server.local_settings = Settings(client=False, initial_values=settings)
        self.server.initiate_connection()
        self.bodies: dict[int, bytes] = {}
        self.whole: list[int] = []
        self.fields: dict[int, dict[str, str]] = {}

    def take(self, data: bytes) -> bytes:
        """Takes what the client wrote, making room again for every byte; gives what goes back."""
        for event in self.server.receive_data(data):
            if isinstance(event, h2.events.RequestReceived):
                self.fields[event.stream_id] = {str(name): str(value) for name, value in event.headers}
                self.bodies[event.stream_id] = b""
            elif isinstance(event, h2.events.DataReceived):
                self.bodies[event.stream_id] += event.data
                if event.flow_controlled_length:
                    self.server.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                self.whole.append(event.stream_id)
        return self.server.data_to_send()

    def answer(self, stream: int, message: bytes) -> bytes:
        """Gives an answer's bytes."""
        self.server.send_headers(stream, HEADERS)
        rest = framed(message)
        while rest:
            size = min(self.server.local_flow_control_window(stream), self.server.max_outbound_frame_size, len(rest))
            self.server.send_data(stream, rest[:size], pad_length=3 if size < 1000 else None)
            rest = rest[size:]
        self.server.send_headers(stream, TRAILERS, end_stream=True)
        return self.server.data_to_send()
