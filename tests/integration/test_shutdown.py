"""Stopping, restarting, dying: what was accepted is answered, and what was answered is on record."""

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from hookgate.audit.verify import verify
from tests.conftest import ROOT, payload
from tests.integration.calling import Connection, Stream
from tests.integration.conftest import Serving
from tests.integration.stand_in import DENY, StandInPdp, never, says
from tests.support.pdp import Pdp
from tests.support.service import ServiceProcess
from tests.support.wait import until

Behaviour = Callable[[Any, Any], bytes]


def end(service: ServiceProcess, number: int = signal.SIGTERM) -> None:
    """Sends the signal and waits until the service says that it is stopping."""
    service.send(number)
    until(lambda: service.get("/readyz")[0] == 503, what="the service to say that it is stopping")
    assert json.loads(service.get("/readyz")[1])["reasons"] == ["stopping"]


def exit_code(service: ServiceProcess, *, seconds: float = 10) -> int:
    """Waits for the end; gives the exit code."""
    assert service.process is not None
    return service.process.wait(seconds)


def last_record(service: ServiceProcess) -> dict[str, Any]:
    """Gives the newest record of any type, but for the checkpoint that ends the journal."""
    *records, checkpoint = service.records(None)
    assert checkpoint["type"] == "checkpoint"
    return records[-1]


@pytest.fixture
def gate(stand_in: StandInPdp) -> threading.Event:
    """The stand-in answers (and denies) only once this is set."""
    opened = threading.Event()

    def held(request: Any, context: Any) -> bytes:
        opened.wait(30)
        return says(DENY)(request, context)

    stand_in.behaviour = held
    return opened


@pytest.fixture
def connect() -> Iterator[Callable[[ServiceProcess], Connection]]:
    """Opens connections, and closes them after the test."""
    with contextlib.ExitStack() as stack:

        def opened(service: ServiceProcess) -> Connection:
            return stack.enter_context(contextlib.closing(Connection(service.port)))

        yield opened


Connect = Callable[[ServiceProcess], Connection]


