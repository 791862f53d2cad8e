"""Everything that can be wrong with the PDP ends in an answer by `on_error`, a record, a log line and a metric of the same kind."""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from cerbos.response.v1.response_pb2 import CheckResourcesResponse

from hookgate.errors import ErrorKind, Side
from tests.conftest import ROOT, payload
from tests.integration.calling import Connection
from tests.integration.conftest import Serving
from tests.integration.deciding import Decided, decide, decide_by
from tests.integration.stand_in import ALLOW, DENY, StandInPdp, never, response, says
from tests.support.pdp import Pdp
from tests.support.service import ServiceProcess
from tests.support.wait import free_port, until

#: Short, so that faults that last as long as a decision may are soon over.
DEADLINE_SECONDS = 0.6
#: A decision is timed on a machine that runs other tests beside: what a process may have to wait for a processor.
WAIT_SECONDS = 0.5
ON_ERROR = ("deny", "ask", "pass")

Services = Mapping[str, ServiceProcess]


def by_on_error(serving: Serving, address: str, **pdp: Any) -> Services:
    """Gives three services before one PDP, which differ in `on_error`."""
    settings = {"decision": {"deadline_seconds": DEADLINE_SECONDS}, "pdp": pdp}
    with ThreadPoolExecutor(len(ON_ERROR)) as pool:
        made = pool.map(lambda on_error: serving(address, {**settings, "on_error": on_error}), ON_ERROR)
        return dict(zip(ON_ERROR, made, strict=True))


def expected_permission(kind: ErrorKind, on_error: str) -> str:
    """What PreToolUse is told: a fault of the caller's is never let through, one that load can bring about asks at least."""
    if kind.side is Side.CALLER:
        return "deny"
    if kind.side is Side.LOAD and on_error == "pass":
        return "ask"
    return "" if on_error == "pass" else on_error


def assert_fault(services: Services, kind: ErrorKind, body: Mapping[str, Any] | None = None) -> dict[str, Decided]:
    """Posts a hook to each service, and sees that the fault is answered, recorded, logged and counted as it should be."""
    before = {name: one.metric("hookgate_errors_total", kind=kind.value) for name, one in services.items()}
    decided = decide_by(services, body)
    for name, one in decided.items():
        service = services[name]
        assert (one.record["outcome"], one.record["error"]) == ("error", kind.value), one.record["error_detail"]
        assert one.permission == expected_permission(kind, name)
        assert one.record["answer"] == one.answer
        if one.permission:
            assert f"Hookgate could not decide ({kind.value})" in one.reason
            assert one.record["id"] in one.reason
        else:
            assert one.answer == {}
        assert service.metric("hookgate_errors_total", kind=kind.value) == before[name] + 1
        until(lambda one=one, service=service: logged(service, one) == [kind.value], what="the log line")  # type: ignore[misc]
    return decided


def logged(service: ServiceProcess, decided: Decided) -> list[str]:
    """Gives the error kinds that the log names for a decision."""
    return [line["error"] for line in service.log_events("decision") if line["decision_id"] == decided.record["id"]]


def allowed(services: Services) -> bool:
    """Whether all of them let a harmless call through."""
    return all(one.record["outcome"] == "allow" for one in decide_by(services).values())


class TestRealPdp:
    @pytest.fixture(scope="class", name="pdp")
    @staticmethod
    def pdp_on_a_port(cerbos: Path) -> Iterator[Pdp]:
        pdp = Pdp(ROOT / "policies", listen=f"127.0.0.1:{free_port()}").start()
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
        until(lambda: allowed(services), seconds=5, what="decisions to come back by themselves")

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
        until(lambda: allowed(services), seconds=5, what="decisions to come back by themselves")

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
        until(lambda: allowed(services), seconds=5, what="decisions to come back by themselves")

    def test_takes_no_more_than_its_own_limit(self, services: Services) -> None:
        large = payload("PreToolUse.Write", tool_input={"file_path": "/p/a", "content": "x" * (4 * 1024 * 1024)})
        decided = assert_fault(services, ErrorKind.PDP_TOO_LARGE, large)
        assert " bytes" in decided["deny"].record["error_detail"]
        assert allowed(services)

    def test_refuses_a_message_that_is_larger_than_it_was_said_to_take(self, serving: Serving, pdp: Pdp) -> None:
        services = by_on_error(serving, pdp.address, max_request_bytes=64 * 1024 * 1024)
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


