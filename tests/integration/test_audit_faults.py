"""A trail that can't be written: no decision goes unrecorded but where the operator allows it, and it heals by itself."""

import contextlib
import fcntl
import functools
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import pytest
import yaml

from hookgate.audit.error import JournalError
from hookgate.audit.lock import lock
from hookgate.audit.verify import verify
from tests.conftest import ROOT, payload
from tests.integration.conftest import Serving
from tests.integration.stand_in import ALLOW, DENY, StandInPdp, says
from tests.support.service import ServiceProcess, merged
from tests.support.wait import free_port, until

MakeService = Callable[..., ServiceProcess]
ON_ERROR = ("deny", "ask", "pass")
#: The least that an answer says which no record proves.
LAST = {"deny": "deny", "ask": "ask", "pass": ""}


class Disk(Protocol):
    """A place for the trail that can be filled up."""

    directory: Path

    def fill(self, *services: ServiceProcess) -> None:
        """From now on nothing more can be written."""

    def free(self, *services: ServiceProcess) -> None:
        """There is room again."""


class SmallDisk:
    """A file system of 2 MiB of its own; only root can mount one."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._filler = directory / "filler"
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", directory], check=True, capture_output=True)

    def fill(self, *services: ServiceProcess) -> None:
        with self._filler.open("wb", buffering=0) as filler:
            for size in (64 * 1024, 512):
                with contextlib.suppress(OSError):
                    while filler.write(bytes(size)) == size:
                        pass
        for service in services:
            # What is left of the file's own last page.
            until(functools.partial(_is_stuck, service), what="the last page to be full")

    def free(self, *services: ServiceProcess) -> None:
        self._filler.unlink()

    def read_only(self) -> None:
        """Nothing can be made or changed on it any more."""
        subprocess.run(["mount", "-o", "remount,ro", self.directory], check=True, capture_output=True)

    def remove(self) -> None:
        """Unmounts it."""
        subprocess.run(["umount", "--lazy", self.directory], check=True, capture_output=True)


def _is_stuck(service: ServiceProcess) -> bool:
    before = segment(service).stat().st_size
    service.post(payload("PreToolUse.Bash"))
    return segment(service).stat().st_size == before


def segment(service: ServiceProcess) -> Path:
    """Gives the segment that the service writes."""
    return max(Path(service.settings["audit"]["directory"], "segments").iterdir())


class SizeLimit:
    """Files that may not grow: what the kernel offers without being root."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def fill(self, *services: ServiceProcess) -> None:
        for service in services:
            # The limit holds for the log, too, which must still have room below it.
            while segment(service).stat().st_size < len(service.log()) + 64 * 1024:
                service.post(payload("PreToolUse.Write", tool_input={"file_path": "/p/a", "content": "x" * 4000}))
            self._limit(service, segment(service).stat().st_size)

    def free(self, *services: ServiceProcess) -> None:
        for service in services:
            self._limit(service, resource.RLIM_INFINITY)

    @staticmethod
    def _limit(service: ServiceProcess, size: int) -> None:
        assert service.process is not None
        resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


@contextlib.contextmanager
def mounted(directory: Path) -> Iterator[SmallDisk | None]:
    """A file system of its own, where the tests may mount one."""
    directory.mkdir()
    try:
        disk = SmallDisk(directory)
    except (subprocess.CalledProcessError, FileNotFoundError):
        yield None
        return
    try:
        yield disk
    finally:
        disk.remove()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk | None]:
    """A disk for one test, or None."""
    with mounted(tmp_path / "disk") as disk:
        yield disk


@pytest.fixture(scope="module", params=["a full disk", "a limit on files"])
def disk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disk]:
    """Each way to have no room. Where no disk can be mounted, both are the limit."""
    directory = tmp_path_factory.mktemp("trail")
    if request.param == "a limit on files":
        yield SizeLimit(directory)
        return
    with mounted(directory / "disk") as mounted_disk:
        yield mounted_disk or SizeLimit(directory)


