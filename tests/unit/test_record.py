"""Records: what is written of a request wherever its way ended."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given

from hookgate.audit.error import JournalError
from hookgate.audit.key import FILE_NAME, RedactionKey
from hookgate.audit.record import Record, ServiceRecord, now
from hookgate.audit.redact import Redactor
from hookgate.audit.scribe import Scribe
from hookgate.case import Case, record_of
from hookgate.errors import ErrorKind
from hookgate.facts import facts_of
from hookgate.facts.model import VERSION as FACTS_VERSION
from hookgate.hooks.answer import EMPTY, Answer, render
from hookgate.hooks.decode import Read
from hookgate.hooks.event import event_from
from hookgate.hooks.opinion import Opinion
from hookgate.hooks.verdict import verdict_of
from hookgate.identity.principal import Principal, Source
from hookgate.outcome import Mode, Outcome
from hookgate.pdp.decision import Decision, Effect, Output
from hookgate.recorded import Recorded
from tests.conftest import payload
from tests.unit.strategies import decisions

SCRIBE = Scribe(Redactor(b"k" * 32))
DENIED = Answer({"decision": "block", "reason": "R"}, Opinion.DENY)


def decided(body: dict[str, Any], decision: Decision, mode: Mode = Mode.ENFORCE) -> tuple[Case, Answer]:
    case = Case(id="D", remote="127.0.0.1", body_bytes=5, mode=mode)
    case.principal = Principal("alex", ("eng",), Source.HEADER)
    case.event = event_from(Read(body, altered=False, truncated=()))
    case.facts = facts_of(case.event)
    case.asked(decision)
    case.verdict = verdict_of(decision, case.event.spec)
    return case, render(case.verdict, case.event.spec, case.id)


def test_a_decided_case_says_who_what_why_and_what_was_answered() -> None:
    output = Output(
        "p#r", {"hookSpecificOutput": {"permissionDecision": "deny", "permissionDecisionReason": "R"}, "x": 1.0}
    )
    decision = Decision(Effect.ALLOW, "p", "acme", outputs=(output,), call_id="01ABC", seconds=0.25)
    body = payload("PreToolUse.Bash", tool_input={"command": "ls"})
    case, answer = decided(body, decision)
    case.total_seconds = 0.5
    found = record_of(case, answer, answer)
    assert found.type == "decision"
    assert (found.outcome, found.mode, found.error) == ("deny", "enforce", "")
    assert (found.user, found.roles, found.source, found.verified) == ("alex", ("eng",), "header", False)
    assert (found.event, found.tool, found.input) == ("PreToolUse", "Bash", {"command": "ls"})
    assert (found.session_id, found.tool_use_id) == (body["session_id"], body["tool_use_id"])
    assert (found.effect, found.policy, found.scope, found.call_id) == ("EFFECT_ALLOW", "p", "acme", "01ABC")
    assert [(one.source, one.value) for one in found.outputs] == [("p#r", output.value)]
    assert [(one.field, one.why) for one in found.dropped] == [("x", "unknown_field")]
    assert (found.contradictions, found.reason) == (("p#r",), "R")
    assert (found.answer, found.would_answer) == (answer.body, None)
    assert (found.pdp_seconds, found.total_seconds) == (0.25, 0.5)
    assert found.facts["version"] == FACTS_VERSION


def test_an_observed_case_says_what_would_have_been_answered_also_where_that_is_nothing() -> None:
    case, answer = decided(payload("PreToolUse.Bash"), Decision(Effect.DENY, "p"), Mode.OBSERVE)
    found = record_of(case, answer, EMPTY)
    assert (found.mode, found.answer, found.would_answer) == ("observe", {}, answer.body)
    for nothing in (EMPTY, Answer({})):
        assert record_of(case, nothing, EMPTY).would_answer == {}


def test_a_case_that_ended_anywhere_has_a_record_with_its_error() -> None:
    empty = Case(id="D", remote="", body_bytes=0)
    assert empty.outcome is Outcome.ERROR
    empty.fail(ErrorKind.REQUEST_MALFORMED, "BadRequest")
    found = record_of(empty, DENIED, DENIED)
    assert (found.outcome, found.error, found.error_detail) == ("error", "request_malformed", "BadRequest")
    assert (found.event, found.user, found.input, found.facts) == ("", "", {}, {})
    case, answer = decided(payload("PreToolUse.Bash"), Decision(Effect.ALLOW, "p"))
    case.fail(ErrorKind.AUDIT_UNAVAILABLE, "full")
    assert record_of(case, answer, DENIED).outcome == "error"
    assert record_of(case, answer, DENIED).policy == "p"


def test_no_match_has_no_effect_in_its_record() -> None:
    case, answer = decided(payload("Stop"), Decision(Effect.DENY, "NO_MATCH", no_match=True))
    assert record_of(case, answer, answer).effect == ""


def test_outputs_about_the_call_as_changed_stand_behind_those_about_the_call() -> None:
    case, answer = decided(payload("PreToolUse.Bash"), Decision(Effect.ALLOW, outputs=(Output("one"),), seconds=1.0))
    case.asked(Decision(Effect.DENY, outputs=(Output("two", error="e"),), seconds=2.0))
    found = record_of(case, answer, answer)
    assert [(one.source, one.error) for one in found.outputs] == [("one", ""), ("two", "e")]
    assert found.pdp_seconds == 3.0


def test_each_recorded_request_is_one_line_of_json(recording: Recorded) -> None:
    case, answer = decided(recording.body, Decision(Effect.DENY, "p"))
    line, _ = SCRIBE.decision(record_of(case, answer, answer))
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    found = json.loads(line)
    assert found["event"] == recording.event
    assert set(found) == set(Record.__struct_fields__)


@given(decision=decisions)
def test_whatever_a_policy_put_out_can_be_written_and_read_again(decision: Decision) -> None:
    case, answer = decided(payload("PreToolUse.Bash"), decision)
    line, _ = SCRIBE.decision(record_of(case, answer, answer))
    found = msgspec.json.decode(line, type=Record)
    assert found.id == "D"
    assert len(found.outputs) == len(decision.outputs)


def test_a_record_about_the_service_is_one_line_too() -> None:
    line = SCRIBE.service(ServiceRecord(type="start", id="i", time=now(), detail={"version": "1"}))
    assert json.loads(line)["detail"] == {"version": "1"}
    assert line.endswith(b"\n")


def test_times_are_utc_with_microseconds() -> None:
    before = datetime.now(UTC)
    found = datetime.strptime(now(), "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    assert before <= found <= datetime.now(UTC)


def test_the_redaction_key_is_made_once_for_its_owner_alone(tmp_path: Any) -> None:
    key, again, other = RedactionKey(), RedactionKey(), RedactionKey()
    key.keep(tmp_path)
    assert len(key.value) == 32
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o777 == 0o600
    again.keep(tmp_path)
    assert again.value == key.value
    (tmp_path / "other").mkdir()
    other.keep(tmp_path / "other")
    assert other.value != key.value


def test_a_redaction_key_whose_file_was_removed_is_written_again(tmp_path: Any) -> None:
    key = RedactionKey()
    key.keep(tmp_path)
    (tmp_path / FILE_NAME).unlink()
    key.keep(tmp_path)
    assert (tmp_path / FILE_NAME).read_bytes() == key.value


def test_a_redaction_key_that_is_damaged_is_one_clear_line(tmp_path: Any) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"short")
    with pytest.raises(JournalError, match=r"^audit.directory: .*redaction.key is damaged: remove it"):
        RedactionKey().keep(tmp_path)
