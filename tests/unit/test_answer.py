"""The form of an answer, by example: what a policy's author sees come out."""

from typing import Any

import pytest

from hookgate.hooks.answer import EMPTY, Answer, render, signed
from hookgate.hooks.catalog import spec_of
from hookgate.hooks.opinion import Opinion
from hookgate.hooks.verdict import verdict_of
from hookgate.pdp.decision import Decision, Effect, Output

ID = "0198f6a2-6d6e-7b7e-9c0e-1f2e3d4c5b6a"
SIGNED = f"R [hookgate {ID}]"
DENY, ALLOW = Effect.DENY, Effect.ALLOW


def answer(event: str, effect: Effect, *values: Any, active: bool = False) -> Answer:
    outputs = tuple(Output(f"rule{number}", value) for number, value in enumerate(values))
    spec = spec_of(event)
    return render(verdict_of(Decision(effect, "p", outputs=outputs), spec), spec, ID, stop_hook_active=active)


def specific(event: str, **fields: Any) -> dict[str, Any]:
    return {"hookSpecificOutput": {"hookEventName": event, **fields}}


@pytest.mark.parametrize(
    ("event", "effect", "value", "expected"),
    [
        (
            "PreToolUse",
            DENY,
            {"hookSpecificOutput": {"permissionDecision": "deny", "permissionDecisionReason": "R"}},
            specific("PreToolUse", permissionDecision="deny", permissionDecisionReason=SIGNED),
        ),
        (
            "PreToolUse",
            ALLOW,
            {"decision": "block", "reason": "R"},
            specific("PreToolUse", permissionDecision="deny", permissionDecisionReason=SIGNED),
        ),
        (
            "PreToolUse",
            ALLOW,
            {"permissionDecision": "ask", "reason": "R"},
            specific("PreToolUse", permissionDecision="ask", permissionDecisionReason=SIGNED),
        ),
        ("PreToolUse", ALLOW, {"permissionDecision": "allow"}, specific("PreToolUse", permissionDecision="allow")),
        (
            "PreToolUse",
            ALLOW,
            {"permissionDecision": "allow", "reason": "R"},
            specific("PreToolUse", permissionDecision="allow", permissionDecisionReason=SIGNED),
        ),
        ("PreToolUse", ALLOW, {}, {}),
        (
            "PermissionRequest",
            DENY,
            {"hookSpecificOutput": {"decision": {"behavior": "deny", "message": "R", "interrupt": True}}},
            specific("PermissionRequest", decision={"behavior": "deny", "message": SIGNED, "interrupt": True}),
        ),
        (
            "PermissionRequest",
            ALLOW,
            {"permissionDecision": "allow"},
            specific("PermissionRequest", decision={"behavior": "allow"}),
        ),
        ("PermissionRequest", ALLOW, {"permissionDecision": "ask", "reason": "R"}, {}),
        ("UserPromptSubmit", DENY, {"reason": "R", "decision": "block"}, {"decision": "block", "reason": SIGNED}),
        ("ConfigChange", DENY, {"permissionDecision": "deny", "reason": "R"}, {"decision": "block", "reason": SIGNED}),
        ("ConfigChange", ALLOW, {"permissionDecision": "ask", "reason": "R"}, {"decision": "block", "reason": SIGNED}),
        ("EventOfTomorrow", DENY, {"decision": "block", "reason": "R"}, {"decision": "block", "reason": SIGNED}),
        (
            "PreModelSwitch",
            DENY,
            {"permissionDecision": "deny", "reason": "R"},
            specific("PreModelSwitch", permissionDecision="deny", permissionDecisionReason=SIGNED),
        ),
        (
            "Elicitation",
            DENY,
            {"decision": "block", "reason": "R"},
            {"systemMessage": SIGNED, **specific("Elicitation", action="decline")},
        ),
        (
            "Elicitation",
            DENY,
            {"hookSpecificOutput": {"action": "cancel"}, "reason": "R", "systemMessage": "S"},
            {"systemMessage": f"S\n{SIGNED}", **specific("Elicitation", action="cancel")},
        ),
        (
            "ElicitationResult",
            ALLOW,
            {"hookSpecificOutput": {"action": "accept", "content": {"env": "prod"}}},
            specific("ElicitationResult", action="accept", content={"env": "prod"}),
        ),
        ("Elicitation", ALLOW, {"permissionDecision": "allow"}, {}),
        ("Notification", DENY, {"decision": "block", "reason": "R"}, {}),
    ],
)
def test_each_event_gets_its_own_form(event: str, effect: Effect, value: Any, expected: dict[str, Any]) -> None:
    assert answer(event, effect, value).body == expected