@pytest.fixture(scope="module")
def services(serving: Serving, stand_in_server: StandInPdp, disk: Disk) -> Mapping[str, ServiceProcess]:
    """One service for each `on_error`, one that need not record, and one that observes; their trails are on one disk."""
    settings: dict[str, dict[str, Any]] = {
        **{on_error: {"on_error": on_error} for on_error in ON_ERROR},
        "unrequired": {"audit": {"required": False}},
        "observing": {"mode": "observe"},
    }

    def start(name: str) -> ServiceProcess:
        own = {"audit": {"directory": str(disk.directory / name)}}
        return serving(stand_in_server.address, merged(settings[name], own))

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(settings, pool.map(start, settings), strict=True))


@contextlib.contextmanager
def full(disk: Disk, *services: ServiceProcess) -> Iterator[None]:
    """No room for these services' trails while the context lasts."""
    disk.fill(*services)
    try:
        yield
    finally:
        disk.free(*services)


def sessions(service: ServiceProcess) -> list[str]:
    """Gives the sessions on record, in order; fails where the file holds anything but whole lines."""
    return [record["session_id"] for record in service.records()]


def permission(answer: dict[str, Any]) -> str:
    """Gives what PreToolUse is told; empty where it is told nothing."""
    if not answer:
        return ""
    found: str = answer["hookSpecificOutput"]["permissionDecision"]
    return found


def call(service: ServiceProcess, session: str) -> str:
    """Has a call decided about; gives what PreToolUse is told."""
    return permission(service.post(payload("PreToolUse.Bash", session_id=session)))


def assert_gap(service: ServiceProcess, *, at_least: int) -> None:
    """Checks that what could not be recorded is on record as a gap that a checkpoint vouches for."""
    records = service.records(None)
    places = [at for at, record in enumerate(records) if record["type"] == "gap"]
    assert places
    assert all(records[at + 1]["type"] == "checkpoint" for at in places)
    assert sum(records[at]["detail"]["answers"].get("error", 0) for at in places) >= at_least
    assert service.metric("hookgate_journal_gaps_total") == len(places)
    assert verify(Path(service.settings["audit"]["directory"])).intact


