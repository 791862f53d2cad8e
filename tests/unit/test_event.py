"""From a read body to an event, with what policies rely on always there."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookgate.errors import ErrorKind, GateError
from hookgate.hooks.decode import Read
from hookgate.hooks.event import HINT_BYTES, HookEvent, event_from, hinted_spec
from hookgate.recorded import Recorded
from tests.conftest import payload
from tests.unit.strategies import event_names, sent_objects, sent_values, text


def event(body: dict[str, Any]) -> HookEvent:
    return event_from(Read(body, altered=False, truncated=()))


def kind_of(body: dict[str, Any]) -> ErrorKind:
    with pytest.raises(GateError) as caught:
        event(body)
    return caught.value.kind


def test_each_recorded_request_becomes_an_event_with_its_payload_as_received(recording: Recorded) -> None:
    found = event(recording.body)
    assert found.name == recording.event
    assert found.tool == (recording.tool or "")
    assert found.action == (recording.tool or "event")
    assert found.payload == recording.body
    assert found.session_id == recording.body["session_id"]
    assert found.cwd == recording.body["cwd"]
    assert found.tool_input == recording.body.get("tool_input", {})


@pytest.mark.parametrize(
    "name", [None, 5, "", " PreToolUse", "Pre Tool", "1st", "_x", "A" * 65, ["PreToolUse"], "Pre\n"]
)
def test_an_absurd_event_name_is_refused(name: Any) -> None:
    assert kind_of({"hook_event_name": name}) is ErrorKind.EVENT_INVALID
    assert kind_of({}) is ErrorKind.EVENT_INVALID


@pytest.mark.parametrize(
    "name", ["PreToolUse", "PermissionRequest", "PostToolUse", "PostToolUseFailure", "PermissionDenied"]
)
@pytest.mark.parametrize("tool", [None, "", 5, ["Bash"], {"name": "Bash"}, True, "x" * 513])
def test_a_tool_event_without_a_proper_tool_name_is_refused(name: str, tool: Any) -> None:
    assert kind_of({"hook_event_name": name, "tool_name": tool, "tool_input": {}}) is ErrorKind.TOOL_INVALID
    assert kind_of({"hook_event_name": name, "tool_input": {}}) is ErrorKind.TOOL_INVALID


@pytest.mark.parametrize("wrong", ["ls", 5, [], True])
def test_a_tool_input_that_is_no_object_is_refused(wrong: Any) -> None:
    body = payload("PreToolUse.Bash", tool_input=wrong)
    assert kind_of(body) is ErrorKind.TOOL_INVALID


@pytest.mark.parametrize(
    ("name", "key"), [("UserPromptSubmit", "prompt"), ("ConfigChange", "source"), ("ConfigChange", "file_path")]
)
def test_an_attribute_that_policies_rely_on_is_completed_if_missing_and_refused_if_of_another_type(
    name: str, key: str
) -> None:
    body = payload(name)
    del body[key]
    assert event(body).payload[key] == ""
    assert event({**body, key: None}).payload[key] == ""
    assert kind_of({**body, key: 5}) is ErrorKind.PAYLOAD_MALFORMED
    assert key not in body


def test_a_missing_tool_input_is_an_empty_object_also_on_events_that_nobody_knows() -> None:
    body = payload("PreToolUse.Bash")
    del body["tool_input"]
    assert event(body).payload["tool_input"] == {}
    assert event({"hook_event_name": "EventOfTomorrow", "tool_name": "Bash"}).payload["tool_input"] == {}
    assert "tool_input" not in event(payload("Stop")).payload


def test_a_key_called_facts_is_dropped_and_noted() -> None:
    found = event(payload("PreToolUse.Bash", facts={"opaque": False}))
    assert "facts" not in found.payload
    assert found.dropped == ("facts",)


def test_identifiers_that_are_no_text_count_as_absent_and_stay_in_the_payload() -> None:
    found = event(payload("PreToolUse.Bash", session_id=5, cwd=["/"], tool_use_id=None))
    assert (found.session_id, found.cwd, found.tool_use_id) == ("", "", "")
    assert found.payload["session_id"] == 5


def test_another_input_makes_another_event_and_leaves_the_first_alone() -> None:
    first = event(payload("PreToolUse.Bash"))
    second = first.with_input({"command": "ls"})
    assert second.tool_input == {"command": "ls"}
    assert first.tool_input == payload("PreToolUse.Bash")["tool_input"]
    assert {**second.payload, "tool_input": 0} == {**first.payload, "tool_input": 0}


@given(body=sent_objects, name=event_names | text, tool=st.none() | sent_values, given_input=st.none() | sent_values)
def test_whatever_object_comes_there_is_an_event_with_its_promises_kept_or_a_callers_error(
    body: dict[str, Any], name: str, tool: Any, given_input: Any
) -> None:
    extra = {key: value for key, value in (("tool_name", tool), ("tool_input", given_input)) if value is not None}
    try:
        found = event({**body, "hook_event_name": name, **extra})
    except GateError as error:
        assert error.kind in (ErrorKind.EVENT_INVALID, ErrorKind.TOOL_INVALID, ErrorKind.PAYLOAD_MALFORMED)  # noqa: PT017
        return
    assert "facts" not in found.payload
    for key, kind in found.spec.required.items():
        assert isinstance(found.payload[key], kind)
    if found.spec.tool:
        assert found.tool
        assert isinstance(found.payload["tool_input"], dict)


@pytest.mark.parametrize(
    ("start", "name"),
    [
        (b'{"session_id": "x", "hook_event_name": "PreToolUse", "tool_input": ', "PreToolUse"),
        (b'{"hook_event_name"\n:\t"EventOfTomorrow"', "EventOfTomorrow"),
        (b'{"hook_event_name":"Stop","x":{"hook_event_name":"Stop"}', "Stop"),
        (b'{"hook_event_name":"Stop","x":{"hook_event_name":"PreToolUse"}', None),
        (b'{"prompt": "\\"hook_event_name\\":\\"Stop\\"', None),
        (b'{"hook_event_name": 5', None),
        (b"", None),
        (b" " * HINT_BYTES + b'{"hook_event_name":"Stop"', None),
        (b'\xff\xfe{"hook_event_name":"Stop"\xff', "Stop"),
    ],
)
def test_the_event_is_looked_for_in_the_beginning_of_a_body_that_cannot_be_read(start: bytes, name: str | None) -> None:
    found = hinted_spec(start)
    assert (found.name if found else None) == name


@given(start=st.binary(max_size=200))
def test_looking_for_the_event_never_fails(start: bytes) -> None:
    for body in (start, b'{"hook_event_name":"Stop",' + start, bytearray(start)):
        hinted_spec(body)
