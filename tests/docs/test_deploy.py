"""What ships in deploy/ works: the full configuration, the PDP's configurations, the clients' managed settings."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from hookgate.client.settings import EVENTS, LEAST_CLIENT_VERSION, settings_for
from hookgate.config import load, parse
from hookgate.config.tree import Config, Pdp
from hookgate.pdp.canary import Canary
from hookgate.pdp.channel import GrpcTransport
from hookgate.pdp.client import PdpClient
from hookgate.pdp.findings import CanaryState
from tests.docs import tables
from tests.support.wait import until

DEPLOY = tables.ROOT / "deploy"
EXAMPLE = DEPLOY / "hookgate.example.yaml"
START_SECONDS = 60


def paths(tree: Any, path: str = "") -> Iterator[str]:
    """Gives the path of each key that holds no further section."""
    for key, value in tree.items():
        here = f"{path}.{key}" if path else key
        if isinstance(value, dict) and not here.endswith((".payload", ".headers", ".users", ".map")):
            yield from paths(value, here)
            continue
        yield here
        for item in value if isinstance(value, list) else []:
            if isinstance(item, dict):
                kind = item.get("type", "")
                known = [one.path for one in tables.settings()]
                own = {
                    name: f"{here}[{kind}]"
                    for name in item
                    if any(f"{one}.".startswith(f"{here}[{kind}].{name}.") for one in known)
                }
                for name in item.keys() - {"type"}:
                    yield from paths({name: item[name]}, own.get(name, f"{here}[]"))


def examples() -> list[dict[str, Any]]:
    """Gives what stands behind `# Example` in the file's comments."""
    found = re.findall(r"^# Example:.*\n((?:#   .*\n)+)", EXAMPLE.read_text(), re.MULTILINE)
    return [yaml.safe_load(re.sub(r"^#   ", "", block, flags=re.MULTILINE)) for block in found]


def test_the_example_holds_every_setting_with_its_default() -> None:
    tree = yaml.safe_load(EXAMPLE.read_text())
    assert load(EXAMPLE, {}) == Config(pdp=Pdp(address=tree["pdp"]["address"]))
    named = set(paths(tree)) | {path for example in examples() for path in paths(example)}
    assert named == {one.path for one in tables.settings()}


def test_the_examples_in_its_comments_can_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    # They name files of yours.
    monkeypatch.setattr(Path, "is_file", lambda _: True)
    assert len(examples()) == 4
    for example in examples():
        parse({"pdp": {"address": "unix:/x"}, **example}, {})


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory with a short name, for sockets."""
    directory = Path(tempfile.mkdtemp(prefix="pdp-"))
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def start(cerbos: Path, place: Path) -> Iterator[Any]:
    """Starts the PDP with one of our configurations; its log is `log` in the directory."""
    running: list[subprocess.Popen[bytes]] = []

    def begin(name: str, **environ: str) -> subprocess.Popen[bytes]:
        for folder in ("run", "state", "cache"):
            (place / folder).mkdir()
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(place),
            "RUNTIME_DIRECTORY": str(place / "run"),
            "STATE_DIRECTORY": str(place / "state"),
            "CACHE_DIRECTORY": str(place / "cache"),
            **environ,
        }
        with (place / "log").open("wb") as log:
            command = [str(cerbos), "server", f"--config={DEPLOY / 'pdp' / name}"]
            running.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
        return running[-1]

    yield begin
    for process in running:
        process.kill()
        process.wait()


def findings_at(socket: Path) -> tuple[CanaryState, bool | None]:
    """Asks the canary's questions once somebody listens; gives what was found, and whether the PDP is strict."""
    until(socket.exists, seconds=START_SECONDS, what="the PDP's socket")

    async def ask() -> tuple[CanaryState, bool | None]:
        transport = GrpcTransport(Pdp(address=f"unix:{socket}"))
        try:
            found = await Canary(PdpClient(transport, max_request_bytes=2**22).check, required=True).round()
        finally:
            await transport.close()
        return found.state, found.strict

    return asyncio.run(ask())