class TestNoRoom:
    @pytest.fixture
    def trio(self, services: Mapping[str, ServiceProcess], stand_in: StandInPdp) -> Mapping[str, ServiceProcess]:
        """The services that differ in `on_error`, before a PDP that allows everything."""
        return {on_error: services[on_error] for on_error in ON_ERROR}

    @pytest.mark.parametrize("on_error", ON_ERROR)
    def test_is_answered_by_on_error_and_heals_by_itself(
        self, trio: Mapping[str, ServiceProcess], disk: Disk, on_error: str
    ) -> None:
        service = trio[on_error]
        assert call(service, "before") == ""
        with full(disk, service):
            before = service.metric("hookgate_errors_total", kind="audit_unavailable")
            answer = service.post(payload("PreToolUse.Bash", session_id="during"))
            assert service.metric("hookgate_errors_total", kind="audit_unavailable") == before + 1
            assert service.get("/livez")[0] == 200
        assert permission(answer) == LAST[on_error]
        if answer:
            reason = answer["hookSpecificOutput"]["permissionDecisionReason"]
            assert "Hookgate could not decide (audit_unavailable)" in reason
        until(lambda: service.log_events("audit_unavailable"), what="the log line")
        assert service.log_events("audit_unavailable")[-1]["level"] == "error"
        assert call(service, "after") == ""
        found = sessions(service)
        assert found[-1] == "after"
        assert "before" in found
        assert "during" not in found
        assert_gap(service, at_least=1)

    def test_is_told_in_each_event_s_own_form_and_stops_no_other(
        self, trio: Mapping[str, ServiceProcess], disk: Disk
    ) -> None:
        def told(name: str) -> list[dict[str, Any]]:
            return [service.post(payload(name)) for service in trio.values()]

        with full(disk, *trio.values()):
            denied, asked, passed = told("PermissionRequest.Bash")
            assert denied["hookSpecificOutput"]["decision"]["behavior"] == "deny"
            assert (asked, passed) == ({}, {})
            assert [answer.get("decision") for answer in told("ConfigChange")] == ["block", "block", None]
            # To block an agent's stopping would make it go on and on.
            for name in ("Stop", "SubagentStop", "UserPromptSubmit", "PostToolUse.Bash", "Notification.idle_prompt"):
                assert told(name) == [{}, {}, {}], name

    def test_weakens_no_denial(self, trio: Mapping[str, ServiceProcess], stand_in: StandInPdp, disk: Disk) -> None:
        stand_in.behaviour = says(DENY, {"hookSpecificOutput": {"permissionDecisionReason": "By policy."}})
        with full(disk, *trio.values()):
            assert [call(service, "denied") for service in trio.values()] == ["deny"] * 3

    def test_stops_nothing_where_the_trail_is_not_required(
        self, services: Mapping[str, ServiceProcess], stand_in: StandInPdp, disk: Disk
    ) -> None:
        service = services["unrequired"]
        stand_in.behaviour = says(ALLOW, {"hookSpecificOutput": {"permissionDecision": "allow"}})
        with full(disk, service):
            before = service.metric("hookgate_errors_total", kind="audit_unavailable")
            assert call(service, "during") == "allow"
            assert service.metric("hookgate_errors_total", kind="audit_unavailable") == before + 1
        until(lambda: service.log_events("audit_unavailable"), what="the log line")
        assert service.log_events("audit_unavailable")[-1]["required"] is False

    def test_leaves_observed_calls_alone(
        self, services: Mapping[str, ServiceProcess], stand_in: StandInPdp, disk: Disk
    ) -> None:
        service = services["observing"]
        with full(disk, service):
            assert call(service, "observed") == ""
            assert service.metric("hookgate_errors_total", kind="audit_unavailable") >= 1

    def test_leaves_only_whole_lines_under_load(self, trio: Mapping[str, ServiceProcess], disk: Disk) -> None:
        service = trio["deny"]
        with ThreadPoolExecutor(8) as pool:

            def told(name: str) -> set[str]:
                return set(pool.map(lambda n: call(service, f"{name}{n}"), range(40)))

            assert told("early") == {""}
            with full(disk, service):
                assert told("lost") == {"deny"}
            assert told("late") == {""}
        found = sessions(service)
        assert {f"early{n}" for n in range(40)} | {f"late{n}" for n in range(40)} <= set(found)
        assert not [session for session in found if session.startswith("lost")]
        assert_gap(service, at_least=40)


