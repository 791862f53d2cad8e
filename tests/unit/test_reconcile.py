"""Calls that ran although denied, or with another input than the one judged."""

from typing import Any

import pytest

from hookgate.audit import reconcile
from hookgate.audit.reconcile import Calls, Violation
from hookgate.hooks.decode import Read
from hookgate.hooks.event import HookEvent, event_from


def event(name: str, tool: str = "Bash", tool_input: Any = None, **more: Any) -> HookEvent:
    body = {
        "hook_event_name": name,
        "tool_name": tool,
        "tool_input": {"command": "ls"} if tool_input is None else tool_input,
        "tool_use_id": "toolu_1",
        "session_id": "s",
        **more,
    }
    return event_from(Read(body, altered=False, truncated=()))


def judged(*, denied: bool = False, **changes: Any) -> Calls:
    calls = Calls()
    calls.judged(event("PreToolUse", **changes), "D", denied=denied)
    return calls


def test_a_call_that_ran_as_it_was_judged_adds_up_and_is_forgotten() -> None:
    calls = judged(tool_input={"a": 1, "b": [1, 2.5]})
    assert calls.ran(event("PostToolUse", tool_input={"b": [1, 2.5], "a": 1})) is None
    assert calls.ran(event("PostToolUse", tool_input={"other": 1})) is None


@pytest.mark.parametrize("after", ["PostToolUse", "PostToolUseFailure"])
def test_a_denied_call_that_ran_is_a_violation(after: str) -> None:
    assert judged(denied=True).ran(event(after)) == (Violation.ENFORCEMENT_VIOLATED, "D")


def test_a_call_that_ran_with_another_input_is_a_violation() -> None:
    found = judged().ran(event("PostToolUse", tool_input={"command": "rm -rf /"}))
    assert found == (Violation.EXECUTED_DIFFERS, "D")


@pytest.mark.parametrize("tool", ["AskUserQuestion", "SendMessage"])
def test_tools_whose_input_the_client_completes_itself_are_not_compared(tool: str) -> None:
    assert judged(tool=tool).ran(event("PostToolUse", tool=tool, tool_input={"more": 1})) is None
    assert judged(tool=tool, denied=True).ran(event("PostToolUse", tool=tool)) is not None


def test_nothing_is_compared_across_calls_or_sessions() -> None:
    for other in ({"tool_use_id": "toolu_2"}, {"session_id": "t"}, {"tool_use_id": None}):
        assert judged(denied=True).ran(event("PostToolUse", **other)) is None
    assert judged(denied=True).ran(event("PermissionRequest")) is None


@pytest.mark.parametrize("other", [{"tool_use_id": ""}, {"tool_use_id": "x" * 257}, {"session_id": "x" * 257}])
def test_calls_without_a_proper_id_are_not_remembered(other: dict[str, str]) -> None:
    assert judged(denied=True, **other).ran(event("PostToolUse", **other)) is None


def test_a_call_asked_about_again_counts_as_judged_last() -> None:
    calls = judged(denied=True)
    calls.judged(event("PreToolUse"), "E", denied=False)
    assert calls.ran(event("PostToolUse")) is None


def test_only_so_many_calls_are_remembered_the_oldest_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile, "_MAX_CALLS", 3)
    calls = Calls()
    for number in range(5):
        calls.judged(event("PreToolUse", tool_use_id=f"t{number}"), f"D{number}", denied=True)
    found = [calls.ran(event("PostToolUse", tool_use_id=f"t{number}")) for number in range(5)]
    assert found == [None, None, *((Violation.ENFORCEMENT_VIOLATED, f"D{number}") for number in (2, 3, 4))]