class TestNonsense:
    """A server that speaks gRPC, but whose answers do not fit the question."""

    @pytest.fixture
    def services(self, serving: Serving, stand_in: StandInPdp) -> Services:
        return by_on_error(serving, stand_in.address)

    @staticmethod
    def changed(change: Callable[[CheckResourcesResponse], object]) -> Callable[..., bytes]:
        def behave(request: Any, context: grpc.ServicerContext) -> bytes:
            made = response(request, ALLOW, {"hookSpecificOutput": {"permissionDecision": "allow"}})
            change(made)
            return made.SerializeToString()

        return behave

    @pytest.mark.parametrize(
        "change",
        [
            lambda made: setattr(made, "request_id", "another"),
            lambda made: setattr(made, "request_id", ""),
            lambda made: made.ClearField("results"),
            lambda made: made.results.append(made.results[0]),
            lambda made: setattr(made.results[0].resource, "id", "another"),
            lambda made: setattr(made.results[0].resource, "kind", "PostToolUse"),
            lambda made: made.results[0].ClearField("resource"),
            lambda made: made.results[0].actions.clear(),
            lambda made: made.results[0].actions.update({"Read": ALLOW}),
            lambda made: made.results[0].actions.update({"Bash": 0}),
            lambda made: made.results[0].actions.update({"Bash": 3}),
            lambda made: made.results[0].actions.update({"Bash": 99}),
        ],
        ids=[
            "wrong request id",
            "no request id",
            "no result",
            "two results",
            "wrong resource id",
            "wrong kind",
            "no resource",
            "no action",
            "another action",
            "unspecified effect",
            "no-match effect",
            "unknown effect",
        ],
    )
    def test_an_answer_that_does_not_fit_is_nonsense(
        self, services: Services, stand_in: StandInPdp, change: Callable[[CheckResourcesResponse], object]
    ) -> None:
        stand_in.behaviour = self.changed(change)
        assert_fault(services, ErrorKind.PDP_NONSENSE)

    @pytest.mark.parametrize(
        "data",
        [b"", b"\xff" * 40, os.urandom(2000), b"\x0a\x05ab", b'{"results": []}'],
        ids=["empty", "ones", "random", "cut", "JSON"],
    )
    def test_an_answer_that_is_no_message_is_nonsense(
        self, services: Services, stand_in: StandInPdp, data: bytes
    ) -> None:
        stand_in.behaviour = lambda request, context: data
        assert_fault(services, ErrorKind.PDP_NONSENSE)

    def test_an_answer_beyond_every_measure_is_refused(self, services: Services, stand_in: StandInPdp) -> None:
        stand_in.behaviour = lambda request, context: bytes(17 * 1024 * 1024)
        decided = assert_fault(services, ErrorKind.PDP_TOO_LARGE)
        assert "Received message larger" in decided["deny"].record["error_detail"]

    def test_a_large_answer_that_fits_is_used(self, services: Services, stand_in: StandInPdp) -> None:
        stand_in.behaviour = says(
            DENY, {"hookSpecificOutput": {"permissionDecision": "deny", "permissionDecisionReason": "x" * 1_000_000}}
        )
        decided = decide(services["deny"])
        assert decided.record["outcome"] == "deny"
        assert len(decided.reason) <= 4000

    def test_an_answer_that_never_comes_is_a_timeout(self, services: Services, stand_in: StandInPdp) -> None:
        stand_in.behaviour = never
        assert_fault(services, ErrorKind.PDP_TIMEOUT)

    def test_an_answer_that_comes_too_late_is_a_timeout(self, services: Services, stand_in: StandInPdp) -> None:
        def late(request: Any, context: grpc.ServicerContext) -> bytes:
            time.sleep(DEADLINE_SECONDS)
            return says(ALLOW)(request, context)

        stand_in.behaviour = late
        assert_fault(services, ErrorKind.PDP_TIMEOUT)

    def test_a_call_that_the_server_drops_is_a_timeout(self, services: Services, stand_in: StandInPdp) -> None:
        def drop(request: Any, context: grpc.ServicerContext) -> bytes:
            context.cancel()
            return b""

        stand_in.behaviour = drop
        assert_fault(services, ErrorKind.PDP_TIMEOUT)

    def test_a_server_that_breaks_is_refusing(self, services: Services, stand_in: StandInPdp) -> None:
        def broken(request: Any, context: grpc.ServicerContext) -> bytes:
            context.set_code(grpc.StatusCode.UNKNOWN)
            context.set_details("first line\nsecond line")
            return b""

        stand_in.behaviour = broken
        decided = assert_fault(services, ErrorKind.PDP_REFUSED)
        assert decided["deny"].record["error_detail"] == "UNKNOWN: first line"

    @pytest.mark.parametrize(
        "code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK], ids=lambda code: code.name
    )
    def test_each_status_has_its_kind(self, services: Services, stand_in: StandInPdp, code: grpc.StatusCode) -> None:
        kinds = {
            grpc.StatusCode.UNAVAILABLE: ErrorKind.PDP_UNAVAILABLE,
            grpc.StatusCode.DEADLINE_EXCEEDED: ErrorKind.PDP_TIMEOUT,
            grpc.StatusCode.CANCELLED: ErrorKind.PDP_TIMEOUT,
            grpc.StatusCode.RESOURCE_EXHAUSTED: ErrorKind.PDP_TOO_LARGE,
            grpc.StatusCode.INVALID_ARGUMENT: ErrorKind.PDP_INVALID,
            grpc.StatusCode.OUT_OF_RANGE: ErrorKind.PDP_INVALID,
        }

        def abort(request: Any, context: grpc.ServicerContext) -> bytes:
            context.set_code(code)
            context.set_details("because")
            return b""

        stand_in.behaviour = abort
        decided = assert_fault(services, kinds.get(code, ErrorKind.PDP_REFUSED))
        assert decided["deny"].record["error_detail"] == f"{code.name}: because"

    def test_an_outage_within_a_decision_s_time_is_asked_over(self, services: Services, stand_in: StandInPdp) -> None:
        tries = []

        def recovering(request: Any, context: grpc.ServicerContext) -> bytes:
            tries.append(request.request_id)
            if len(tries) < 3:
                context.set_code(grpc.StatusCode.UNAVAILABLE)
                return b""
            return says(ALLOW)(request, context)

        stand_in.behaviour = recovering
        decided = decide(services["deny"])
        assert decided.record["outcome"] == "allow"
        assert tries == [decided.record["id"]] * 3

    def test_a_refusal_is_not_asked_over(self, services: Services, stand_in: StandInPdp) -> None:
        def refuse(request: Any, context: grpc.ServicerContext) -> bytes:
            context.set_code(grpc.StatusCode.INTERNAL)
            return b""

        stand_in.behaviour = refuse
        assert decide(services["deny"]).record["error"] == "pdp_refused"
        assert len(stand_in.requests) == 1


