"""Questions with known answers, and what their answers do to the trust in the PDP."""

import asyncio
import datetime as dt
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookgate.config import Config, ConfigError, parse
from hookgate.errors import ErrorKind, GateError
from hookgate.hooks.catalog import EVENTS
from hookgate.pdp.canary import Canary, Probe
from hookgate.pdp.decision import Decision, Effect, Output
from hookgate.pdp.findings import CanaryState, Findings
from hookgate.pdp.request import Question
from hookgate.probes import expectation_probes
from tests.conftest import payload

ALLOW, DENY = Decision(Effect.ALLOW, "canary"), Decision(Effect.DENY, "canary")
OUTPUT = Decision(Effect.ALLOW, "canary", outputs=(Output("canary#output", {"hookSpecificOutput": {}}),))
NO_MATCH = Decision(Effect.DENY, no_match=True)
UNAVAILABLE = GateError(ErrorKind.PDP_UNAVAILABLE, "down")

Reply = Decision | GateError


class Told:
    """A PDP that answers each of the canary's actions, and any event, as told."""

    def __init__(self, **answers: Reply) -> None:
        self.answers: dict[str, Reply] = {
            "allow": ALLOW,
            "deny": DENY,
            "output": OUTPUT,
            "strict": DENY,
            **answers,
        }
        self.asked: list[Question] = []

    async def __call__(self, question: Question, deadline: float) -> Decision:
        self.asked.append(question)
        answer = self.answers[question.action]
        if isinstance(answer, GateError):
            raise answer
        return answer


async def found(told: Told, **options: Any) -> tuple[Canary, Findings]:
    canary = Canary(told, **options)
    return canary, await canary.round()


async def test_right_answers_are_ok_and_tell_whether_the_pdp_evaluates_strictly() -> None:
    assert (await found(Told()))[1] == Findings(CanaryState.OK, (), True)
    assert (await found(Told(strict=ALLOW)))[1] == Findings(CanaryState.OK, (), False)


@pytest.mark.parametrize(
    ("answers", "fault"),
    [
        ({"allow": DENY}, "canary allow: expected EFFECT_ALLOW, got EFFECT_DENY"),
        ({"deny": ALLOW}, "canary deny: expected EFFECT_DENY, got EFFECT_ALLOW"),
        ({"output": DENY}, "canary output: expected EFFECT_ALLOW, got EFFECT_DENY"),
        ({"output": ALLOW}, "canary output: the rule's output is missing"),
    ],
)
async def test_a_wrong_answer_takes_the_trust_away_and_names_the_fault(
    answers: dict[str, Decision], fault: str
) -> None:
    canary, findings = await found(Told(**answers))
    assert (findings.state, findings.faults) == (CanaryState.WRONG, (fault,))
    assert not canary.trusted


async def test_the_version_of_the_policies_is_what_the_canarys_policy_says_also_while_the_pdp_is_away() -> None:
    value = {"hookSpecificOutput": {}, "revision": "3f2c\x1b[1m" + "x" * 200}
    told = Told(output=Decision(Effect.ALLOW, "canary", outputs=(Output("canary#output", value),)))
    canary, findings = await found(told)
    assert findings.policies.startswith("3f2c")
    assert "\x1b" not in findings.policies
    assert len(findings.policies) <= 80
    told.answers["allow"] = UNAVAILABLE
    assert (await canary.round()).policies == findings.policies
    told.answers["allow"] = ALLOW
    told.answers["output"] = Decision(Effect.ALLOW, outputs=(Output("o", {"hookSpecificOutput": {}, "revision": 7}),))
    assert (await canary.round()).policies == ""


async def test_all_faults_of_a_round_are_named() -> None:
    _, findings = await found(Told(allow=DENY, deny=ALLOW, output=ALLOW))
    assert len(findings.faults) == 3


async def test_a_pdp_without_the_canarys_policy_is_trusted_unless_it_is_required() -> None:
    canary, findings = await found(Told(allow=NO_MATCH))
    assert (findings.state, canary.trusted, findings.strict) == (CanaryState.ABSENT, True, None)
    canary, findings = await found(Told(allow=NO_MATCH), required=True)
    assert (findings.state, canary.trusted) == (CanaryState.ABSENT, False)


async def test_an_outage_changes_nothing_in_the_trust() -> None:
    told = Told(allow=UNAVAILABLE)
    canary, findings = await found(told)
    assert (findings.state, canary.trusted) == (CanaryState.UNREACHABLE, True)
    told.answers["allow"] = DENY
    await canary.round()
    told.answers["allow"] = UNAVAILABLE
    await canary.round()
    assert not canary.trusted
    told.answers["allow"] = ALLOW
    await canary.round()
    assert canary.trusted


states = st.lists(st.sampled_from(["ok", "wrong", "absent", "unreachable"]), max_size=8)


@given(rounds=states, required=st.booleans())
def test_the_pdp_is_trusted_unless_the_last_round_that_reached_it_was_wrong(rounds: list[str], required: bool) -> None:
    replies: dict[str, Reply] = {"ok": ALLOW, "wrong": DENY, "absent": NO_MATCH, "unreachable": UNAVAILABLE}

    async def play() -> bool:
        told = Told()
        canary = Canary(told, required=required)
        for state in rounds:
            told.answers["allow"] = replies[state]
            assert (await canary.round()).state.value == state
        return canary.trusted

    reached = [state for state in rounds if state != "unreachable"]
    wrong = {"wrong", "absent"} if required else {"wrong"}
    assert asyncio.run(play()) == (not reached or reached[-1] not in wrong)