@pytest.mark.parametrize("event", ["Stop", "SubagentStop"])
def test_an_agent_is_kept_from_stopping_only_by_an_output_that_says_so_and_never_twice(event: str) -> None:
    denying = {"decision": "block", "reason": "R", "hookSpecificOutput": {"additionalContext": "C"}}
    block = {"decision": "block", "reason": SIGNED, **specific(event, additionalContext="C")}
    assert answer(event, DENY, denying).body == block
    for unanswered in (answer(event, DENY), answer(event, DENY, denying, active=True)):
        assert unanswered.body == {}
        assert unanswered.unenforceable
    assert answer(event, ALLOW, {"permissionDecision": "ask"}).body == {}
    assert answer(event, ALLOW, {"hookSpecificOutput": {"additionalContext": "C"}}).body == {}


def test_a_turn_is_ended_only_beside_a_denial_of_the_same_output() -> None:
    stop = {"continue": False, "stopReason": "S"}
    ended = answer("PreToolUse", DENY, {**stop, "decision": "block"}).body
    assert (ended["continue"], ended["stopReason"]) == (False, "S")
    for body in (
        answer("PreToolUse", DENY, stop, {"decision": "block"}).body,
        answer("PreToolUse", ALLOW, stop).body,
        answer("PreToolUse", ALLOW, {**stop, "decision": "approve"}).body,
        answer("PreToolUse", DENY, {**stop, "decision": "approve"}).body,
        answer("Notification", DENY, {**stop, "decision": "block"}).body,
    ):
        assert "continue" not in body
        assert "stopReason" not in body


def test_texts_of_several_outputs_are_joined_and_of_other_fields_the_first_stands() -> None:
    found = answer(
        "UserPromptSubmit",
        ALLOW,
        {"systemMessage": "one", "hookSpecificOutput": {"additionalContext": "A", "sessionTitle": "first"}},
        {"systemMessage": "two", "hookSpecificOutput": {"additionalContext": "B", "sessionTitle": "second"}},
        {"systemMessage": "one", "suppressOutput": True},
    )
    assert found.body == {
        "systemMessage": "one\ntwo",
        "suppressOutput": True,
        **specific("UserPromptSubmit", additionalContext="A\nB", sessionTitle="first"),
    }


def test_what_an_overruled_output_would_add_does_not_travel() -> None:
    found = answer(
        "PreToolUse",
        DENY,
        {"permissionDecision": "allow", "systemMessage": "fine", "hookSpecificOutput": {"additionalContext": "go on"}},
    )
    assert set(found.body) == {"hookSpecificOutput"}
    assert "additionalContext" not in found.body["hookSpecificOutput"]


def test_a_rewritten_input_takes_the_events_place_for_it() -> None:
    value = {"hookSpecificOutput": {"permissionDecision": "allow", "updatedInput": {"timeout": 120000.0}}}
    assert answer("PreToolUse", ALLOW, value).body["hookSpecificOutput"]["updatedInput"] == {"timeout": 120000}
    decision = answer("PermissionRequest", ALLOW, value).body["hookSpecificOutput"]["decision"]
    assert decision == {"behavior": "allow", "updatedInput": {"timeout": 120000}}


def test_a_long_reason_is_cut_with_a_mark_and_keeps_the_decision_id() -> None:
    found = signed("x" * 10_000, ID, 300)
    assert len(found) == 300
    assert "… (cut)" in found
    assert found.endswith(f"[hookgate {ID}]")
    assert signed("x" * 200, ID, 300) == "x" * 200 + f" [hookgate {ID}]"


def test_a_blank_reason_says_that_none_was_given() -> None:
    assert signed(" \n", ID, 300) == f"No reason given. [hookgate {ID}]"


def test_no_opinion_is_an_empty_object() -> None:
    assert EMPTY.encode() == b"{}"
    assert EMPTY.opinion is Opinion.NONE
