"""One decision explained: the gate's own way, but for the journal."""

import json
from typing import Any

import pytest

from hookgate.config import parse
from hookgate.errors import ErrorKind, GateError
from hookgate.explain import Explanation, explain
from hookgate.pdp.decision import Decision, Effect, Output
from hookgate.pdp.request import Question
from tests.conftest import payload

CONFIG = parse({"pdp": {"address": "unix:/x", "scope": "acme"}}, {})
REWRITTEN = {"hookSpecificOutput": {"permissionDecision": "allow", "updatedInput": {"command": "ls"}, "async": True}}


class Told:
    def __init__(self, *answers: Decision | GateError) -> None:
        self._answers = list(answers)

    async def check(self, question: Question, deadline: float) -> Decision:
        answer = self._answers.pop(0)
        if isinstance(answer, GateError):
            raise answer
        return answer


async def explained(body: Any, *answers: Decision | GateError, **headers: str) -> Explanation:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await explain(
        data, {name.replace("_", "-"): value for name, value in headers.items()}, CONFIG, Told(*answers)
    )


async def test_what_was_asked_and_what_became_of_it_is_told() -> None:
    body = payload("PreToolUse.Bash")
    found = await explained(body, Decision(Effect.DENY, "p", call_id="01ABC"), **{"X-Claude-User": "alex"})
    (asked,) = found.asked
    assert (asked["kind"], asked["action"], asked["scope"]) == ("PreToolUse", "Bash", "acme")
    assert asked["principal"]["id"] == "alex"
    assert asked["attributes"]["tool_input"] == body["tool_input"]
    assert (found.record.outcome, found.record.policy, found.record.call_id) == ("deny", "p", "01ABC")
    assert found.record.answer["hookSpecificOutput"]["permissionDecision"] == "deny"


async def test_each_output_and_what_was_dropped_of_it_is_told_and_a_changed_call_is_asked_about_twice() -> None:
    first = Decision(Effect.ALLOW, "p", outputs=(Output("p#r", REWRITTEN),))
    found = await explained(payload("PreToolUse.Bash"), first, Decision(Effect.ALLOW, "p"))
    assert [asked["attributes"]["tool_input"] for asked in found.asked][1:] == [{"command": "ls"}]
    assert [(drop.field, drop.why) for drop in found.record.dropped] == [("hookSpecificOutput.async", "unknown_field")]
    assert found.record.answer["hookSpecificOutput"]["updatedInput"] == {"command": "ls"}


@pytest.mark.parametrize(
    ("body", "kind"),
    [(b"{", "payload_malformed"), ({"hook_event_name": 5}, "event_invalid"), (payload("Stop"), "pdp_unavailable")],
)
async def test_what_could_not_be_decided_is_told_with_its_kind(body: Any, kind: str) -> None:
    found = await explained(body, GateError(ErrorKind.PDP_UNAVAILABLE, "down"))
    assert (found.record.outcome, found.record.error) == ("error", kind)
