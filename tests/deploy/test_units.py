"""The units: systemd's own word on them, users and rights as they make them, and that both programs live with the confinement."""

import os
import plistlib
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from hookgate.collect.server import exposed
from hookgate.config import load
from hookgate.config.collect import collect_parts
from hookgate.config.shippers import PostgresShipper, SqliteShipper
from hookgate.config.tree import Config, Pdp
from tests.conftest import payload
from tests.docs import tables
from tests.support import confined
from tests.support.chains import Machine
from tests.support.collecting import CollectProcess, send
from tests.support.fetched import wanted
from tests.support.service import ServiceProcess
from tests.support.small import small_policies
from tests.support.wait import free_port, until

SYSTEMD = tables.ROOT / "deploy" / "systemd"
LAUNCHD = tables.ROOT / "deploy" / "launchd"
SERVICES = ("hookgate.service", "cerbos.service")
COLLECTOR = "collector/hookgate-collect.service"


def settings(name: str) -> dict[str, list[str]]:
    """Gives a unit's settings; those that come several times in their order."""
    found: dict[str, list[str]] = {}
    for key, value in re.findall(r"^(\w+)=(.*)$", (SYSTEMD / name).read_text(), re.MULTILINE):
        found.setdefault(key, []).append(value)
    return found


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units, with programs that are on this machine."""
    for path in (*SYSTEMD.rglob("*.service"), *SYSTEMD.glob("*.socket")):
        text = re.sub(r"^(ExecStart=)\S+", r"\1/bin/true", path.read_text(), flags=re.MULTILINE)
        (tmp_path / path.name).write_text(text)
    return tmp_path


def test_systemd_finds_nothing_wrong_in_the_units(units: Path) -> None:
    done = wanted("systemd-analyze").run("verify", *sorted(units.iterdir()))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize("name", [*SERVICES, COLLECTOR])
def test_systemd_calls_a_service_well_confined(units: Path, name: str) -> None:
    # Of 100; 67 is what it said of the unit without the confinement.
    done = wanted("systemd-analyze").run("security", "--offline=true", "--threshold=20", units / Path(name).name)
    assert done.returncode == 0, done.stdout[-300:]


def test_the_units_run_a_command_that_is_there_with_the_port_of_the_settings() -> None:
    service, socket = settings("hookgate.service"), settings("hookgate.socket")
    assert re.fullmatch(r"/opt/hookgate/bin/hookgate serve --config \S+", service["ExecStart"][0])
    assert socket["ListenStream"] == [tables.HOOK_URL.split("/")[2]] == ["127.0.0.1:3594"]
    assert socket["FileDescriptorName"] == ["hooks"]
    assert socket["ReusePort"] == ["no"]
    assert int(service["TimeoutStopSec"][0]) > Config(pdp=Pdp(address="x")).server.grace_seconds


def test_the_port_is_held_whatever_becomes_of_the_service() -> None:
    for name in SERVICES:
        assert settings(name)["StartLimitIntervalSec"] == ["0"]
        assert settings(name)["Restart"] == ["always"]
    assert settings("hookgate.service")["Requires"] == ["hookgate.socket"]
    # Opened by root and kept: no user of the socket, and no limit at which systemd would close it.
    assert not {"SocketUser", "User"} & set(settings("hookgate.socket"))
    assert settings("hookgate.socket")["TriggerLimitIntervalSec"] == ["0"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root directory with the users and rights that the units' files make."""
    if os.geteuid() != 0:
        pytest.skip("only root gives files to other users")
    for name in ("etc/hookgate/hookgate.yaml", "etc/cerbos/pdp.yaml", "etc/cerbos/environment"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    for program, file in (("systemd-sysusers", "hookgate.sysusers"), ("systemd-tmpfiles", "hookgate.tmpfiles")):
        options = ["--create"] if program == "systemd-tmpfiles" else []
        done = wanted(program).run(f"--root={tmp_path}", *options, SYSTEMD / file)
        assert done.returncode == 0, done.stderr
    return tmp_path


def test_each_program_has_a_user_of_its_own_that_can_log_in_nowhere(root: Path) -> None:
    users = [line.split(":") for line in (root / "etc" / "passwd").read_text().splitlines()]
    assert {user[0] for user in users} == {"hookgate", "cerbos"}
    assert {user[-1] for user in users} == {"/usr/sbin/nologin"}
    assert len({user[2] for user in users} | {"0"}) == 3
    for name in SERVICES:
        assert settings(name)["User"] == [name.removesuffix(".service")]


def test_only_root_writes_what_the_programs_go_by(root: Path) -> None:
    modes = {
        str(path.relative_to(root / "etc")): path.stat().st_mode & 0o777
        for folder in ("hookgate", "cerbos")
        for path in ((root / "etc" / folder), *(root / "etc" / folder).rglob("*"))
    }
    assert modes == {
        "hookgate": 0o755,
        "hookgate/hookgate.yaml": 0o640,
        "cerbos": 0o755,
        "cerbos/pdp.yaml": 0o640,
        "cerbos/environment": 0o600,
        "cerbos/policies": 0o755,
    }
    assert {
        one.split()[2:4][1] for one in (SYSTEMD / "hookgate.tmpfiles").read_text().splitlines() if one[:1] in "dz"
    } == {"root"}
    assert settings("cerbos.service")["RuntimeDirectoryMode"] == ["0750"]
    assert settings("cerbos.service")["Group"] == ["hookgate"]
    assert settings("hookgate.service")["StateDirectoryMode"] == ["0700"]


@pytest.fixture(scope="module")
def allowed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Gives a file with the system calls that a unit's filter leaves."""
    analyze = wanted("systemd-analyze")

    def members(name: str) -> set[str]:
        if not name.startswith("@"):
            return {name}
        lines = analyze.run("syscall-filter", name).stdout.splitlines()[1:]
        return {call for line in lines if (one := line.strip()) and one[0] != "#" for call in members(one)}

    def make(unit: str) -> Path:
        calls: set[str] = set()
        for line in settings(unit)["SystemCallFilter"]:
            found = {call for name in line.removeprefix("~").split() for call in members(name)}
            calls = calls - found if line.startswith("~") else calls | found
        path = tmp_path_factory.mktemp("calls") / Path(unit).name
        path.write_text("\n".join(sorted(calls)))
        return path

    return make


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory with a short name, for sockets."""
    directory = Path(tempfile.mkdtemp(prefix="unit-"))
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


def _can_confine(calls: Path) -> None:
    done = subprocess.run([sys.executable, confined.__file__, calls, "/bin/true"], check=False)
    if done.returncode == confined.CANNOT:
        pytest.skip("this kernel can't confine a program so (Linux 6.3 or newer, and libseccomp)")
    assert done.returncode == 0


def test_both_programs_decide_and_record_under_the_confinement_of_their_units(
    allowed: Callable[[str], Path], cerbos: Path, place: Path
) -> None:
    of_hookgate, of_cerbos = allowed("hookgate.service"), allowed("cerbos.service")
    assert settings("hookgate.service")["MemoryDenyWriteExecute"] == ["yes"]
    _can_confine(of_hookgate)
    environment = {"RUNTIME_DIRECTORY": str(place), "POLICY_DIRECTORY": str(small_policies(place / "policies"))}
    command = [sys.executable, confined.__file__, str(of_cerbos), str(cerbos), "server"]
    with (place / "log").open("wb") as log:
        pdp = subprocess.Popen(
            [*command, f"--config={tables.ROOT / 'deploy/cerbos/disk.yaml'}"], env=environment, stdout=log, stderr=log
        )
    service = ServiceProcess(
        f"unix:{place}/pdp.sock",
        # The shipping process, the store and the look at who calls, too.
        {
            "audit": {"shippers": [{"type": "sqlite"}]},
            "identity": {"sources": [{"type": "peer"}, {"type": "headers"}]},
            "decision": {"deadline_seconds": 20},
        },
        program=(confined.__file__, str(of_hookgate), sys.executable, "-m", "hookgate"),
    )
    try:
        until((place / "pdp.sock").exists, seconds=60, what="the PDP's socket")
        service.start()
        denied = service.post(payload("PreToolUse.Bash", tool_input={"command": "rm -rf /"}))
        assert denied["hookSpecificOutput"]["permissionDecision"] == "deny"
        assert service.records()[-1]["outcome"] == "deny"
        until(lambda: service.metric("hookgate_ship_shipped_total") >= 1, seconds=60, what="the record in the store")
        assert "internal" not in {line.split('"event": "')[-1].split('"')[0] for line in service.log().splitlines()}
    finally:
        if service.process is not None:
            service.remove()
        pdp.kill()
        pdp.wait()


def test_the_collector_takes_records_under_the_confinement_of_its_unit(
    allowed: Callable[[str], Path], place: Path
) -> None:
    calls = allowed(COLLECTOR)
    _can_confine(calls)
    collector, machine = CollectProcess(place), Machine()
    collector.configuration.write_text(yaml.safe_dump(collector.settings))
    command = [sys.executable, confined.__file__, str(calls), sys.executable, "-m", "hookgate", "collect"]
    with (place / "log").open("wb") as log:
        collector.process = subprocess.Popen(
            [*command, "--config", str(collector.configuration)],
            env={**os.environ, "PYTHONPATH": str(tables.ROOT / "proxy")},
            stdout=log,
            stderr=log,
        )
    try:
        until(collector.is_ready, seconds=60, what="the collector to be ready")
        machine.decide(2)
        machine.sign()
        assert send(collector.url, collector.enrolled(machine, "alex-laptop"), machine.lines)[0] == 200
    finally:
        collector.stop()


def test_the_collectors_unit_and_the_example_of_its_configuration_belong_together(tmp_path: Path) -> None:
    service = settings(COLLECTOR)
    words = service["ExecStart"][0].split()
    assert words[:3] == ["/opt/hookgate/bin/hookgate", "collect", "--config"]
    text = (tables.ROOT / "deploy" / "collect.example.yaml").read_text()
    (tmp_path / "tls").write_text("x")
    config = load(
        _written(tmp_path, re.sub(r"/etc/hookgate/collect-tls\.\w+", f"{tmp_path}/tls", text)), {}, needs_pdp=False
    )
    assert (exposed(config.collect), config.admin.port) == (False, 9466)
    store, forwards = collect_parts(config.audit)
    assert isinstance(store, SqliteShipper)
    # What it writes is below the unit's directory, and nothing else.
    assert store.path.startswith(f"{config.audit.directory}/")
    assert config.audit.directory == f"/var/lib/{service['StateDirectory'][0]}"
    assert int(service["TimeoutStopSec"][0]) > config.server.grace_seconds
    # What is shown as a comment is right, too.
    everything = re.sub(r"(?m)^( *)# (?=(?:- type|  ?\w+:|client_ca|certificates|expected))", r"\1", text)
    everything = re.sub(r"/etc/hookgate/(collect-tls|laptops-ca)\.\w+", f"{tmp_path}/tls", everything)
    everything = re.sub(r"(?s)    - type: sqlite.*?400\n", "", everything, count=1)
    passwords = {"STORE_PASSWORD": "p", "KAFKA_PASSWORD": "k"}
    config = load(_written(tmp_path, everything), passwords, needs_pdp=False)
    store, forwards = collect_parts(config.audit)
    assert isinstance(store, PostgresShipper)
    assert len(forwards) == 1
    assert (config.collect.certificates, config.collect.expected) == ("cn", "/etc/hookgate/inventory.csv")


def _written(place: Path, text: str) -> Path:
    (place / "collect.yaml").write_text(text)
    return place / "collect.yaml"


def test_the_collector_has_a_user_of_its_own(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root makes users")
    (tmp_path / "etc").mkdir()
    done = wanted("systemd-sysusers").run(f"--root={tmp_path}", SYSTEMD / "collector" / "hookgate-collect.sysusers")
    assert done.returncode == 0, done.stderr
    ((name, *_, shell),) = [line.split(":") for line in (tmp_path / "etc" / "passwd").read_text().splitlines()]
    assert ([name], shell) == (settings(COLLECTOR)["User"], "/usr/sbin/nologin")


def test_a_hook_that_comes_before_hookgate_waits_in_systemds_hands_and_is_answered(place: Path) -> None:
    port, admin = free_port(), free_port()
    configuration = place / "hookgate.yaml"
    configuration.write_text(
        f"pdp: {{address: 'unix:{place}/none.sock'}}\nserver: {{port: 1}}\nadmin: {{port: {admin}}}\n"
        f"audit: {{directory: '{place}/audit', shippers: []}}\n"
    )
    program = wanted("systemd-socket-activate")
    command = [
        *program.command, f"--listen=127.0.0.1:{port}", "--fdname=hooks", f"--setenv=PYTHONPATH={tables.ROOT / 'proxy'}",
        sys.executable, "-m", "hookgate", "serve", "--config", str(configuration),
    ]  # fmt: skip
    with (place / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        until(lambda: "Listening on" in (place / "log").read_text(), seconds=60, what="the port")
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/ext/claude",
            data=b'{"hook_event_name":"PreToolUse","tool_name":"Bash","tool_input":{"command":"ls"},"session_id":"s"}',
            headers={"Content-Type": "application/json"},
        )
        # Nobody serves yet: the connection itself starts Hookgate.
        with urllib.request.urlopen(request, timeout=60) as response:
            assert b'"permissionDecision":"deny"' in response.read()
    finally:
        process.terminate()
        process.wait(30)


#: As launchd.plist(5) says, as far as these use it.
PLIST = {
    "type": "object",
    "required": ["Label", "ProgramArguments", "UserName", "GroupName", "KeepAlive", "RunAtLoad"],
    "additionalProperties": False,
    "properties": {
        "Label": {"type": "string", "pattern": r"^com\.hookgate\.\w+$"},
        "ProgramArguments": {"type": "array", "minItems": 2, "items": {"type": "string"}},
        "UserName": {"enum": ["_hookgate", "_cerbos"]},
        "GroupName": {"const": "_hookgate"},
        "RunAtLoad": {"const": True},
        "KeepAlive": {"const": True},
        "ThrottleInterval": {"type": "integer", "minimum": 0},
        "ExitTimeOut": {"type": "integer", "minimum": 11},
        "ProcessType": {"enum": ["Background", "Standard", "Adaptive", "Interactive"]},
        "Umask": {"type": "integer", "enum": [0o77, 0o07]},
        "WorkingDirectory": {"type": "string", "pattern": "^/"},
        "EnvironmentVariables": {"type": "object", "additionalProperties": {"type": "string"}},
        "SoftResourceLimits": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"NumberOfFiles": {"type": "integer"}, "Core": {"const": 0}},
        },
        "StandardOutPath": {"type": "string", "pattern": "^/"},
        "StandardErrorPath": {"type": "string", "pattern": "^/"},
    },
}


@pytest.mark.parametrize("name", ["hookgate", "cerbos"])
def test_the_property_lists_are_what_launchd_reads(name: str) -> None:
    tree: dict[str, Any] = plistlib.loads((LAUNCHD / f"com.hookgate.{name}.plist").read_bytes())
    jsonschema.Draft202012Validator(PLIST).validate(tree)
    assert tree["Label"] == f"com.hookgate.{name}"
    assert tree["UserName"] == f"_{name}"
    unit = settings(f"{name}.service")["ExecStart"][0].split()
    assert tree["ProgramArguments"] == unit
