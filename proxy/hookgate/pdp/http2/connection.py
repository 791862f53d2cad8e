"""One HTTP/2 connection to the PDP, from its preface to its end, on the event loop itself.

Whatever comes in, nothing is raised out of here, and no call has an answer but one that came whole and with the status that
says so.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import cast

from hookgate.errors import ErrorKind, GateError
from hookgate.pdp.http2 import frames
from hookgate.pdp.http2.call import MAX_MESSAGE_BYTES, Call, UnfamiliarError, UntakenError
from hookgate.pdp.http2.fields import MAX_BLOCK_BYTES, FieldReader
from hookgate.pdp.http2.frames import FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, PROTOCOL_ERROR, ProtocolError
from hookgate.pdp.http2.status import failure, of_reset

#: What one answer may take without our saying so again: the largest, its prefix, and some padding.
_ANSWER_WINDOW_BYTES = MAX_MESSAGE_BYTES + 64 * 1024
_RENEW_BYTES = 8 * 1024 * 1024
_MAX_STREAM = 2**31 - 1
#: Replies that a server may have us owe while it does not read.
_MAX_OWED = 1000
#: A server that measures its connections (grpc-go) sends a ping with each call, once the one before is acknowledged: after one,
#: others wait for so long, if they are not more. That costs it no room: where a message waits for some, none of them does.
_PING_SECONDS, _MAX_PINGS = 0.1, 8
#: How long a server that let a call time out may leave a ping unanswered.
_SILENCE_SECONDS = 5.0
#: How long the last words may take to leave.
_CLOSE_SECONDS = 0.5

_GREETING = (
    frames.PREFACE
    + frames.settings(
        {
            frames.HEADER_TABLE_SIZE: 0,
            frames.ENABLE_PUSH: 0,
            frames.INITIAL_WINDOW_SIZE: _ANSWER_WINDOW_BYTES,
            frames.MAX_HEADER_LIST_SIZE: MAX_BLOCK_BYTES,
        }
    )
    + frames.window_update(0, frames.MAX_WINDOW_BYTES - frames.FIRST_WINDOW_BYTES)
)


class Connection(asyncio.Protocol):
    """A connection. `ready` is done when both sides know each other's settings, and fails with GateError where that can't be.
    `unfamiliar` is called with what is not known here, and `ended` once nothing more can be asked on it."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        unfamiliar: Callable[[str], None] = lambda what: None,
        ended: Callable[["Connection"], None] = lambda connection: None,
    ) -> None:
        self._loop = loop
        self._unfamiliar = unfamiliar
        self._ended = ended
        self.ready: asyncio.Future[None] = loop.create_future()
        #: Whether another call may be asked.
        self.usable = False
        #: Whether any call was answered.
        self.has_answered = False
        self._transport: asyncio.Transport | None = None
        self._splitter = frames.Splitter()
        self._reader = FieldReader()
        self._calls: dict[int, Call] = {}
        self._queue: deque[Call] = deque()
        #: Calls whose message the server does not take whole yet, in order.
        self._blocked: dict[int, Call] = {}
        self._next = 1
        self._most = _MAX_STREAM
        self._window, self._first_window = frames.FIRST_WINDOW_BYTES, frames.FIRST_WINDOW_BYTES
        self._consumed_bytes = 0
        self._settled = self._acknowledged = self._paused = False
        self.is_over = False
        self._owed = 0
        self._heard = 0
        self._probe: asyncio.TimerHandle | None = None
        #: Runs for a while after a ping was acknowledged; those that came meanwhile.
        self._calm: asyncio.TimerHandle | None = None
        self._pings: list[bytes] = []
        #: A header block that goes on in the next frame: its stream, its flags, and what has come of it.
        self._open_block: tuple[int, int, bytearray] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no instances of asyncio's classes.
        self._transport = cast(asyncio.Transport, transport)
        tls = transport.get_extra_info("ssl_object")
        if tls is not None and tls.selected_alpn_protocol() != "h2":
            self._end(failure("UNAVAILABLE", "the server does not agree to HTTP/2 (ALPN)"))
            return
        self._transport.write(_GREETING)

    def connection_lost(self, exc: Exception | None) -> None:
        why = (exc.strerror if isinstance(exc, OSError) else "") or "closed by the server"
        self._end(failure("UNAVAILABLE", f"connection lost: {why}"))

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused, self._owed = False, 0
        self._advance()

    def data_received(self, data: bytes) -> None:
        if self.is_over:
            return
        self._heard += 1
        if self._probe is not None:
            self._probe.cancel()
            self._probe = None
        try:
            for kind, flags, stream, payload in self._splitter.frames(data):
                self._take(kind, flags, stream, payload)
        except ProtocolError as error:
            self._break(error.code, str(error))
        except Exception as error:  # noqa: BLE001 (whatever came in: those who wait are told, and nothing is let through)
            self._break(frames.INTERNAL_ERROR, type(error).__name__)

    def ask(self, block: bytes, request: bytes) -> Call:
        """Begins a call, or queues it until the server takes another one."""
        call = Call(block, request, self._loop.create_future())
        if not self.usable:
            # It may have ended in the turn in which it was handed out.
            call.outcome.set_exception(UntakenError("the connection has ended"))
        elif self._queue or self._paused or len(self._calls) >= self._most:
            self._queue.append(call)
        else:
            self._open(call)
        return call

    def expire(self, call: Call) -> None:
        """Ends a call whose time is over."""
        if not call.outcome.done():
            call.outcome.set_exception(failure("DEADLINE_EXCEEDED", "no answer in time"))
        self.forget(call)

    def forget(self, call: Call) -> None:
        """Ends a call that nobody waits for; the server is told. One that has ended stays as it is."""
        if not call.id:
            if call in self._queue:
                self._queue.remove(call)
            return
        if self._calls.get(call.id) is not call:
            return
        self._write(frames.reset(call.id, frames.CANCEL))
        if call.heard == self._heard and self._probe is None:
            # Not a sound since it was sent. A ping, once for each silence: servers refuse clients that ping much.
            self._write(frames.frame(frames.PING, 0, 0, bytes(8)))
            self._probe = self._loop.call_later(_SILENCE_SECONDS, self._silent)
        self._drop(call)

    def close(self) -> None:
        """Ends the connection, and what is under way on it."""
        self._end(failure("UNAVAILABLE", "the channel is closed"), goaway=frames.NO_ERROR)

    # What comes in.

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if self.is_over:
            return
        if self._open_block is not None and (kind != frames.CONTINUATION or stream != self._open_block[0]):
            raise ProtocolError(PROTOCOL_ERROR, "a header block that is broken off")
        if not self._settled and (kind != frames.SETTINGS or flags & frames.ACK):
            raise ProtocolError(PROTOCOL_ERROR, "no HTTP/2 server: it does not begin with its settings")
        if kind == frames.HEADERS:
            self._take_headers(flags, stream, payload)
        elif kind == frames.DATA:
            self._take_data(flags, stream, payload)
        elif kind == frames.WINDOW_UPDATE:
            self._take_window(stream, payload)
        elif kind == frames.PING:
            self._take_ping(flags, stream, payload)
        elif kind == frames.SETTINGS:
            self._take_settings(flags, stream, payload)
        elif kind == frames.RST_STREAM:
            self._take_reset(stream, payload)
        elif kind == frames.GOAWAY:
            self._take_goaway(stream, payload)
        elif kind == frames.CONTINUATION:
            self._take_continuation(flags, payload)
        elif kind == frames.PUSH_PROMISE:
            raise ProtocolError(PROTOCOL_ERROR, "a push, which was not allowed")
        # PRIORITY says nothing any more, and others are to be ignored (RFC 9113, 5.3.2 and 5.5).

    def _take_headers(self, flags: int, stream: int, payload: bytes) -> None:
        self._known(stream)
        part = frames.fragment(flags, payload)
        if flags & frames.END_HEADERS:
            self._take_block(flags, stream, part)
        else:
            self._open_block = (stream, flags, bytearray(part))

    def _take_continuation(self, flags: int, payload: bytes) -> None:
        if self._open_block is None:
            raise ProtocolError(PROTOCOL_ERROR, "the rest of a header block that never began")
        stream, begun_flags, block = self._open_block
        block += payload
        if len(block) > MAX_BLOCK_BYTES or not payload:
            raise ProtocolError(frames.ENHANCE_YOUR_CALM, "a header block without end")
        if flags & frames.END_HEADERS:
            self._open_block = None
            self._take_block(begun_flags, stream, bytes(block))

    def _take_block(self, flags: int, stream: int, block: bytes) -> None:
        fields = self._reader.read(block)
        call = self._calls.get(stream)
        if call is None:
            return
        last = bool(flags & frames.END_STREAM)
        fault = call.fields(fields, last=last)
        if fault is not None:
            self._refuse(call, fault, ended=last)
        elif call.whole:
            self.has_answered = True
            if not call.outcome.done():
                call.outcome.set_result(call.message())
            self._closed(call)

    def _take_data(self, flags: int, stream: int, payload: bytes) -> None:
        self._known(stream)
        size = len(payload)
        self._consumed_bytes += size
        if self._consumed_bytes > frames.MAX_WINDOW_BYTES - frames.FIRST_WINDOW_BYTES:
            raise ProtocolError(FLOW_CONTROL_ERROR, "more than the connection takes")
        if self._consumed_bytes >= _RENEW_BYTES:
            self._owe(frames.window_update(0, self._consumed_bytes))
            self._consumed_bytes = 0
        part = frames.unpadded(flags, payload)
        call = self._calls.get(stream)
        if call is None:
            return
        call.received_bytes += size
        last = bool(flags & frames.END_STREAM)
        if call.received_bytes > _ANSWER_WINDOW_BYTES:
            self._refuse(call, failure("RESOURCE_EXHAUSTED", "more than an answer may take"), ended=last)
            return
        try:
            fault = call.data(part, last=last)
        except UnfamiliarError as error:
            self._refuse(call, failure("UNAVAILABLE", str(error)), ended=last)
            self._unfamiliar(str(error))
            return
        if fault is not None:
            self._refuse(call, fault, ended=last)

    def _take_window(self, stream: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise ProtocolError(FRAME_SIZE_ERROR, f"WINDOW_UPDATE of {len(payload)} bytes")
        more = int.from_bytes(payload, "big") & 0x7FFFFFFF
        if not stream:
            if not more or self._window + more > frames.MAX_WINDOW_BYTES:
                raise ProtocolError(FLOW_CONTROL_ERROR if more else PROTOCOL_ERROR, "a window that can't be")
            self._window += more
            self._send_blocked()
            return
        self._known(stream)
        call = self._calls.get(stream)
        if call is None:
            return
        if not more or call.window + more > frames.MAX_WINDOW_BYTES:
            self._refuse(call, failure("INTERNAL", "a window that can't be"), ended=False)
            return
        call.window += more
        if call.unsent:
            self._send(call)

    def _take_ping(self, flags: int, stream: int, payload: bytes) -> None:
        if stream:
            raise ProtocolError(PROTOCOL_ERROR, "PING on a stream")
        if len(payload) != 8:
            raise ProtocolError(FRAME_SIZE_ERROR, f"PING of {len(payload)} bytes")
        if flags & frames.ACK:
            return
        if self._calm is not None and len(self._pings) < _MAX_PINGS and not self._blocked:
            self._pings.append(payload)
            return
        self._owe(frames.frame(frames.PING, frames.ACK, 0, payload))
        if self._calm is None:
            self._calm = self._loop.call_later(_PING_SECONDS, self._acknowledge)

    def _acknowledge(self) -> None:
        """Answers the pings that have waited."""
        waiting, self._pings = self._pings, []
        for payload in waiting:
            self._write(frames.frame(frames.PING, frames.ACK, 0, payload))
        self._calm = self._loop.call_later(_PING_SECONDS, self._acknowledge) if waiting else None

    def _take_settings(self, flags: int, stream: int, payload: bytes) -> None:
        if stream:
            raise ProtocolError(PROTOCOL_ERROR, "SETTINGS on a stream")
        if flags & frames.ACK:
            if payload:
                raise ProtocolError(FRAME_SIZE_ERROR, "SETTINGS that acknowledge, and hold some")
            self._acknowledged = True
        else:
            for key, value in frames.settings_in(payload):
                self._take_setting(key, value)
            self._settled = True
            self._owe(frames.frame(frames.SETTINGS, frames.ACK, 0))
        if self._acknowledged and not self.ready.done():
            # Only now does the server keep no table of header fields.
            self.usable = True
            self.ready.set_result(None)
        self._advance()

    def _take_setting(self, key: int, value: int) -> None:
        if key == frames.INITIAL_WINDOW_SIZE:
            if value > frames.MAX_WINDOW_BYTES:
                raise ProtocolError(FLOW_CONTROL_ERROR, "a window that can't be")
            more, self._first_window = value - self._first_window, value
            for call in self._calls.values():
                call.window += more
                if call.window > frames.MAX_WINDOW_BYTES:
                    raise ProtocolError(FLOW_CONTROL_ERROR, "a window that can't be")
        elif key == frames.MAX_CONCURRENT_STREAMS:
            self._most = value
        elif (key == frames.ENABLE_PUSH and value) or (
            key == frames.MAX_FRAME_SIZE and not frames.FRAME_BYTES <= value < 1 << 24
        ):
            raise ProtocolError(PROTOCOL_ERROR, f"a value of setting {key} that can't be")

    def _take_reset(self, stream: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise ProtocolError(FRAME_SIZE_ERROR, f"RST_STREAM of {len(payload)} bytes")
        self._known(stream)
        call = self._calls.get(stream)
        if call is None:
            return
        code = int.from_bytes(payload, "big")
        if code == frames.REFUSED_STREAM:
            self._refuse(call, UntakenError("the server takes no call now"), ended=True)
        else:
            self._refuse(call, of_reset(code), ended=True)

    def _take_goaway(self, stream: int, payload: bytes) -> None:
        if stream or len(payload) < 8:
            raise ProtocolError(FRAME_SIZE_ERROR if not stream else PROTOCOL_ERROR, "GOAWAY that is none")
        self.usable = False
        if not self.ready.done():
            self._end(failure("UNAVAILABLE", "the server goes away"))
            return
        last = int.from_bytes(payload[:4], "big") & 0x7FFFFFFF
        self._ended(self)
        waiting, self._queue = self._queue, deque()
        for call in [*waiting, *(call for stream, call in self._calls.items() if stream > last)]:
            self._calls.pop(call.id, None)
            self._blocked.pop(call.id, None)
            if not call.outcome.done():
                call.outcome.set_exception(UntakenError("the server goes away"))
        self._advance()

    def _known(self, stream: int) -> None:
        """Raises ProtocolError for a stream that was never opened."""
        if not stream & 1 or stream >= self._next:
            raise ProtocolError(PROTOCOL_ERROR, "a stream that was never opened")

    # What goes out.

    def _open(self, call: Call) -> None:
        call.id, call.heard, call.window = self._next, self._heard, self._first_window
        self._next += 2
        if self._next > _MAX_STREAM and self.usable:
            self.usable = False
            self._ended(self)
        self._calls[call.id] = call
        block, prefix, request = call.block, call.prefix, call.request
        begin = frames.head(frames.HEADERS, frames.END_HEADERS, call.id, len(block)) + block
        size = len(prefix) + len(request)
        if size <= frames.FRAME_BYTES and size <= self._window and size <= call.window:
            self._window -= size
            end = frames.head(frames.DATA, frames.END_STREAM, call.id, size)
            self._write(b"".join((begin, end, prefix, request)))
            return
        self._write(begin)
        call.unsent.append(memoryview(prefix))
        if request:
            call.unsent.append(memoryview(request))
        self._send(call)

    def _send(self, call: Call) -> None:
        """Sends as much of a message as both windows take."""
        parts: list[bytes | memoryview] = []
        while call.unsent:
            room = min(self._window, call.window, frames.FRAME_BYTES)
            if room <= 0:
                break
            taken = call.take_from_unsent(room)
            size = sum(map(len, taken))
            self._window -= size
            call.window -= size
            parts.append(frames.head(frames.DATA, 0 if call.unsent else frames.END_STREAM, call.id, size))
            parts += taken
        if parts and self._transport is not None and not self.is_over:
            self._transport.writelines(parts)
        if call.unsent:
            self._blocked[call.id] = call
        else:
            self._blocked.pop(call.id, None)

    def _send_blocked(self) -> None:
        for call in list(self._blocked.values()):
            if self._window <= 0:
                return
            self._send(call)

    def _advance(self) -> None:
        """Sends what had to wait, and ends the connection once nothing more is to come on it."""
        if self.is_over:
            return
        if self._blocked:
            self._send_blocked()
        while self._queue and self.usable and not self._paused and len(self._calls) < self._most:
            self._open(self._queue.popleft())
        if self._queue and not self.usable:
            self._fail_queue("the connection has had its last call")
        if self.ready.done() and not self.usable and not self._calls:
            self._end(failure("UNAVAILABLE", "the server has gone away"), goaway=frames.NO_ERROR)

    def _refuse(self, call: Call, error: GateError, *, ended: bool) -> None:
        """Ends a call with an error; the server is told, unless it has ended the stream itself."""
        if not call.outcome.done():
            call.outcome.set_exception(error)
        if not ended:
            self._write(frames.reset(call.id, frames.CANCEL))
            self._drop(call)
        else:
            self._closed(call)

    def _closed(self, call: Call) -> None:
        """The server has ended the stream; where it did not wait for the whole message, our side of it ends, too."""
        if call.unsent:
            self._write(frames.reset(call.id, frames.CANCEL))
        self._drop(call)

    def _drop(self, call: Call) -> None:
        self._calls.pop(call.id, None)
        self._blocked.pop(call.id, None)
        call.unsent.clear()
        if self._queue or not self.usable:
            self._advance()

    def _owe(self, reply: bytes) -> None:
        """Writes a reply, as long as the server reads them."""
        if self._paused:
            self._owed += 1
            if self._owed > _MAX_OWED:
                raise ProtocolError(frames.ENHANCE_YOUR_CALM, "a server that asks and does not read")
        self._write(reply)

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self.is_over:
            self._transport.write(data)

    # The end.

    def _silent(self) -> None:
        # Load can bring that about, too: a timeout, and not a PDP that is away.
        self._end(failure("DEADLINE_EXCEEDED", "the server gives no sign of life"))

    def _break(self, code: int, what: str) -> None:
        """Ends the connection because of what the server did."""
        known = self.ready.done()
        self._end(failure("UNAVAILABLE", what), goaway=code)
        if known:
            self._unfamiliar(what)

    def _fail_queue(self, why: str) -> None:
        waiting, self._queue = self._queue, deque()
        for call in waiting:
            if not call.outcome.done():
                call.outcome.set_exception(UntakenError(why))

    def _end(self, error: GateError, *, goaway: int | None = None) -> None:
        if self.is_over:
            return
        if goaway is not None:
            self._write(frames.goaway(goaway))
        self.is_over, self.usable = True, False
        for timer in (self._probe, self._calm):
            if timer is not None:
                timer.cancel()
        if self._transport is not None:
            self._transport.close()
            # Without this, one that does not read would keep the connection open.
            self._loop.call_later(_CLOSE_SECONDS, self._transport.abort)
        if not self.ready.done():
            self.ready.set_exception(error)
            # Whoever waits for it is told; nobody may be any more.
            self.ready.exception()
        if error.kind is ErrorKind.PDP_UNAVAILABLE:
            self._fail_queue("the connection was lost before the call was sent")
        calls, self._calls = [*self._calls.values(), *self._queue], {}
        self._blocked.clear()
        self._queue.clear()
        for call in calls:
            if not call.outcome.done():
                call.outcome.set_exception(error)
        self._ended(self)
