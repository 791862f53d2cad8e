"""The processes that are measured, started and stopped: the PDP, Hookgate (whole, and without its journal), the floor."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.support.pdp import Pdp
from tests.support.service import ROOT, ServiceProcess
from tests.support.wait import free_port, until

#: As `hookgate dev` starts the PDP: more memory for less time in the garbage collector. GOGC in the environment goes before it.
GOGC = "400"


class BenchPdp(Pdp):
    """The PDP with the policies that ship: gRPC on a unix socket, its own HTTP API on TCP."""

    def __init__(self) -> None:
        super().__init__(ROOT / "policies")
        self.http_port = free_port()
        self._configuration["server"]["httpListenAddr"] = f"127.0.0.1:{self.http_port}"


class BenchService(ServiceProcess):
    """`hookgate serve` with what ships as defaults, but for two settings: a deadline that no amount of load on a small machine
    reaches, so that waiting shows as time and not as refusals, and a journal in a directory of its own."""

    def __init__(self, pdp_address: str, *, without_journal: bool = False) -> None:
        super().__init__(
            pdp_address,
            {"server": {"linger_seconds": 1.0, "grace_seconds": 61.0}, "decision": {"deadline_seconds": 60.0}},
            program=(str(ROOT / "bench" / "without.py"), "journal") if without_journal else ("-m", "hookgate"),
        )

    @property
    def pid(self) -> int:
        """The process id."""
        assert self.process is not None
        return self.process.pid

    def allowed(self) -> int:
        """How many requests it says it has allowed."""
        return int(self.metric("hookgate_decisions_total", outcome="allow"))


class Floor:
    """aiohttp answering by itself."""

    def __init__(self) -> None:
        self.port = free_port()
        self._process = subprocess.Popen([sys.executable, "-m", "bench.floor", str(self.port)], cwd=ROOT)
        until(self._accepts, seconds=20, what="the floor's server to listen")

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def stop(self) -> None:
        """Ends it."""
        self._process.kill()
        self._process.wait()

    def _accepts(self) -> bool:
        assert self._process.poll() is None, "the floor's server ended"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@dataclass(frozen=True, slots=True)
class Servers:
    """All that runs during a benchmark."""

    pdp: BenchPdp
    hookgate: BenchService
    without_journal: BenchService
    floor: Floor


@contextmanager
def servers() -> Iterator[Servers]:
    """Starts everything, and ends it."""
    with pdp() as running:
        made = [BenchService(running.address), BenchService(running.address, without_journal=True)]
        floor = Floor()
        try:
            for service in made:
                service.start()
            yield Servers(running, made[0], made[1], floor)
        finally:
            floor.stop()
            for service in made:
                if service.process is not None:
                    service.remove()


@contextmanager
def pdp() -> Iterator[BenchPdp]:
    """Starts the PDP, and ends it."""
    os.environ.setdefault("GOGC", GOGC)
    made = BenchPdp()
    try:
        made.start()
        yield made
    finally:
        made.stop()


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """Seconds from the command to ready, from SIGTERM to the end, and the same with connections that are idle."""

    start_seconds: float
    stop_seconds: float
    stop_with_connections_seconds: float


def lifecycle(pdp_address: str, *, connections: int = 16) -> Lifecycle:
    """Starts and stops Hookgate twice, the PDP being up."""
    stops: list[float] = []
    starts: list[float] = []
    for idle in (0, connections):
        service = BenchService(pdp_address)
        held: list[socket.socket] = []
        try:
            begun = time.perf_counter()
            service.start()
            starts.append(time.perf_counter() - begun)
            held = [_after_a_request(service.port) for _ in range(idle)]
            begun = time.perf_counter()
            code = service.stop()
            stops.append(time.perf_counter() - begun)
            assert code == 0, f"Hookgate ended with {code}: {service.log()[-2000:]}"
        finally:
            for connection in held:
                connection.close()
            service.remove()
    return Lifecycle(min(starts), stops[0], stops[1])


def _after_a_request(port: int) -> socket.socket:
    """Gives a connection that has had its first answer: it may then be idle for as long as it likes."""
    connection = socket.create_connection(("127.0.0.1", port))
    connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert connection.recv(65536).startswith(b"HTTP/1.1 200"), "Hookgate's page"
    return connection
