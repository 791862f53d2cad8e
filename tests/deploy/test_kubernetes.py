"""The sidecar in a cluster: rendered by the real kustomize, taken by the schemas, and run as the pod would."""

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import payload
from tests.docs import tables
from tests.helm.kinds import VERSIONS, Kinds
from tests.support.fetched import wanted
from tests.support.service import ServiceProcess
from tests.support.small import small_policies
from tests.support.wait import until

FOLDER = tables.ROOT / "deploy" / "kubernetes"
HOOKGATE_USER, PDP_USER, GROUP = 10001, 10002, 10001


def build(folder: Path) -> list[dict[str, Any]]:
    """Gives what kustomize renders."""
    done = wanted("kustomize").run("build", folder)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


@pytest.fixture(scope="module")
def objects() -> list[dict[str, Any]]:
    """The example, rendered."""
    return build(FOLDER / "example")


def pod(objects: list[dict[str, Any]], kind: str = "Deployment") -> dict[str, Any]:
    """Gives the specification of the workload's pods."""
    (found,) = [one for one in objects if one["kind"] == kind]
    spec: dict[str, Any] = found["spec"]["template"]["spec"]
    return spec


def test_an_api_server_of_each_version_takes_every_object(objects: list[dict[str, Any]], tmp_path: Path) -> None:
    kinds = Kinds(tmp_path)
    assert {one["kind"] for one in objects} == {"Namespace", "ConfigMap", "Deployment", "NetworkPolicy"}
    for version in VERSIONS:
        assert [fault for one in objects for fault in kinds.faults(one, version)] == []


@pytest.mark.parametrize("kind", ["StatefulSet", "Job"])
def test_other_workloads_get_the_sidecars_too(kind: str, tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "kubernetes")
    agent = tmp_path / "kubernetes" / "example" / "agent.yaml"
    tree = yaml.safe_load(agent.read_text())
    tree["kind"] = kind
    if kind == "Job":
        tree["apiVersion"] = "batch/v1"
        tree["spec"] = {"template": tree["spec"]["template"]}
        tree["spec"]["template"]["spec"]["restartPolicy"] = "Never"
    else:
        tree["spec"]["serviceName"] = "agent"
    agent.write_text(yaml.safe_dump(tree))
    made = build(tmp_path / "kubernetes" / "example")
    assert [one["name"] for one in pod(made, kind)["initContainers"]] == [
        "hookgate-prepare",
        "hookgate-pdp",
        "hookgate",
    ]
    assert [fault for one in made for fault in Kinds(tmp_path).faults(one, VERSIONS[-1])] == []


def test_the_sidecars_are_there_before_the_agent_and_end_after_it(objects: list[dict[str, Any]]) -> None:
    prepare, pdp, hookgate = pod(objects)["initContainers"]
    assert "restartPolicy" not in prepare
    assert (pdp["restartPolicy"], hookgate["restartPolicy"]) == ("Always", "Always")
    assert "startupProbe" in pdp
    assert hookgate["startupProbe"]["httpGet"]["path"] == "/readyz"
    assert hookgate["livenessProbe"]["httpGet"]["path"] == "/livez"
    config = yaml.safe_load(data(objects, "hookgate-")["hookgate.yaml"])
    assert config["server"]["host"] == "127.0.0.1"
    assert pod(objects)["terminationGracePeriodSeconds"] > 10


def test_the_agent_sees_nothing_of_what_judges_it_but_its_hooks(objects: list[dict[str, Any]]) -> None:
    spec = pod(objects)
    (agent,) = spec["containers"]
    own = [mount for mount in agent["volumeMounts"] if mount["name"].startswith("hookgate")]
    assert own == [{"name": "hookgate-managed-settings", "mountPath": "/etc/claude-code", "readOnly": True}]
    assert (spec["shareProcessNamespace"], spec["hostPID"], spec["automountServiceAccountToken"]) == (False,) * 3
    assert agent["securityContext"]["runAsUser"] not in (HOOKGATE_USER, PDP_USER)
    assert agent["securityContext"]["runAsGroup"] != GROUP
    assert "fsGroup" not in spec.get("securityContext", {})


