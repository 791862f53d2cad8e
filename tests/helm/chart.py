"""The chart, rendered by the real helm."""

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.helm.values import CHART
from tests.support.fetched import Fetched

RELEASE, NAMESPACE = "hookgate", "agents"
CI = sorted((CHART / "ci").glob("*-values.yaml"))
#: libyaml, where it is there, reads a hundred manifests in the time of ten.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Manifest = dict[str, Any]


class RefusedError(Exception):
    """helm's words when it does not render."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """What a release would be: its objects, those of `helm test`, and what is printed."""

    objects: list[Manifest]
    tests: list[Manifest]
    notes: str

    def all(self, kind: str) -> list[Manifest]:
        """Gives the objects of a kind."""
        return [one for one in (*self.objects, *self.tests) if one["kind"] == kind]

    def one(self, kind: str, name: str = RELEASE) -> Manifest:
        """Gives an object by its kind and name."""
        (found,) = [one for one in self.all(kind) if one["metadata"]["name"] == name]
        return found

    def workload(self) -> Manifest:
        """Gives the gateway."""
        return self._workload(RELEASE)

    def collector(self) -> Manifest:
        """Gives the spec of the collector's pods."""
        spec: Manifest = self._workload(f"{RELEASE}-collector")["spec"]["template"]["spec"]
        return spec

    def console(self) -> Manifest:
        """Gives the spec of the pod with the fleet's pages."""
        spec: Manifest = self._workload(f"{RELEASE}-console")["spec"]["template"]["spec"]
        return spec

    def workloads(self) -> list[Manifest]:
        """Gives all that run pods."""
        return [*self.all("StatefulSet"), *self.all("Deployment")]

    def _workload(self, name: str) -> Manifest:
        (found,) = [one for one in self.workloads() if one["metadata"]["name"] == name]
        return found

    def gateway(self) -> Manifest:
        """Gives the spec of its pods."""
        spec: Manifest = self.workload()["spec"]["template"]["spec"]
        return spec

    def sidecar(self) -> Manifest:
        """Gives the spec of an agent's pod with what the chart says must go into it."""
        part = yaml.load(self.one("ConfigMap", f"{RELEASE}-sidecar")["data"]["pod.yaml"], _LOADER)
        settings = {"name": "hookgate-managed-settings", "mountPath": "/etc/claude-code", "readOnly": True}
        agent = {"name": "agent", "image": "agent:1", "resources": {}, "volumeMounts": [settings]}
        return {"containers": [agent], **part}

    def pods(self) -> Iterator[Manifest]:
        """Gives the spec of each kind of pod that comes of it."""
        for one in self.workloads():
            yield one["spec"]["template"]["spec"]
        for one in self.all("Pod"):
            yield one["spec"]
        if any(one["metadata"]["name"] == f"{RELEASE}-sidecar" for one in self.all("ConfigMap")):
            yield self.sidecar()

    def settings(self, name: str = f"{RELEASE}-config") -> dict[str, Any]:
        """Gives Hookgate's configuration, or that of the collector or of its pages."""
        (text,) = self.one("ConfigMap", name)["data"].values()
        found: dict[str, Any] = yaml.load(text, _LOADER)
        return found

    def pdp(self) -> dict[str, Any]:
        """Gives Cerbos's configuration."""
        found: dict[str, Any] = yaml.load(self.one("ConfigMap", f"{RELEASE}-pdp")["data"]["pdp.yaml"], _LOADER)
        return found


def containers(pod: Manifest) -> dict[str, Manifest]:
    """Gives a pod's containers by name, those that begin first included."""
    return {one["name"]: one for one in (*pod.get("initContainers", []), *pod["containers"])}


class Chart:
    """Renders the chart; what was rendered before is given again."""

    def __init__(self, helm: Fetched, folder: Path = CHART) -> None:
        self._helm = helm
        self._folder = folder
        self._known: dict[str, Rendered] = {}

    def helm(self, *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
        """Runs helm without a cluster and without settings of whoever runs the tests."""
        nowhere = {"KUBECONFIG": os.devnull, "HELM_CONFIG_HOME": "/nonexistent", "HELM_PLUGINS": "/nonexistent"}
        return Fetched(self._helm.path, self._helm.command, nowhere).run(*arguments)

    def rendered(self, file: Path | None = None, changes: dict[str, Any] | None = None) -> Rendered:
        """Renders with a file of values and changes to it. Raises RefusedError."""
        key = json.dumps([str(file), changes], sort_keys=True)
        if key not in self._known:
            arguments = ["--values", str(file)] if file else []
            for name, value in (changes or {}).items():
                arguments += ["--set-json", f"{name}={json.dumps(value)}"]
            done = self.helm(
                "install", RELEASE, self._folder, "--namespace", NAMESPACE, "--dry-run=client", "--output", "json", *arguments
            )  # fmt: skip
            if done.returncode != 0:
                raise RefusedError("\n".join(line for line in done.stderr.splitlines() if "level=INFO" not in line))
            release = json.loads(done.stdout)
            self._known[key] = Rendered(
                objects=[one for one in yaml.load_all(release["manifest"], _LOADER) if one],
                tests=[
                    one for hook in release.get("hooks", []) for one in yaml.load_all(hook["manifest"], _LOADER) if one
                ],
                notes=release["info"]["notes"],
            )
        return self._known[key]
