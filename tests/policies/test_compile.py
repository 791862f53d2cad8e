import re
import subprocess
from pathlib import Path

import pytest
import yaml


def rule_names(directory: Path) -> set[str]:
    found = set()
    for file in directory.glob("*.yaml"):
        policy = yaml.safe_load(file.read_text())["resourcePolicy"]
        found |= {
            f"resource.{policy['resource'].replace(':', '_')}.vdefault#{rule['name']}" for rule in policy["rules"]
        }
    return found


def test_every_rule_with_an_output_is_named_in_a_test(shipped_directory: Path) -> None:
    tested = set(
        re.findall(
            r"src\"?: \"?([^\s\",]+)", "".join(f.read_text() for f in shipped_directory.glob("tests/*_test.yaml"))
        )
    )
    silent = {"everything-else", "allow", "deny", "deny-allows", "strict", "strict-allows"}
    # A command beyond its bound would be a test file of 100 KB: test_shipped.py asks about one.
    elsewhere = {f"resource.{kind}.vdefault#long-command" for kind in ("PreToolUse", "PermissionRequest")}
    expected = {rule for rule in rule_names(shipped_directory) if rule.rpartition("#")[2] not in silent} - elsewhere
    assert expected <= tested, f"no test names {sorted(expected - tested)}"


@pytest.mark.parametrize("step", [4, 5, 6])
def test_the_policies_that_people_bring_compile(cerbos: Path, guide_directory: Path, step: int) -> None:
    subprocess.run([cerbos, "compile", guide_directory / str(step)], check=True, capture_output=True, timeout=60)
