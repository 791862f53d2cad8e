"""Calls that ran although denied, with another input than the one judged, or without anybody asking."""

from typing import Any

import pytest

from hookgate.audit import reconcile
from hookgate.audit.digest import Digests, Purpose
from hookgate.audit.payload import ending_of, sums_of
from hookgate.audit.reconcile import Calls, Finding, Sighting, Violation
from hookgate.audit.record import CallRecord
from hookgate.hooks.decode import Read
from hookgate.hooks.event import event_from
from hookgate.recorded import recorded

DENIED = Finding(Violation.ENFORCEMENT_VIOLATED, "D")
DIFFERS = Finding(Violation.EXECUTED_DIFFERS, "D")
UNASKED = Finding(Violation.UNASKED)


def sighting(event: str, digest: str = "same", **more: Any) -> Sighting:
    fields: dict[str, Any] = {
        "decision_id": "D",
        "at": 100.0,
        "session_id": "s",
        "prompt_id": "p",
        "tool": "Bash",
        "tool_use_id": "" if event in ("PermissionRequest", "UserPromptSubmit") else "toolu_1",
        "input_digest": digest,
    }
    return Sighting(event, **fields | more)


def known(**more: Any) -> Calls:
    """Somebody's calls, from the prompt on."""
    calls = Calls(**more)
    assert calls.saw(sighting("UserPromptSubmit", "", at=50.0)) is None
    return calls


def judged(**changes: Any) -> Calls:
    calls = known()
    assert calls.saw(sighting("PreToolUse", **changes)) is None
    return calls


def ran(calls: Calls, event: str = "PostToolUse", digest: str = "same", **more: Any) -> Finding | None:
    return calls.saw(sighting(event, digest, **{"decision_id": "F", **more}))


def test_a_call_that_ran_as_it_was_judged_adds_up_and_its_end_counts_once() -> None:
    calls = judged()
    assert ran(calls) is None
    assert ran(calls, digest="other") is None


@pytest.mark.parametrize("after", ["PostToolUse", "PostToolUseFailure"])
def test_a_denied_call_that_ran_is_a_violation_told_once(after: str) -> None:
    calls = judged(denied=True)
    assert ran(calls, after) == DENIED
    assert ran(calls, after) is None


def test_a_call_that_ran_with_another_input_is_a_violation() -> None:
    assert ran(judged(), digest="other") == DIFFERS


def test_a_call_that_a_policy_rewrote_must_run_as_rewritten() -> None:
    assert ran(judged(changed_digest="new"), digest="new") is None
    assert ran(judged(changed_digest="new")) == DIFFERS


@pytest.mark.parametrize("tool", ["AskUserQuestion", "SendMessage"])
def test_tools_whose_input_the_client_completes_itself_are_not_compared(tool: str) -> None:
    assert ran(judged(tool=tool), digest="more", tool=tool) is None
    assert ran(judged(tool=tool, denied=True), digest="more", tool=tool) == DENIED


def test_an_input_whose_digest_is_not_known_is_not_compared() -> None:
    assert ran(judged(), digest="") is None
    assert ran(judged(digest=""), digest="other") is None


@pytest.mark.parametrize("event", ["PostToolUse", "PostToolUseFailure"])
def test_a_call_that_nobody_asked_about_is_a_violation_told_once(event: str) -> None:
    calls = known()
    assert ran(calls, event) == UNASKED
    assert ran(calls, event) is None
    assert ran(judged(), event, tool_use_id="toolu_2") == UNASKED


def test_unasked_calls_are_not_looked_for_where_that_is_switched_off() -> None:
    assert ran(known(detect_unasked=False)) is None


@pytest.mark.parametrize(
    "more",
    [
        {"session_id": "t"},
        {"prompt_id": "before"},
        {"prompt_id": ""},
        {"session_id": ""},
        {"tool_use_id": ""},
        {"tool_use_id": "x" * 257},
        {"session_id": "x" * 257},
        {"ran_seconds": 60.0},
    ],
)
def test_a_call_that_may_have_been_asked_about_before_its_prompt_was_known_is_not_accused(more: dict[str, Any]) -> None:
    assert ran(known(), **more) is None


def test_nothing_is_accused_after_a_call_may_have_been_let_through_unheard() -> None:
    calls = judged(denied=True)
    calls.missed()
    assert ran(calls, tool_use_id="toolu_2") is None
    assert ran(calls) == DENIED
    assert calls.saw(sighting("UserPromptSubmit", "", prompt_id="next")) is None
    assert ran(calls, tool_use_id="toolu_3", prompt_id="next") == UNASKED