class TestStarting:
    @staticmethod
    def refused(directory: Path, tmp_path: Path) -> str:
        """Starts a service that must refuse; gives the line that it says."""
        configuration = tmp_path / "hookgate.yaml"
        settings = {
            "pdp": {"address": "unix:nowhere"},
            "server": {"port": free_port()},
            "admin": {"port": free_port()},
            "audit": {"directory": str(directory)},
        }
        configuration.write_text(yaml.safe_dump(settings))
        told = subprocess.run(
            [sys.executable, "-m", "hookgate", "serve", "--config", str(configuration)],
            env={**os.environ, "PYTHONPATH": str(ROOT / "proxy")},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert told.returncode == 1
        assert len(told.stderr.splitlines()) == 1, told.stderr
        return told.stderr

    def test_in_a_directory_that_can_t_be_made_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        line = self.refused(tmp_path / "file" / "audit", tmp_path)
        assert line.startswith(f"hookgate: audit.directory: {tmp_path / 'file' / 'audit'}: ")

    def test_in_a_directory_that_can_t_be_written_is_refused(
        self, small_disk: SmallDisk | None, tmp_path: Path
    ) -> None:
        directory = small_disk.directory if small_disk else tmp_path / "closed"
        if small_disk:
            # Permissions do not hold root back, a read-only file system does.
            small_disk.read_only()
        else:
            directory.mkdir(mode=0o500)
        line = self.refused(directory, tmp_path)
        assert line.startswith(f"hookgate: audit.directory: {directory}: ")

    def test_on_a_full_disk_denies_and_begins_the_trail_once_there_is_room(
        self, small_disk: SmallDisk | None, make_service: MakeService, stand_in: StandInPdp
    ) -> None:
        if small_disk is None:
            pytest.skip("only root can mount a disk to fill up; a start without room is tested with a broken disk, too")
        small_disk.fill()
        service = make_service(stand_in.address, {"audit": {"directory": str(small_disk.directory / "audit")}})
        assert call(service, "during") == "deny"
        (held,) = service.log_events("journal_held_up")
        assert "No space left on device" in held["detail"]
        assert service.metric("hookgate_journal_writable") == 0
        small_disk.free()
        until(lambda: call(service, "after") == "", what="the trail to begin")
        assert "during" not in sessions(service)
        assert service.metric("hookgate_journal_writable") == 1
        assert len(service.log_events("journal_goes_on")) == 1
        assert_gap(service, at_least=1)

    def test_makes_a_directory_that_only_its_owner_can_read(
        self, make_service: MakeService, stand_in: StandInPdp, tmp_path: Path
    ) -> None:
        directory = tmp_path / "some" / "where"
        service = make_service(stand_in.address, {"audit": {"directory": str(directory)}})
        call(service, "any")
        assert directory.stat().st_mode & 0o777 == 0o700
        files = [path for path in directory.rglob("*") if path.is_file()]
        assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
        assert (directory / "segments").stat().st_mode & 0o777 == 0o700


class TestRemovedDirectory:
    def test_is_made_again_with_the_same_keys_and_what_is_missing_is_found(
        self, make_service: MakeService, stand_in: StandInPdp
    ) -> None:
        service = make_service(stand_in.address)
        directory = Path(service.settings["audit"]["directory"])
        call(service, "lost")
        keys = {name: (directory / name).read_bytes() for name in ("signing.key", "signing.pub", "redaction.key")}
        before = service.records("chain_start")[0]["detail"]
        shutil.rmtree(directory)
        assert call(service, "kept") == ""
        assert sessions(service) == ["kept"]
        assert {name: (directory / name).read_bytes() for name in keys} == keys
        assert {path.stat().st_mode & 0o777 for path in (directory, directory / "segments")} == {0o700}
        assert service.records("checkpoint")[0]["detail"]["instance"] == before["instance"]
        found = verify(directory)
        assert [finding.kind.value for finding in found.findings] == ["removed_segment"]
        with pytest.raises(JournalError, match="is in use by another Hookgate"):
            lock(directory)

    def test_loses_no_decision_where_only_the_segment_was_removed(
        self, make_service: MakeService, stand_in: StandInPdp
    ) -> None:
        service = make_service(stand_in.address)
        call(service, "lost")
        segment(service).unlink()
        for number in range(3):
            assert call(service, f"kept{number}") == ""
        assert sessions(service) == ["kept0", "kept1", "kept2"]


class TestBound:
    """Little room for segments, and more records than fit."""

    BYTES = 1024 * 1024

    @staticmethod
    def size(service: ServiceProcess) -> int:
        directory = Path(service.settings["audit"]["directory"], "segments")
        return sum(path.stat().st_size for path in directory.iterdir())

    def big(self, service: ServiceProcess, session: str) -> str:
        """Has a call decided about whose record is long; gives what PreToolUse is told."""
        # Many texts: a long one would be cut.
        written = {"file_path": "/p/a", "content": [f"{number:04}" + "x" * 500 for number in range(80)]}
        return permission(service.post(payload("PreToolUse.Write", session_id=session, tool_input=written)))

    def test_refuses_what_does_not_fit_and_goes_on_when_segments_may_go(
        self, make_service: MakeService, stand_in: StandInPdp
    ) -> None:
        settings = {"disk_bytes": self.BYTES, "shippers": [{"type": "file", "path": "x"}], "supervise": False}
        service = make_service(stand_in.address, {"audit": settings})
        told = [self.big(service, f"s{number}") for number in range(60)]
        assert told.index("deny") > 10
        assert set(told[told.index("deny") :]) == {"deny"}
        assert self.size(service) < self.BYTES
        (held,) = service.log_events("journal_held_up")
        assert f"audit.disk_bytes ({self.BYTES}) is reached" in held["detail"]
        assert service.metric("hookgate_journal_writable") == 0
        assert sessions(service) == [f"s{number}" for number in range(told.index("deny"))]
        service.stop()
        service.settings["audit"] |= {"shippers": [], "retention_days": 1e-9}
        service.start()
        until(lambda: self.big(service, "after") == "", what="records to be written again")
        (removed,) = service.log_events("journal_removed")
        assert (removed["level"], removed["why"], removed["first_seq"]) == ("info", "age", 1)
        assert service.metric("hookgate_journal_removed_segments_total", reason="age") == removed["segments"]
        assert verify(Path(service.settings["audit"]["directory"])).intact

    def test_drops_the_oldest_with_a_loud_record_of_what_a_shipper_misses(
        self, make_service: MakeService, stand_in: StandInPdp
    ) -> None:
        settings = {
            "disk_bytes": self.BYTES,
            "disk_full": "drop_oldest",
            "shippers": [{"type": "file", "path": "x", "name": "lost"}],
            "supervise": False,
        }
        service = make_service(stand_in.address, {"audit": settings})
        assert {self.big(service, f"s{number}") for number in range(80)} == {""}
        directory = Path(service.settings["audit"]["directory"])

        def is_told() -> bool:
            """Whether the log tells of all that is gone, and the room is made."""
            dropped = service.log_events("journal_removed")
            begin = min(int(path.name[:16]) for path in (directory / "segments").iterdir())
            return bool(dropped) and dropped[-1]["last_seq"] == begin - 1 and self.size(service) < self.BYTES

        def is_counted() -> bool:
            """Whether nothing more is being removed: the metric says what the log says."""
            told = sum(line["missed"]["lost"] for line in service.log_events("journal_removed"))
            return bool(service.metric("hookgate_journal_dropped_records_total", shipper="lost") == told)

        until(is_told, what="room to be made and the log to say so")
        until(is_counted, what="the metric to say what the log says")
        dropped = service.log_events("journal_removed")
        assert {(line["level"], line["why"]) for line in dropped} == {("error", "disk")}
        records = service.records("retention")
        # Older ones went with their segments.
        assert [record["detail"]["missed"] for record in records] == [
            line["missed"] for line in dropped[-len(records) :]
        ]
        missed = sum(line["missed"]["lost"] for line in dropped)
        assert missed == records[-1]["detail"]["last_seq"]
        assert sessions(service)[-1] == "s79"
        found = verify(directory)
        assert found.findings == ()
        assert found.first_seq == missed + 1


class TestRetention:
    def test_removes_what_every_shipper_has_and_nothing_that_one_lacks(
        self, make_service: MakeService, stand_in: StandInPdp, tmp_path: Path
    ) -> None:
        sink = tmp_path / "shipped.jsonl"
        settings = {
            "segment_bytes": 65536,
            "retention_days": 1e-9,
            "shippers": [{"type": "file", "path": str(sink)}],
            "supervise": True,
        }
        service = make_service(stand_in.address, {"audit": settings})
        directory = Path(service.settings["audit"]["directory"])

        def first_seq() -> int:
            call(service, f"s{len(asked)}")
            asked.append(f"s{len(asked)}")
            return min(int(path.name[:16]) for path in (directory / "segments").iterdir())

        asked: list[str] = []
        until(lambda: first_seq() > 1, seconds=60, what="the first segment to go")
        removed = service.records("retention")[-1]["detail"]
        assert (removed["why"], removed["missed"]) == ("age", {})
        shipped = [json.loads(line) for line in sink.read_bytes().split(b"\n")[:-1]]
        assert set(range(1, removed["last_seq"] + 1)) <= {line["seq"] for line in shipped}
        assert verify(directory).intact
        # Another shipper, whose sink is away, has nothing: so nothing goes any more.
        service.stop()
        service.settings["audit"]["shippers"].append({"type": "file", "name": "absent", "path": "/proc/nowhere/x"})
        service.start()
        before = first_seq()
        for _ in range(100):
            call(service, "more")
        assert first_seq() == before


class HangingFile:
    """A pipe in the journal's place: once it is full, a write to it hangs as one to a stuck disk does, until it is read."""

    def __init__(self, directory: Path) -> None:
        (directory / "segments").mkdir(mode=0o700, parents=True)
        path = directory / "segments" / f"{1:016}.jsonl"
        os.mkfifo(path, 0o600)
        self._file = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        fcntl.fcntl(self._file, fcntl.F_SETPIPE_SZ, 4096)
        self._read = b""

    def records(self) -> list[dict[str, Any]]:
        """Gives the whole lines that could be read so far."""
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self._file, 65536):
                self._read += data
        return [json.loads(line) for line in self._read.split(b"\n")[:-1]]

    def close(self) -> None:
        """Lets it go."""
        os.close(self._file)


