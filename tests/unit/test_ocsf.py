"""The format ocsf, held to the schema that OCSF publishes: version 1.8.0 with the profile security_control, out of the package
`ocsf-json-schema`. It allows no attribute that it does not know."""

import functools
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

from hookgate.audit.formats import encoded
from hookgate.audit.record import Record
from hookgate.audit.shipping.shipment import Shipment, SinkRefusedError
from hookgate.config.shippers import Format
from tests.support.shipments import INSTANCE, batch, decision, service, shipment_of, shipments
from tests.unit.strategies import json_values

CLASSES = {6003: "api_activity", 2004: "detection_finding", 6002: "application_lifecycle", 0: "base_event"}
DENIAL = {"hookSpecificOutput": {"hookEventName": "PreToolUse", "permissionDecision": "deny"}}
ASKING = {"hookSpecificOutput": {"hookEventName": "PreToolUse", "permissionDecision": "ask"}}
REFUSAL = {"hookSpecificOutput": {"hookEventName": "PermissionRequest", "decision": {"behavior": "deny"}}}


@functools.cache
def published(class_uid: int) -> Draft202012Validator:
    schema = OcsfJsonSchemaEmbedded(get_ocsf_schema(version="1.8.0"))
    return Draft202012Validator(schema.get_class_schema(CLASSES[class_uid], profiles=["security_control"]))


def faults(event: dict[str, Any]) -> list[str]:
    found = published(event["class_uid"]).iter_errors(event)
    return [f"{'.'.join(str(step) for step in fault.absolute_path)}: {fault.message}" for fault in found]


def event_of(shipment: Shipment) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(encoded(shipment, Format.OCSF))
    assert faults(event) == []
    assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"]
    return event


def event_of_record(record: Any) -> dict[str, Any]:
    return event_of(shipments([msgspec.json.encode(record)])[0])


def test_a_decision_is_an_api_activity_with_who_what_why_and_where_its_line_stands() -> None:
    facts = {"paths": [{"path": "/home/alex/.env", "written": ".env"}]}
    record = decision(
        roles=("eng", "ops"),
        remote="10.1.2.3",
        outcome="deny",
        effect="EFFECT_DENY",
        policy="resource.PreToolUse.vdefault",
        reason="No secrets.",
        answer=DENIAL,
        facts=facts,
        input={"file_path": ".env"},
        tool_use_id="toolu_1",
        total_seconds=0.0123,
    )
    event = event_of_record(record)
    assert (event["class_uid"], event["category_uid"], event["type_name"]) == (6003, 6, "API Activity: Read")
    assert event["actor"]["user"]["name"] == "alex"
    assert [group["name"] for group in event["actor"]["user"]["groups"]] == ["eng", "ops"]
    assert event["actor"]["session"] == {"uid": record.session_id}
    assert (event["api"]["operation"], event["api"]["request"]["uid"]) == ("Read", "toolu_1")
    assert json.loads(event["api"]["request"]["data"]) == {"file_path": ".env"}
    assert event["resources"] == [{"name": "/home/alex/.env", "type": "file"}]
    assert event["src_endpoint"] == {"ip": "10.1.2.3"}
    assert (event["action_id"], event["disposition_id"], event["status_id"]) == (2, 26, 2)
    assert (event["status_code"], event["status_detail"]) == ("deny", "No secrets.")
    assert event["policy"]["name"] == "resource.PreToolUse.vdefault"
    assert event["authorizations"][0]["decision"] == "EFFECT_DENY"
    assert event["duration"] == 12
    metadata = event["metadata"]
    assert (metadata["version"], metadata["profiles"], metadata["uid"]) == ("1.8.0", ["security_control"], record.id)
    assert (metadata["sequence"], metadata["reporter"]["uid"]) == (1, INSTANCE)
    assert (metadata["original_time"], metadata["correlation_uid"]) == (record.time, "toolu_1")
    assert len(event["unmapped"]["hash"]) == 64
    assert event["unmapped"]["verified"] is False
    assert json.loads(event["unmapped"]["facts"]) == facts


def test_its_time_is_in_milliseconds() -> None:
    assert event_of_record(decision(time="2026-11-22T21:05:33.839427Z"))["time"] == 1795381533839


@pytest.mark.parametrize(
    ("members", "action", "disposition", "status"),
    [
        ({"outcome": "allow"}, "Allowed", "Allowed", "Success"),
        ({"outcome": "deny", "answer": DENIAL}, "Denied", "Unauthorized", "Failure"),
        ({"outcome": "deny", "answer": REFUSAL}, "Denied", "Unauthorized", "Failure"),
        ({"outcome": "deny", "answer": {"decision": "block"}}, "Denied", "Unauthorized", "Failure"),
        ({"outcome": "deny", "unenforceable": True}, "Observed", "Detected", "deny"),
        ({"outcome": "ask", "answer": ASKING}, "ask", "ask", "ask"),
        ({"outcome": "no_match"}, "Observed", "No Action", "no_match"),
        ({"outcome": "no_match", "answer": DENIAL}, "Denied", "Blocked", "Failure"),
        ({"outcome": "error", "answer": DENIAL}, "Denied", "Blocked", "Failure"),
        ({"outcome": "error"}, "Observed", "Error", "error"),
        ({"outcome": "deny", "mode": "observe", "would_answer": DENIAL}, "Observed", "Detected", "deny"),
        ({"outcome": "allow", "mode": "observe", "would_answer": {}}, "Observed", "Logged", "allow"),
    ],
)
def test_what_became_of_a_call_is_what_its_client_was_told(
    members: dict[str, Any], action: str, disposition: str, status: str
) -> None:
    event = event_of_record(decision(**members))
    assert (event["action"], event["disposition"], event["status"]) == (action, disposition, status)


