"""The PDP's configurations start the real PDP, agree with each other, and keep what the agent did out of its own logs."""

import asyncio
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cerbos.audit.v1 import audit_pb2

from hookgate.config.tree import Pdp
from hookgate.pdp.canary import Canary
from hookgate.pdp.channel import GrpcTransport
from hookgate.pdp.client import PdpClient
from hookgate.pdp.findings import CanaryState
from tests.conftest import payload
from tests.docs import tables
from tests.support.bucket import Bucket
from tests.support.hub import Hub
from tests.support.service import ServiceProcess
from tests.support.small import small_policies
from tests.support.wait import until

FOLDER = tables.ROOT / "deploy" / "cerbos"
NAMES = sorted(path.name for path in FOLDER.glob("*.yaml"))
START_SECONDS = 60
PLANTED = "planted-value-that-no-log-may-hold"

#: A PDP that has just started on a busy machine takes its time for the first answers.
PATIENT = {"decision": {"deadline_seconds": 20}}

Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory with a short name, for sockets."""
    directory = Path(tempfile.mkdtemp(prefix="pdp-"))
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def start(cerbos: Path, place: Path) -> Iterator[Start]:
    """Starts the PDP with one of our configurations; its log is `log` in the directory."""
    running: list[subprocess.Popen[bytes]] = []

    def begin(name: str, *options: str, **environ: str) -> subprocess.Popen[bytes]:
        for folder in ("run", "state", "cache", "logs"):
            (place / folder).mkdir()
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(place),
            "RUNTIME_DIRECTORY": str(place / "run"),
            "STATE_DIRECTORY": str(place / "state"),
            "CACHE_DIRECTORY": str(place / "cache"),
            "LOGS_DIRECTORY": str(place / "logs"),
            **environ,
        }
        with (place / "log").open("wb") as log:
            command = [str(cerbos), "server", f"--config={FOLDER / name}", *options]
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


def test_the_pdp_with_a_directory_serves_the_shipped_policies_strictly(start: Start, place: Path) -> None:
    start("disk.yaml", POLICY_DIRECTORY=str(tables.ROOT / "policies"))
    assert findings_at(place / "run" / "pdp.sock") == (CanaryState.OK, True)
    assert (place / "run" / "pdp.sock").stat().st_mode & 0o777 == 0o660


def test_the_pdp_with_a_repository_serves_what_is_committed_there(start: Start, place: Path) -> None:
    repository = place / "repository"
    small_policies(repository / "policies")
    for arguments in (
        ["init", "--quiet", "--initial-branch=main"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "--quiet", "--message=policies"],
    ):
        subprocess.run(["git", *arguments], cwd=repository, check=True, env={"PATH": os.environ["PATH"]})
    start("git.yaml", POLICY_PROTOCOL="file", POLICY_REPOSITORY=str(repository))
    assert findings_at(place / "run" / "pdp.sock") == (CanaryState.OK, True)


def test_the_pdp_with_a_bucket_serves_what_lies_there(start: Start, place: Path) -> None:
    small_policies(place / "bucket" / "policies")
    bucket = Bucket(place / "bucket")
    try:
        start("blob.yaml", POLICY_BUCKET=bucket.url, AWS_ACCESS_KEY_ID="none", AWS_SECRET_ACCESS_KEY="none")
        assert findings_at(place / "run" / "pdp.sock") == (CanaryState.OK, True)
        assert any(path.endswith("/policies/canary.yaml") for path in bucket.asked)
    finally:
        bucket.close()


def test_the_pdp_with_the_hub_takes_its_configuration_and_asks_for_the_deployment(start: Start, place: Path) -> None:
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


def test_the_configurations_agree_but_for_storage_and_audit() -> None:
    assert {"disk.yaml", "git.yaml", "blob.yaml", "hub.yaml"} < set(NAMES)
    shared = [yaml.safe_load((FOLDER / name).read_text()) for name in NAMES]
    for tree in shared:
        assert {key: tree[key] for key in ("server", "engine", "telemetry")} == {
            key: shared[0][key] for key in ("server", "engine", "telemetry")
        }
    server = shared[0]["server"]
    assert shared[0]["engine"] == {"strictEvaluation": True}
    assert shared[0]["telemetry"] == {"disabled": True}
    assert server["advanced"]["grpc"]["maxRecvMsgSizeBytes"] == Pdp(address="x").max_request_bytes
    assert {server["grpcListenAddr"][:5], server["httpListenAddr"][:5]} == {"unix:"}
    assert server["adminAPI"] == {"enabled": False}


def _asked(start: Start, place: Path, make_service: Callable[..., ServiceProcess], *options: str) -> dict[str, Any]:
    """Has calls with a planted value decided by the PDP of disk-audited.yaml; gives the last one's record."""
    start("disk-audited.yaml", *options, POLICY_DIRECTORY=str(small_policies(place / "policies")))
    until((place / "run" / "pdp.sock").exists, seconds=START_SECONDS, what="the PDP's socket")
    service = make_service(f"unix:{place}/run/pdp.sock", PATIENT)
    service.post(payload("UserPromptSubmit", prompt=f"use {PLANTED}"))
    service.post(payload("PostToolUse.Bash", tool_response={"stdout": PLANTED}))
    service.post(payload("PreToolUse.Bash", tool_input={"command": f"echo {PLANTED}"}))
    record = service.records()[-1]
    assert record["call_id"], record
    return record


