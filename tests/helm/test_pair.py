"""What the chart renders runs: the same files, the same commands in the same order, on a socket at the same path under a root."""

import json
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hookgate.collect.server import exposed
from hookgate.config import ConfigError, load
from hookgate.config.collect import collect_parts
from hookgate.config.shippers import PostgresShipper
from tests.helm.chart import CI, Chart, Rendered, containers
from tests.helm.pod import Pod
from tests.helm.values import CHART
from tests.integration.running import Running
from tests.support.wait import until

OWN = CHART / "ci" / "policies-values.yaml"
ALLOW_ALL = """
apiVersion: api.cerbos.dev/v1
resourcePolicy:
  resource: PreToolUse
  version: default
  rules:
    - {actions: ["*"], effect: EFFECT_ALLOW, roles: ["*"]}
"""


#: Policies that a PDP has read in no time.
SMALL = {
    "policies.files": {
        "session.yaml": ALLOW_ALL.replace(
            "rules:", "rules:\n    - {actions: [Bash], effect: EFFECT_DENY, roles: ['*']}"
        )
    }
}


@pytest.fixture(scope="module")
def make() -> Iterator[Callable[[Rendered, Any], Pod]]:
    """Lays pods; they are ended with the module."""
    made: list[Pod] = []

    def lay(rendered: Rendered, spec: Any) -> Pod:
        made.append(Pod(rendered, spec))
        return made[-1]

    yield lay
    for pod in made:
        pod.remove()


@pytest.fixture(scope="module")
def gateway(chart: Chart, make: Callable[[Rendered, Any], Pod], cerbos: Path) -> Pod:
    """A replica as the chart makes it, with the shipping process by itself."""
    rendered = chart.rendered(changes={"shipping.ownContainer": True})
    pod = make(rendered, rendered.gateway()).start()
    until(lambda: answers(pod, "/readyz"), seconds=60, what="the pod to be ready")
    return pod