class TestHangingDisk:
    DEADLINE_SECONDS = 0.6

    @pytest.fixture
    def hanging(self, tmp_path: Path) -> Iterator[HangingFile]:
        file = HangingFile(tmp_path / "audit")
        yield file
        file.close()

    @pytest.fixture
    def service(
        self, make_service: MakeService, stand_in: StandInPdp, tmp_path: Path, hanging: HangingFile
    ) -> ServiceProcess:
        return self.started(make_service, stand_in, tmp_path)

    def started(self, make_service: MakeService, stand_in: StandInPdp, tmp_path: Path, **more: Any) -> ServiceProcess:
        settings = {
            "audit": {"directory": str(tmp_path / "audit")},
            "decision": {"deadline_seconds": self.DEADLINE_SECONDS},
        }
        return make_service(stand_in.address, merged(settings, more))

    def hang(self, service: ServiceProcess) -> None:
        """Writes until a write hangs."""
        until(lambda: call(service, "filling") == "deny", what="a write to hang")

    def test_denies_within_the_deadline_and_holds_nobody_up(
        self, service: ServiceProcess, hanging: HangingFile
    ) -> None:
        self.hang(service)
        with ThreadPoolExecutor(20) as pool:
            begun = time.monotonic()
            told = set(pool.map(lambda n: call(service, f"s{n}"), range(20)))
            took = time.monotonic() - begun
        assert told == {"deny"}
        assert took < self.DEADLINE_SECONDS * 5
        assert service.get("/livez")[0] == 200
        assert service.metric("hookgate_errors_total", kind="audit_unavailable") >= 21

    @pytest.mark.parametrize(
        ("settings", "permitted"),
        [({"on_error": "ask"}, "ask"), ({"on_error": "pass"}, ""), ({"audit": {"required": False}}, "allow")],
        ids=["ask", "pass", "not required"],
    )
    def test_is_answered_as_configured_within_the_deadline_and_the_log_says_why(
        self,
        make_service: MakeService,
        stand_in: StandInPdp,
        tmp_path: Path,
        hanging: HangingFile,
        settings: dict[str, Any],
        permitted: str,
    ) -> None:
        stand_in.behaviour = says(ALLOW, {"hookSpecificOutput": {"permissionDecision": "allow"}})
        service = self.started(make_service, stand_in, tmp_path, **settings)
        until(lambda: [call(service, "filling")] and service.log_events("audit_unavailable"), what="a write to hang")
        begun = time.monotonic()
        assert call(service, "hangs") == permitted
        assert time.monotonic() - begun < self.DEADLINE_SECONDS * 5
        line = service.log_events("audit_unavailable")[-1]
        assert (line["level"], line["detail"]) == ("error", "the record could not be written in time")
        assert line["required"] is ("audit" not in settings)

    def test_heals_by_itself_and_then_tells_what_was_really_answered(
        self, service: ServiceProcess, hanging: HangingFile
    ) -> None:
        self.hang(service)
        assert call(service, "late") == "deny"
        until(lambda: _session(hanging, "healed", service), what="decisions to be recorded again")
        found = hanging.records()
        late = next(record for record in found if record.get("session_id") == "late")
        assert late["outcome"] == "allow"
        corrected = [record["detail"] for record in found if record["type"] == "answer"]
        mine = next(detail for detail in corrected if detail["decision"] == late["id"])
        assert mine["error"] == "audit_unavailable"
        assert permission(mine["answer"]) == "deny"

    def test_does_not_keep_the_service_from_ending(self, service: ServiceProcess, hanging: HangingFile) -> None:
        self.hang(service)
        assert service.stop(number=signal.SIGTERM) == 0


def _session(hanging: HangingFile, session: str, service: ServiceProcess) -> bool:
    """Reads what is there, and has a call decided about; gives whether it was let through."""
    hanging.records()
    return call(service, session) == ""
