"""The shipping process beside the real service: nothing that becomes of it touches a decision or loses a record."""

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from hookgate.audit.shipping.exclusive import only_shipper
from hookgate.audit.store.opening import open_store
from hookgate.audit.store.question import Filter
from hookgate.audit.verify import verify
from tests.conftest import payload
from tests.integration.running import COMMAND, environment, run
from tests.integration.stand_in import StandInPdp
from tests.support.collectors import REFUSED, Collector
from tests.support.laid import LaidJournal
from tests.support.service import ServiceProcess
from tests.support.wait import free_port, until

MakeService = Callable[..., ServiceProcess]
SECRET = "a-token-that-nobody-may-read"


@pytest.fixture(scope="module")
def collectors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    collector = Collector(tmp_path_factory.mktemp("collectors")).start()
    yield collector
    collector.kill()


@pytest.fixture
def collector(collectors: Collector) -> Collector:
    """A collector with nothing in it that knows what it has already."""
    collectors.forget()
    return collectors


def child(service: ServiceProcess) -> int:
    """Gives the process id of the shipping process; 0 while there is none."""
    assert service.process is not None
    told = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True)
    for line in told.stdout.splitlines():
        pid, parent, command = line.split(None, 2)
        if int(parent) == service.process.pid and "hookgate ship" in command:
            return int(pid)
    return 0