def test_a_batch_accuses_nobody_for_denied_and_invalid_calls_are_in_it() -> None:
    calls = judged(denied=True)
    batch = (CallRecord("Bash", "toolu_1", "same"), CallRecord("NoSuchTool", "toolu_9", "x"))
    assert calls.saw(sighting("PostToolBatch", "", tool_use_id="", calls=batch)) is None
    assert ran(calls) == DENIED


def test_a_denial_at_the_prompt_belongs_to_the_call_that_waits_there() -> None:
    calls = judged(decision_id="asked")
    calls.saw(sighting("PermissionRequest", denied=True))
    assert ran(calls) == DENIED


def test_an_input_that_was_rewritten_at_the_prompt_is_the_one_that_must_run() -> None:
    for digest, found in (("new", None), ("same", DIFFERS)):
        calls = judged()
        calls.saw(sighting("PermissionRequest", changed_digest="new"))
        assert ran(calls, digest=digest) == found


def test_where_two_calls_with_one_input_wait_nobody_can_tell_whose_prompt_it_was() -> None:
    calls = judged()
    calls.saw(sighting("PreToolUse", tool_use_id="toolu_2"))
    calls.saw(sighting("PermissionRequest", denied=True))
    assert [ran(calls), ran(calls, tool_use_id="toolu_2")] == [None, None]


def test_a_call_that_is_over_waits_at_no_prompt() -> None:
    calls = judged()
    batch = (CallRecord("Bash", "toolu_1", "same"),)
    calls.saw(sighting("PostToolBatch", "", tool_use_id="", calls=batch))
    calls.saw(sighting("PreToolUse", tool_use_id="toolu_2"))
    calls.saw(sighting("PermissionRequest", denied=True))
    assert ran(calls, tool_use_id="toolu_2") == DENIED


def test_a_call_that_only_the_prompt_was_asked_about_was_asked_about() -> None:
    calls = known()
    calls.saw(sighting("PermissionRequest"))
    assert ran(calls) is None
    assert ran(calls, tool_use_id="toolu_2", digest="other") == UNASKED
    calls.saw(sighting("PermissionRequest", denied=True))
    assert ran(calls, tool_use_id="toolu_3") == DENIED


def test_a_call_asked_about_again_counts_as_judged_last() -> None:
    calls = judged(denied=True)
    calls.saw(sighting("PreToolUse", decision_id="E"))
    assert ran(calls) is None


def test_only_so_many_calls_are_remembered_and_what_was_forgotten_is_not_accused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reconcile, "_MAX_CALLS", 3)
    calls = known()
    for number in range(5):
        calls.saw(sighting("PreToolUse", tool_use_id=f"t{number}", denied=True))
    assert [ran(calls, tool_use_id=f"t{number}") for number in range(5)] == [None, None, DENIED, DENIED, DENIED]
    assert ran(calls, tool_use_id="never asked") is None
    for number in range(5):
        calls.saw(sighting("UserPromptSubmit", "", prompt_id=f"p{number}"))
        calls.saw(sighting("PermissionRequest", f"d{number}", prompt_id=f"p{number}"))
    assert len(calls._prompts) <= 3
    assert len(calls._permissions) <= 3


def test_the_recorded_sessions_add_up() -> None:
    """Genuine requests, by session: of calls that were recorded from PreToolUse to the end, nothing is said."""
    digests = Digests(b"k" * 32)
    calls = Calls()
    order = {"UserPromptSubmit": 0, "PreToolUse": 1, "PermissionRequest": 2, "PostToolUse": 3, "PostToolUseFailure": 3}
    compared = 0
    for one in sorted(recorded(), key=lambda one: order.get(one.event, 4)):
        event = event_from(Read(one.body, altered=False, truncated=()))
        sums = sums_of(event, digests, body_digest="", response=memoryview(b""))
        known_call = (event.session_id, event.tool_use_id) in calls._calls
        found = calls.saw(
            Sighting(
                event.name,
                one.name,
                1.0,
                session_id=event.session_id,
                prompt_id=event.prompt_id,
                tool=event.tool,
                tool_use_id=event.tool_use_id,
                input_digest=sums.input_digest,
                ran_seconds=ending_of(event).ran_seconds,
                calls=sums.calls,
            )
        )
        assert found is None, (one.name, found)
        compared += known_call and event.name.startswith("PostToolUse")
    assert compared > 30
    assert digests.of_json(Purpose.INPUT, {"b": 1, "a": 2}) == digests.of_json(Purpose.INPUT, {"a": 2, "b": 1})
