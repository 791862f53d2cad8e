"""The encoder, whatever policies' outputs hold: the client takes each answer, and none is weaker than the verdict."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hookgate.hooks.answer import Answer, render
from hookgate.hooks.catalog import EVENTS, EventSpec, spec_of
from hookgate.hooks.decode import Read
from hookgate.hooks.event import event_from
from hookgate.hooks.opinion import Opinion
from hookgate.hooks.verdict import no_match_verdict, verdict_of
from hookgate.outcome import Fallback
from hookgate.pdp.decision import Decision, Effect, Output
from hookgate.recorded import recorded
from tests.support.client_schema import CONTINUING, DENIABLE, problems, strength, surplus
from tests.support.client_schema import EVENTS as CLIENT_EVENTS
from tests.unit.strategies import decisions, text

ID = "0198f6a2-6d6e-7b7e-9c0e-1f2e3d4c5b6a"
ELICITATIONS = {"Elicitation", "ElicitationResult"}
ASKING = {"PreToolUse", "PreModelSwitch"}
REWRITING = {"PreToolUse", "PermissionRequest"}

#: The event of each recorded request, all that the client knows, and some that nobody knows.
SPECS = tuple(
    {
        spec.name: spec
        for spec in [
            *(event_from(Read(one.body, altered=False, truncated=())).spec for one in recorded()),
            *(spec_of(name) for name in CLIENT_EVENTS),
            spec_of("EventOfTomorrow"),
            spec_of("pretooluse"),
        ]
    }.values()
)

_MEANING = {
    "allow": "allow",
    "approve": "allow",
    "accept": "allow",
    "ask": "ask",
    "defer": "defer",
    "deny": "deny",
    "block": "deny",
    "decline": "deny",
    "cancel": "deny",
}


def words(output: Output, event: str) -> set[str]:
    """What an output says in any of the spellings in use, read apart from the code under test."""
    value = output.value
    if output.error or not isinstance(value, dict):
        return set()
    slots = [value.get("permissionDecision"), value.get("decision")]
    specific = value.get("hookSpecificOutput")
    if isinstance(specific, dict):
        decision = specific.get("decision")
        slots += [
            specific.get("permissionDecision"),
            decision.get("behavior") if isinstance(decision, dict) else decision,
        ]
        if event in ELICITATIONS:
            slots.append(specific.get("action"))
    said = {
        _MEANING[slot.strip().lower()] for slot in slots if isinstance(slot, str) and slot.strip().lower() in _MEANING
    }
    return {"ask" if word == "defer" and event != "PreToolUse" else word for word in said}


def strictest(said: Iterable[set[str]]) -> str:
    every = set().union(*said)
    return next((word for word in ("deny", "ask", "defer", "allow") if word in every), "none")


def rewrites(outputs: Iterable[Output]) -> list[Any]:
    """Each input that an output would put in place of the call's own, wherever it stands."""
    found = []
    for output in outputs:
        specific = output.value.get("hookSpecificOutput") if isinstance(output.value, dict) else None
        if isinstance(specific, dict):
            found.append(specific.get("updatedInput"))
            if isinstance(specific.get("decision"), dict):
                found.append(specific["decision"].get("updatedInput"))
    return [one for one in found if isinstance(one, dict)]


def whole(value: Any) -> Any:
    """The value with whole doubles as integers; an error where JSON has no such number."""
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) <= 2**53 else value
    if isinstance(value, dict):
        return {key: whole(item) for key, item in value.items()}
    return [whole(item) for item in value] if isinstance(value, list) else value


def without(answer: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in answer.items() if key not in keys}