def test_the_containers_are_confined_and_the_pdp_has_a_user_of_its_own(objects: list[dict[str, Any]]) -> None:
    users = {}
    for one in pod(objects)["initContainers"]:
        context = one["securityContext"]
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert context["readOnlyRootFilesystem"] is context["runAsNonRoot"] is True
        assert context["allowPrivilegeEscalation"] is False
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        assert one["resources"]["limits"]["memory"]
        users[one["name"]] = (context["runAsUser"], context["runAsGroup"])
    assert users == {
        "hookgate-prepare": (PDP_USER, GROUP),
        "hookgate-pdp": (PDP_USER, GROUP),
        "hookgate": (HOOKGATE_USER, GROUP),
    }


def test_the_copies_in_the_base_are_what_they_are_copies_of() -> None:
    deploy = tables.ROOT / "deploy"
    for copy, original in (
        ("pdp.yaml", deploy / "cerbos" / "git.yaml"),
        ("managed-settings.json", tables.MANAGED_SETTINGS),
    ):
        assert (FOLDER / "base" / copy).read_text() == original.read_text(), f"cp {original} {FOLDER / 'base' / copy}"


def data(objects: list[dict[str, Any]], prefix: str) -> dict[str, str]:
    """Gives the content of the generated ConfigMap whose name is the prefix and a digest."""
    (found,) = [
        one["data"]
        for one in objects
        if one["kind"] == "ConfigMap" and one["metadata"]["name"].rpartition("-")[0] + "-" == prefix
    ]
    content: dict[str, str] = found
    return content


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory with a short name, as the pod's root."""
    directory = Path(tempfile.mkdtemp(prefix="pod-"))
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


def test_the_rendered_pair_answers_a_hook_as_in_the_pod(
    objects: list[dict[str, Any]], cerbos: Path, place: Path, make_service: Callable[..., ServiceProcess]
) -> None:
    repository = place / "repository"
    small_policies(repository / "policies")
    for words in (
        ["init", "--quiet", "--initial-branch=main"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "--quiet", "--message=policies"],
    ):
        subprocess.run(["git", *words], cwd=repository, check=True)
    prepare, pdp, hookgate = pod(objects)["initContainers"]
    for folder in ("run/cerbos", "var/lib/cerbos", "etc/cerbos"):
        (place / folder).mkdir(parents=True)
    program = prepare["command"][-1].replace("/run/cerbos", str(place / "run/cerbos"))
    subprocess.run(["python3", "-I", "-c", program], check=True)
    socket = place / "run/cerbos/pdp/pdp.sock"
    assert socket.parent.stat().st_mode & 0o777 == 0o750
    (place / "etc/cerbos/pdp.yaml").write_text(data(objects, "hookgate-pdp-")["pdp.yaml"])
    plain = {one["name"]: one["value"] for one in pdp["env"] if "value" in one}
    environment = {name: str(place) + value if value.startswith("/") else value for name, value in plain.items()}
    environment |= {"POLICY_PROTOCOL": "file", "POLICY_REPOSITORY": str(repository), "PATH": "/usr/bin:/bin"}
    arguments = [one.replace("/etc/cerbos", str(place / "etc/cerbos")) for one in pdp["args"]]
    with (place / "log").open("wb") as log:
        process = subprocess.Popen([cerbos, *arguments], env=environment, stdout=log, stderr=log)
    try:
        until(socket.exists, seconds=60, what="the PDP's socket")
        config = yaml.safe_load(data(objects, "hookgate-")["hookgate.yaml"])
        address = config["pdp"].pop("address")
        assert address.removeprefix("unix:") == str(socket).removeprefix(str(place))
        # The store of the cluster is not here; ports and the journal's place are the test's own.
        config["audit"] = {"shippers": []}
        config["decision"] = {"deadline_seconds": 20}
        assert hookgate["args"] == ["serve", "--config", "/etc/hookgate/hookgate.yaml"]
        service = make_service(f"unix:{socket}", config)
        denied = service.post(payload("PreToolUse.Bash", tool_input={"command": "rm -rf /"}))
        assert denied["hookSpecificOutput"]["permissionDecision"] == "deny"
        assert service.records()[-1]["outcome"] == "deny"
    finally:
        process.kill()
        process.wait()