def is_running(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        # One that has ended and that nobody has asked about is none any more.
        return f"{pid} (python" in Path(f"/proc/{pid}/stat").read_text() if Path("/proc").exists() else True
    return False


def written(path: Path) -> list[dict[str, Any]]:
    """Gives what a file sink holds; fails where a line is not whole."""
    content = path.read_bytes() if path.exists() else b""
    assert content.endswith(b"\n") or not content
    return [json.loads(line) for line in content.splitlines()]


def stored(path: Path) -> list[str]:
    """Gives the hashes of the decisions in a store, the oldest first."""
    if not path.exists():
        return []
    store = open_store(path)
    try:
        return [entry.hash for entry in store.entries(Filter())]
    finally:
        store.close()


def decided(service: ServiceProcess) -> list[str]:
    """Gives the hashes of the decisions in the journal, the oldest first."""
    return [record["hash"] for record in service.records()]


def journal_of(service: ServiceProcess) -> Path:
    return Path(service.settings["audit"]["directory"])


def restarted(service: ServiceProcess, times: int) -> bool:
    return service.metric("hookgate_ship_restarts_total") == times


def larger(path: Path, size: int) -> bool:
    return path.exists() and path.stat().st_size > size


class TestBesideTheService:
    def test_delivers_all_up_to_the_last_line_and_is_seen_in_the_metrics(
        self, make_service: MakeService, stand_in: StandInPdp, tmp_path: Path
    ) -> None:
        token = {"Authorization": SECRET}
        service = make_service(
            stand_in.address,
            {
                "audit": {
                    "shippers": [
                        {"type": "sqlite"},
                        {"type": "file", "path": str(tmp_path / "out"), "name": "plain"},
                        {"type": "http", "url": f"http://127.0.0.1:{free_port()}/", "name": "gone", "headers": token},
                    ]
                }
            },
        )
        for _ in range(5):
            service.post(payload("PreToolUse.Bash"))
        until(lambda: service.metric("hookgate_ship_shipped_total", shipper="plain") >= 5, seconds=30)
        until(lambda: service.metric("hookgate_ship_failures_total", shipper="gone") >= 1, seconds=30)
        assert service.metric("hookgate_ship_up") == 1
        until(lambda: service.metric("hookgate_ship_lag_records", shipper="gone") >= 5, seconds=30)
        assert service.metric("hookgate_ship_restarts_total") == 0
        assert service.metric("hookgate_ship_dropped_total") == 0
        assert service.is_ready()
        pid = child(service)
        assert os.getpriority(os.PRIO_PROCESS, pid) > 0
        if Path("/proc").exists():
            for name in ("cmdline", "environ"):
                assert SECRET.encode() not in Path(f"/proc/{pid}/{name}").read_bytes()

        # To the whole group, as some supervisors do: it ends behind the last record all the same.
        os.kill(pid, signal.SIGTERM)
        assert service.stop() == 0
        assert not is_running(pid)
        lines = written(tmp_path / "out")
        assert lines == service.records(None)
        assert [line["type"] for line in lines[-2:]] == ["stop", "checkpoint"]
        assert stored(journal_of(service) / "store.sqlite") == decided(service)
        [end] = service.log_events("ship_ended")
        assert end["left"] == {"sqlite": 0, "plain": 0, "gone": len(lines)}
        assert SECRET not in service.log()

    def test_is_not_started_where_nothing_is_shipped_or_another_ships(
        self, make_service: MakeService, stand_in: StandInPdp
    ) -> None:
        services = [
            make_service(stand_in.address),
            make_service(stand_in.address, {"audit": {"shippers": [{"type": "sqlite"}], "supervise": False}}),
        ]
        for service in services:
            service.post(payload("PreToolUse.Bash"))
            assert child(service) == 0
            assert service.metric("hookgate_ship_up") == 1

    def test_waits_for_another_and_killed_again_and_again_it_loses_and_doubles_nothing(
        self, make_service: MakeService, stand_in: StandInPdp, collector: Collector, tmp_path: Path
    ) -> None:
        bulk = {"type": "http", "url": collector.url("/_bulk"), "body": "elastic_bulk", "batch_records": 5}
        directory = tmp_path / "audit"
        directory.mkdir(mode=0o700)
        held = only_shipper(directory)
        try:
            service = make_service(
                stand_in.address, {"audit": {"directory": str(directory), "shippers": [{"type": "sqlite"}, bulk]}}
            )
            until(lambda: service.log_events("ship_waiting"), seconds=30)
            assert service.post(payload("PreToolUse.Bash")) == {}
        finally:
            os.close(held)
        until(lambda: service.log_events("ship_started"), seconds=30)
        assert service.metric("hookgate_ship_restarts_total") == 0
        for killed in (1, 2):
            for _ in range(20):
                assert service.post(payload("PreToolUse.Bash")) == {}
            os.kill(child(service), signal.SIGKILL)
            until(partial(restarted, service, killed), seconds=30)
            for _ in range(20):
                assert service.post(payload("PreToolUse.Bash")) == {}
            until(lambda: service.metric("hookgate_ship_up") == 1, seconds=30)
        assert service.stop() == 0
        assert stored(journal_of(service) / "store.sqlite") == decided(service)
        assert set(collector.ids.values()) == {1}
        assert sorted(collector.ids) == sorted(record["id"] for record in service.records(None))
        assert len(service.log_events("ship_process_ended")) == 2

    def test_frozen_it_delays_no_decision_and_ends_with_a_service_that_is_killed(
        self, make_service: MakeService, stand_in: StandInPdp, tmp_path: Path
    ) -> None:
        out = tmp_path / "out"
        settings = {"audit": {"shippers": [{"type": "file", "path": str(out)}]}, "decision": {"deadline_seconds": 10}}
        service = make_service(stand_in.address, settings)
        until(lambda: written(out), seconds=30)
        pid = child(service)
        os.kill(pid, signal.SIGSTOP)
        frozen_at = len(written(out))
        for number in range(30):
            assert service.post(payload("PreToolUse.Bash", session_id=f"s{number}")) == {}
        assert service.is_ready()
        assert [record["outcome"] for record in service.records()] == ["allow"] * 30
        assert len(written(out)) == frozen_at
        service.stop(number=signal.SIGKILL)
        # It is let go on by its parent's end, delivers what is there, and ends.
        until(lambda: not is_running(pid), seconds=30)
        assert [line["hash"] for line in written(out)] == [line["hash"] for line in service.records(None)]

    def test_what_a_sink_refuses_is_on_record(
        self, make_service: MakeService, stand_in: StandInPdp, collector: Collector
    ) -> None:
        bulk = {"type": "http", "url": collector.url("/_bulk"), "body": "elastic_bulk", "name": "index"}
        service = make_service(stand_in.address, {"audit": {"shippers": [bulk]}})
        for command in ("ls", f"echo {REFUSED}", "pwd"):
            service.post(payload("PreToolUse.Bash", tool_input={"command": command}))
        until(lambda: service.records("shipper_refused"), seconds=30)
        [refused] = service.records("shipper_refused")
        record = service.records()[1]
        detail = refused["detail"]
        assert (detail["shipper"], detail["record"], detail["shipped"]) == ("index", record["id"], "reduced")
        assert (detail["seq"], detail["hash"]) == (record["seq"], record["hash"])
        until(lambda: not any((journal_of(service) / "notes").iterdir()))
        until(lambda: service.metric("hookgate_ship_refused_total", shipper="index") == 1)
        assert service.stop() == 0
        assert verify(journal_of(service)).intact
        found = {one["id"]: one["document"] for one in collector.records}
        assert sorted(found) == sorted(record["id"] for record in service.records(None))
        assert found[record["id"]]["reduced"] is True
        assert not found[record["id"]].get("input")

    def test_a_sink_that_hangs_delays_only_itself(
        self, make_service: MakeService, stand_in: StandInPdp, collector: Collector, tmp_path: Path
    ) -> None:
        out = tmp_path / "out"
        hung = {"type": "http", "url": collector.url("/ndjson"), "timeout_seconds": 0.5}
        service = make_service(stand_in.address, {"audit": {"shippers": [hung, {"type": "file", "path": str(out)}]}})
        collector.freeze()
        try:
            for _ in range(10):
                assert service.post(payload("PreToolUse.Bash")) == {}
            until(lambda: len([line for line in written(out) if line["type"] == "decision"]) == 10, seconds=30)
            until(lambda: service.metric("hookgate_ship_failures_total", shipper="http") >= 2, seconds=30)
            until(lambda: service.metric("hookgate_ship_lag_records", shipper="http") >= 10, seconds=30)
        finally:
            collector.thaw()
        until(lambda: service.metric("hookgate_ship_lag_records", shipper="http") == 0, seconds=60)
        assert {record["id"] for record in service.records()} <= set(collector.ids)


def configured(directory: Path, *shippers: dict[str, Any]) -> Path:
    """Writes a configuration; gives its file."""
    file = directory / "hookgate.yaml"
    tree = {
        "pdp": {"address": "unix:/none"},
        "audit": {"directory": str(directory / "audit"), "shippers": list(shippers)},
    }
    file.write_text(yaml.safe_dump(tree))
    return file


class TestAlone:
    def test_killed_at_any_moment_it_goes_on_where_it_was(self, tmp_path: Path) -> None:
        journal = LaidJournal(tmp_path / "audit")
        for _ in range(4):
            journal.fill(150)
            journal.next_segment()
        out = tmp_path / "out"
        file = configured(
            tmp_path, {"type": "file", "path": str(out), "batch_records": 3}, {"type": "sqlite", "batch_records": 17}
        )
        chance = random.Random(11)
        for _ in range(3):
            before = out.stat().st_size if out.exists() else 0
            process = subprocess.Popen(
                [*COMMAND, "ship", "--config", file], env=environment(), stderr=subprocess.DEVNULL
            )
            until(partial(larger, out, before), seconds=30)
            time.sleep(chance.random() * 0.05)
            process.kill()
            process.wait()
        done = run("audit", "ship", tmp_path / "audit", "--config", file)
        assert done.returncode == 0, done.stderr
        lines = out.read_bytes().splitlines()
        assert list(dict.fromkeys(lines)) == journal.lines
        # At most the batch that was under way comes again.
        assert len(lines) <= len(journal.lines) + 3 * 3
        decisions = [json.loads(line)["hash"] for line in journal.lines[1:]]
        assert stored(tmp_path / "audit" / "store.sqlite") == decisions

    def test_ships_with_metrics_of_its_own_alone_in_its_directory_until_it_is_told_to_end(self, tmp_path: Path) -> None:
        journal = LaidJournal(tmp_path / "audit")
        journal.fill(4)
        port = free_port()
        file = configured(tmp_path, {"type": "stdout"})
        metrics = f"127.0.0.1:{port}"
        with (tmp_path / "out").open("wb") as out, (tmp_path / "log").open("wb") as log:
            process = subprocess.Popen(
                [*COMMAND, "ship", "--config", file, "--metrics", metrics], env=environment(), stdout=out, stderr=log
            )
        try:
            until(lambda: (tmp_path / "out").read_bytes().count(b"\n") == 5, seconds=30)
            service = ServiceProcess("unix:/none")
            service.admin_url = f"http://{metrics}"
            until(lambda: service.metric("hookgate_ship_shipped_total", shipper="stdout") == 5)
            assert service.get("/livez")[0] == 200
            for command in (["ship"], ["audit", "ship", str(tmp_path / "audit")]):
                second = run(*command, "--config", file)
                assert second.returncode == 1
                assert second.stderr.startswith(
                    f"hookgate: audit.directory: {tmp_path / 'audit'} is shipped by another process"
                )
                assert len(second.stderr.splitlines()) == 1
            journal.fill(2)
            process.send_signal(signal.SIGTERM)
            assert process.wait(15) == 0
        finally:
            process.kill()
            process.wait()
        assert (tmp_path / "out").read_bytes().splitlines()[:5] == journal.lines[:5]
        *_, last = (tmp_path / "log").read_text().splitlines()
        assert json.loads(last)["event"] == "ship_ended"

    @pytest.mark.parametrize(
        ("options", "fault"),
        [
            (["--metrics", "here"], "--metrics here: expected HOST:PORT, such as 127.0.0.1:9465"),
            ([], "audit.shippers: is empty: there is nowhere to ship to"),
        ],
    )
    def test_says_what_is_wrong_in_one_line(self, tmp_path: Path, options: list[str], fault: str) -> None:
        shippers = [{"type": "stdout"}] if options else []
        done = run("ship", "--config", configured(tmp_path, *shippers), *options)
        assert (done.returncode, done.stderr) == (1, f"hookgate: {fault}\n")


class TestAJournalLeftBehind:
    def test_is_delivered_once(self, tmp_path: Path) -> None:
        journal = LaidJournal(tmp_path / "audit")
        journal.fill(20)
        file = configured(tmp_path, {"type": "file", "path": str(tmp_path / "out")})
        for delivered in (21, 0):
            done = run("audit", "ship", tmp_path / "audit", "--config", file)
            assert done.returncode == 0, done.stderr
            assert done.stdout == f"file: {delivered} delivered, 0 left\n"
            assert (tmp_path / "out").read_bytes().splitlines() == journal.lines

    def test_is_told_with_what_is_left(self, tmp_path: Path) -> None:
        journal = LaidJournal(tmp_path / "audit")
        journal.fill(3)
        port = free_port()
        file = configured(
            tmp_path,
            {"type": "http", "url": f"http://127.0.0.1:{port}/{SECRET}", "timeout_seconds": 1},
            {"type": "file", "path": str(tmp_path / "out")},
        )
        done = run("audit", "ship", tmp_path / "audit", "--config", file, "--patience", "0.2")
        assert done.returncode == 1
        lost, kept = done.stdout.splitlines()
        assert lost.startswith(f"http: 0 delivered, 4 left (127.0.0.1:{port} can't be reached")
        assert kept == "file: 4 delivered, 0 left"
        assert SECRET not in done.stdout + done.stderr

    def test_must_be_there(self, tmp_path: Path) -> None:
        done = run("audit", "ship", tmp_path / "none")
        assert (done.returncode, done.stderr) == (1, f"hookgate: {tmp_path / 'none'}: no journal there\n")
