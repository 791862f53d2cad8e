"""Every manifest of every kind of set-up is one that an API server takes."""

import copy
import re
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.helm.chart import CI, NAMESPACE, Chart, Rendered
from tests.helm.kinds import VERSIONS, Kinds, UnknownKindError
from tests.helm.values import CHART


@pytest.mark.parametrize("name", ["default", "hardened", "monitoring", "sidecar", "collector"])
def test_helm_finds_nothing_to_complain_of(chart: Chart, name: str) -> None:
    done = chart.helm("lint", "--strict", CHART, "--values", CHART / "ci" / f"{name}-values.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 chart(s) failed" in done.stdout


def test_an_api_server_of_each_version_takes_every_manifest(rendered: Rendered, kinds: Kinds) -> None:
    manifests = [*rendered.objects, *rendered.tests]
    assert len(manifests) > 3
    pods = [{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}, "spec": spec} for spec in rendered.pods()]
    for version in VERSIONS:
        assert [fault for one in (*manifests, *pods) for fault in kinds.faults(one, version)] == []


def test_the_set_ups_make_every_kind_that_the_chart_knows(chart: Chart) -> None:
    written = "".join(path.read_text() for path in (CHART / "templates").rglob("*.yaml"))
    known = set(re.findall(r"^kind: (\w+)$", written, re.MULTILINE)) | {"StatefulSet", "Deployment"}
    made = {one["kind"] for file in CI for one in (*chart.rendered(file).objects, *chart.rendered(file).tests)}
    assert made == known


def test_what_is_wrong_in_a_manifest_is_found(chart: Chart, kinds: Kinds) -> None:
    rendered = chart.rendered(CHART / "ci" / "hardened-values.yaml")
    monitored = chart.rendered(CHART / "ci" / "monitoring-values.yaml")
    for manifest, path, value in (
        (rendered.workload(), ("spec", "template", "spec", "containers", 0, "livenessprobe"), {}),
        (rendered.one("Certificate", "hookgate-tls"), ("spec", "dnsname"), ["x"]),
        (rendered.one("Certificate", "hookgate-tls"), ("spec", "duration"), 3),
        (monitored.one("ServiceMonitor"), ("spec", "endpoints", 0, "intervall"), "30s"),
        (monitored.one("PrometheusRule"), ("spec", "groups", 0, "rules", 0, "expression"), "up"),
    ):
        spoilt: Any = copy.deepcopy(manifest)
        at = spoilt
        for part in path[:-1]:
            at = at[part]
        at[path[-1]] = value
        assert kinds.faults(manifest, VERSIONS[-1]) == []
        assert kinds.faults(spoilt, VERSIONS[-1]), path
    with pytest.raises(UnknownKindError):
        kinds.faults({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "x"}}, VERSIONS[-1])


def test_every_object_is_in_the_releases_namespace_and_says_whose_it_is(rendered: Rendered) -> None:
    own = [one for one in rendered.objects if one["metadata"]["name"] not in ("hookgate-more", "hookgate-text")]
    for one in own + rendered.tests:
        assert one["metadata"]["namespace"] == NAMESPACE
        assert one["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "Helm"
    names = [(one["kind"], one["metadata"]["name"]) for one in rendered.objects]
    assert len(names) == len(set(names))


def test_a_package_renders_as_the_folder_does_and_holds_no_tests(chart: Chart, tmp_path: Path) -> None:
    done = chart.helm("package", CHART, "--destination", tmp_path)
    assert done.returncode == 0, done.stderr
    (package,) = tmp_path.glob("*.tgz")
    with tarfile.open(package) as archive:
        names = set(archive.getnames())
    assert {"hookgate/files/policies/pre_tool_use.yaml", "hookgate/files/rules.yaml"} <= names
    assert [name for name in names if name.startswith(("hookgate/ci", "hookgate/files/policies/tests"))] == []
    # A Secret of one's own: the other is made anew each time.
    file = CHART / "ci" / "hardened-values.yaml"
    packed = Chart(chart._helm, package).rendered(file)
    assert packed == chart.rendered(file)


def test_the_links_in_the_chart_are_in_git_and_stay_inside_the_repository() -> None:
    root = CHART.parents[1]
    told = subprocess.run(["git", "ls-files", "--stage", "helm"], cwd=root, capture_output=True, text=True, check=True)
    links = [line.split("\t")[1] for line in told.stdout.splitlines() if line.startswith("120000 ")]
    assert {Path(link).name for link in links} == {
        "policies",
        "cerbos",
        "rules.yaml",
        "fleet-rules.yaml",
        "dashboard.json",
        "managed-settings.json",
    }
    for link in links:
        assert (root / link).resolve(strict=True).is_relative_to(root)
