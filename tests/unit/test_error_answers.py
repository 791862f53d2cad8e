"""What is answered where no decision could be made: every kind of error, on every event, whatever the configuration."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookgate.errors import ErrorKind, GateError, Side
from hookgate.hooks.answer import EMPTY, Answer, is_governed, render_error
from hookgate.hooks.catalog import spec_of
from hookgate.hooks.opinion import Opinion
from hookgate.outcome import Fallback
from tests.support.client_schema import CONTINUING, DENIABLE, EVENTS, problems, strength, surplus

ID = "0198f6a2-6d6e-7b7e-9c0e-1f2e3d4c5b6a"
#: Those for which the fallback holds without being asked for.
GOVERNED = {"PreToolUse", "PermissionRequest", "PreModelSwitch", "ConfigChange"}
ORDER = ["none", "allow", "defer", "ask", "deny"]
NAMES = [*EVENTS, "EventOfTomorrow"]
CALLERS = [kind for kind in ErrorKind if kind.side is Side.CALLER]
LOAD = [kind for kind in ErrorKind if kind.side is Side.LOAD]
INFRASTRUCTURE = [kind for kind in ErrorKind if kind.side is Side.INFRASTRUCTURE]


def answered(
    kind: ErrorKind, event: str | None, on_error: Fallback, governed: tuple[str, ...] = (), hint: str = ""
) -> tuple[Answer, dict[str, Any]]:
    """Gives the answer, after checking what holds for each."""
    spec = spec_of(event) if event else None
    answer = render_error(kind, spec, ID, on_error=on_error, governed=governed, hint=hint)
    body: dict[str, Any] = json.loads(answer.encode())
    name = event or "PreToolUse"
    assert body == answer.body
    assert problems(name, body) == []
    assert surplus(name, body) == []
    assert (answer.opinion is Opinion.DENY) == (strength(name, body) == "deny")
    if body:
        assert ID in json.dumps(body)
        assert kind.value in json.dumps(body)
        assert hint in json.dumps(body)
    return answer, body


@pytest.mark.parametrize("on_error", Fallback)
@pytest.mark.parametrize("kind", CALLERS)
def test_what_the_caller_brought_about_is_denied_whatever_the_configuration_says(
    kind: ErrorKind, on_error: Fallback
) -> None:
    for event in NAMES:
        _, body = answered(kind, event, on_error)
        if event in DENIABLE or event not in EVENTS:
            assert strength(event, body) == "deny"


@pytest.mark.parametrize("on_error", Fallback)
@pytest.mark.parametrize("kind", LOAD)
def test_what_a_caller_can_bring_about_by_load_never_goes_below_ask_where_the_fallback_holds(
    kind: ErrorKind, on_error: Fallback
) -> None:
    for event in NAMES:
        _, body = answered(kind, event, on_error)
        if event in GOVERNED and event != "PermissionRequest":
            assert ORDER.index(strength(event, body)) >= ORDER.index("ask")
        if event == "PermissionRequest":
            # There, to ask is to leave the prompt alone.
            assert strength(event, body) == ("deny" if on_error is Fallback.DENY else "none")
        if event not in GOVERNED:
            assert body == {}


@pytest.mark.parametrize("on_error", Fallback)
@pytest.mark.parametrize("kind", INFRASTRUCTURE)
def test_what_the_infrastructure_fails_in_is_answered_by_the_configuration_on_governed_events_and_those_named(
    kind: ErrorKind, on_error: Fallback
) -> None:
    named = ("UserPromptSubmit", "EventOfTomorrow", "Stop")
    for event in NAMES:
        _, body = answered(kind, event, on_error, governed=named)
        if event in CONTINUING or event not in {*GOVERNED, *named} or on_error is Fallback.PASS:
            assert body == {}
        elif on_error is Fallback.DENY:
            assert strength(event, body) == "deny"
        elif event in ("PreToolUse", "PreModelSwitch"):
            assert strength(event, body) == "ask"
        elif event == "PermissionRequest":
            assert strength(event, body) == "none"
        else:
            assert strength(event, body) == "deny"


@pytest.mark.parametrize("event", sorted(CONTINUING))
def test_no_failure_ever_keeps_an_agent_from_stopping(event: str) -> None:
    for kind in ErrorKind:
        for on_error in Fallback:
            assert answered(kind, event, on_error, governed=(event,))[1] == {}
    assert not is_governed(spec_of(event), [event])


def test_where_not_even_the_event_is_known_the_answer_blocks_in_the_form_that_most_events_obey() -> None:
    for kind in CALLERS:
        for on_error in Fallback:
            _, body = answered(kind, None, on_error)
            assert set(body) == {"decision", "reason"}
            assert all(strength(event, body) == "deny" for event in DENIABLE - {"PermissionRequest"})
    for kind in LOAD:
        assert answered(kind, None, Fallback.PASS)[1]["decision"] == "block"
    assert answered(ErrorKind.PDP_UNAVAILABLE, None, Fallback.PASS)[1] == {}


def test_a_denial_that_the_client_would_not_obey_is_owned_as_unenforceable() -> None:
    answer, body = answered(ErrorKind.PAYLOAD_MALFORMED, "Notification", Fallback.DENY)
    assert body == {}
    assert answer.unenforceable
    assert not EMPTY.unenforceable


def test_a_hint_says_what_to_do() -> None:
    _, body = answered(ErrorKind.PATH_UNKNOWN, None, Fallback.DENY, hint="The hook's url must end in /ext/claude.")
    assert "The hook's url must end in /ext/claude." in body["reason"]


@given(
    kind=st.sampled_from(ErrorKind),
    event=st.sampled_from(NAMES),
    on_error=st.sampled_from(Fallback),
    governed=st.lists(st.sampled_from(NAMES), max_size=5).map(tuple),
)
def test_a_milder_fallback_never_gives_a_stricter_answer_and_naming_an_event_never_a_weaker_one(
    kind: ErrorKind, event: str, on_error: Fallback, governed: tuple[str, ...]
) -> None:
    def found(fallback: Fallback, named: tuple[str, ...]) -> int:
        return ORDER.index(strength(event, answered(kind, event, fallback, named)[1]))

    assert found(Fallback.PASS, governed) <= found(Fallback.ASK, governed) <= found(Fallback.DENY, governed)
    assert found(on_error, governed) <= found(on_error, (*governed, event))


def test_each_kind_has_a_side_a_meaning_in_one_sentence_and_a_value_fit_for_a_label() -> None:
    for kind in ErrorKind:
        assert kind.side in Side
        assert kind.meaning.endswith(".")
        assert "\n" not in kind.meaning
        assert kind.value == kind.name.lower()
        assert kind.value.replace("_", "").isalpha()


def test_an_error_tells_its_kind_and_detail_and_keeps_its_hint_apart() -> None:
    error = GateError(ErrorKind.PDP_REFUSED, "INTERNAL: x", hint="Look there.")
    assert str(error) == "pdp_refused: INTERNAL: x"
    assert (error.kind, error.detail, error.hint) == (ErrorKind.PDP_REFUSED, "INTERNAL: x", "Look there.")
    assert str(GateError(ErrorKind.INTERNAL)) == "internal"
