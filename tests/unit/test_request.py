"""The question's bytes, read back by protobuf itself."""

import json
from typing import Any

import pytest
from cerbos.request.v1.request_pb2 import CheckResourcesRequest
from google.protobuf.json_format import MessageToDict, ParseDict
from hypothesis import given
from hypothesis import strategies as st

from hookgate import __version__
from hookgate.config.tree import Pdp
from hookgate.facts import facts_of
from hookgate.hooks.decode import Read
from hookgate.hooks.event import event_from
from hookgate.identity.principal import Principal, Source
from hookgate.pdp import request
from hookgate.pdp.question import question_for
from hookgate.pdp.request import Question, encode, encode_all
from hookgate.pdp.response import allow_deep_answers
from hookgate.recorded import Recorded
from tests.unit.strategies import sent_objects, text


def question(attributes: dict[str, Any], **changes: Any) -> Question:
    plain: dict[str, Any] = {
        "request_id": "r",
        "kind": "PreToolUse",
        "resource_id": "i",
        "action": "Bash",
        "principal_id": "alex",
        "roles": ("eng",),
        "principal_attributes": {},
    }
    return Question(attributes=attributes, **{**plain, **changes})


def told(asked: Question) -> CheckResourcesRequest:
    return CheckResourcesRequest.FromString(encode(asked))