class TestOtherEvents:
    """What an event other than PreToolUse is told while the PDP answers nonsense."""

    @pytest.fixture(autouse=True)
    def nonsense(self, stand_in: StandInPdp) -> None:
        stand_in.behaviour = lambda request, context: b"\xff"

    @pytest.fixture
    def services(self, serving: Serving, stand_in: StandInPdp) -> Services:
        return by_on_error(serving, stand_in.address)

    def answers(self, services: Services, body: dict[str, Any]) -> dict[str, dict[str, Any]]:
        decided = decide_by(services, body)
        assert {one.record["error"] for one in decided.values()} == {"pdp_nonsense"}
        return {name: one.answer for name, one in decided.items()}

    def test_a_permission_prompt_is_denied_or_stays(self, services: Services) -> None:
        answers = self.answers(services, payload("PermissionRequest.Bash"))
        assert answers["deny"]["hookSpecificOutput"]["decision"]["behavior"] == "deny"
        assert (answers["ask"], answers["pass"]) == ({}, {})

    def test_a_config_change_is_blocked_unless_errors_pass(self, services: Services) -> None:
        answers = self.answers(services, payload("ConfigChange"))
        assert (answers["deny"]["decision"], answers["ask"]["decision"], answers["pass"]) == ("block", "block", {})

    def test_a_model_switch_is_denied_or_asked_about(self, services: Services) -> None:
        answers = self.answers(services, payload("PreModelSwitch"))
        assert answers["deny"]["hookSpecificOutput"]["permissionDecision"] == "deny"
        assert answers["ask"]["hookSpecificOutput"]["permissionDecision"] == "ask"
        assert answers["pass"] == {}

    @pytest.mark.parametrize(
        "name",
        [
            "UserPromptSubmit",
            "PostToolUse.Bash",
            "PreCompact.manual",
            "Stop",
            "SubagentStop",
            "Elicitation",
            "SessionEnd.other",
        ],
    )
    def test_others_go_on(self, services: Services, name: str) -> None:
        assert list(self.answers(services, payload(name)).values()) == [{}, {}, {}]

    def test_others_are_stopped_where_they_are_named_but_never_an_agent_s_stopping(
        self, serving: Serving, stand_in: StandInPdp
    ) -> None:
        named = ["UserPromptSubmit", "PostToolUse", "Elicitation", "Stop", "SubagentStop"]
        service = serving(stand_in.address, {"on_error_events": named})
        assert decide(service, payload("UserPromptSubmit")).answer["decision"] == "block"
        assert decide(service, payload("PostToolUse.Bash")).answer["decision"] == "block"
        assert decide(service, payload("Elicitation")).answer["hookSpecificOutput"]["action"] == "decline"
        assert decide(service, payload("PreCompact.manual")).answer == {}
        for name in ("Stop", "SubagentStop"):
            assert decide(service, payload(name)).answer == {}


