"""The ways to an answer that are compared, and one measurement of one of them."""

import os
import resource
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum, auto

from bench import grpc_load, http_load
from bench.grpc_load import GrpcTarget
from bench.http_load import HttpTarget
from bench.payloads import HEADERS, Payload
from bench.question import Asked, allows_by_grpc, allows_by_http, leaves_alone
from bench.servers import Servers
from bench.usage import cpu_seconds
from bench.variants import HOOKGATE, TRANSPORT, Variant, variants
from bench.window import Window, WrongAnswerError
from tests.support.wait import until


class Kind(Enum):
    """Who is asked, and how."""

    HTTP = auto()
    HTTP_UNCUT = auto()
    H2LOAD = auto()
    GRPC = auto()
    HOOKGATE = auto()
    FLOOR = auto()


@dataclass(frozen=True, slots=True)
class Way:
    """A way to an answer. `variant` is which Hookgate is asked. One that is not `everywhere` is measured where it tells something
    only (`MOST_TELLING`), unless it is asked for."""

    name: str
    label: str
    kind: Kind
    variant: Variant | None = None
    everywhere: bool = True


HTTP = Way("http", "PDP, HTTP", Kind.HTTP)
HTTP_UNCUT = Way("http-uncut", "PDP, HTTP, uncut", Kind.HTTP_UNCUT)
H2LOAD = Way("grpc-h2load", "PDP, gRPC, h2load", Kind.H2LOAD)
GRPC = Way("grpc", "PDP, gRPC, grpcio", Kind.GRPC)
FLOOR = Way("floor", "aiohttp alone", Kind.FLOOR, everywhere=False)
#: Payloads and callers that show what a room costs: a call as most are, a long text, many values; one at a time, and many.
MOST_TELLING = (("bash", "write-50k", "values-48k"), (1, 16))


def all_ways() -> tuple[Way, ...]:
    """Gives all ways there are."""
    hookgates = (
        Way(
            variant.name,
            variant.label,
            Kind.HOOKGATE,
            variant,
            everywhere=variant is HOOKGATE or variant.name.startswith(TRANSPORT),
        )
        for variant in variants()
    )
    return (HTTP, HTTP_UNCUT, H2LOAD, GRPC, *hookgates, FLOOR)


def ways_here() -> tuple[Way, ...]:
    """Gives the ways that can be measured on this machine: h2load may not be installed."""
    return tuple(way for way in all_ways() if way.kind is not Kind.H2LOAD or shutil.which("h2load"))


@dataclass(frozen=True, slots=True)
class Sample:
    """One repetition. Times in seconds; processor times are a request's share, of the server that was asked, the PDP behind
    it, the load generator, and the process that ships records. `sent` counts all requests, `counted` those within the window."""

    p50_seconds: float
    p99_seconds: float
    requests_per_second: float
    server_cpu_seconds: float
    pdp_cpu_seconds: float
    client_cpu_seconds: float
    shipper_cpu_seconds: float
    counted: int
    sent: int


#: Past it a server that has answered nothing does not answer.
_LONGEST_H2LOAD_SECONDS = 10.0
_LONGEST_SHIPPING_SECONDS = 60.0


def ways_for(asked: Asked, ways: tuple[Way, ...]) -> tuple[Way, ...]:
    """Leaves out what is no other way for this question: uncut, where Hookgate cuts nothing."""
    return tuple(way for way in ways if way is not HTTP_UNCUT or asked.uncut != asked.json)


async def measure(
    way: Way, payload: Payload, asked: Asked, callers: int, servers: Servers, *, seconds: float
) -> Sample:
    """Measures one way once. Raises WrongAnswerError."""
    hookgate = servers.hookgates[way.variant.name] if way.variant else None
    server = hookgate.pid if hookgate else servers.floor.pid if way is FLOOR else 0
    clock = _Clock(server, servers.pdp.pid)
    shipper = hookgate.shipper if hookgate else 0
    shipped_seconds = cpu_seconds(shipper) if shipper else 0.0
    warm_seconds = min(0.2, seconds / 5)
    try:
        if way.kind is Kind.H2LOAD:
            return await _h2load(_grpc(asked, servers), callers, seconds + warm_seconds, clock)
        window = Window(warm_seconds=warm_seconds, seconds=seconds, least=callers, mark=clock.mark)
        if way.kind is Kind.GRPC:
            sent = await grpc_load.run(_grpc(asked, servers), callers, window)
        else:
            sent = await http_load.run(_http(way, payload, asked, servers), callers, window)
    except WrongAnswerError as error:
        raise WrongAnswerError(f"{way.label}, {payload.title}, callers: {callers}: {error}") from None
    sample = _sample(window.taken_seconds, window.elapsed_seconds, clock, sent)
    if hookgate is None or not shipper:
        return sample
    # It goes on after the last request, and must not disturb whose turn is next.
    until(hookgate.shipped, seconds=_LONGEST_SHIPPING_SECONDS, what="records to be shipped")
    return replace(sample, shipper_cpu_seconds=(cpu_seconds(shipper) - shipped_seconds) / sent)


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
    if way.kind in (Kind.HTTP, Kind.HTTP_UNCUT):
        plain = {"Content-Type": "application/json"}
        body = asked.json if way.kind is Kind.HTTP else asked.uncut
        return HttpTarget(servers.pdp.http_port, "/api/check/resources", plain, body, allows_by_http)
    if way.variant is None:
        return HttpTarget(servers.floor.port, "/ext/claude", HEADERS, payload.body, leaves_alone)
    hookgate = servers.hookgates[way.variant.name]
    return HttpTarget(hookgate.port, "/ext/claude", hookgate.headers, payload.body, leaves_alone)


class _Clock:
    """Processor times of the processes at work, at each mark."""

    def __init__(self, server: int, pdp: int) -> None:
        self._read: list[Callable[[], float]] = [
            lambda: cpu_seconds(server) if server else 0.0,
            lambda: cpu_seconds(pdp),
            # With h2load, which has then ended.
            lambda: cpu_seconds(os.getpid()) + _ended_children_seconds(),
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


def _ended_children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


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
        shipper_cpu_seconds=0.0,
        counted=counted,
        sent=sent,
    )