async def test_the_first_round_is_told_of_whatever_it_found() -> None:
    for reply in (ALLOW, DENY, NO_MATCH, UNAVAILABLE):
        canary = Canary(Told(allow=reply))
        assert not canary.asked.is_set()
        await canary.round()
        assert canary.asked.is_set()


async def test_each_round_is_reported_with_the_one_before() -> None:
    reports: list[tuple[CanaryState, CanaryState]] = []
    told = Told()
    canary = Canary(told, report=lambda before, now: reports.append((before.state, now.state)))
    await canary.round()
    told.answers["deny"] = ALLOW
    await canary.round()
    assert reports == [(CanaryState.UNKNOWN, CanaryState.OK), (CanaryState.OK, CanaryState.WRONG)]


async def test_the_canarys_kind_cannot_be_an_events_and_it_asks_where_its_policy_ships() -> None:
    told = Told()
    await found(told)
    assert len({question.request_id for question in told.asked}) == len(told.asked) == 4
    for question in told.asked:
        assert question.kind not in EVENTS
        assert ":" in question.kind
        assert (question.policy_version, question.scope) == ("", "")


def expecting(*expectations: dict[str, Any]) -> Config:
    return parse({"pdp": {"address": "unix:/x"}, "canary": {"expect": list(expectations)}}, {})


def denied() -> dict[str, Any]:
    return {"name": "env", "payload": payload("PreToolUse.Bash"), "outcome": "deny", "roles": ["b", "a", "b"]}


def probes(*expectations: dict[str, Any]) -> Sequence[Probe]:
    return expectation_probes(expecting(*expectations))


async def test_an_expectation_is_asked_as_the_call_itself_would_be() -> None:
    told = Told(Bash=DENY)
    _, findings = await found(told, expectations=probes(denied()))
    assert findings.state is CanaryState.OK
    asked = told.asked[-1]
    assert (asked.kind, asked.action, asked.roles, asked.principal_id) == (
        "PreToolUse",
        "Bash",
        ("a", "b"),
        "claude_user",
    )
    assert asked.attributes["tool_input"] == payload("PreToolUse.Bash")["tool_input"]
    assert "facts" in asked.attributes


@pytest.mark.parametrize(
    ("reply", "outcome", "right"),
    [
        (DENY, "deny", True),
        (ALLOW, "deny", False),
        (NO_MATCH, "deny", False),
        (NO_MATCH, "no_match", True),
        (ALLOW, "allow", True),
        (DENY, "allow", False),
        (Decision(Effect.ALLOW, outputs=(Output("r", {"permissionDecision": "ask"}),)), "ask", True),
        (Decision(Effect.ALLOW, outputs=(Output("r", {"permissionDecision": "deny"}),)), "deny", True),
    ],
)
async def test_an_expectation_is_judged_by_its_outcome(reply: Decision, outcome: str, right: bool) -> None:
    canary, findings = await found(Told(Bash=reply), expectations=probes({**denied(), "outcome": outcome}))
    assert canary.trusted == right
    assert findings.state is (CanaryState.OK if right else CanaryState.WRONG)
    assert all(fault.startswith("env: expected ") for fault in findings.faults)


async def test_expectations_are_asked_also_where_the_canarys_own_policy_is_absent() -> None:
    canary, findings = await found(Told(allow=NO_MATCH, Bash=ALLOW), expectations=probes(denied()))
    assert (findings.state, canary.trusted) == (CanaryState.WRONG, False)


def test_expectations_that_are_no_payloads_are_refused_all_at_once_with_their_place() -> None:
    bad: list[dict[str, Any]] = [
        {},
        {"hook_event_name": 5},
        payload("PreToolUse.Bash", tool_name=5),
        payload("PreToolUse.Bash", day=dt.date(2026, 1, 1)),
        payload("PreToolUse.Bash", number=10**400),
        payload("PreToolUse.Bash", text="\ud800"),
        payload("PreToolUse.Bash", inner={5: 6}),
    ]
    expectations = [{"name": f"e{number}", "payload": one, "outcome": "deny"} for number, one in enumerate(bad)]
    with pytest.raises(ConfigError) as caught:
        expectation_probes(expecting(denied(), *expectations))
    assert [fault.split(": ")[0] for fault in caught.value.faults] == [
        f"canary.expect[{number}].payload" for number in range(1, len(bad) + 1)
    ]


async def test_a_wrong_canary_is_asked_again_soon_and_a_right_one_after_its_interval(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits: list[float] = []

    async def waiting(seconds: float) -> None:
        waits.append(seconds)
        told.answers["deny"] = ALLOW if len(waits) < 3 else DENY
        if len(waits) == 4:
            raise asyncio.CancelledError

    told = Told()
    monkeypatch.setattr(asyncio, "sleep", waiting)
    with pytest.raises(asyncio.CancelledError):
        await Canary(told, interval_seconds=30.0).run()
    assert waits == [30.0, 1.0, 1.0, 30.0]


async def test_a_fault_of_our_own_does_not_end_the_asking(monkeypatch: pytest.MonkeyPatch) -> None:
    def confused(decision: Decision) -> str | None:
        raise RuntimeError("a fault")

    question = Question("r", "PreToolUse", "i", "Bash", {}, "alex", ("eng",), {})
    canary = Canary(Told(Bash=ALLOW), interval_seconds=0.01, expectations=[Probe("p", question, confused)])
    task = asyncio.create_task(canary.run())
    await asyncio.wait_for(canary.asked.wait(), 5)
    assert not task.done()
    assert canary.findings == Findings(CanaryState.UNREACHABLE, ("internal: RuntimeError",), True)
    task.cancel()
