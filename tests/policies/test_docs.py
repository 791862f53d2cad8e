"""docs/policies.md: its policies compile and pass their own tests, and it names every rule and every warning."""

import re
import subprocess
from pathlib import Path
from textwrap import indent

import pytest
import yaml

from hookgate.policies.check import findings_in
from hookgate.policies.finding import Kind
from hookgate.policies.source import policies_in

PAGE = Path(__file__).parents[2] / "docs" / "policies.md"
BLOCK = re.compile(r"^```yaml\n# (file|rule for): (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LAST_RULE = "    - name: everything-else\n"


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """The page's files, with its further rules in their place."""
    files: dict[str, str] = {}
    blocks = BLOCK.findall(PAGE.read_text())
    assert len(blocks) == PAGE.read_text().count("```yaml")
    for kind, name, content in blocks:
        if kind == "file":
            files[name] = content
        else:
            before, last, after = files[name].partition(LAST_RULE)
            files[name] = before + indent(content, "    ") + last + after
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    return tmp_path


def test_the_policies_on_the_page_compile_and_pass_their_tests(cerbos: Path, written: Path) -> None:
    command: list[str | Path] = [cerbos, "compile", "--strict-evaluation", "--color=never", written]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert told.returncode == 0, told.stdout + told.stderr
    assert "5 tests executed [5 OK]" in told.stdout
    assert sorted(len(policy.rules) for policy in policies_in(written)) == [2, 5]


def test_they_give_no_warning(written: Path) -> None:
    assert findings_in(policies_in(written)) == ()


def test_every_rule_that_ships_is_on_the_page(shipped_directory: Path) -> None:
    page = PAGE.read_text()
    for file in shipped_directory.glob("*.yaml"):
        policy = yaml.safe_load(file.read_text())["resourcePolicy"]
        if ":" not in policy["resource"]:
            missing = [rule["name"] for rule in policy["rules"] if f"`{rule['name']}`" not in page]
            assert not missing, f"{file.name}: {missing}"


def test_every_warning_is_on_the_page() -> None:
    page = PAGE.read_text()
    assert [kind for kind in Kind if f"| `{kind.value}` |" not in page] == []
