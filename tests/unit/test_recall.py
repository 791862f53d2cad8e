"""A restart forgets no call that was judged, and accuses none: the journal's newest part is read."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from hookgate.audit import recall as module
from hookgate.audit.journal import Journal
from hookgate.audit.recall import denies, recall
from hookgate.audit.reconcile import Calls, Finding, Sighting, Violation

DENIED = {"hookSpecificOutput": {"hookEventName": "PreToolUse", "permissionDecision": "deny"}}


def decision(event: str, identity: str = "", **more: Any) -> dict[str, Any]:
    fields = {"session_id": "s", "prompt_id": "p", "tool_use_id": identity, "input_digest": "same", "answer": {}}
    return (
        {"type": "decision", "id": f"D{identity}", "time": "2026-01-01T00:00:00.000000Z", "event": event}
        | fields
        | more
    )


PROMPT = decision("UserPromptSubmit")


def recalled(directory: Path, *records: dict[str, Any] | bytes) -> Calls:
    """What is known after a run that has written these."""

    async def write() -> None:
        journal = Journal(directory)
        journal.open()
        for record in records:
            line = record if isinstance(record, bytes) else json.dumps(record).encode() + b"\n"
            await journal.append(line)
        await journal.close(timeout_seconds=10)

    asyncio.run(write())
    calls = Calls()
    recall(directory, calls)
    return calls


def ran(calls: Calls, identity: str, digest: str = "same") -> str:
    seen = Sighting(
        "PostToolUse", "F", 2e9, session_id="s", prompt_id="p", tool="Bash", tool_use_id=identity, input_digest=digest
    )
    found = calls.saw(seen)
    return found.violation.value if found else ""


def test_what_was_judged_before_is_held_against_what_runs_now(tmp_path: Path) -> None:
    calls = recalled(
        tmp_path,
        PROMPT,
        decision("PreToolUse", "1"),
        decision("PreToolUse", "2", answer=DENIED),
        decision("PreToolUse", "3", changed_digest="new"),
        decision("PreToolUse", "4"),
        decision("PostToolUse", "4"),
        decision("PostToolBatch", calls=[{"tool": "Bash", "tool_use_id": "1", "input_digest": "same"}]),
    )
    assert [ran(calls, "1"), ran(calls, "2"), ran(calls, "3", "new"), ran(calls, "4", "other")] == [
        "",
        "enforcement_violated",
        "",
        "",
    ]
    assert ran(calls, "5") == "unasked"


def test_what_was_really_sent_counts_where_the_record_came_too_late(tmp_path: Path) -> None:
    sent = {"type": "answer", "id": "A", "time": "", "detail": {"decision": "D1", "error": "x", "answer": DENIED}}
    calls = recalled(tmp_path, PROMPT, decision("PreToolUse", "1"), sent)
    assert ran(calls, "1") == "enforcement_violated"


@pytest.mark.parametrize(
    "unsure",
    [
        {"type": "gap", "id": "G", "time": "", "detail": {}},
        decision("PreToolUse", error="overloaded", session_id="", answer={}),
        decision("", error="overloaded", session_id="", answer={}),
        b'{"type":5}\n',
    ],
)
def test_nobody_is_accused_of_calls_that_may_have_been_let_through_unheard(
    tmp_path: Path, unsure: dict[str, Any] | bytes
) -> None:
    assert ran(recalled(tmp_path, PROMPT, unsure), "9") == ""


@pytest.mark.parametrize(
    "harmless",
    [
        decision("Stop", error="payload_malformed", session_id="", answer={}),
        decision("PreToolUse", error="payload_malformed", session_id="", answer=DENIED),
        {"type": "stop", "id": "S", "time": "", "detail": {}},
    ],
)
def test_a_request_that_let_no_call_through_keeps_nobody_from_being_found(
    tmp_path: Path, harmless: dict[str, Any]
) -> None:
    assert ran(recalled(tmp_path, PROMPT, harmless), "9") == "unasked"


@pytest.mark.parametrize(("bound", "value"), [("_MAX_BYTES", 3000), ("_MAX_SECONDS", -1.0)])
def test_only_so_much_is_read_and_what_lies_before_is_not_accused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str, value: float
) -> None:
    monkeypatch.setattr(module, bound, value)
    filler = [decision("PreToolUse", f"f{number}", answer=DENIED) for number in range(20)]
    assert ran(recalled(tmp_path, PROMPT, *filler), "9") == ""


def test_a_time_that_is_none_and_an_empty_journal_are_no_fault(tmp_path: Path) -> None:
    calls = Calls()
    recall(tmp_path, calls)
    assert ran(recalled(tmp_path, PROMPT | {"time": "?"}), "9") == "unasked"
    assert Finding(Violation.UNASKED).decision_id == ""


def test_lines_that_can_not_be_read_are_passed_over(tmp_path: Path) -> None:
    deep = b'{"type":"decision","more":' + b"[" * 20_000 + b"]" * 20_000 + b"}\n"
    calls = recalled(tmp_path, PROMPT, decision("PreToolUse", "1", answer=DENIED), deep, b'{"type":"\xff"}\n')
    assert ran(calls, "1") == "enforcement_violated"


@pytest.mark.parametrize(
    ("answer", "denied"),
    [
        ({}, False),
        (DENIED, True),
        ({"decision": "block", "reason": "r"}, True),
        ({"hookSpecificOutput": {"decision": {"behavior": "deny"}}}, True),
        ({"hookSpecificOutput": {"decision": {"behavior": "allow"}}}, False),
        ({"hookSpecificOutput": {"permissionDecision": "ask"}}, False),
        ({"hookSpecificOutput": "odd", "decision": {}}, False),
    ],
)
def test_an_answer_that_denies_is_known_by_its_words(answer: dict[str, Any], denied: bool) -> None:
    assert denies(answer) is denied
