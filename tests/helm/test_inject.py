"""The example of how the cluster puts the sidecar into pods gives just what the chart says must go into them."""

import json
import re
from typing import Any

import pytest
import yaml

from tests.helm.chart import RELEASE, Chart, Rendered
from tests.helm.kinds import VERSIONS, Kinds
from tests.helm.values import CHART
from tests.support.fetched import wanted

#: The policy's kind is stable from here on.
SINCE = (1, 36)


@pytest.fixture(scope="module")
def sidecar(chart: Chart) -> Rendered:
    """What the sidecar's values give."""
    return chart.rendered(CHART / "ci" / "sidecar-values.yaml")


@pytest.fixture(scope="module")
def manifests(sidecar: Rendered) -> list[dict[str, Any]]:
    """The policy and its binding."""
    return list(yaml.safe_load_all(sidecar.one("ConfigMap", f"{RELEASE}-sidecar")["data"]["inject.yaml"]))


def literal(expression: str) -> Any:
    """Gives the value of a literal of CEL: as YAML writes it, but for the types before the braces."""
    return yaml.safe_load(re.sub(r"\b(?:JSONPatch|Object[\w.]*)\{", "{", expression))


def test_an_api_server_that_knows_the_kind_takes_it(manifests: list[dict[str, Any]], kinds: Kinds) -> None:
    knowing = [version for version in VERSIONS if tuple(map(int, version.split(".")[:2])) >= SINCE]
    assert knowing
    for version in knowing:
        assert [fault for one in manifests for fault in kinds.faults(one, version)] == []


def test_what_it_adds_is_what_the_chart_says(manifests: list[dict[str, Any]], sidecar: Rendered) -> None:
    policy, binding = manifests
    assert binding["spec"]["policyName"] == policy["metadata"]["name"]
    # One for all: between two of them an API server forgets lists that are empty.
    (mutation,) = policy["spec"]["mutations"]
    *makes, adds = mutation["jsonPatch"]["expression"].split(" +\n")
    pod: dict[str, Any] = {"spec": {"containers": [{"name": "agent", "image": "agent:1", "resources": {}}]}}
    for expression in makes:
        has, _, patch = expression.strip("()").partition(" ? [] : ")
        (made,) = literal(patch)
        assert has == f"has(object{made['path'].replace('/0/', '[0].').replace('/', '.')})"
        apply(pod, [made])
    apply(pod, literal(adds))
    assert pod["spec"] == sidecar.sidecar()


@pytest.mark.parametrize("is_empty", [True, False], ids=["an-agent-alone", "a-pod-with-more"])
def test_an_api_servers_own_code_makes_that_pod_of_it(
    manifests: list[dict[str, Any]], sidecar: Rendered, is_empty: bool
) -> None:
    agent: dict[str, Any] = {"name": "agent", "image": "agent:1", "resources": {}}
    spec: dict[str, Any] = {"containers": [agent]}
    mount, volume = {"name": "work", "mountPath": "/work"}, {"name": "work", "emptyDir": {}}
    if not is_empty:
        agent["volumeMounts"] = [mount]
        spec |= {"initContainers": [{"name": "clone", "image": "git:1", "resources": {}}], "volumes": [volume]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod", "namespace": "agents"}, "spec": spec}
    expressions = [one["jsonPatch"]["expression"] for one in manifests[0]["spec"]["mutations"]]
    done = wanted("admission").run(text=json.dumps({"expressions": expressions, "pod": pod}))
    assert done.returncode == 0, done.stderr
    made, wished = json.loads(done.stdout)["spec"], sidecar.sidecar()
    # What judges the agent comes before all else, and what the pod had stays.
    assert made["initContainers"] == wished["initContainers"] + spec.get("initContainers", [])
    assert made["volumes"] == spec.get("volumes", []) + wished["volumes"]
    mounts = ([] if is_empty else [mount]) + wished["containers"][0]["volumeMounts"]
    assert made["containers"] == [{**agent, "volumeMounts": mounts}]


def apply(pod: dict[str, Any], patches: list[dict[str, Any]]) -> None:
    """Adds what a JSON patch adds (RFC 6902, 4.1)."""
    for patch in patches:
        assert patch["op"] == "add"
        *path, last = patch["path"].strip("/").split("/")
        at: Any = pod
        for part in path:
            at = at[int(part)] if isinstance(at, list) else at[part]
        if isinstance(at, list):
            at.insert(len(at) if last == "-" else int(last), patch["value"])
        else:
            at[last] = patch["value"]


def test_the_types_are_those_of_their_places(manifests: list[dict[str, Any]]) -> None:
    expression = manifests[0]["spec"]["mutations"][-1]["jsonPatch"]["expression"]
    types = set(re.findall(r"Object[\w.]*(?=\{)", expression))
    assert {"Object.spec.initContainers.env.valueFrom.secretKeyRef", "Object.spec.volumes.configMap.items"} <= types
    # Maps of free keys have none.
    assert [name for name in types if name.endswith((".requests", ".limits"))] == []


def test_a_pod_without_it_is_not_made(manifests: list[dict[str, Any]]) -> None:
    spec = manifests[0]["spec"]
    assert spec["failurePolicy"] == "Fail"
    assert spec["matchConstraints"]["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "agents"}
    # No condition on names: a container of that name would keep the sidecar out.
    assert "matchConditions" not in spec