@dataclass(frozen=True)
class Rendered:
    """One event's answer as the client reads it."""

    spec: EventSpec
    answer: Answer
    body: dict[str, Any]

    @property
    def event(self) -> str:
        return self.spec.name

    @property
    def specific(self) -> dict[str, Any]:
        found: dict[str, Any] = self.body.get("hookSpecificOutput", {})
        return found

    @property
    def strength(self) -> str:
        return strength(self.event, self.body)

    @property
    def updated_input(self) -> Any:
        inner = self.specific.get("decision")
        return inner.get("updatedInput") if isinstance(inner, dict) else self.specific.get("updatedInput")

    @property
    def reasons(self) -> list[str]:
        inner = self.specific.get("decision")
        found = [
            self.body.get("reason"),
            self.specific.get("permissionDecisionReason"),
            inner.get("message") if isinstance(inner, dict) else None,
        ]
        return [reason for reason in found if reason is not None]


def rendered(
    decision: Decision,
    spec: EventSpec,
    *,
    stricter: str = "deny",
    stop_hook_active: bool = False,
    characters: int = 4000,
) -> Rendered:
    verdict = verdict_of(decision, spec, stricter_than_effect=stricter)
    answer = render(verdict, spec, ID, reason_characters=characters, stop_hook_active=stop_hook_active)
    return Rendered(spec, answer, json.loads(answer.encode()))


def assert_the_client_takes(found: Rendered) -> None:
    assert found.body == found.answer.body
    assert problems(found.event, found.body) == []
    assert surplus(found.event, found.body) == []
    assert "async" not in found.body
    assert "terminalSequence" not in found.body
    if found.event in CONTINUING:
        assert not found.specific or found.body.get("decision") == "block"


def assert_nothing_stops_the_turn_but_a_denial(found: Rendered) -> None:
    if "continue" in found.body:
        assert found.body["continue"] is False
        assert strength(found.event, without(found.body, "continue", "stopReason")) == "deny"
    else:
        assert "stopReason" not in found.body


def assert_reasons_lead_to_the_record(found: Rendered, characters: int) -> None:
    for reason in found.reasons:
        assert ID in reason
        assert len(reason) <= characters
    if found.strength in ("deny", "ask"):
        assert found.reasons or ID in found.body["systemMessage"]


def expected_strengths(decision: Decision, event: str, *, stricter: str, stop_hook_active: bool) -> set[str]:
    """What the answer may amount to for the client; more than one only where a rewritten input may void an allowance."""
    said = [words(output, event) for output in decision.outputs]
    explicit = any("deny" in one for one in said)
    if decision.effect is Effect.ALLOW and stricter == "drop":
        said = [one for one in said if "deny" not in one]
    verdict = "deny" if decision.effect is Effect.DENY else strictest(said)
    expected = {in_form(verdict, decision, event, explicit=explicit and not stop_hook_active)}
    if event in ELICITATIONS and "allow" in expected:
        # An `accept` beside a denial in an output that is dropped counts for nothing.
        expected.add("none")
    if event in REWRITING and verdict != "deny" and len(rewrites(decision.outputs)) > 1:
        # Held to less: it is asked elsewhere what becomes of two rewrites.
        expected.add("deny")
    return expected


def in_form(verdict: str, decision: Decision, event: str, *, explicit: bool) -> str:
    """What the client can do about a verdict on this event."""
    denied = "deny" if event in DENIABLE or event not in CLIENT_EVENTS else "none"
    if verdict == "deny":
        return ("deny" if explicit else "none") if event in CONTINUING else denied
    if verdict == "ask":
        return "ask" if event in ASKING else "none" if event in CONTINUING | {"PermissionRequest"} else denied
    if verdict == "allow":
        specifics = [o.value.get("hookSpecificOutput") for o in decision.outputs if isinstance(o.value, dict)]
        accepted = any(
            isinstance(one, dict) and str(one.get("action")).strip().lower() == "accept" for one in specifics
        )
        takes = event in ASKING | {"PermissionRequest"} or (event in ELICITATIONS and accepted)
        return "allow" if takes else "none"
    return verdict