class TestOverload:
    def test_beyond_the_slots_a_call_waits_and_is_then_never_let_through(
        self, serving: Serving, stand_in: StandInPdp
    ) -> None:
        stand_in.behaviour = never
        settings = {"on_error": "pass", "decision": {"deadline_seconds": DEADLINE_SECONDS, "max_in_flight": 2}}
        service = serving(stand_in.address, settings)
        with contextlib.ExitStack() as stack:
            # Opened before, so that all of them ask at the same time.
            callers = [stack.enter_context(contextlib.closing(Connection(service.port))) for _ in range(20)]
            for caller in callers:
                caller.send()
            answers = [caller.receive()[0] for caller in callers]
        assert {answer["hookSpecificOutput"]["permissionDecision"] for answer in answers} == {"ask"}
        # One that gets the slot of another that has given up may be too late to ask.
        errors = [record["error"] for record in service.records()]
        assert set(errors) == {"overloaded", "pdp_timeout"}
        assert service.metric("hookgate_errors_total", kind="overloaded") == errors.count("overloaded")

    def test_a_call_that_gets_a_slot_in_time_is_decided(self, serving: Serving, stand_in: StandInPdp) -> None:
        def slow(request: Any, context: grpc.ServicerContext) -> bytes:
            time.sleep(0.02)
            return says(ALLOW)(request, context)

        stand_in.behaviour = slow
        settings = {"on_error": "pass", "decision": {"deadline_seconds": 5, "max_in_flight": 1}}
        service = serving(stand_in.address, settings)
        with ThreadPoolExecutor(8) as pool:
            assert {one.record["outcome"] for one in pool.map(lambda _: decide(service), range(8))} == {"allow"}