def test_a_call_that_ran_says_how_it_ended() -> None:
    for failed, status in ((True, "Failure"), (False, "Success")):
        event = event_of(shipment_of({**msgspec.to_builtins(decision(event="PostToolUse")), "failed": failed}))
        assert event["status"] == status


def test_the_words_beside_numbers_are_those_of_the_schema() -> None:
    attributes = get_ocsf_schema(version="1.8.0")["classes"]["api_activity"]["attributes"]
    answers: tuple[dict[str, Any], ...] = ({}, DENIAL, ASKING)
    for outcome in ("allow", "deny", "ask", "no_match", "error"):
        for answer in answers:
            for mode in ("enforce", "observe"):
                event = event_of_record(decision(outcome=outcome, answer=answer, mode=mode, would_answer=answer))
                for name in ("action", "disposition", "status", "severity", "activity", "category", "class"):
                    number = f"{name}_uid" if f"{name}_uid" in event else f"{name}_id"
                    label = event[name] if name in event else event[f"{name}_name"]
                    if event[number] != 99:
                        assert label == attributes[number]["enum"][str(event[number])]["caption"], name


@pytest.mark.parametrize(
    ("kind", "class_uid", "severity"),
    [
        ("enforcement_violated", 2004, "High"),
        ("executed_differs", 2004, "High"),
        ("unasked", 2004, "High"),
        ("undelivered", 2004, "Medium"),
        ("start", 6002, "Informational"),
        ("stop", 6002, "Informational"),
        ("config_changed", 6002, "Informational"),
        ("checkpoint", 0, "Informational"),
        ("chain_start", 0, "Informational"),
        ("gap", 0, "High"),
        ("retention", 0, "Informational"),
        ("of_a_newer_hookgate", 0, "Informational"),
    ],
)
def test_each_record_about_the_service_has_its_class(kind: str, class_uid: int, severity: str) -> None:
    event = event_of_record(service(kind, decision="D", found_by="PostToolUse", tool="Bash", deeper={"a": [1]}))
    assert (event["class_uid"], event["severity"]) == (class_uid, severity)
    assert json.loads(event["unmapped"]["detail"])["deeper"] == {"a": [1]}
    assert event["metadata"]["event_code"] == kind


def test_a_violation_names_the_decision_that_it_goes_against() -> None:
    event = event_of_record(service("enforcement_violated", decision="D", found_by="PostToolUse", tool="Bash"))
    assert [related["uid"] for related in event["finding_info"]["related_events"]] == ["D"]
    assert event["metadata"]["correlation_uid"] == "D"
    assert event["is_alert"] is True
    assert "related_events" not in event_of_record(service("unasked", tool="Bash"))["finding_info"]


def test_nothing_of_a_record_is_lost() -> None:
    names = {name: f"value of {name}" for name in Record.__struct_fields__}
    said = encoded(shipment_of({**names, "type": "decision"}), Format.OCSF).decode()
    # These are no texts, and so of no form to be said; `instance` is the journal's own.
    others = {"version", "type", "instance", "roles", "input", "labels", "would_answer", "total_seconds"}
    assert [name for name in names if f"value of {name}" not in said and name not in others] == []


def test_the_published_schema_knows_what_it_refuses() -> None:
    event = event_of_record(decision())
    assert faults({**event, "made_up": 1}) != []
    assert faults({**event, "actor": {**event["actor"], "made_up": 1}}) != []
    assert faults({**event, "action_id": 77}) != []
    assert faults({name: value for name, value in event.items() if name != "src_endpoint"}) != []


@pytest.mark.parametrize(
    "remote", ["", "unix:", "::1", "fe80::1%eth0", "10.0.0.300", "127.0.0.1", "a\x00b", "::ffff:1.2.3.4"]
)
def test_wherever_a_request_came_from_its_endpoint_is_valid(remote: str) -> None:
    event_of_record(decision(remote=remote))


_VALUES = json_values(numbers=st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False))
_KINDS = st.sampled_from(["decision", "start", "stop", "unasked", "undelivered", "gap", "new"]) | _VALUES
_NAMES = st.sampled_from(
    [*Record.__struct_fields__, "detail", "host", "labels", "failed", "mcp_server", "policy_version"]
)


@given(_KINDS, st.dictionaries(_NAMES, _VALUES, max_size=12))
def test_whatever_a_record_holds_its_event_is_valid(kind: Any, members: dict[str, Any]) -> None:
    line = json.dumps({**members, "type": kind}).encode()
    event_of(Shipment(line, 1, "0" * 64, INSTANCE))


def test_long_deep_and_strange_content_stays_valid_and_is_not_a_field() -> None:
    deep: Any = "end"
    for _ in range(90):
        deep = {"deeper": deep}
    strange = {f"name\x00{number}": "\x00\u202e \U0001f600" for number in range(3000)}
    event = event_of_record(decision(input={"deep": deep, **strange, "long": "x" * 1_000_000}, user="a\x00b"))
    assert isinstance(event["api"]["request"]["data"], str)
    assert all(not isinstance(value, dict) for value in event["unmapped"].values())
    assert json.loads(event["api"]["request"]["data"])["deep"] == deep


@pytest.mark.parametrize("form", list(Format))
@pytest.mark.parametrize("line", [b"", b"{", b"[1]", b'{"a": "\xff"}', b'{"a": "\\ud800"}', b'{"a":' * 100_000])
def test_a_line_that_is_no_json_object_is_refused(line: bytes, form: Format) -> None:
    with pytest.raises(SinkRefusedError, match="line 7 is no JSON"):
        encoded(Shipment(line, 7, "0" * 64, INSTANCE), form)


def test_native_is_the_line_itself() -> None:
    for shipment in batch(3):
        assert encoded(shipment, Format.NATIVE) is shipment.line
