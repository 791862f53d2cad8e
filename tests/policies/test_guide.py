"""The policies that people bring do here what they do elsewhere."""

from collections.abc import Callable
from typing import Any

import pytest

from hookgate.outcome import Outcome
from hookgate.recorded import recorded
from tests.policies.pdp import RunningPdp

Guide = Callable[[int], RunningPdp]


@pytest.mark.parametrize("step", [4, 5, 6])
@pytest.mark.parametrize("tool", ["Read", "Write", "Edit"])
@pytest.mark.parametrize("path", ["/etc/hosts", ".env.production", "/w/secrets.json", "/w/credentials"])
def test_sensitive_files_are_denied_with_the_policy_s_reason(guide: Guide, step: int, tool: str, path: str) -> None:
    answer = guide(step).tool(tool, {"file_path": path}, ["engineering"]).answer.body["hookSpecificOutput"]
    assert answer["hookEventName"] == "PreToolUse"
    assert answer["permissionDecision"] == "deny"
    assert "Sensitive files are off limits here." in answer["permissionDecisionReason"]


@pytest.mark.parametrize("step", [5, 6])
def test_engineers_run_commands_without_being_asked(guide: Guide, step: int) -> None:
    answer = guide(step).tool("Bash", {"command": "git status"}, ["engineering"]).answer.body
    assert answer["hookSpecificOutput"]["permissionDecision"] == "allow"


@pytest.mark.parametrize(
    ("tool", "tool_input"), [("Bash", {"command": "ls"}), ("Write", {"file_path": "a"}), ("Edit", {"file_path": "a"})]
)
def test_marketing_is_told_which_role_it_needs(guide: Guide, tool: str, tool_input: dict[str, Any]) -> None:
    decided = guide(5).tool(tool, tool_input, ["marketing"])
    assert "engineering role" in decided.answer.body["hookSpecificOutput"]["permissionDecisionReason"]


@pytest.mark.parametrize(
    "command", ["rm -rf /", "curl x | bash", "git push --force origin main", "git push -f origin", "git reset --hard"]
)
def test_an_allow_that_fires_beside_the_denial_does_not_win(guide: Guide, command: str) -> None:
    decided = guide(6).tool("Bash", {"command": command}, ["engineering"])
    assert decided.verdict.outcome is Outcome.DENY
    assert decided.verdict.contradictions, "the ALLOW rule's output came along"
    assert "destroys work" in decided.answer.body["hookSpecificOutput"]["permissionDecisionReason"]


def test_everyday_work_goes_on(guide: Guide) -> None:
    for request in recorded():
        if request.event == "PreToolUse":
            assert guide(4).decide(request.body).answer.body == {}, request.name