class Certificates:
    """A CA, and certificates of it in files."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._ca = trustme.CA()
        self.ca = directory / "ca.pem"
        self._ca.cert_pem.write_to_path(self.ca)

    def issue(self, name: str) -> tuple[Path, Path]:
        """Gives the files of a certificate and its key."""
        made = self._ca.issue_cert(name)
        certificate, key = self._directory / f"{name}.pem", self._directory / f"{name}.key"
        certificate.write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))
        made.private_key_pem.write_to_path(key)
        return certificate, key


class TestTls:
    """Both sides' certificates. A service under test keeps to a short deadline, so that refusals are soon told."""

    @pytest.fixture(scope="class", name="certificates")
    @staticmethod
    def certificates_of_a_ca(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
        return Certificates(tmp_path_factory.mktemp("certificates"))

    @pytest.fixture(scope="class", name="tls_pdp")
    @staticmethod
    def pdp_with_tls(cerbos: Path, certificates: Certificates) -> Iterator[Pdp]:
        certificate, key = certificates.issue("localhost")
        tls = {"cert": str(certificate), "key": str(key)}
        pdp = Pdp(ROOT / "policies", listen=f"127.0.0.1:{free_port()}", tls=tls).start()
        yield pdp
        pdp.stop()

    @pytest.fixture(name="decided_with")
    def decided_with_settings(self, make_service: Serving) -> Callable[..., Decided]:
        def decided(pdp: Pdp | StandInPdp, **tls: Any) -> Decided:
            settings = {"decision": {"deadline_seconds": DEADLINE_SECONDS}, "pdp": {"tls": tls}}
            return decide(make_service(pdp.address, settings, ready=False))

        return decided

    def test_is_spoken_to_a_pdp_whose_certificate_the_ca_vouches_for(
        self, decided_with: Callable[..., Decided], tls_pdp: Pdp, certificates: Certificates
    ) -> None:
        found = decided_with(tls_pdp, enabled=True, ca=str(certificates.ca), server_name="localhost")
        assert found.record["outcome"] == "allow"

    def test_to_a_certificate_of_another_ca_is_unavailable(
        self, decided_with: Callable[..., Decided], tls_pdp: Pdp, tmp_path: Path
    ) -> None:
        found = decided_with(tls_pdp, enabled=True, ca=str(Certificates(tmp_path).ca), server_name="localhost")
        assert (found.permission, found.record["error"]) == ("deny", "pdp_unavailable")

    def test_to_a_certificate_for_another_name_is_unavailable(
        self, decided_with: Callable[..., Decided], tls_pdp: Pdp, certificates: Certificates
    ) -> None:
        found = decided_with(tls_pdp, enabled=True, ca=str(certificates.ca))
        assert (found.permission, found.record["error"]) == ("deny", "pdp_unavailable")

    def test_to_a_pdp_that_speaks_plaintext_is_unavailable(
        self, decided_with: Callable[..., Decided], make_pdp: Callable[..., Pdp], certificates: Certificates
    ) -> None:
        plain = make_pdp(ROOT / "policies", listen=f"127.0.0.1:{free_port()}")
        found = decided_with(plain, enabled=True, ca=str(certificates.ca), server_name="localhost")
        assert (found.permission, found.record["error"]) == ("deny", "pdp_unavailable")

    def test_that_only_the_pdp_speaks_is_unavailable(self, decided_with: Callable[..., Decided], tls_pdp: Pdp) -> None:
        found = decided_with(tls_pdp, enabled=False)
        assert (found.permission, found.record["error"]) == ("deny", "pdp_unavailable")

    def test_with_a_client_certificate_is_spoken_to_a_server_that_demands_one(
        self, decided_with: Callable[..., Decided], certificates: Certificates
    ) -> None:
        certificate, key = certificates.issue("localhost")
        credentials = grpc.ssl_server_credentials(
            [(key.read_bytes(), certificate.read_bytes())],
            root_certificates=certificates.ca.read_bytes(),
            require_client_auth=True,
        )
        server = StandInPdp(credentials)
        try:
            ours, ours_key = certificates.issue("hookgate.test")
            common = {"enabled": True, "ca": str(certificates.ca), "server_name": "localhost"}
            found = decided_with(server, **common, certificate=str(ours), key=str(ours_key))
            assert (found.record["outcome"], server.callers) == ("allow", [{b"hookgate.test"}])
            bare = decided_with(server, **common)
            assert (bare.permission, bare.record["error"]) == ("deny", "pdp_unavailable")
        finally:
            server.stop()