def answers(pod: Pod, path: str, port: int = 0) -> bool:
    """Whether a probe of the kubelet's would pass."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port or pod.admin_port}{path}", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def smoke(pod: Pod, rendered: Rendered, **headers: str) -> "subprocess.CompletedProcess[str]":
    """Runs what `helm test` runs, against the pod."""
    (test,) = rendered.tests
    (one,) = test["spec"]["containers"]
    variables = {variable["name"]: variable["value"] for variable in one["env"]}
    host = variables["HOOK_URL"].split("/")[2]
    variables["HOOK_URL"] = variables["HOOK_URL"].replace(host, f"127.0.0.1:{pod.port}")
    # The Service's name, as it would stand there.
    variables["HOOK_HEADERS"] = json.dumps({**json.loads(variables["HOOK_HEADERS"]), "host": host, **headers})
    return subprocess.run(
        [sys.executable, *one["command"][1:], *one["args"]], env=variables, capture_output=True, text=True, check=False
    )


def test_helms_own_test_passes(gateway: Pod, chart: Chart) -> None:
    done = smoke(gateway, chart.rendered(changes={"shipping.ownContainer": True}))
    assert done.returncode == 0, done.stdout
    assert [line.split(": ")[:2] for line in done.stdout.splitlines()] == [
        [name, "as it should be"] for name in ("allowed", "denied", "malformed")
    ]


def test_helms_own_test_fails_where_hooks_come_under_a_foreign_name(gateway: Pod, chart: Chart) -> None:
    done = smoke(gateway, chart.rendered(changes={"shipping.ownContainer": True}), host="elsewhere.example.com")
    assert done.returncode == 1
    assert done.stdout.startswith("allowed: WRONG")


def test_the_sockets_are_the_pods_alone(gateway: Pod) -> None:
    assert gateway.mode("/run/cerbos/pdp") == "drwxr-x---"
    assert gateway.mode("/run/cerbos/pdp/pdp.sock") == gateway.mode("/run/cerbos/pdp/http.sock") == "srw-rw----"
    assert gateway.mode("/var/lib/hookgate/audit") == "drwx------"
    (rendered_pdp,) = [one for one in gateway._spec["initContainers"] if one["name"] == "hookgate-pdp"]
    assert gateway.run("hookgate-pdp", rendered_pdp["livenessProbe"]["exec"]["command"]).returncode == 0


def test_a_wrong_password_reloads_nothing_and_is_not_told(gateway: Pod) -> None:
    wrong = {"CERBOS_ADMIN_USERNAME": "hookgate", "CERBOS_ADMIN_PASSWORD": "cerbosAdmin"}
    place = ("--admin", gateway.inside("/run/cerbos/pdp/http.sock"))
    following = Running("policies", "follow", gateway.inside("/policies"), *place, env=wrong)
    try:
        (line,) = following.until_said("policies_reload_failed", seconds=60)
    finally:
        following.end()
    assert "incorrect credentials" in line
    assert "cerbosAdmin" not in "".join(following.lines)


def test_the_canarys_questions_are_answered_rightly_and_strictly(gateway: Pod) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{gateway.admin_port}/readyz", timeout=30) as answer:
        told = json.loads(answer.read())
    assert (told["canary"]["state"], told["pdp_strict_evaluation"]) == ("ok", True)


def test_records_are_shipped_by_the_container_beside(gateway: Pod) -> None:
    assert answers(gateway, "/livez", gateway.ship_port)
    store = gateway.inside("/var/lib/hookgate/audit/store.sqlite")
    until(store.exists, seconds=60, what="the store")
    assert "ship_started" in gateway.log("hookgate-ship")


def test_the_configuration_is_one_that_the_command_takes(gateway: Pod) -> None:
    done = gateway.run("hookgate", ["hookgate", "config", "check", "/etc/hookgate/config/hookgate.yaml"])
    assert done.returncode == 0, done.stderr


def test_the_configurations_of_all_set_ups_can_be_used(chart: Chart, make: Callable[[Rendered, Any], Pod]) -> None:
    for file in CI:
        rendered = chart.rendered(file)
        for spec in rendered.pods():
            (name,) = {"hookgate", "collector", "console", "smoke"} & set(containers(spec))
            if name == "smoke":
                continue
            pod = make(rendered, spec)
            stores = dict.fromkeys(("HOOKGATE_STORE", "HOOKGATE_STORE_URL"), "postgresql://u:p@127.0.0.1/x")
            variables = {**stores, **dict.fromkeys(("SPLUNK_TOKEN", "KAFKA_PASSWORD", "OIDC_SECRET"), "theirs")}
            (pod.inside("/etc/hookgate/client-ca") / "people.crl").parent.mkdir(parents=True, exist_ok=True)
            (pod.inside("/etc/hookgate/client-ca") / "people.crl").touch()
            try:
                kind = {"hookgate": "hookgate", "collector": "collect", "console": "console"}[name]
                path = pod.inside("/etc/hookgate/config") / f"{kind}.yaml"
                settings = load(path, variables, needs_pdp=name != "collector")
            except ConfigError as error:
                pytest.fail(f"{file.name}: {error}")
            assert settings.audit.directory.startswith(str(pod.root) if name == "hookgate" else "/tmp/")
            if name == "collector":
                store, forwards = collect_parts(settings.audit)
                assert isinstance(store, PostgresShipper)
                assert len(forwards) == len(settings.audit.shippers) - 1
                assert not exposed(settings.collect)


def test_a_swapped_config_map_is_taken_while_the_pdp_runs(
    chart: Chart, make: Callable[[Rendered, Any], Pod], cerbos: Path
) -> None:
    rendered = chart.rendered(OWN)
    pod = make(rendered, rendered.gateway()).start()
    until(lambda: answers(pod, "/readyz"), seconds=60, what="the pod to be ready")
    # Policies of one's own, their schema beside them, and payloads to try them with.
    done = smoke(pod, rendered)
    assert done.returncode == 0, done.stdout
    # What is there at the start is told once; on a busy machine that may take until now.
    until(lambda: "policies_reloaded" in pod.log("hookgate-reload"), seconds=60, what="the first reading")
    before = pod.log("hookgate-reload").count("policies_reloaded")
    pod.swap(pod.inside("/policies"), {"session.yaml": ALLOW_ALL})
    until(lambda: pod.log("hookgate-reload").count("policies_reloaded") > before, seconds=60, what="the PDP to be told")
    assert smoke(pod, rendered).stdout.splitlines()[1].startswith("denied: WRONG")
    # What can't be read leaves the rules in force, and is told.
    pod.swap(pod.inside("/policies"), {"session.yaml": "resourcePolicy: ["})
    until(lambda: "policies_reload_failed" in pod.log("hookgate-reload"), seconds=60, what="the complaint")
    assert smoke(pod, rendered).stdout.splitlines()[0].startswith("allowed: as it should be")
    assert pod.end("hookgate") == 0
    assert pod.end("hookgate-reload") == 0


def test_the_sidecars_containers_answer_on_loopback(
    chart: Chart, make: Callable[[Rendered, Any], Pod], cerbos: Path
) -> None:
    # The sinks of a sidecar are elsewhere: here, nobody listens.
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        sink = {"type": "http", "url": f"http://127.0.0.1:{held.getsockname()[1]}/"}
        changes = {"kind": "None", "sidecar.enabled": True, "store.type": "none", "shippers": [sink], **SMALL}
        rendered = chart.rendered(changes=changes)
        pod = make(rendered, rendered.sidecar()).start()
        # All of it is native sidecars: they are up before the agent.
        until(lambda: answers(pod, "/readyz"), seconds=60, what="the sidecar to be ready")
        denied = {
            "hook_event_name": "PreToolUse", "session_id": "s", "tool_use_id": "t", "cwd": "/w", "permission_mode": "default",
            "tool_name": "Bash", "tool_input": {"command": "id"},
        }  # fmt: skip
        request = urllib.request.Request(
            f"http://127.0.0.1:{pod.port}/ext/claude",
            data=json.dumps(denied).encode(),
            headers={"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            said = json.loads(answer.read())
        assert said["hookSpecificOutput"]["permissionDecision"] == "deny"


def test_the_pdp_starts_with_policies_from_git(
    chart: Chart, make: Callable[[Rendered, Any], Pod], tmp_path: Path, cerbos: Path
) -> None:
    repository = tmp_path / "repository"
    (repository / "policies").mkdir(parents=True)
    (repository / "policies" / "session.yaml").write_text(ALLOW_ALL)
    for arguments in (
        ["init", "--quiet", "--initial-branch=live"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "--quiet", "--message=policies"],
    ):
        subprocess.run(["git", *arguments], cwd=repository, check=True)
    # As in ci/git-values.yaml, from a folder: no repository can be had here by https.
    git = {"protocol": "file", "url": str(repository)}
    changes = {
        "policies.source": "git", "policies.git.url": "https://git.example.com/x", "policies.git.branch": "live",
        "pdp.config": {"storage": {"git": git}}, "helmTest.denied": {"hook_event_name": "PreToolUse"},
    }  # fmt: skip
    rendered = chart.rendered(changes=changes)
    pod = make(rendered, rendered.gateway()).start()
    until(lambda: answers(pod, "/readyz"), seconds=60, what="the pod to be ready")
    assert smoke(pod, rendered).stdout.splitlines()[0].startswith("allowed: as it should be")


def test_the_pdp_asks_the_hub_for_the_deployment(
    chart: Chart, make: Callable[[Rendered, Any], Pod], cerbos: Path
) -> None:
    rendered = chart.rendered(CHART / "ci" / "hub-values.yaml", {"pdp.logLevel": "info"})
    pod = make(rendered, rendered.gateway())
    assert pod.run("hookgate-prepare").returncode == 0
    # There is no Hub here: what can be seen is that its configuration is taken, and who is asked for what.
    pod.begin("hookgate-pdp", HTTPS_PROXY="http://127.0.0.1:1")
    until(lambda: "deployment:ABCDEFGHIJKL" in pod.log("hookgate-pdp"), seconds=60, what="the Hub's turn")
    assert '"message":"Extending audit log","backend":"hub"' in pod.log("hookgate-pdp")