def test_a_planted_secret_is_not_in_the_access_log_but_the_call_id_of_the_record_is(
    start: Start, place: Path, make_service: Callable[..., ServiceProcess]
) -> None:
    record = _asked(start, place, make_service)
    log = place / "logs" / "access.log"
    until(lambda: log.exists() and record["call_id"] in log.read_text(), seconds=START_SECONDS, what="the call's line")
    assert PLANTED not in log.read_text() + (place / "log").read_text()
    assert {json.loads(line)["log.kind"] for line in log.read_text().splitlines()} == {"access"}


def test_the_decision_log_of_a_file_holds_the_planted_secret_which_is_why_it_is_off(
    start: Start, place: Path, make_service: Callable[..., ServiceProcess]
) -> None:
    record = _asked(start, place, make_service, "--set=audit.decisionLogsEnabled=true")
    log = place / "logs" / "access.log"
    until(
        lambda: log.exists() and log.read_text().count(record["call_id"]) > 1, seconds=START_SECONDS, what="both lines"
    )
    assert log.read_text().count(PLANTED) >= 3


@pytest.fixture
def hub() -> Iterator[Hub]:
    """What stands in for Cerbos Hub."""
    made = Hub()
    yield made
    made.close()


@pytest.mark.parametrize("masked", [True, False], ids=["as it ships", "without the mask"])
def test_what_the_hub_is_sent_holds_the_planted_secret_only_without_the_mask(
    masked: bool, hub: Hub, cerbos: Path, place: Path, make_service: Callable[..., ServiceProcess]
) -> None:
    tree = yaml.safe_load((FOLDER / "hub.yaml").read_text())
    # The policies come from here, and it is sent sooner; what is logged and masked stays as it is.
    tree["storage"] = {"driver": "disk", "disk": {"directory": str(small_policies(place / "policies"))}}
    tree["hub"]["connection"] = {"apiEndpoint": hub.url}
    tree["audit"]["hub"] |= {"ingest": {"minFlushInterval": "2s"}, "advanced": {"flushInterval": "3s"}}
    if not masked:
        del tree["audit"]["hub"]["mask"]
    (place / "pdp.yaml").write_text(yaml.safe_dump(tree))
    names = {"RUNTIME_DIRECTORY": str(place), "STATE_DIRECTORY": str(place), "CACHE_DIRECTORY": str(place)}
    names |= {"CERBOS_HUB_CLIENT_ID": "id", "CERBOS_HUB_CLIENT_SECRET": "secret", "HOME": str(place)}
    with (place / "log").open("wb") as log:
        pdp = subprocess.Popen([cerbos, "server", f"--config={place / 'pdp.yaml'}"], env=names, stdout=log, stderr=log)
    try:
        until((place / "pdp.sock").exists, seconds=START_SECONDS, what="the PDP's socket")
        service = make_service(f"unix:{place}/pdp.sock", PATIENT)

        def asked(name: str, **more: Any) -> bytes:
            service.post(payload(name, **more))
            return str(service.records()[-1]["call_id"]).encode()

        # Its socket is there before it answers.
        until(
            lambda: asked("UserPromptSubmit", prompt=f"use {PLANTED}"), seconds=START_SECONDS, what="the PDP's answer"
        )
        assert asked("PostToolUse.Bash", tool_response={"stdout": PLANTED})
        call = asked("PreToolUse.Bash", tool_input={"command": f"rm -rf / {PLANTED}"})
        assert call
        until(lambda: call in hub.taken, seconds=START_SECONDS, what="the Hub to have the call")
        # Who, which event and which policy are there; what the agent did is not.
        assert b"PreToolUse" in hub.taken
        assert (PLANTED.encode() in hub.taken) is not masked
        assert (b"destroys work" in hub.taken) is not masked
    finally:
        pdp.kill()
        pdp.wait()


@pytest.mark.parametrize("backend", ["file", "local", "kafka"])
def test_cerbos_has_no_mask_but_the_hubs(cerbos: Path, place: Path, backend: str) -> None:
    tree = yaml.safe_load((FOLDER / "disk-audited.yaml").read_text())
    own: dict[str, dict[str, Any]] = {
        "file": {"path": "x"},
        "local": {"storagePath": "x"},
        "kafka": {"brokers": ["127.0.0.1:1"], "topic": "x"},
    }
    tree["audit"] |= {"backend": backend, backend: {**own[backend], "mask": {"checkResources": ["inputs"]}}}
    (place / "pdp.yaml").write_text(yaml.safe_dump(tree))
    environment = {"RUNTIME_DIRECTORY": str(place), "POLICY_DIRECTORY": str(tables.ROOT / "policies")}
    done = subprocess.run(
        [cerbos, "server", f"--config={place / 'pdp.yaml'}"],
        capture_output=True, text=True, check=False, timeout=30, cwd=place, env=environment,
    )  # fmt: skip
    assert done.returncode != 0
    assert "field mask not found" in done.stderr


def test_what_is_masked_for_the_hub_is_there_under_that_name() -> None:
    # Cerbos passes over a path that leads nowhere without a word.
    masked = yaml.safe_load((FOLDER / "hub.yaml").read_text())["audit"]["hub"]["mask"]["checkResources"]
    for path in masked:
        message: Any = audit_pb2.DecisionLogEntry.CheckResources.DESCRIPTOR
        for part in path.split("."):
            name, _, index = part.partition("[")
            found = {one.json_name: one for one in message.fields}[name]
            assert (found.is_repeated) == bool(index) or path.endswith(".attr")
            message = found.message_type
    kept = {"inputs[*].resource.attr", "inputs[*].principal.attr", "inputs[*].auxData", "outputs[*].outputs[*].val"}
    assert set(masked) == kept
