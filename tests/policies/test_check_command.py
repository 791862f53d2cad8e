"""`hookgate policies check`, with the real compiler and the real PDP."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from hookgate.commands.policies import app
from hookgate.recorded import recorded

BITING = """\
apiVersion: api.cerbos.dev/v1
resourcePolicy:
  resource: PreToolUse
  version: default
  rules:
    - name: etc
      actions: ["*"]
      effect: EFFECT_DENY
      roles: ["*"]
      condition:
        match:
          expr: R.attr.tool_input.file_path.startsWith("/etc")
    - name: rest
      actions: ["*"]
      effect: EFFECT_ALLOW
      roles: ["*", engineering]
"""
FAILING_TEST = """\
name: fails
principals: {p: {id: p, roles: [x]}}
resources: {r: {kind: PreToolUse, id: r, attr: {tool_input: {file_path: /etc/hosts}}}}
tests:
  - name: etc is open
    input: {principals: [p], resources: [r], actions: [Read]}
    expected:
      - {principal: p, resource: r, actions: {Read: EFFECT_ALLOW}}
"""


@pytest.fixture
def biting(tmp_path: Path) -> Path:
    (tmp_path / "policy.yaml").write_text(BITING)
    return tmp_path


@pytest.fixture(autouse=True)
def binary(monkeypatch: pytest.MonkeyPatch, cerbos: Path) -> None:
    monkeypatch.setenv("CERBOS_BIN", str(cerbos))


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["check", *map(str, arguments)])


def report(*arguments: str | Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(*arguments, "--json").stdout)
    return found


def test_the_shipped_policies_are_fine(shipped_directory: Path) -> None:
    result = run(shipped_directory, "--fail-on-warnings")
    assert result.exit_code == 0, result.output
    # Cerbos's own compiler has run their tests.
    assert re.search(r": compiles; \d{3,} tests executed \[\d+ OK\]; no warnings$", result.output, re.MULTILINE)
    assert "the same answers" in result.output


def test_warnings_name_the_place_and_the_mend_and_fail_nothing(biting: Path) -> None:
    result = run(biting)
    assert result.exit_code == 0
    assert "policy.yaml:12 etc  missing_attribute" in result.output
    assert "mend: name under actions only the tools that have it" in result.output
    assert "PreToolUse.Bash: allow becomes deny  as claude_user, engineering" in result.output


def test_warnings_fail_where_that_is_asked_for(biting: Path) -> None:
    assert run(biting, "--fail-on-warnings").exit_code == 3


def test_the_report_is_json_where_that_is_asked_for(biting: Path) -> None:
    found = report(biting)
    assert found["compilation"]["passes"] is True
    assert [(finding["kind"], finding["rule"]) for finding in found["findings"]] == [("missing_attribute", "etc")]
    changed = {difference["request"]: difference for difference in found["comparison"]["differences"]}
    assert changed["PreToolUse.Bash"]["lenient"] == "allow"
    assert changed["PreToolUse.Bash"]["strict"] == "deny"
    assert changed["PreToolUse.Bash"]["roles"] == ["claude_user", "engineering"]
    assert "PreToolUse.Read" not in changed


def test_what_the_warning_says_of_a_tool_is_what_the_pdp_does(biting: Path) -> None:
    """The checker's own reading of CEL against the PDP's: they name the same recorded calls."""
    changed = {difference["request"] for difference in report(biting)["comparison"]["differences"]}
    paths = {"Read", "Write", "Edit"}
    assert changed == {r.name for r in recorded() if r.event == "PreToolUse" and r.tool not in paths}


def test_a_policy_that_does_not_compile_is_shown_and_fails(biting: Path) -> None:
    (biting / "policy.yaml").write_text(BITING.replace('startsWith("/etc")', 'startsWith("/etc"'))
    result = run(biting)
    assert result.exit_code == 1
    assert "the policies do not compile" in result.output
    assert "policy.yaml" in result.output


def test_a_failing_test_is_shown_and_fails_beside_the_warnings(biting: Path) -> None:
    (biting / "policy_test.yaml").write_text(FAILING_TEST)
    result = run(biting)
    assert result.exit_code == 1
    assert "a test fails" in result.output
    assert "expected: EFFECT_ALLOW, actual: EFFECT_DENY" in result.output
    assert "missing_attribute" in result.output


def test_a_directory_that_is_not_there_fails_with_one_line(tmp_path: Path) -> None:
    result = run(tmp_path / "nowhere")
    assert result.exit_code == 1
    assert result.output.strip() == f"hookgate: {tmp_path / 'nowhere'}: no such directory of policies"


def test_a_missing_binary_fails_with_one_line(monkeypatch: pytest.MonkeyPatch, biting: Path) -> None:
    monkeypatch.setenv("CERBOS_BIN", "/nowhere/cerbos")
    result = run(biting)
    assert result.exit_code == 1
    assert len(result.output.strip().splitlines()) == 1


def test_a_directory_without_policies_is_warned_of(tmp_path: Path) -> None:
    result = run(tmp_path)
    assert result.exit_code == 0, result.output
    assert "no policy speaks about any event" in result.output


def test_control_characters_of_a_policy_do_not_reach_the_terminal(biting: Path) -> None:
    (biting / "policy.yaml").write_text(BITING.replace('["*", engineering]', '["*", "x\\e[2J"]'))
    result = run(biting)
    assert "\x1b" not in result.output


def test_policies_of_other_applications_beside_ours_disturb_nothing(biting: Path, shipped_directory: Path) -> None:
    # Cerbos takes schemas at the root only. The largest of ours takes most of the time, and adds nothing here.
    ignored = shutil.ignore_patterns("_schemas", "tests", "pre_tool_use.yaml")
    shutil.copytree(shipped_directory, biting / "ours", ignore=ignored)
    (biting / "policy.yaml").write_text(BITING.replace("PreToolUse", "album"))
    result = run(biting)
    assert result.exit_code == 0, result.output
    assert "no warnings" in result.output
