"""The PDP's answer: read whole, or refused as one that makes no sense."""

import json
from typing import Any

import pytest
from cerbos.effect.v1 import effect_pb2
from cerbos.response.v1.response_pb2 import CheckResourcesResponse
from google.protobuf.json_format import ParseDict
from hypothesis import given
from hypothesis import strategies as st

from hookgate.errors import ErrorKind, GateError
from hookgate.pdp.decision import Decision, Effect, Output
from hookgate.pdp.request import Question
from hookgate.pdp.response import decode
from tests.unit.strategies import json_values

QUESTION = Question("r", "PreToolUse", "i", "Bash", {}, "alex", ("eng",), {})


def response(**changes: Any) -> CheckResourcesResponse:
    told: dict[str, Any] = {
        "requestId": "r",
        "cerbosCallId": "01ABC",
        "results": [result()],
        **changes,
    }
    return ParseDict(told, CheckResourcesResponse())


def result(**changes: Any) -> dict[str, Any]:
    return {
        "resource": {"id": "i", "kind": "PreToolUse"},
        "actions": {"Bash": "EFFECT_DENY"},
        "meta": {"actions": {"Bash": {"matchedPolicy": "resource.PreToolUse.vdefault", "matchedScope": "acme"}}},
        **changes,
    }


def told(**changes: Any) -> Decision:
    return decode(response(results=[result(**changes)]).SerializeToString(), QUESTION, 0.5)


def test_an_answer_tells_effect_policy_scope_and_call() -> None:
    assert told() == Decision(Effect.DENY, "resource.PreToolUse.vdefault", "acme", call_id="01ABC", seconds=0.5)
    assert told(actions={"Bash": "EFFECT_ALLOW"}).effect is Effect.ALLOW


def test_no_match_is_told_by_the_policys_name_alone() -> None:
    meta = {"actions": {"Bash": {"matchedPolicy": "NO_MATCH"}}, "effectiveDerivedRoles": ["owner"]}
    assert told(meta=meta).no_match
    assert told(meta=meta).derived_roles == ("owner",)
    assert not told().no_match
    assert told(meta={}).policy == ""


def test_each_rules_output_counts_once_whatever_the_number_of_roles() -> None:
    one = {"src": "p#r1", "val": {"a": 1}, "action": "Bash"}
    two = {"src": "p#r2", "val": {"a": 1}, "action": "Bash"}
    failed = {"src": "p#r3", "action": "Bash", "error": "no such key"}
    other = {"src": "p#r4", "val": "x", "action": "Read"}
    assert told(outputs=[one, two, one, failed, other, failed]).outputs == (
        Output("p#r1", {"a": 1.0}),
        Output("p#r2", {"a": 1.0}),
        Output("p#r3", None, "no such key"),
    )


def test_validation_errors_are_told() -> None:
    errors = [{"path": "/tool_input", "message": "missing", "source": "SOURCE_RESOURCE"}]
    assert told(validationErrors=errors).validation_errors == ("/tool_input: missing",)


@given(value=json_values(numbers=st.floats(allow_nan=False, allow_infinity=False)))
def test_an_output_of_any_shape_is_read_as_it_was_sent(value: Any) -> None:
    (found,) = told(outputs=[{"src": "p#r", "val": value}]).outputs
    assert json.dumps(found.value, sort_keys=True) == json.dumps(value, sort_keys=True)


@pytest.mark.parametrize(
    "changes",
    [
        {"requestId": "other"},
        {"requestId": ""},
        {"results": []},
        {"results": [result(), result()]},
        {"results": [result(resource={"id": "other", "kind": "PreToolUse"})]},
        {"results": [result(resource={"id": "i", "kind": "PostToolUse"})]},
        {"results": [result(actions={})]},
        {"results": [result(actions={"Read": "EFFECT_ALLOW"})]},
        {"results": [result(actions={"Bash": "EFFECT_ALLOW", "Read": "EFFECT_ALLOW"})]},
        {"results": [result(actions={"Bash": "EFFECT_UNSPECIFIED"})]},
        {"results": [result(actions={"Bash": "EFFECT_NO_MATCH"})]},
    ],
)
def test_an_answer_that_does_not_fit_the_question_makes_no_sense(changes: dict[str, Any]) -> None:
    with pytest.raises(GateError) as caught:
        decode(response(**changes).SerializeToString(), QUESTION, 0.0)
    assert caught.value.kind is ErrorKind.PDP_NONSENSE


def test_an_effect_of_a_number_that_nobody_knows_makes_no_sense() -> None:
    odd = response()
    odd.results[0].actions["Bash"] = 99  # type: ignore[assignment]
    assert 99 not in effect_pb2.Effect.values()
    with pytest.raises(GateError):
        decode(odd.SerializeToString(), QUESTION, 0.0)


@given(data=st.binary(max_size=200))
def test_random_bytes_make_no_sense(data: bytes) -> None:
    with pytest.raises(GateError) as caught:
        decode(data, QUESTION, 0.0)
    assert caught.value.kind is ErrorKind.PDP_NONSENSE


@given(at=st.integers(0, 10_000), byte=st.integers(0, 255), cut=st.booleans())
def test_a_damaged_answer_is_read_or_makes_no_sense_and_never_fails_otherwise(at: int, byte: int, cut: bool) -> None:
    output = {"src": "p#r", "val": {"hookSpecificOutput": {"permissionDecision": "deny"}, "list": [1, None]}}
    data = bytearray(response(results=[result(outputs=[output])]).SerializeToString())
    if cut:
        del data[at % len(data) :]
    else:
        data[at % len(data)] = byte
    try:
        decode(bytes(data), QUESTION, 0.0)
    except GateError as error:
        assert error.kind is ErrorKind.PDP_NONSENSE  # noqa: PT017
