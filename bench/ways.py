"""The ways to an answer that are compared, and one measurement of one of them."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from bench import grpc_load, http_load
from bench.grpc_load import GrpcTarget
from bench.http_load import HttpTarget
from bench.payloads import HEADERS, Payload
from bench.question import Asked, allows_by_grpc, allows_by_http, leaves_alone
from bench.servers import Servers
from bench.usage import cpu_seconds
from bench.window import Window, WrongAnswerError


class Way(StrEnum):
    """A way to an answer."""

    label: str

    def __new__(cls, value: str, label: str) -> Self:
        member = str.__new__(cls, value)
        member._value_ = value
        member.label = label
        return member

    HTTP = "http", "PDP, HTTP"
    HTTP_UNCUT = "http-uncut", "PDP, HTTP, uncut"
    H2LOAD = "grpc-h2load", "PDP, gRPC, h2load"
    GRPC = "grpc", "PDP, gRPC, grpcio"
    HOOKGATE = "hookgate", "Hookgate"
    NO_JOURNAL = "no-journal", "without its journal"
    FLOOR = "floor", "aiohttp alone"


@dataclass(frozen=True, slots=True)
class Sample:
    """One repetition. Times in seconds; processor times are a request's share, of the server that was asked, the PDP behind
    it, and the load generator. `sent` counts all requests, `counted` those within the window."""

    p50_seconds: float
    p99_seconds: float
    requests_per_second: float
    server_cpu_seconds: float
    pdp_cpu_seconds: float
    client_cpu_seconds: float
    counted: int
    sent: int


def ways_here() -> tuple[Way, ...]:
    """Gives the ways that can be measured on this machine: h2load may not be installed."""
    return tuple(way for way in Way if way is not Way.H2LOAD or shutil.which("h2load"))


#: Past it a server that has answered nothing does not answer.
_LONGEST_H2LOAD_SECONDS = 10.0


def ways_for(asked: Asked, ways: tuple[Way, ...]) -> tuple[Way, ...]:
    """Leaves out what is no other way for this question: uncut, where Hookgate cuts nothing."""
    return tuple(way for way in ways if way is not Way.HTTP_UNCUT or asked.uncut != asked.json)


async def measure(
    way: Way, payload: Payload, asked: Asked, callers: int, servers: Servers, *, seconds: float
) -> Sample:
    """Measures one way once. Raises WrongAnswerError."""
    server = {
        Way.HOOKGATE: servers.hookgate.pid,
        Way.NO_JOURNAL: servers.without_journal.pid,
        Way.FLOOR: servers.floor.pid,
    }.get(way, 0)
    clock = _Clock(server, servers.pdp.pid)
    warm_seconds = min(0.2, seconds / 5)
    try:
        if way is Way.H2LOAD:
            return await _h2load(_grpc(asked, servers), callers, seconds + warm_seconds, clock)
        window = Window(warm_seconds=warm_seconds, seconds=seconds, least=callers, mark=clock.mark)
        if way is Way.GRPC:
            sent = await grpc_load.run(_grpc(asked, servers), callers, window)
        else:
            sent = await http_load.run(_http(way, payload, asked, servers), callers, window)
    except WrongAnswerError as error:
        raise WrongAnswerError(f"{way.label}, {payload.title}, callers: {callers}: {error}") from None
    return _sample(window.taken_seconds, window.elapsed_seconds, clock, sent)


async def _h2load(target: GrpcTarget, callers: int, seconds: float, clock: "_Clock") -> Sample:
    program = shutil.which("h2load")
    assert program is not None
    while True:
        clock.restart()
        seen = await grpc_load.run_h2load(program, target, callers, seconds)
        clock.mark()
        # It ends on time, also where nothing was answered by then.
        if seen.taken_seconds or seconds >= _LONGEST_H2LOAD_SECONDS:
            break
        seconds *= 4
    return _sample(seen.taken_seconds, seen.elapsed_seconds, clock, len(seen.taken_seconds))


def _grpc(asked: Asked, servers: Servers) -> GrpcTarget:
    return GrpcTarget(servers.pdp.address, asked.protobuf, allows_by_grpc)


def _http(way: Way, payload: Payload, asked: Asked, servers: Servers) -> HttpTarget:
    if way in (Way.HTTP, Way.HTTP_UNCUT):
        plain = {"Content-Type": "application/json"}
        body = asked.json if way is Way.HTTP else asked.uncut
        return HttpTarget(servers.pdp.http_port, "/api/check/resources", plain, body, allows_by_http)
    port = {
        Way.HOOKGATE: servers.hookgate.port,
        Way.NO_JOURNAL: servers.without_journal.port,
        Way.FLOOR: servers.floor.port,
    }[way]
    return HttpTarget(port, "/ext/claude", HEADERS, payload.body, leaves_alone)


class _Clock:
    """Processor times of the processes at work, at each mark."""

    def __init__(self, server: int, pdp: int) -> None:
        self._read: list[Callable[[], float]] = [
            lambda: cpu_seconds(server) if server else 0.0,
            lambda: cpu_seconds(pdp),
            lambda: cpu_seconds(os.getpid()),
        ]
        self._marks: list[list[float]] = []

    def restart(self) -> None:
        """Forgets earlier marks, and makes the first."""
        self._marks.clear()
        self.mark()

    def mark(self) -> None:
        self._marks.append([read() for read in self._read])

    def spent(self) -> list[float]:
        """Gives what the server, the PDP and the client spent between the first mark and the last, in seconds."""
        return [after - before for before, after in zip(self._marks[0], self._marks[-1], strict=True)]


def _sample(taken_seconds: list[float], elapsed_seconds: float, clock: _Clock, sent: int) -> Sample:
    counted = len(taken_seconds)
    if not counted or elapsed_seconds <= 0:
        raise WrongAnswerError("no answer within the time")
    taken = sorted(taken_seconds)
    server, pdp, client = (seconds / counted for seconds in clock.spent())
    return Sample(
        p50_seconds=taken[counted // 2],
        p99_seconds=taken[min(counted - 1, counted * 99 // 100)],
        requests_per_second=counted / elapsed_seconds,
        server_cpu_seconds=server,
        pdp_cpu_seconds=pdp,
        client_cpu_seconds=client,
        counted=counted,
        sent=sent,
    )
