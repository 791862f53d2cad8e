"""The PDP's answer: read whole, or refused as one that makes no sense."""

import json
from typing import Any

import pytest
from cerbos.effect.v1 import effect_pb2
from cerbos.engine.v1.engine_pb2 import OutputEntry
from cerbos.response.v1.response_pb2 import CheckResourcesResponse
from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import ListValue, Value
from hypothesis import given
from hypothesis import strategies as st

from hookgate.errors import ErrorKind, GateError
from hookgate.pdp.decision import Decision, Effect, Output
from hookgate.pdp.request import Question
from hookgate.pdp.response import MAX_LEVELS, allow_deep_answers, decode
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


def field(number: int, content: bytes) -> bytes:
    """One length-delimited field on protobuf's wire."""
    length, size = b"", len(content)
    while size > 127:
        length += bytes([size & 127 | 128])
        size >>= 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + content


def nested(levels: int) -> bytes:
    """An answer with lists in lists as its output, written by hand: protobuf itself would not."""
    list_value, values = Value.LIST_VALUE_FIELD_NUMBER, ListValue.VALUES_FIELD_NUMBER
    value = field(list_value, b"")
    for _ in range(levels - 1):
        value = field(list_value, field(values, value))
    entry = CheckResourcesResponse.ResultEntry
    output = field(OutputEntry.SRC_FIELD_NUMBER, b"p#r") + field(OutputEntry.VAL_FIELD_NUMBER, value)
    told = response().results[0].SerializeToString() + field(entry.OUTPUTS_FIELD_NUMBER, output)
    return field(CheckResourcesResponse.REQUEST_ID_FIELD_NUMBER, b"r") + field(
        CheckResourcesResponse.RESULTS_FIELD_NUMBER, told
    )


def test_an_output_is_read_as_deep_as_payloads_go_and_beyond_its_bound_makes_no_sense() -> None:
    allow_deep_answers()
    value = decode(nested(MAX_LEVELS), QUESTION, 0.0).outputs[0].value
    for _ in range(MAX_LEVELS - 1):
        (value,) = value
    assert value == []
    for levels in (MAX_LEVELS + 1, 1000, 5000):
        with pytest.raises(GateError) as caught:
            decode(nested(levels), QUESTION, 0.0)
        assert caught.value.kind is ErrorKind.PDP_NONSENSE


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