class TestStopping:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
    def test_finishes_the_decisions_under_way(
        self, connect: Connect, make_service: Serving, stand_in: StandInPdp, gate: threading.Event, number: int
    ) -> None:
        service = make_service(
            stand_in.address, {"decision": {"deadline_seconds": 20}, "server": {"grace_seconds": 30}}
        )
        connections = [connect(service) for _ in range(8)]
        for connection in connections:
            connection.send()
        until(lambda: len(stand_in.requests) == 8, what="all of them to be asked about")
        end(service, number)
        assert service.metric("hookgate_in_flight") == 8
        assert service.metric("hookgate_ready") == 0
        gate.set()
        for connection in connections:
            answer, is_last = connection.receive()
            assert answer["hookSpecificOutput"]["permissionDecision"] == "deny"
            assert is_last
        assert exit_code(service) == 0
        assert last_record(service)["type"] == "stop"
        assert last_record(service)["detail"] == {"unanswered": 0}

    def test_denies_what_a_hanging_pdp_leaves_open(
        self, connect: Connect, make_service: Serving, make_pdp: Callable[..., Pdp], allowing: Path
    ) -> None:
        pdp = make_pdp(allowing)
        service = make_service(pdp.address, {"decision": {"deadline_seconds": 1}})
        pdp.freeze()
        connections = [connect(service) for _ in range(5)]
        for connection in connections:
            connection.send()
        until(lambda: service.metric("hookgate_in_flight") == 5, what="all of them to be under way")
        end(service)
        for connection in connections:
            answer, is_last = connection.receive()
            assert "pdp_timeout" in answer["hookSpecificOutput"]["permissionDecisionReason"]
            assert is_last
        assert exit_code(service) == 0
        assert last_record(service)["detail"] == {"unanswered": 0}

    def test_answers_a_request_that_comes_on_a_kept_connection(
        self, connect: Connect, make_service: Serving, stand_in: StandInPdp
    ) -> None:
        linger_seconds = 1.0
        service = make_service(stand_in.address, {"server": {"linger_seconds": linger_seconds}})
        kept = connect(service)
        kept.send()
        assert kept.receive() == ({}, False)
        # As a person's session does, which may be quiet for long.
        idle_since = time.monotonic()
        until(lambda: time.monotonic() - idle_since > linger_seconds, what="the connection to have been idle")
        end(service)
        kept.send()
        assert kept.receive() == ({}, True)
        assert exit_code(service) == 0

    def test_answers_who_connects_while_others_are_served(
        self, connect: Connect, make_service: Serving, stand_in: StandInPdp, gate: threading.Event
    ) -> None:
        service = make_service(
            stand_in.address, {"decision": {"deadline_seconds": 20}, "server": {"linger_seconds": 1}}
        )
        early, late = connect(service), connect(service)
        early.send()
        until(lambda: stand_in.requests, what="the first to be asked about")
        end(service)
        late.send()
        until(lambda: len(stand_in.requests) == 2, what="the second to be asked about")
        gate.set()
        assert early.receive()[1]
        assert late.receive()[1]
        assert exit_code(service) == 0

    def test_waits_for_no_idle_connection(self, connect: Connect, make_service: Serving, stand_in: StandInPdp) -> None:
        service = make_service(stand_in.address, {"server": {"linger_seconds": 0.1, "grace_seconds": 30}})
        used, unused = connect(service), socket.create_connection(("127.0.0.1", service.port))
        used.send()
        used.receive()
        end(service)
        assert exit_code(service) == 0
        assert used.is_closed
        assert unused.recv(1) == b""
        unused.close()

    def test_denies_within_the_grace_period_what_is_still_open(
        self, connect: Connect, make_service: Serving, stand_in: StandInPdp
    ) -> None:
        stand_in.behaviour = never
        service = make_service(
            stand_in.address,
            {"decision": {"deadline_seconds": 0.9}, "server": {"linger_seconds": 0.1, "grace_seconds": 1}},
        )
        connection = connect(service)
        connection.send()
        until(lambda: stand_in.requests, what="it to be asked about")
        end(service)
        answer, is_last = connection.receive()
        assert "pdp_timeout" in answer["hookSpecificOutput"]["permissionDecisionReason"]
        assert is_last
        assert exit_code(service) == 0
        assert last_record(service)["detail"] == {"unanswered": 0}

    def test_ends_before_it_is_ready(self, make_service: Serving, stand_in: StandInPdp) -> None:
        stand_in.canary = never
        service = make_service(stand_in.address, ready=False)
        service.send(signal.SIGTERM)
        assert exit_code(service) == 0

    def test_ends_once_however_often_it_is_told(self, make_service: Serving, stand_in: StandInPdp) -> None:
        service = make_service(stand_in.address)
        for _ in range(5):
            service.send(signal.SIGTERM)
        assert exit_code(service) == 0
        assert [record["type"] for record in service.records(None)].count("stop") == 1

    def test_leaves_nothing_that_was_decided_unanswered_under_load(
        self, make_service: Serving, stand_in: StandInPdp
    ) -> None:
        service = make_service(stand_in.address, {"server": {"linger_seconds": 0.2, "grace_seconds": 5}})
        with Stream(service.port, connections=6) as stream:
            until(lambda: len(stream.answered) > 100, what="the stream to flow")
            service.send(signal.SIGTERM)
            assert exit_code(service, seconds=15) == 0
        decided = {record["session_id"] for record in service.records()}
        assert decided == set(stream.answered)
        assert last_record(service)["detail"] == {"unanswered": 0}

    def test_is_logged_with_its_end(self, make_service: Serving, stand_in: StandInPdp) -> None:
        service = make_service(stand_in.address)
        service.stop()
        assert [len(service.log_events(event)) for event in ("started", "stopping", "stopped")] == [1, 1, 1]
        assert service.log_events("stopped")[0]["unanswered"] == 0


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A listening socket that outlives the services that it is handed to."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listening:
        yield listening


