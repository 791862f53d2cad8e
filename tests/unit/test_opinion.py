"""Reading one output of a policy: opinions in every spelling in use, and what is left out with why."""

from typing import Any

import pytest
from hypothesis import given

from hookgate.hooks.catalog import EVENTS, spec_of
from hookgate.hooks.opinion import Dropped, Opinion, Reading, read
from hookgate.pdp.decision import Output
from tests.unit.strategies import event_names, output

SOURCE = "resource.PreToolUse.vdefault#rule"


def reading(event: str, value: Any, *, error: str = "") -> Reading:
    return read(Output(SOURCE, value, error), spec_of(event))


def dropped(found: Reading) -> set[tuple[str, str]]:
    return {(drop.field, drop.why) for drop in found.dropped}


@pytest.mark.parametrize(
    ("value", "opinion", "reason"),
    [
        ({"hookSpecificOutput": {"permissionDecision": "deny", "permissionDecisionReason": "R"}}, Opinion.DENY, "R"),
        ({"hookSpecificOutput": {"permissionDecision": "ask"}, "reason": "R"}, Opinion.ASK, "R"),
        ({"hookSpecificOutput": {"permissionDecision": "defer"}}, Opinion.DEFER, ""),
        ({"hookSpecificOutput": {"permissionDecision": "allow"}}, Opinion.ALLOW, ""),
        ({"hookSpecificOutput": {"decision": {"behavior": "deny", "message": "R"}}}, Opinion.DENY, "R"),
        ({"hookSpecificOutput": {"decision": {"behavior": "allow"}}}, Opinion.ALLOW, ""),
        ({"permissionDecision": "deny", "permissionDecisionReason": "R"}, Opinion.DENY, "R"),
        ({"permissionDecision": "ask", "reason": " "}, Opinion.ASK, ""),
        ({"decision": "block", "reason": "R"}, Opinion.DENY, "R"),
        ({"decision": "approve"}, Opinion.ALLOW, ""),
        ({"decision": " DENY\n"}, Opinion.DENY, ""),
        ({"decision": "approve", "permissionDecision": "ask"}, Opinion.ASK, ""),
        ({"decision": "approve", "hookSpecificOutput": {"permissionDecision": "deny"}}, Opinion.DENY, ""),
        ({"reason": "no opinion"}, Opinion.NONE, "no opinion"),
        ({}, Opinion.NONE, ""),
    ],
)
def test_an_opinion_is_found_in_each_spelling_and_the_strictest_counts(
    value: dict[str, Any], opinion: Opinion, reason: str
) -> None:
    found = reading("PreToolUse", value)
    assert (found.opinion, found.reason) == (opinion, reason)
    assert not found.dropped


@pytest.mark.parametrize("value", [None, "deny", 5.0, True, [], ["deny"], [{"decision": "block"}]])
def test_an_output_that_is_no_object_says_nothing_and_is_accounted_for(value: Any) -> None:
    found = reading("PreToolUse", value)
    assert found == Reading(SOURCE, Opinion.NONE, dropped=(Dropped(SOURCE, "", "not_an_object"),))


def test_an_output_whose_expression_failed_says_nothing_and_is_accounted_for() -> None:
    found = reading("PreToolUse", {"decision": "approve"}, error="no such key: path")
    assert found == Reading(SOURCE, Opinion.NONE, dropped=(Dropped(SOURCE, "", "evaluation_error"),))


