"""The processes that are measured, started and stopped: the PDP, Hookgates, the floor."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from bench.payloads import HEADERS
from bench.usage import children
from bench.variants import SHIPPED, Issuer, Variant
from tests.support.pdp import Pdp
from tests.support.service import ROOT, ServiceProcess, merged
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
    """`hookgate serve` with what ships as defaults, but for a deadline that no amount of load on a small machine reaches, so that
    waiting shows as time and not as refusals; a journal in a directory of its own; and what a variant sets."""

    def __init__(self, pdp_address: str, variant: Variant) -> None:
        settings: dict[str, Any] = {
            "server": {"linger_seconds": 1.0, "grace_seconds": 61.0},
            "decision": {"deadline_seconds": 60.0},
        }
        super().__init__(
            pdp_address,
            merged(settings, variant.settings),
            program=(str(ROOT / "bench" / "without.py"), variant.without) if variant.without else ("-m", "hookgate"),
        )
        self.headers = HEADERS
        if variant.token:
            issuer, keys = Issuer(), self.directory / "jwks.json"
            keys.write_text(json.dumps(issuer.keys))
            self.settings = merged(self.settings, issuer.settings(str(keys)))
            self.headers = {"Content-Type": "application/json", "Authorization": f"Bearer {issuer.token}"}
        self.variant = variant

    @property
    def pid(self) -> int:
        """The process id."""
        assert self.process is not None
        return self.process.pid

    @property
    def shipper(self) -> int:
        """The process id of the one that ships its records; 0 where none does."""
        found = children(self.pid) if self.variant.ships else ()
        return found[0] if found else 0

    def allowed(self) -> int:
        """How many requests it says it has allowed."""
        return int(self.metric("hookgate_decisions_total", outcome="allow"))

    def shipped(self) -> bool:
        """Whether all that is in the journal is shipped, as it was told last (each second)."""
        written, delivered = self.metric("hookgate_journal_records_total"), self.metric("hookgate_ship_shipped_total")
        return delivered >= written and not self.metric("hookgate_ship_lag_records")


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
    """All that runs during a benchmark; Hookgates by the names of their variants."""

    pdp: BenchPdp
    hookgates: dict[str, BenchService]
    floor: Floor


@contextmanager
def servers(wanted: Iterable[Variant]) -> Iterator[Servers]:
    """Starts everything, and ends it."""
    with pdp() as running:
        made = [BenchService(running.address, variant) for variant in wanted]
        floor = Floor()
        try:
            with ThreadPoolExecutor(2) as starting:
                list(starting.map(BenchService.start, made))
            yield Servers(running, {one.variant.name: one for one in made}, floor)
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
    """Starts and stops Hookgate twice, with all that ships, the PDP being up."""
    stops: list[float] = []
    starts: list[float] = []
    for idle in (0, connections):
        service = BenchService(pdp_address, SHIPPED)
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
