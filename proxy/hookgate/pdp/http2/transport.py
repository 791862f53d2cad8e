"""The channel to the PDP over connections of our own: opened when they are needed, again after they end."""

import asyncio
import random
from collections.abc import Callable
from functools import lru_cache, partial

from hookgate import __version__
from hookgate.deadlines import Deadlines
from hookgate.errors import ErrorKind, GateError
from hookgate.pdp.http2.call import UntakenError
from hookgate.pdp.http2.connection import Connection
from hookgate.pdp.http2.dial import Dial
from hookgate.pdp.http2.fields import block
from hookgate.pdp.http2.status import failure
from hookgate.pdp.transport import METHOD, Metadata

#: As with grpcio: soon back after an outage, and while in back-off a call fails at once.
_FIRST_BACKOFF_SECONDS, _MOST_BACKOFF_SECONDS, _BACKOFF_GROWTH, _JITTER = 0.1, 1.0, 1.6, 0.2
#: How long a server may take to greet.
_OPEN_SECONDS = 5.0
#: grpc-timeout has eight digits.
_MOST_MILLISECONDS = 10**8 - 1
_ENDED = failure("UNAVAILABLE", "the server ended the connection without an answer")


class Http2Transport:
    """One connection at a time, to be used inside one event loop. `metadata` gives what each call carries beside its request;
    `unfamiliar` is called with what the server does that is not known here."""

    def __init__(
        self,
        dial: Dial,
        metadata: Callable[[], Metadata | None] = lambda: None,
        *,
        unfamiliar: Callable[[str], None] = lambda what: None,
    ) -> None:
        self._dial = dial
        self._metadata = metadata
        self._unfamiliar = unfamiliar
        self._loop = asyncio.get_running_loop()
        self._connection: Connection | None = None
        self._opening: asyncio.Task[Connection] | None = None
        #: Those that were asked and have not ended.
        self._connections: set[Connection] = set()
        self._backoff_seconds = 0.0
        self._not_before = 0.0
        self._fault: GateError | None = None
        self._closed = False
        self._deadlines = Deadlines()
        self._block = block(
            (
                (":method", "POST"),
                (":scheme", "https" if dial.tls else "http"),
                (":path", METHOD),
                (":authority", dial.authority),
                ("te", "trailers"),
                ("content-type", "application/grpc"),
                ("user-agent", f"hookgate/{__version__}"),
            )
        )

    async def __call__(self, request: bytes, timeout_seconds: float) -> bytes:
        """Asks once, but for a call that the server has not begun with: that is asked again on another connection. Raises
        GateError of the kind that the gRPC status stands for."""
        deadline = self._loop.time() + timeout_seconds
        try:
            return await self._once(request, deadline)
        except UntakenError:
            return await self._once(request, deadline)

    async def _once(self, request: bytes, deadline: float) -> bytes:
        connection = self._connection
        if connection is None or not connection.usable:
            connection = await self._another(deadline)
        left = deadline - self._loop.time()
        if left <= 0:
            raise failure("DEADLINE_EXCEEDED", "no time left to ask")
        begin = self._block + _timeout(int(left * 1e3) or 1)
        if (metadata := self._metadata()) is not None:
            begin += block(metadata)
        call = connection.ask(begin, request)
        limit = self._deadlines.set(deadline, partial(connection.expire, call))
        try:
            return await call.outcome
        except asyncio.CancelledError:
            connection.forget(call)
            raise
        finally:
            self._deadlines.lift(limit)

    async def close(self) -> None:
        """Ends the calls under way and the connections."""
        self._closed = True
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.gather(self._opening, return_exceptions=True)
        for connection in list(self._connections):
            connection.close()

    async def _another(self, deadline: float) -> Connection:
        """Gives a connection that takes calls; opens one, if nobody else does. Raises GateError."""
        if self._closed:
            raise failure("UNAVAILABLE", "the channel is closed")
        if self._opening is None:
            if self._fault is not None and self._loop.time() < self._not_before:
                raise GateError(self._fault.kind, self._fault.detail)
            self._opening = self._loop.create_task(self._open())
            self._opening.add_done_callback(self._opened)
        try:
            async with asyncio.timeout_at(deadline):
                return await asyncio.shield(self._opening)
        except TimeoutError:
            raise failure("DEADLINE_EXCEEDED", "no connection in time") from None
        except asyncio.CancelledError:
            if self._closed:
                raise failure("UNAVAILABLE", "the channel is closed") from None
            raise

    async def _open(self) -> Connection:
        made: list[Connection] = []

        def make() -> Connection:
            made.append(Connection(self._loop, unfamiliar=self._unfamiliar, ended=self._has_ended))
            self._connections.add(made[-1])
            return made[-1]

        try:
            async with asyncio.timeout(_OPEN_SECONDS):
                connection = await self._dial.open(self._loop, make)
                await connection.ready
        except TimeoutError:
            # Load can bring that about, too: a timeout, and not a PDP that is away.
            fault = failure("DEADLINE_EXCEEDED", "the server does not greet")
        except GateError as error:
            fault = error
        except (OSError, ValueError) as error:
            # ValueError: what no resolver takes for a name.
            fault = failure("UNAVAILABLE", f"can't connect: {getattr(error, 'strerror', None) or type(error).__name__}")
        except asyncio.CancelledError:
            _close(made)
            raise
        else:
            if connection.usable:
                self._connection = connection
            else:
                self._back_off(_ENDED)
            return connection
        _close(made)
        if fault.kind is ErrorKind.PDP_UNAVAILABLE:
            self._back_off(fault)
        raise fault

    def _opened(self, task: "asyncio.Task[Connection]") -> None:
        self._opening = None
        if not task.cancelled():
            # Whoever waited for it is told; nobody may be any more.
            task.exception()

    def _has_ended(self, connection: Connection) -> None:
        if not connection.usable and connection is self._connection:
            self._connection = None
            if connection.has_answered:
                self._backoff_seconds, self._fault = 0.0, None
            else:
                self._back_off(_ENDED)
        if connection.is_over:
            self._connections.discard(connection)

    def _back_off(self, fault: GateError) -> None:
        grown = self._backoff_seconds * _BACKOFF_GROWTH
        self._backoff_seconds = min(max(grown, _FIRST_BACKOFF_SECONDS), _MOST_BACKOFF_SECONDS)
        jitter = random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 (no secret)
        self._not_before = self._loop.time() + self._backoff_seconds * jitter
        self._fault = fault


@lru_cache(maxsize=16)
def _timeout(milliseconds: int) -> bytes:
    """Gives the field that tells the server how long it may take; remembered, since nearly all calls have as long."""
    return block((("grpc-timeout", f"{min(milliseconds, _MOST_MILLISECONDS)}m"),))


def _close(connections: list[Connection]) -> None:
    for connection in connections:
        connection.close()