class TestInheritedListener:
    @pytest.mark.parametrize("restarts", [5, pytest.param(20, marks=pytest.mark.soak)])
    def test_no_request_fails_while_the_service_is_restarted(
        self, make_service: Serving, stand_in: StandInPdp, listener: socket.socket, restarts: int
    ) -> None:
        service = make_service(stand_in.address, listener=listener)
        with Stream(service.port, connections=4) as stream:
            for _ in range(restarts):
                before = len(stream.answered)
                until(lambda before=before: len(stream.answered) > before + 20, what="the stream to flow")  # type: ignore[misc]
                assert service.stop() == 0
                service.start()
            until(lambda: len(stream.answered) > before + 20, what="the stream to flow again")
        assert stream.failed == {}
        assert {record["session_id"] for record in service.records()} == set(stream.answered)
        assert [record["detail"]["unanswered"] for record in service.records("stop")] == [0] * restarts

    def test_a_successor_waits_for_the_journal_until_the_one_before_has_ended(
        self,
        connect: Connect,
        make_service: Serving,
        stand_in: StandInPdp,
        listener: socket.socket,
        gate: threading.Event,
    ) -> None:
        settings = {"decision": {"deadline_seconds": 20}}
        first = make_service(stand_in.address, settings, listener=listener)
        second = ServiceProcess(stand_in.address, {**settings, "audit": first.settings["audit"]}, listener=listener)
        early = connect(first)
        early.send()
        until(lambda: len(stand_in.requests) == 1, what="it to be asked about")
        end(first)
        try:
            with ThreadPoolExecutor(1) as pool:
                started = pool.submit(second.start)
                until((second.directory / "log").exists, what="the successor to start")
                until(lambda: second.log_events("journal_locked"), seconds=20, what="the successor to wait")
                gate.set()
                assert early.receive()[1]
                started.result(20)
            assert second.post(payload("PreToolUse.Bash"))["hookSpecificOutput"]["permissionDecision"] == "deny"
            assert len(second.records("start")) == 2
            assert verify(Path(first.settings["audit"]["directory"])).intact
        finally:
            second.remove()

    def test_holds_requests_that_come_while_nobody_serves(
        self, connect: Connect, make_service: Serving, stand_in: StandInPdp, listener: socket.socket
    ) -> None:
        service = make_service(stand_in.address, listener=listener)
        service.stop()
        waiting = connect(service)
        waiting.send()
        service.start()
        assert waiting.receive() == ({}, False)

    def test_is_not_taken_by_a_process_that_it_is_not_meant_for(
        self, make_service: Serving, stand_in: StandInPdp, listener: socket.socket, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("LISTEN_FDS", "1")
        monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
        service = make_service(stand_in.address)
        assert service.post(payload("PreToolUse.Bash")) == {}

    @pytest.mark.parametrize("third", ["3<&-", "3</dev/null"], ids=["closed", "no socket"])
    def test_that_is_none_is_told_in_one_line(self, tmp_path: Path, third: str) -> None:
        configuration = tmp_path / "hookgate.yaml"
        configuration.write_text(yaml.safe_dump({"pdp": {"address": "unix:x"}, "audit": {"directory": str(tmp_path)}}))
        shell = f'exec {third}; LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"'
        command = [sys.executable, "-m", "hookgate", "serve", "--config", str(configuration)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "proxy")}
        told = subprocess.run(
            ["sh", "-c", shell, "sh", *command],
            env=environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert told.returncode == 1
        assert told.stderr.startswith("hookgate: LISTEN_FDS: descriptor 3 ")
        assert len(told.stderr.splitlines()) == 1


class TestStartingInVain:
    """What can't be had is told in one line that names the setting."""

    @staticmethod
    def started(settings: dict[str, Any], directory: Path) -> list[str]:
        """Starts a service that must refuse; gives what it says."""
        configuration = directory / "refused.yaml"
        configuration.write_text(yaml.safe_dump(settings))
        told = subprocess.run(
            [sys.executable, "-m", "hookgate", "serve", "--config", str(configuration)],
            env={**os.environ, "PYTHONPATH": str(ROOT / "proxy")},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert (told.returncode, told.stdout) == (1, "")
        return told.stderr.splitlines()

    @pytest.fixture
    def running(self, serving: Serving, stand_in: StandInPdp) -> ServiceProcess:
        return serving(stand_in.address)

    def test_a_taken_port(self, running: ServiceProcess, tmp_path: Path) -> None:
        lines = self.started({**running.settings, "audit": {"directory": str(tmp_path)}}, tmp_path)
        assert len(lines) == 1
        assert lines[0].startswith(
            f"hookgate: server.port: can't listen on 127.0.0.1:{running.port}: Address already in use"
        )

    def test_a_taken_admin_port(self, running: ServiceProcess, tmp_path: Path) -> None:
        settings = {**running.settings, "audit": {"directory": str(tmp_path)}, "server": {"port": 0}}
        lines = self.started(settings, tmp_path)
        assert len(lines) == 1
        assert lines[0].startswith(f"hookgate: admin.port: can't listen on 127.0.0.1:{running.admin_port}")

    def test_an_address_that_is_not_ours(self, running: ServiceProcess, tmp_path: Path) -> None:
        settings = {**running.settings, "server": {"host": "192.0.2.1", "port": 0}, "admin": {"port": 0}}
        lines = self.started(settings, tmp_path)
        assert len(lines) == 1
        assert lines[0].startswith("hookgate: server.port: can't listen on 192.0.2.1:0")

    def test_an_audit_directory_that_another_service_writes(self, running: ServiceProcess, tmp_path: Path) -> None:
        quick = {"port": 0, "linger_seconds": 0, "grace_seconds": 0.1}
        settings = {**running.settings, "server": quick, "admin": {"port": 0}, "decision": {"deadline_seconds": 0.1}}
        waits, refuses = self.started(settings, tmp_path)
        directory = running.settings["audit"]["directory"]
        assert json.loads(waits)["event"] == "journal_locked"
        assert (
            refuses
            == f"hookgate: audit.directory: {directory} is in use by another Hookgate; give each its own directory"
        )
        assert running.post(payload("PreToolUse.Bash")) == {}

    def test_an_audit_directory_that_is_a_file(self, running: ServiceProcess, tmp_path: Path) -> None:
        occupied = tmp_path / "audit"
        occupied.write_text("")
        settings = {
            **running.settings,
            "server": {"port": 0},
            "admin": {"port": 0},
            "audit": {"directory": str(occupied)},
        }
        lines = self.started(settings, tmp_path)
        assert len(lines) == 1
        assert lines[0].startswith(f"hookgate: audit.directory: {occupied}: ")


#: As many as a full run must survive, and a few of them.
KILLS = [5, pytest.param(50, marks=pytest.mark.soak)]


def killed_at_random(service: ServiceProcess) -> list[str]:
    """Kills a service under load, and starts it again; gives the sessions that were answered."""
    with Stream(service.port, connections=6) as stream:
        moment = random.randint(30, 300)
        until(lambda: len(stream.answered) > moment, seconds=30, what="the stream to flow")
        service.stop(number=signal.SIGKILL)
    service.start()
    return stream.answered


class TestDying:
    @pytest.mark.parametrize("kills", KILLS)
    @pytest.mark.parametrize("durability", ["process", "disk"])
    def test_every_answered_decision_is_in_a_chain_that_holds_after_kills(
        self, make_service: Serving, stand_in: StandInPdp, durability: str, kills: int
    ) -> None:
        # Small segments, so that a kill may come while one is begun.
        service = make_service(stand_in.address, {"audit": {"durability": durability, "segment_bytes": 65536}})
        directory = Path(service.settings["audit"]["directory"])
        for _ in range(kills):
            answered = killed_at_random(service)
            assert set(answered) <= {record["session_id"] for record in service.records()}
            found = verify(directory)
            assert (found.intact, len(found.keys)) == (True, 1), found.findings
        assert service.post(payload("PreToolUse.Bash")) == {}

    @pytest.mark.parametrize("kills", KILLS)
    def test_a_chain_whose_beginning_is_removed_all_the_time_holds_after_kills(
        self, make_service: Serving, stand_in: StandInPdp, kills: int
    ) -> None:
        settings = {"segment_bytes": 65536, "retention_days": 1e-9, "shippers": []}
        service = make_service(stand_in.address, {"audit": settings})
        directory = Path(service.settings["audit"]["directory"])
        for _ in range(kills):
            answered = killed_at_random(service)
            found = verify(directory)
            assert (found.intact, len(found.keys)) == (True, 1), found.findings
            # What is removed is old: behind the first that is left, nothing is missing. (Six connections may cross.)
            kept = {record["session_id"] for record in service.records()}
            first = next((at for at, session in enumerate(answered) if session in kept), len(answered))
            assert set(answered[first + 12 :]) <= kept
        assert verify(directory).first_seq > 1
        assert service.metric("hookgate_journal_lost_records_total") == 0

    def test_a_torn_last_line_is_cut_and_noted(self, make_service: Serving, stand_in: StandInPdp) -> None:
        service = make_service(stand_in.address)
        service.post(payload("PreToolUse.Bash", session_id="before"))
        service.stop(number=signal.SIGKILL)
        directory = Path(service.settings["audit"]["directory"])
        (file,) = (directory / "segments").iterdir()
        whole = file.read_bytes()
        torn = b'{"version":1,"type":"decision","id":"01a2'
        file.write_bytes(whole + torn)
        service.start()
        service.post(payload("PreToolUse.Bash", session_id="after"))
        assert [record["session_id"] for record in service.records()] == ["before", "after"]
        (repair,) = service.records("journal_repair")
        assert repair["detail"] == {"cut_bytes": len(torn), "damaged_lines": 0}
        assert file.read_bytes().startswith(whole)
        assert verify(directory).intact

    def test_a_service_that_was_killed_leaves_its_directory_and_port_to_the_next(
        self, connect: Connect, make_service: Serving, stand_in: StandInPdp
    ) -> None:
        service = make_service(stand_in.address)
        connection = connect(service)
        connection.send()
        connection.receive()
        service.stop(number=signal.SIGKILL)
        service.start()
        assert service.post(payload("PreToolUse.Bash")) == {}


def test_a_hang_up_stops_nobody(serving: Serving, stand_in: StandInPdp) -> None:
    service = serving(stand_in.address)
    service.send(signal.SIGHUP)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda _: service.post(payload("PreToolUse.Bash")), range(20))) == [{}] * 20
    with contextlib.suppress(subprocess.TimeoutExpired):
        assert service.process is not None
        assert service.process.wait(0.2) is None