@pytest.mark.parametrize(
    ("value", "drop"),
    [
        ({"async": True}, ("async", "unknown_field")),
        ({"terminalSequence": "\x07"}, ("terminalSequence", "unknown_field")),
        ({"additionalContext": "x"}, ("additionalContext", "unknown_field")),
        ({"systemMessage": 5.0}, ("systemMessage", "wrong_type")),
        ({"suppressOutput": "yes"}, ("suppressOutput", "wrong_type")),
        ({"continue": True}, ("continue", "no_effect")),
        ({"continue": "no"}, ("continue", "wrong_type")),
        ({"stopReason": 5.0}, ("stopReason", "wrong_type")),
        ({"reason": None}, ("reason", "wrong_type")),
        ({"decision": "perhaps"}, ("decision", "no_opinion")),
        ({"decision": True}, ("decision", "no_opinion")),
        ({"permissionDecision": None}, ("permissionDecision", "no_opinion")),
        ({"hookSpecificOutput": "deny"}, ("hookSpecificOutput", "wrong_type")),
        ({"hookSpecificOutput": None}, ("hookSpecificOutput", "wrong_type")),
        ({"hookSpecificOutput": {"hookEventName": "Stop"}}, ("hookSpecificOutput.hookEventName", "other_event")),
        ({"hookSpecificOutput": {"retry": True}}, ("hookSpecificOutput.retry", "unknown_field")),
        ({"hookSpecificOutput": {"async": True}}, ("hookSpecificOutput.async", "unknown_field")),
        ({"hookSpecificOutput": {"action": "accept"}}, ("hookSpecificOutput.action", "unknown_field")),
        ({"hookSpecificOutput": {"additionalContext": 1.0}}, ("hookSpecificOutput.additionalContext", "wrong_type")),
        (
            {"hookSpecificOutput": {"permissionDecision": "allow", "updatedInput": []}},
            ("hookSpecificOutput.updatedInput", "wrong_type"),
        ),
        (
            {"hookSpecificOutput": {"decision": {"interrupt": True}}},
            ("hookSpecificOutput.decision.interrupt", "unknown_field"),
        ),
    ],
)
def test_what_the_event_does_not_take_is_left_out_and_accounted_for(
    value: dict[str, Any], drop: tuple[str, str]
) -> None:
    found = reading("PreToolUse", value)
    assert dropped(found) == {drop}
    assert found.specific == {}
    assert found.top == {}
    assert found.updated_input is None


@pytest.mark.parametrize("opinion", [{}, {"permissionDecision": "deny"}, {"permissionDecision": "defer"}])
def test_a_rewritten_input_without_an_allow_or_ask_of_the_same_output_is_left_out(opinion: dict[str, str]) -> None:
    found = reading("PreToolUse", {"hookSpecificOutput": {"updatedInput": {"command": "ls"}, **opinion}})
    assert found.updated_input is None
    assert dropped(found) == {("updatedInput", "without_allow_or_ask")}


def test_a_rewritten_input_beside_an_allow_or_ask_is_kept_with_its_numbers_whole() -> None:
    for word in ("allow", "ask"):
        specific = {"permissionDecision": word, "updatedInput": {"timeout": 120000.0}}
        found = reading("PreToolUse", {"hookSpecificOutput": specific})
        assert found.updated_input == {"timeout": 120000}
        assert isinstance(found.updated_input["timeout"], int)


def test_an_output_that_rewrites_the_input_in_two_ways_denies() -> None:
    specific = {
        "permissionDecision": "allow",
        "updatedInput": {"command": "ls"},
        "decision": {"behavior": "allow", "updatedInput": {"command": "id"}},
    }
    found = reading("PreToolUse", {"hookSpecificOutput": specific})
    assert found.opinion is Opinion.DENY
    assert found.updated_input is None


def test_defer_on_an_event_that_cannot_be_deferred_asks() -> None:
    assert reading("PreToolUse", {"permissionDecision": "defer"}).opinion is Opinion.DEFER
    for event in EVENTS:
        if event != "PreToolUse":
            found = reading(event, {"permissionDecision": "defer"})
            assert found.opinion is Opinion.ASK
            assert ("permissionDecision", "no_defer") in dropped(found)


@pytest.mark.parametrize("event", ["Elicitation", "ElicitationResult"])
def test_the_action_word_of_an_elicitation_is_an_opinion(event: str) -> None:
    for word, opinion in (("accept", Opinion.ALLOW), ("decline", Opinion.DENY), ("cancel", Opinion.DENY)):
        found = reading(event, {"hookSpecificOutput": {"action": word, "content": {"n": 1.0}}})
        assert (found.opinion, found.action) == (opinion, word)
        assert found.specific == {"content": {"n": 1}}


@given(one=output, event=event_names)
def test_every_output_can_be_read_for_every_event(one: Output, event: str) -> None:
    found = read(one, spec_of(event))
    assert found.source == one.source
    assert all(drop.source == one.source for drop in found.dropped)
    assert found.updated_input is None or found.opinion in (Opinion.ALLOW, Opinion.ASK)
    assert set(found.specific) <= set(spec_of(event).fields)