def doubles(value: Any) -> Any:
    """The value as protobuf gives it back: every number a double."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, dict):
        return {key: doubles(item) for key, item in value.items()}
    return [doubles(item) for item in value] if isinstance(value, list) else value


def written(value: Any) -> str:
    """The value as text, which tells true from 1.0; objects have no order."""
    return json.dumps(doubles(value), sort_keys=True)


@given(attributes=sent_objects)
def test_any_json_arrives_as_it_was_sent(attributes: dict[str, Any]) -> None:
    found = {key: MessageToDict(value) for key, value in told(question(attributes)).resources[0].resource.attr.items()}
    assert written(found) == written(attributes)


@pytest.mark.parametrize("levels", [34, 50, 100])
@pytest.mark.parametrize("mixed", [False, True])
def test_deeply_nested_json_arrives_too(levels: int, mixed: bool) -> None:
    value: Any = "bottom"
    for level in range(levels - 1):
        value = {"a": value} if mixed and level % 2 else [value]
    allow_deep_answers()
    found = told(question({"deep": value})).resources[0].resource.attr["deep"]
    for _ in range(levels - 1):
        kind = found.WhichOneof("kind")
        found = found.struct_value.fields["a"] if kind == "struct_value" else found.list_value.values[0]
    assert found.string_value == "bottom"


@given(name=text, roles=st.lists(text, max_size=3), scope=text, action=text, kind=text)
def test_ids_roles_and_names_of_any_characters_arrive(
    name: str, roles: list[str], scope: str, action: str, kind: str
) -> None:
    asked = question({}, principal_id=name, roles=tuple(roles), scope=scope, action=action, kind=kind, resource_id=name)
    found = told(asked)
    resource = found.resources[0].resource
    assert (found.principal.id, list(found.principal.roles)) == (name, roles)
    assert (resource.kind, resource.id, resource.scope) == (kind, name, scope)
    assert list(found.resources[0].actions) == [action]
    assert found.include_meta


def long_way(asked: Question) -> CheckResourcesRequest:
    """Gives the whole request, filled by protobuf itself."""
    principal = {"id": asked.principal_id, "roles": list(asked.roles), "attr": dict(asked.principal_attributes)}
    resource = {"kind": asked.kind, "id": asked.resource_id, "scope": asked.scope, "attr": dict(asked.attributes)}
    plain = {
        "requestId": asked.request_id,
        "includeMeta": True,
        "principal": principal,
        "resources": [{"actions": [asked.action], "resource": resource}],
        "requestContext": {"annotations": dict(asked.annotations or {})},
        **({"auxData": {"jwt": {"token": asked.token, "keySetId": asked.key_set}}} if asked.token else {}),
    }
    return ParseDict(json.loads(json.dumps(plain)), CheckResourcesRequest())


#: Alike, and not the same.
_ALIKE = st.sampled_from([0, False, 0.0, "0", None, "", [], {}, [0], [False], {"a": 1}, {"a": True}, {"a": "1"}])


@given(
    st.lists(
        st.builds(
            question,
            st.one_of(sent_objects, st.builds(lambda facts, more: {**more, "facts": facts}, _ALIKE, sent_objects)),
            request_id=text,
            principal_id=st.sampled_from(["alex", "sam"]),
            roles=st.sampled_from([("eng",), ("eng", "ops"), ()]),
            principal_attributes=st.dictionaries(st.sampled_from(["claims", "verified"]), _ALIKE),
            annotations=st.dictionaries(text.filter(bool), text, min_size=1, max_size=2),
            token=st.sampled_from(["", "t"]),
            key_set=text,
        ),
        max_size=8,
    )
)
def test_whatever_was_asked_before_the_message_is_as_if_made_in_one_piece(asked: list[Question]) -> None:
    for one in asked:
        assert told(one) == long_way(one)
    if asked:
        both = CheckResourcesRequest.FromString(encode_all(asked))
        assert list(both.resources) == [entry for one in asked for entry in long_way(one).resources]


def test_only_so_many_parts_are_remembered_and_no_large_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request, "_facts", request._Parts())
    for number in range(request._MAX_PARTS + 10):
        assert (
            told(question({"facts": {"number": number}})).resources[0].resource.attr["facts"].HasField("struct_value")
        )
    encode(question({"facts": "x" * request._MAX_PART_BYTES}))
    known = request._facts._known
    assert len(known) == request._MAX_PARTS
    assert sum(map(len, known)) < request._MAX_PARTS * 100


def test_empty_objects_and_lists_stay_what_they_are() -> None:
    attributes: dict[str, Any] = {"object": {}, "list": [], "null": None, "inner": {"object": {}, "list": [[]]}}
    resource = told(question(attributes)).resources[0].resource
    assert {key: MessageToDict(value) for key, value in resource.attr.items()} == attributes


@pytest.mark.parametrize("value", [b"bytes", {1, 2}, object()])
def test_what_is_no_json_is_a_fault_of_ours_and_not_passed_on(value: Any) -> None:
    with pytest.raises(TypeError):
        encode(question({"a": [value]}))


def test_each_recorded_request_is_asked_about_as_the_policies_know_it(recording: Recorded) -> None:
    event = event_from(Read(recording.body, altered=False, truncated=()))
    principal = Principal("alex", ("eng",), Source.HEADER)
    config = Pdp(address="unix:/x", policy_version="v2")
    found = told(question_for(event, principal, facts_of(event), config, scope="acme", decision_id="D"))
    entry = found.resources[0]
    body = recording.body
    assert entry.resource.kind == body["hook_event_name"]
    assert list(entry.actions) == [body.get("tool_name", "event")]
    ids = [body[key] for key in ("tool_use_id", "prompt_id", "session_id") if body.get(key)]
    assert entry.resource.id == ids[0]
    assert (entry.resource.policy_version, entry.resource.scope) == ("v2", "acme")
    attributes = {key: MessageToDict(value) for key, value in entry.resource.attr.items()}
    facts = attributes.pop("facts")
    assert attributes == doubles(body)
    assert {"version", "paths", "hosts", "commands", "inside_project", "opaque"} <= set(facts)
    assert MessageToDict(found.principal)["attr"] == {
        "verified": False,
        "source": "header",
        "claims": {},
        "groups": [],
        "attributes": {},
    }
    annotations = {key: MessageToDict(value) for key, value in found.request_context.annotations.items()}
    assert annotations == {
        "hookgate_decision_id": "D",
        "hookgate_version": __version__,
        "session_id": body["session_id"],
        "tool_use_id": body.get("tool_use_id", ""),
    }


def test_without_any_id_of_the_clients_the_decision_id_is_the_resources() -> None:
    event = event_from(Read({"hook_event_name": "Stop"}, altered=False, truncated=()))
    principal = Principal("alex", ("eng",), Source.HEADER)
    asked = question_for(event, principal, facts_of(event), Pdp(address="unix:/x"), scope="", decision_id="D")
    assert (asked.resource_id, asked.request_id) == ("D", "D")
    again = question_for(
        event, principal, facts_of(event), Pdp(address="unix:/x"), scope="", decision_id="D", request_id="D.changed"
    )
    assert again.request_id == "D.changed"