def test_the_pdp_with_a_directory_serves_the_shipped_policies_strictly(start: Any, place: Path) -> None:
    start("disk.yaml", POLICY_DIRECTORY=str(tables.ROOT / "policies"))
    assert findings_at(place / "run" / "pdp.sock") == (CanaryState.OK, True)
    assert (place / "run" / "pdp.sock").stat().st_mode & 0o777 == 0o660


def test_the_pdp_with_a_repository_serves_what_is_committed_there(start: Any, place: Path) -> None:
    repository = place / "repository"
    shutil.copytree(tables.ROOT / "policies", repository / "policies")
    for arguments in (
        ["init", "--quiet", "--initial-branch=main"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "--quiet", "--message=policies"],
    ):
        subprocess.run(["git", *arguments], cwd=repository, check=True, env={"PATH": os.environ["PATH"]})
    start("git.yaml", POLICY_PROTOCOL="file", POLICY_REPOSITORY=str(repository))
    assert findings_at(place / "run" / "pdp.sock") == (CanaryState.OK, True)


def test_the_pdp_with_the_hub_takes_its_configuration_and_asks_for_the_deployment(start: Any, place: Path) -> None:
    start(
        "hub.yaml",
        CERBOS_HUB_CLIENT_ID="id",
        CERBOS_HUB_CLIENT_SECRET="secret",
        CERBOS_HUB_DEPLOYMENT_ID="OURDEPLOYMENT",
        HTTPS_PROXY="http://127.0.0.1:1",
    )
    until(
        lambda: "deployment:OURDEPLOYMENT" in (place / "log").read_text(), seconds=START_SECONDS, what="the Hub's turn"
    )
    assert '"message":"Extending audit log","backend":"hub"' in (place / "log").read_text()


def test_the_three_configurations_of_the_pdp_agree_but_for_storage_and_audit() -> None:
    shared = []
    for name in ("disk.yaml", "git.yaml", "hub.yaml"):
        tree = yaml.safe_load((DEPLOY / "pdp" / name).read_text())
        shared.append({key: tree[key] for key in ("server", "engine", "telemetry")})
    assert shared[0] == shared[1] == shared[2]
    assert shared[0]["engine"] == {"strictEvaluation": True}
    assert shared[0]["telemetry"] == {"disabled": True}
    assert shared[0]["server"]["advanced"]["grpc"]["maxRecvMsgSizeBytes"] == Pdp(address="x").max_request_bytes


def test_the_managed_settings_are_those_that_the_code_gives() -> None:
    text = tables.MANAGED_SETTINGS.read_text(encoding="utf-8")
    assert text == tables.managed_settings_text(), "out of date: python -m tests.docs.tables --write"


def test_the_managed_settings_hold_the_hooks_and_nothing_goes_round_them() -> None:
    settings = json.loads(tables.MANAGED_SETTINGS.read_text(encoding="utf-8"))
    assert settings["hooks"] == settings_for(tables.HOOK_URL)["hooks"]
    assert set(settings["hooks"]) == set(EVENTS)
    for entries in settings["hooks"].values():
        (hook,) = entries[0]["hooks"]
        assert (entries[0]["matcher"], hook["onFailure"]) == ("*", "block")
        assert hook["url"].startswith("http://127.0.0.1:")
    assert settings["requiredMinimumVersion"] == LEAST_CLIENT_VERSION
    assert settings["allowManagedHooksOnly"] is True
    env = settings["env"]
    assert "127.0.0.1" in env["NO_PROXY"].split(",")
    assert env["NO_PROXY"] == env["no_proxy"]
    assert {env[name] for name in env if "PROXY" in name.upper() and not name.upper().startswith("NO_")} == {""}


def test_the_units_run_a_command_that_is_there_with_the_port_of_the_settings() -> None:
    service = (DEPLOY / "systemd" / "hookgate.service").read_text()
    socket = (DEPLOY / "systemd" / "hookgate.socket").read_text()
    assert re.search(r"^ExecStart=\S+/hookgate serve --config \S+$", service, re.MULTILINE)
    assert f"ListenStream={tables.HOOK_URL.split('/')[2]}\n" in socket
    assert "FileDescriptorName=hooks\n" in socket
    grace = Config(pdp=Pdp(address="x")).server.grace_seconds
    stop = re.search(r"^TimeoutStopSec=(\d+)$", service, re.MULTILINE)
    assert stop is not None
    assert int(stop[1]) > grace
