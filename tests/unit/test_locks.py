import itertools
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
EVERYTHING, RUNTIME = ".ci/requirements.txt", "deploy/requirements.txt"
MACHINES = list(itertools.product(["linux", "darwin"], ["x86_64", "arm64"], ["3.11", "3.12", "3.13", "3.14"]))


def locked(lock: str, environment: dict[str, str]) -> dict[str, Version]:
    """Give the versions that a lock file holds for one kind of machine."""
    versions: dict[str, Version] = {}
    for line in (ROOT / lock).read_text().replace("\\\n", " ").splitlines():
        requirement = Requirement(line.partition(" --hash=")[0].strip())
        if requirement.marker is None or requirement.marker.evaluate(environment):
            [pin] = requirement.specifier
            versions[canonicalize_name(requirement.name)] = Version(pin.version)
    return versions


def declared(group: str | None) -> list[Requirement]:
    """Give what pyproject.toml asks for: to run, or in a dependency group with the groups that it includes."""
    entries = PROJECT["project"]["dependencies"] if group is None else PROJECT["dependency-groups"][group]
    return [
        requirement
        for entry in entries
        for requirement in (declared(entry["include-group"]) if isinstance(entry, dict) else [Requirement(entry)])
    ]


@pytest.mark.parametrize(("system", "machine", "python"), MACHINES)
def test_the_locked_versions_satisfy_the_project_on_every_machine(system: str, machine: str, python: str) -> None:
    environment = {
        **{key: str(value) for key, value in default_environment().items()},
        "sys_platform": system,
        "platform_machine": machine,
        "python_version": python,
        "python_full_version": f"{python}.0",
    }
    everything, runtime = locked(EVERYTHING, environment), locked(RUNTIME, environment)

    for lock, wanted in ((runtime, declared(None)), (everything, declared(None) + declared("dev"))):
        for requirement in wanted:
            if requirement.marker is None or requirement.marker.evaluate(environment):
                version = lock.get(canonicalize_name(requirement.name))
                assert version is not None, f"{requirement} is not locked: run `make lock`"
                assert requirement.specifier.contains(version), f"{requirement} is locked at {version}: run `make lock`"
    assert runtime.items() <= everything.items()


@pytest.mark.parametrize("lock", [EVERYTHING, RUNTIME])
def test_a_lock_holds_exact_versions_with_hashes_and_names_no_download_address(lock: str) -> None:
    lines = (ROOT / lock).read_text().replace("\\\n", " ").splitlines()

    assert lines
    for line in lines:
        assert re.fullmatch(r"[a-z0-9-]+==[^\s;@]+( ; [^@/]+?)?( +--hash=sha256:[0-9a-f]{64})+", line), line