def check(decision: Decision, spec: EventSpec, stricter: str, stop_hook_active: bool, characters: int) -> None:
    found = rendered(decision, spec, stricter=stricter, stop_hook_active=stop_hook_active, characters=characters)
    assert_the_client_takes(found)
    assert_nothing_stops_the_turn_but_a_denial(found)
    assert_reasons_lead_to_the_record(found, characters)
    assert found.strength in expected_strengths(
        decision, spec.name, stricter=stricter, stop_hook_active=stop_hook_active
    )
    assert (found.answer.opinion is Opinion.DENY) == (found.strength == "deny")
    assert (found.answer.opinion is Opinion.ASK) == (found.strength == "ask")
    if found.updated_input is not None:
        assert found.strength in ("allow", "ask")
        assert found.updated_input in [whole(one) for one in rewrites(decision.outputs)]
    if "content" in found.specific:
        assert found.specific["action"] == "accept"
    if found.strength == "allow":
        assert decision.effect is Effect.ALLOW
        assert any("allow" in words(output, spec.name) for output in decision.outputs)
    if found.strength == "defer":
        assert decision.effect is Effect.ALLOW
        assert any("defer" in words(output, spec.name) for output in decision.outputs)


_arguments = given(
    decision=decisions,
    stricter=st.sampled_from(["deny", "drop"]),
    stop_hook_active=st.booleans(),
    characters=st.sampled_from([200, 4000, 20_000]),
)


@settings(max_examples=400)
@_arguments
def test_whatever_outputs_hold_each_event_gets_an_answer_that_is_valid_and_as_strict_as_the_verdict(
    decision: Decision, stricter: str, stop_hook_active: bool, characters: int
) -> None:
    for spec in SPECS:
        check(decision, spec, stricter, stop_hook_active, characters)


@pytest.mark.soak
@settings(max_examples=6000)
@_arguments
def test_at_length_whatever_outputs_hold_each_event_gets_an_answer_that_is_valid_and_as_strict_as_the_verdict(
    decision: Decision, stricter: str, stop_hook_active: bool, characters: int
) -> None:
    for spec in SPECS:
        check(decision, spec, stricter, stop_hook_active, characters)


@given(decision=decisions)
def test_a_denied_effect_is_denied_by_every_event_that_obeys_and_owned_as_unenforceable_by_the_others(
    decision: Decision,
) -> None:
    denied = Decision(Effect.DENY, decision.policy, outputs=decision.outputs)
    for spec in SPECS:
        found = rendered(denied, spec)
        if spec.name in DENIABLE or spec.name not in CLIENT_EVENTS:
            assert found.strength == "deny"
        assert found.answer.unenforceable == (found.strength != "deny")


@given(decision=decisions)
def test_no_output_makes_an_answer_weaker_than_it_is_without_that_output(decision: Decision) -> None:
    order = ["none", "allow", "defer", "ask", "deny"]
    for spec in SPECS:
        if spec.name in ("PreToolUse", "PreModelSwitch"):
            for outputs in ((), decision.outputs[:1], decision.outputs[:-1]):
                fewer = rendered(Decision(decision.effect, outputs=outputs), spec)
                assert order.index(rendered(decision, spec).strength) >= order.index(fewer.strength)


@given(decision=decisions, fallback=st.sampled_from(Fallback), reason=text)
def test_without_a_policy_the_configured_answer_is_given_in_each_events_form(
    decision: Decision, fallback: Fallback, reason: str
) -> None:
    for spec in SPECS:
        answer = render(no_match_verdict(fallback), spec, ID)
        body = json.loads(answer.encode())
        assert problems(spec.name, body) == []
        found = strength(spec.name, body)
        if fallback is Fallback.PASS:
            assert body == {}
        elif spec.name in ASKING:
            assert found == fallback.value
        elif fallback is Fallback.ASK and spec.name == "PermissionRequest":
            assert found == "none"
        elif spec.name in DENIABLE:
            assert found == "deny"


def test_the_catalog_names_the_events_that_the_client_knows() -> None:
    assert set(EVENTS) == set(CLIENT_EVENTS)
    assert {name for name, spec in EVENTS.items() if spec.obeys} == DENIABLE
