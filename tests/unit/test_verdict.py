"""The strictest of effect and outputs."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookgate.hooks.catalog import EVENTS, spec_of
from hookgate.hooks.opinion import Opinion
from hookgate.hooks.verdict import Verdict, _judged, no_match_verdict, stricter, unstable, verdict_of
from hookgate.outcome import Fallback, Outcome
from hookgate.pdp.decision import Decision, Effect, Output
from tests.unit.strategies import decisions

POLICY = "resource.PreToolUse.vdefault"
PRE_TOOL_USE = spec_of("PreToolUse")


def says(word: str, reason: str = "", **more: Any) -> dict[str, Any]:
    return {"hookSpecificOutput": {"permissionDecision": word, "permissionDecisionReason": reason, **more}}


def verdict(effect: Effect, *values: Any, event: str = "PreToolUse", rule: str = "deny") -> Verdict:
    outputs = tuple(Output(f"{POLICY}#r{number}", value) for number, value in enumerate(values))
    return verdict_of(Decision(effect, POLICY, outputs=outputs), spec_of(event), stricter_than_effect=rule)


@pytest.mark.parametrize(
    ("effect", "values", "outcome", "opinion", "reason"),
    [
        (Effect.DENY, [], Outcome.DENY, Opinion.DENY, f"Policy {POLICY} denied this call."),
        (Effect.DENY, [says("deny", "R")], Outcome.DENY, Opinion.DENY, "R"),
        (Effect.DENY, [says("deny", "R"), says("deny", "S"), says("deny", "R")], Outcome.DENY, Opinion.DENY, "R\nS"),
        (Effect.DENY, [says("allow", "A")], Outcome.DENY, Opinion.DENY, f"Policy {POLICY} denied this call."),
        (Effect.DENY, [says("allow", "A"), says("deny", "R")], Outcome.DENY, Opinion.DENY, "R"),
        (Effect.DENY, [says("ask", "A")], Outcome.DENY, Opinion.DENY, f"Policy {POLICY} denied this call."),
        (Effect.ALLOW, [], Outcome.ALLOW, Opinion.NONE, ""),
        (Effect.ALLOW, [says("allow", "A")], Outcome.ALLOW, Opinion.ALLOW, "A"),
        (Effect.ALLOW, [says("allow", "A"), says("ask", "Q")], Outcome.ASK, Opinion.ASK, "Q"),
        (Effect.ALLOW, [says("ask")], Outcome.ASK, Opinion.ASK, f"Policy {POLICY} wants a person to look."),
        (Effect.ALLOW, [says("defer"), says("allow")], Outcome.DEFER, Opinion.DEFER, ""),
        (Effect.ALLOW, [says("defer"), says("ask", "Q")], Outcome.ASK, Opinion.ASK, "Q"),
        (Effect.ALLOW, [says("deny", "R"), says("ask", "Q")], Outcome.DENY, Opinion.DENY, "R"),
        (Effect.ALLOW, [{"systemMessage": "hello"}], Outcome.ALLOW, Opinion.NONE, ""),
    ],
)
def test_the_strictest_of_effect_and_outputs_counts_with_its_own_reasons(
    effect: Effect, values: list[Any], outcome: Outcome, opinion: Opinion, reason: str
) -> None:
    found = verdict(effect, *values)
    assert (found.outcome, found.opinion, found.reason) == (outcome, opinion, reason)


def test_outputs_that_disagree_with_the_effect_are_named_as_contradictions() -> None:
    assert verdict(Effect.DENY, says("allow"), says("deny"), says("ask")).contradictions == (
        f"{POLICY}#r0",
        f"{POLICY}#r2",
    )
    assert verdict(Effect.ALLOW, says("allow"), says("deny")).contradictions == (f"{POLICY}#r1",)
    assert verdict(Effect.ALLOW, says("allow"), {}).contradictions == ()


def test_where_outputs_may_not_be_stricter_a_denying_one_beside_an_allow_is_dropped_and_named() -> None:
    found = verdict(Effect.ALLOW, says("deny", "R"), says("ask", "Q"), rule="drop")
    assert (found.outcome, found.reason, found.contradictions) == (Outcome.ASK, "Q", (f"{POLICY}#r0",))
    assert verdict(Effect.ALLOW, says("deny"), rule="drop").outcome is Outcome.ALLOW
    assert verdict(Effect.DENY, says("deny"), rule="drop").outcome is Outcome.DENY


def test_only_an_output_makes_a_denial_explicit() -> None:
    assert not verdict(Effect.DENY).explicit
    assert not verdict(Effect.DENY, says("allow")).explicit
    assert verdict(Effect.DENY, says("deny")).explicit
    assert verdict(Effect.ALLOW, says("deny")).explicit


def test_a_rewritten_input_is_taken_over_where_one_or_all_outputs_agree_on_it() -> None:
    one, other = says("allow", updatedInput={"command": "ls"}), says("ask", updatedInput={"command": "ls"})
    assert verdict(Effect.ALLOW, one).updated_input == {"command": "ls"}
    assert verdict(Effect.ALLOW, one, other).updated_input == {"command": "ls"}
    assert verdict(Effect.ALLOW, one, other).opinion is Opinion.ASK
    assert verdict(Effect.DENY, one).updated_input is None
    assert verdict(Effect.ALLOW, one, says("deny")).updated_input is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"command": "ls"}, {"command": "id"}),
        ({}, {"command": "id"}),
        ({"all": True}, {"all": 1.0}),
        ({"a": [0.0]}, {"a": [False]}),
    ],
)
def test_two_different_rewritten_inputs_deny(one: dict[str, Any], other: dict[str, Any]) -> None:
    found = verdict(Effect.ALLOW, says("allow", updatedInput=one), says("allow", updatedInput=other))
    assert (found.outcome, found.opinion, found.updated_input) == (Outcome.DENY, Opinion.DENY, None)
    assert found.explicit
    assert len(found.contradictions) == 2


@pytest.mark.parametrize("rule", ["deny", "drop"])
def test_an_output_that_rewrites_the_input_in_two_ways_denies_even_where_denying_outputs_are_dropped(rule: str) -> None:
    twice = says("ask", updatedInput={"command": "ls"}, decision={"updatedInput": {"command": "id"}})
    found = verdict(Effect.ALLOW, says("allow"), twice, rule=rule)
    assert (found.outcome, found.updated_input) == (Outcome.DENY, None)


def test_a_permission_prompt_that_is_left_alone_carries_no_rewritten_input() -> None:
    found = verdict(Effect.ALLOW, says("ask", updatedInput={"command": "ls"}), event="PermissionRequest")
    assert found.updated_input is None
    assert ("updatedInput", "without_allow_or_ask") in {(drop.field, drop.why) for drop in found.dropped}


@pytest.mark.parametrize(
    ("fallback", "opinion"),
    [(Fallback.PASS, Opinion.NONE), (Fallback.ASK, Opinion.ASK), (Fallback.DENY, Opinion.DENY)],
)
def test_without_a_policy_the_fallback_speaks(fallback: Fallback, opinion: Opinion) -> None:
    found = no_match_verdict(fallback)
    assert (found.outcome, found.opinion) == (Outcome.NO_MATCH, opinion)


def test_of_a_call_and_the_call_as_changed_the_stricter_verdict_counts() -> None:
    first = verdict(Effect.ALLOW, says("allow", updatedInput={"command": "ls"}))
    for values, outcome in (
        ([], Outcome.ALLOW),
        ([says("allow")], Outcome.ALLOW),
        ([says("ask", "Q")], Outcome.ASK),
        ([says("defer")], Outcome.DEFER),
        ([says("deny", "R")], Outcome.DENY),
    ):
        joined = stricter(first, verdict(Effect.ALLOW, *values))
        assert joined.outcome is outcome
        assert joined.updated_input == ({"command": "ls"} if outcome in (Outcome.ALLOW, Outcome.ASK) else None)
    denied = stricter(first, verdict(Effect.DENY))
    assert (denied.outcome, denied.updated_input) == (Outcome.DENY, None)
    asked = verdict(Effect.ALLOW, says("ask", "Q", updatedInput={"command": "ls"}))
    assert stricter(asked, verdict(Effect.ALLOW, says("allow"))).outcome is Outcome.ASK


@given(first=decisions, second=decisions)
def test_joining_two_verdicts_is_never_weaker_than_either(first: Decision, second: Decision) -> None:
    one, two = verdict_of(first, PRE_TOOL_USE), verdict_of(second, PRE_TOOL_USE)
    joined = stricter(one, two)
    assert joined.opinion == max(one.opinion, two.opinion)
    assert (joined.opinion is Opinion.DENY) == (joined.outcome is Outcome.DENY)
    assert set(joined.contradictions) == set(one.contradictions) | set(two.contradictions)


@given(decision=decisions, rule=st.sampled_from(["deny", "drop"]))
def test_an_unstable_call_is_denied_whatever_the_verdict_was(decision: Decision, rule: str) -> None:
    found = unstable(verdict_of(decision, PRE_TOOL_USE, stricter_than_effect=rule))
    assert (found.outcome, found.opinion, found.explicit) == (Outcome.DENY, Opinion.DENY, True)
    assert (found.updated_input, found.readings) == (None, ())


@pytest.mark.parametrize("rule", ["deny", "drop"])
def test_what_is_allowed_without_a_word_is_judged_alike_the_short_way_and_the_long_one(rule: str) -> None:
    for event in (*EVENTS, "Unheard"):
        spec, allowed = spec_of(event), Decision(Effect.ALLOW, "p", "s")
        assert verdict_of(allowed, spec, stricter_than_effect=rule) == _judged(allowed, spec, rule)
