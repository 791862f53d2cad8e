"""A pod of the chart on this machine: its containers as processes, its volumes as directories under a scratch root.

What a container would find at /etc/hookgate/config it finds beneath the root; nothing else of what was rendered is changed but
the ports, the addresses, which become loopback's, and the deadline.
"""

import base64
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import trustme

from hookgate.binaries import find_cerbos
from tests.conftest import ROOT
from tests.helm.chart import Manifest, Rendered, containers
from tests.support.wait import free_port, until


class Pod:
    """One pod. Volumes are laid as the kubelet does: a ConfigMap's files are links that lead through `..data`."""

    def __init__(self, rendered: Rendered, spec: Manifest, **secrets: str) -> None:
        self.rendered = rendered
        self._spec = spec
        self._secrets = secrets
        # A socket's path has at most 107 bytes.
        self.root = Path(tempfile.mkdtemp(prefix="pod-"))
        # As for a volume of the kubelet's: others may pass.
        self.root.chmod(0o755)
        self.port, self.admin_port, self.ship_port = free_port(), free_port(), free_port()
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._paths = sorted(
            {mount["mountPath"] for one in containers(spec).values() for mount in one.get("volumeMounts", [])},
            key=len,
            reverse=True,
        )
        # Its own programs, by the name that a shell finds them by.
        command = self.inside("/opt/hookgate/bin/hookgate")
        command.parent.mkdir(parents=True)
        command.write_text(f'#!/bin/sh\nexec {sys.executable} -m hookgate "$@"\n')
        command.chmod(0o755)
        self._lay()

    def _lay(self) -> None:
        volumes = {one["name"]: one for one in self._spec["volumes"]}
        for path in self._paths:
            self.inside(path).mkdir(parents=True, exist_ok=True)
        for one in containers(self._spec).values():
            for mount in one.get("volumeMounts", []):
                volume = volumes.get(mount["name"], {})
                target = self.inside(mount["mountPath"])
                if "configMap" in volume:
                    self._lay_config_map(target, volume["configMap"])
                elif "secret" in volume:
                    _lay_secret(target)
                elif "projected" in volume:
                    (target / "token").write_text("token")
                    _lay_secret(target)
                elif mount["mountPath"] != "/tmp":
                    # An emptyDir, or a volume that belongs to the pod's group.
                    target.chmod(0o777)

    def _lay_config_map(self, target: Path, source: Manifest) -> None:
        made = {one["metadata"]["name"]: one.get("data", {}) for one in self.rendered.all("ConfigMap")}
        # One of the user's: an inventory.
        data = made.get(source["name"], {"inventory.csv": "name\nkim-laptop\n"})
        items = source.get("items") or [{"key": key, "path": key} for key in data]
        self.swap(target, {item["path"]: data[item["key"]] for item in items})

    def swap(self, target: Path, files: dict[str, str]) -> None:
        """Puts files into a ConfigMap's directory in one step, as the kubelet does."""
        version = Path(tempfile.mkdtemp(prefix="..", dir=target))
        version.chmod(0o755)
        for name, text in files.items():
            path = version / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(self.translated(text))
        made = target / "..data_tmp"
        made.symlink_to(version.name)
        made.rename(target / "..data")
        wanted = {Path(name).parts[0] for name in files}
        for name in wanted - {path.name for path in target.iterdir()}:
            (target / name).symlink_to(Path("..data") / name)

    def inside(self, path: str) -> Path:
        """Gives where a container's path is here."""
        return self.root / path.lstrip("/")

    def translated(self, text: str) -> str:
        """Gives a text with the paths of mounts where they are here."""
        found = "|".join(re.escape(path) for path in self._paths if path != "/tmp")
        return re.sub(rf"(?<![\w./-])(?:{found})(?![\w.-])", lambda match: str(self.inside(match[0])), text)

    def command(self, name: str, words: list[str] | None = None) -> list[str]:
        """Gives what a container runs, with programs that are here."""
        one = containers(self._spec)[name]
        words = words or [*one.get("command", ["/cerbos"]), *one.get("args", [])]
        cerbos = str(find_cerbos(fetch=False, say=print).path)
        programs = {"hookgate": [sys.executable, "-m", "hookgate"], "python3": [sys.executable], "/cerbos": [cerbos]}
        rest = [self.translated(word).replace("0.0.0.0:9465", f"127.0.0.1:{self.ship_port}") for word in words[1:]]
        return [*programs[words[0]], *rest]

    def environment(self, name: str) -> dict[str, str]:
        """Gives a container's variables, with those that come from Secrets of the release."""
        programs = f"{self.inside('/opt/hookgate/bin')}:{os.environ['PATH']}"
        found = {"PATH": programs, "PYTHONPATH": str(ROOT / "proxy"), "TMPDIR": str(self.root)}
        for variable in containers(self._spec)[name].get("env", []):
            if "value" in variable:
                found[variable["name"]] = variable["value"]
            elif reference := variable["valueFrom"].get("secretKeyRef"):
                made = {one["metadata"]["name"]: one["data"] for one in self.rendered.all("Secret")}
                # One of the user's holds whatever it holds.
                theirs = self._secrets.get(variable["name"], "theirs")
                data = made.get(reference["name"], {reference["key"]: base64.b64encode(theirs.encode()).decode()})
                found[variable["name"]] = base64.b64decode(data[reference["key"]]).decode()
            elif variable["valueFrom"].get("fieldRef", {}).get("fieldPath") == "metadata.name":
                found[variable["name"]] = "hookgate-0"
        if name in ("collector", "console"):
            section = {"collector": "COLLECT", "console": "CONSOLE"}[name]
            found |= {
                f"HOOKGATE__{section}__HOST": "127.0.0.1",
                f"HOOKGATE__{section}__PORT": str(self.port),
                "HOOKGATE__ADMIN__HOST": "127.0.0.1",
                "HOOKGATE__ADMIN__PORT": str(self.admin_port),
            }
        if name == "hookgate":
            found |= {
                "HOOKGATE__SERVER__HOST": "127.0.0.1",
                "HOOKGATE__SERVER__PORT": str(self.port),
                "HOOKGATE__ADMIN__HOST": "127.0.0.1",
                "HOOKGATE__ADMIN__PORT": str(self.admin_port),
                # What is looked at here is what is decided, not how fast, whatever else the machine does.
                "HOOKGATE__DECISION__DEADLINE_SECONDS": "20",
                "HOOKGATE__SERVER__GRACE_SECONDS": "25",
            }
        return found

    def run(self, name: str, words: list[str] | None = None) -> "subprocess.CompletedProcess[str]":
        """Runs a container, or a command in it, to its end."""
        return subprocess.run(
            self.command(name, words),
            env=self.environment(name),
            cwd=self.root,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def start(self) -> "Pod":
        """Starts the containers in the kubelet's order: each that begins first is there before the next."""
        for one in self._spec.get("initContainers", []):
            if one.get("restartPolicy") != "Always":
                done = self.run(one["name"])
                assert done.returncode == 0, done.stderr
                continue
            self.begin(one["name"])
            if probe := one.get("startupProbe", {}).get("exec"):
                until(partial(self._passes, one["name"], probe["command"]), seconds=60, what=one["name"])
        for one in self._spec["containers"]:
            if one["name"] != "agent":
                self.begin(one["name"])
        return self

    def begin(self, name: str, **variables: str) -> None:
        """Starts a container; `variables` are laid over its own."""
        with (self.root / f"{name}.log").open("ab") as log:
            environment = {**self.environment(name), **variables}
            self._running[name] = subprocess.Popen(
                self.command(name), env=environment, cwd=self.root, stdout=log, stderr=log
            )

    def _passes(self, name: str, words: list[str]) -> bool:
        assert self._running[name].poll() is None, self.log(name)
        return self.run(name, words).returncode == 0

    def log(self, name: str) -> str:
        """Gives what a container wrote."""
        return (self.root / f"{name}.log").read_text()

    def mode(self, path: str) -> str:
        """Gives what may be done with a file of the pod, as `ls -l` shows it."""
        return stat.filemode(self.inside(path).stat().st_mode)

    def end(self, name: str) -> int:
        """Ends a container as the kubelet does; gives the exit code."""
        process = self._running[name]
        process.send_signal(signal.SIGTERM)
        return process.wait(60)

    def remove(self) -> None:
        """Ends what still runs, and removes the volumes."""
        for process in self._running.values():
            if process.poll() is None:
                process.kill()
                process.wait()
        shutil.rmtree(self.root, ignore_errors=True)


def _lay_secret(target: Path) -> None:
    """A Secret of the user's, with everything in it that the chart's defaults ask for."""
    authority = trustme.CA()
    made = authority.issue_cert("hookgate.agents.svc", "127.0.0.1")
    pem = authority.cert_pem.bytes()
    files = {
        "ca.crt": pem,
        "tls.crt": b"".join(one.bytes() for one in made.cert_chain_pems),
        "tls.key": made.private_key_pem.bytes(),
        "tokens.json": b'{"tokens": []}',
        "users.yaml": b"alex: {roles: [engineer]}\n",
    }
    for name, text in files.items():
        (target / name).write_bytes(text)
        (target / name).chmod(0o440)
