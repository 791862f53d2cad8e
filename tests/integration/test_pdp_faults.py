"""A PDP that is dead, hangs, takes no more, or is somebody else: no call is let through by it."""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hookgate.errors import ErrorKind
from tests.conftest import payload
from tests.integration.conftest import ON_EACH_TRANSPORT, Serving
from tests.integration.deciding import decide
from tests.integration.faults import (
    DEADLINE_SECONDS,
    WAIT_SECONDS,
    Services,
    allowed,
    assert_fault,
    by_on_error,
)
from tests.support.pdp import Pdp
from tests.support.service import ServiceProcess
from tests.support.wait import free_port, until

pytestmark = ON_EACH_TRANSPORT


class TestRealPdp:
    @pytest.fixture(scope="class", name="pdp")
    @staticmethod
    def pdp_on_a_port(cerbos: Path, allowing: Path) -> Iterator[Pdp]:
        pdp = Pdp(allowing, listen=f"127.0.0.1:{free_port()}").start()
        yield pdp
        pdp.stop()

    @pytest.fixture
    def services(self, serving: Serving, pdp: Pdp) -> Services:
        services = by_on_error(serving, pdp.address)
        assert allowed(services)
        return services

    def test_that_is_killed_is_unavailable_and_decisions_come_back_with_it(self, services: Services, pdp: Pdp) -> None:
        pdp.kill()
        try:
            assert_fault(services, ErrorKind.PDP_UNAVAILABLE)
        finally:
            pdp.start()
        until(lambda: allowed(services), seconds=20, what="decisions to come back by themselves")

    def test_that_is_restarted_within_a_decision_s_time_is_not_noticed(self, services: Services, pdp: Pdp) -> None:
        slow = ServiceProcess(pdp.address, {"decision": {"deadline_seconds": 20}})
        try:
            slow.start()
            pdp.kill()
            with ThreadPoolExecutor(1) as pool:
                waiting = pool.submit(decide, slow)
                pdp.start()
                assert waiting.result().record["outcome"] == "allow"
        finally:
            slow.remove()

    def test_that_hangs_is_a_timeout_within_the_deadline_and_decisions_come_back(
        self, services: Services, pdp: Pdp
    ) -> None:
        pdp.freeze()
        try:
            begun = time.monotonic()
            decided = assert_fault(services, ErrorKind.PDP_TIMEOUT)
            assert time.monotonic() - begun >= DEADLINE_SECONDS / 2
            assert all(one.record["total_seconds"] < DEADLINE_SECONDS + WAIT_SECONDS for one in decided.values())
        finally:
            pdp.thaw()
        until(lambda: allowed(services), seconds=20, what="decisions to come back by themselves")

    def test_that_hangs_with_many_waiting_answers_all_of_them_in_time(self, services: Services, pdp: Pdp) -> None:
        pdp.freeze()
        try:
            with ThreadPoolExecutor(30) as pool:
                begun = time.monotonic()
                found = list(pool.map(lambda _: decide(services["pass"]), range(30)))
                took = time.monotonic() - begun
        finally:
            pdp.thaw()
        assert {one.permission for one in found} == {"ask"}
        assert all(one.record["total_seconds"] < DEADLINE_SECONDS + WAIT_SECONDS for one in found)
        assert took < 10
        until(lambda: allowed(services), seconds=20, what="decisions to come back by themselves")

    def test_takes_no_more_than_its_own_limit(self, services: Services) -> None:
        large = payload("PreToolUse.Write", tool_input={"file_path": "/p/a", "content": "x" * (4 * 1024 * 1024)})
        decided = assert_fault(services, ErrorKind.PDP_TOO_LARGE, large)
        assert " bytes" in decided["deny"].record["error_detail"]
        assert allowed(services)

    def test_refuses_a_message_that_is_larger_than_it_was_said_to_take(self, serving: Serving, pdp: Pdp) -> None:
        # Not in a hurry: 5 MB take a loaded machine a while.
        services = by_on_error(serving, pdp.address, deadline_seconds=10, max_request_bytes=64 * 1024 * 1024)
        large = payload("PreToolUse.Write", tool_input={"file_path": "/p/a", "content": "x" * (5 * 1024 * 1024)})
        decided = assert_fault(services, ErrorKind.PDP_TOO_LARGE, large)
        assert "RESOURCE_EXHAUSTED" in decided["deny"].record["error_detail"]


@pytest.mark.parametrize("address", ["127.0.0.1:{port}", "unix:{directory}/nowhere.sock", "dns:///nowhere.invalid:1"])
def test_nobody_at_the_pdp_s_address_is_unavailable(serving: Serving, tmp_path: Path, address: str) -> None:
    settings = {"decision": {"deadline_seconds": DEADLINE_SECONDS}, "pdp": {"allow_plaintext": True}}
    service = serving(address.format(port=free_port(), directory=tmp_path), settings, ready=False)
    assert_fault({"deny": service}, ErrorKind.PDP_UNAVAILABLE)


class Raw:
    """A TCP server that does with each connection what it is told."""

    def __init__(self) -> None:
        self.behave: Callable[[socket.socket], None] = socket.socket.close
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection = self._socket.accept()[0]
                threading.Thread(target=self._handle, args=(connection,), daemon=True).start()

    def _handle(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            self.behave(connection)

    def close(self) -> None:
        """Takes no more connections."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def _http1(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


def _noise(connection: socket.socket) -> None:
    connection.sendall(os.urandom(4096))


def _silence(connection: socket.socket) -> None:
    while connection.recv(65536):
        pass


class TestSomebodyElseAtThePdpsPort:
    @pytest.fixture(scope="class", name="other")
    @staticmethod
    def other_server() -> Iterator[Raw]:
        server = Raw()
        yield server
        server.close()

    @pytest.mark.parametrize(
        "behave", [socket.socket.close, _http1, _noise, _silence], ids=["closes", "HTTP/1.1", "noise", "silence"]
    )
    def test_never_decides(self, serving: Serving, other: Raw, behave: Callable[[socket.socket], None]) -> None:
        other.behave = behave
        service = serving(other.address, {"decision": {"deadline_seconds": DEADLINE_SECONDS}}, ready=False)
        decided = decide(service)
        assert decided.permission == "deny"
        # Whether the connection or the call gives up first is chance.
        assert decided.record["error"] in ("pdp_unavailable", "pdp_timeout")
