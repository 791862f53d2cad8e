"""The gate: the steps in order, one deadline, a record before each answer, and an answer whatever fails."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings

from hookgate import gate as module
from hookgate import recorder
from hookgate.audit.digest import Purpose
from hookgate.audit.error import JournalError
from hookgate.audit.record import Record
from hookgate.audit.redact import Redactor
from hookgate.config import Config, parse
from hookgate.config.tree import Log
from hookgate.errors import ErrorKind, GateError, Side
from hookgate.exchange import HookRequest, Reply
from hookgate.gate import Gate
from hookgate.pdp.canary import Canary
from hookgate.pdp.client import PdpClient
from hookgate.pdp.decision import Decision, Effect, Output
from hookgate.pdp.request import Question
from hookgate.recorded import Recorded, recorded
from hookgate.telemetry.log import make_logger
from hookgate.telemetry.metrics import Metrics
from tests.conftest import payload
from tests.support.client_schema import CONTINUING, DENIABLE, problems, strength
from tests.support.service import merged
from tests.unit.strategies import decisions

ALLOW, DENY = Decision(Effect.ALLOW, "p"), Decision(Effect.DENY, "p")
NO_MATCH = Decision(Effect.DENY, "NO_MATCH", no_match=True)
GOVERNED = {"PreToolUse", "PermissionRequest", "PreModelSwitch", "ConfigChange"}

Script = Decision | BaseException | Callable[[Question, float], Awaitable[Decision]]


def saying(word: str, reason: str = "R", **more: Any) -> Decision:
    """An ALLOW with an output that says something."""
    specific = {"permissionDecision": word, "permissionDecisionReason": reason, **more}
    return Decision(Effect.ALLOW, "p", outputs=(Output("p#r", {"hookSpecificOutput": specific}),))


class Told:
    """A PDP that answers as told, one thing after another, the last one over and over."""

    def __init__(self, *script: Script) -> None:
        self._script = list(script)
        self.asked: list[Question] = []
        self.deadlines: list[float] = []

    async def check(self, question: Question, deadline: float) -> Decision:
        self.asked.append(question)
        self.deadlines.append(deadline)
        does = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        if isinstance(does, Decision):
            return does
        if isinstance(does, BaseException):
            raise does
        return await does(question, deadline)


class Trail:
    """A journal in memory. `fault` makes it fail or raise; while `held`, nothing is ever written."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []
        #: What each line would count as in a gap.
        self.outcomes: list[str] = []
        #: What was counted in a gap without a line.
        self.counted: list[str] = []
        self.fault: Exception | None = None
        self.held = False
        self.waiting: list[asyncio.Future[None]] = []

    def append(self, line: bytes, kind: str = "decision", outcome: str = "") -> asyncio.Future[None]:
        if self.fault is not None and not isinstance(self.fault, JournalError):
            raise self.fault
        assert line.count(b"\n") == 1
        self.lines.append(json.loads(line))
        assert self.lines[-1]["type"] == kind
        self.outcomes.append(outcome)
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.held:
            self.waiting.append(written)
        elif self.fault is not None:
            written.set_exception(self.fault)
        else:
            written.set_result(None)
        return written

    def lost(self, kind: str = "decision", outcome: str = "") -> None:
        self.counted.append(outcome or kind)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["type"] == kind]


class Stage:
    """A gate with all that it stands on."""

    def __init__(self, *script: Script, config: dict[str, Any] | None = None, canary: Canary | None = None) -> None:
        self.config: Config = parse(merged({"pdp": {"address": "unix:/x"}}, config or {}), {})
        self.pdp = Told(*script or (ALLOW,))
        self.trail = Trail()
        self.metrics = Metrics()
        self.logged: list[str] = []
        self.observed: list[Record] = []
        self.canary = canary or Canary(self.pdp.check)
        self.gate = Gate(
            self.config,
            pdp=self.pdp,
            journal=self.trail,
            metrics=self.metrics,
            log=make_logger(Log(format="json", level="debug"), self.logged.append),
            canary=self.canary,
            observe=self.observed.append,
        )

    def request(
        self, body: Any, headers: dict[str, str] | None = None, *, fault: GateError | None = None, age: float = 0.0
    ) -> HookRequest:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return HookRequest(
            asyncio.get_running_loop().time() - age, time.perf_counter(), headers or {}, data, "127.0.0.1", fault
        )

    async def reply(self, body: Any, headers: dict[str, str] | None = None, **options: Any) -> Reply:
        reply = await self.gate.decide(self.request(body, headers, **options))
        # What is counted and remembered is so once the answer is on its way.
        await asyncio.sleep(0)
        return reply

    async def answer(self, body: Any, headers: dict[str, str] | None = None, **options: Any) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((await self.reply(body, headers, **options)).data)
        return found

    @property
    def record(self) -> dict[str, Any]:
        return self.trail.of("decision")[-1]

    def sample(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


async def once(condition: Callable[[], object]) -> None:
    """Lets others have their turn until the condition holds."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 (what it waits for has no event)
            await asyncio.sleep(0)


BASH = payload("PreToolUse.Bash")
REQUESTS = {
    event: next(one.body for one in recorded() if one.event == event) for event in {r.event for r in recorded()}
}


async def test_a_recorded_call_is_asked_about_recorded_and_answered(recording: Recorded) -> None:
    stage = Stage(DENY)
    sent = {name: value for name, value in recording.headers.items() if not name.lower().startswith("x-claude-user")}
    reply = await stage.reply(recording.body, sent | {"X-Claude-User": "alex", "X-Claude-User-Roles": "b,a"})
    (asked,) = stage.pdp.asked
    assert (asked.kind, asked.action) == (recording.event, recording.tool or "event")
    assert (asked.principal_id, asked.roles) == ("alex", ("a", "b"))
    body = json.loads(reply.data)
    assert problems(recording.event, body) == []
    if recording.event in DENIABLE:
        assert strength(recording.event, body) == "deny"
    elif recording.event in CONTINUING:
        assert body == {}
    assert stage.record["id"] == reply.decision_id == asked.request_id
    assert (stage.record["outcome"], stage.record["answer"], stage.record["user"]) == ("deny", body, "alex")
    assert stage.observed[0].id == reply.decision_id
    assert stage.gate.in_flight == 0


@settings(max_examples=25)
@given(decision=decisions)
def test_whatever_a_policy_puts_out_no_recorded_call_gets_an_invalid_answer_or_escapes_a_denial(
    decision: Decision,
) -> None:
    async def each() -> None:
        stage = Stage(decision)
        for request in recorded():
            body = await stage.answer(request.body)
            assert problems(request.event, body) == []
            assert stage.record["error"] == ""
            if decision.effect is Effect.DENY and request.event in DENIABLE:
                assert strength(request.event, body) == "deny"

    asyncio.run(each())


async def test_over_a_real_client_of_the_pdp_the_question_is_sent_before_the_record_and_the_answer_leaves_last() -> (
    None
):
    stage, order = Stage(), list[str]()

    async def transport(request: bytes, timeout_seconds: float) -> bytes:
        order.append("asked")
        raise GateError(ErrorKind.PDP_REFUSED, "no")

    append = stage.trail.append

    def appending(line: bytes, kind: str = "decision", outcome: str = "") -> asyncio.Future[None]:
        order.append("recorded")
        return append(line, kind, outcome)

    stage.trail.append = appending  # type: ignore[method-assign]
    stage.pdp.check = PdpClient(transport, max_request_bytes=10**6).check  # type: ignore[method-assign]
    await stage.reply(BASH)
    order.append("answered")
    assert order == ["asked", "recorded", "answered"]


async def test_no_answer_leaves_before_its_record_is_written() -> None:
    stage = Stage(DENY)
    stage.trail.held = True
    deciding = asyncio.create_task(stage.reply(BASH))
    await once(lambda: stage.trail.waiting)
    done, _ = await asyncio.wait([deciding], timeout=0.05)
    assert not done
    stage.trail.waiting[0].set_result(None)
    assert strength("PreToolUse", json.loads((await deciding).data)) == "deny"
    assert stage.record["error"] == ""


FAULTS = [
    pytest.param(JournalError("/x: No space left on device"), id="fails"),
    pytest.param(RuntimeError("a fault"), id="raises"),
]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("event", sorted(REQUESTS))
@pytest.mark.parametrize("on_error", ["deny", "ask", "pass"])
async def test_what_cannot_be_recorded_is_answered_by_on_error_in_its_events_own_form(
    event: str, on_error: str, fault: Exception
) -> None:
    stage = Stage(ALLOW, config={"on_error": on_error})
    stage.trail.fault = fault
    body = await stage.answer(REQUESTS[event])
    assert problems(event, body) == []
    if event not in GOVERNED or on_error == "pass":
        assert body == {}
    elif on_error == "deny" or event == "ConfigChange":
        assert strength(event, body) == "deny"
        assert "audit_unavailable" in json.dumps(body)
    else:
        assert strength(event, body) == ("none" if event == "PermissionRequest" else "ask")
    assert stage.observed[-1].error == "audit_unavailable"
    assert stage.sample("hookgate_errors_total", kind="audit_unavailable") == 1


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("on_error", ["deny", "ask", "pass"])
async def test_what_was_denied_or_asked_stays_so_without_a_record(on_error: str, fault: Exception) -> None:
    for decision, least in ((DENY, "deny"), (saying("deny"), "deny"), (saying("ask"), "ask")):
        stage = Stage(decision, config={"on_error": on_error})
        stage.trail.fault = fault
        found = strength("PreToolUse", await stage.answer(BASH))
        assert found == ("deny" if on_error == "deny" else least)
    stage = Stage(saying("allow"), config={"on_error": on_error})
    stage.trail.fault = fault
    assert strength("PreToolUse", await stage.answer(b"{")) == "deny"
    # What was allowed in so many words is a call like any other that nobody recorded.
    assert strength("PreToolUse", await stage.answer(BASH)) == {"pass": "none"}.get(on_error, on_error)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(("decision", "expected"), [(ALLOW, "none"), (DENY, "deny"), (saying("allow"), "allow")])
async def test_where_records_are_not_required_the_answer_stands_and_the_failure_is_counted(
    decision: Decision, expected: str, fault: Exception
) -> None:
    stage = Stage(decision, config={"audit": {"required": False}})
    stage.trail.fault = fault
    assert strength("PreToolUse", await stage.answer(BASH)) == expected
    assert stage.sample("hookgate_errors_total", kind="audit_unavailable") == 1
    assert stage.observed[-1].error == ""


@pytest.mark.parametrize(
    ("script", "would"),
    [(DENY, "deny"), (ALLOW, "none"), (saying("ask"), "ask"), (GateError(ErrorKind.PDP_UNAVAILABLE), "deny")],
)
async def test_observing_answers_nothing_and_records_what_would_have_been_answered(script: Script, would: str) -> None:
    stage = Stage(script, config={"mode": "observe"})
    assert await stage.answer(BASH) == {}
    assert stage.record["mode"] == "observe"
    assert stage.record["answer"] == {}
    assert strength("PreToolUse", stage.record["would_answer"]) == would


@pytest.mark.parametrize("body", [b"", b"{", b"[]", {"hook_event_name": 5}, {**BASH, "tool_name": 5}])
async def test_observing_answers_nothing_to_what_cannot_be_decided_either(body: Any) -> None:
    stage = Stage(config={"mode": "observe"})
    assert await stage.answer(body) == {}
    assert stage.record["would_answer"] != {}
    stage.trail.fault = JournalError("full")
    assert await stage.answer(body) == {}


async def test_the_mode_goes_by_who_asks_and_is_the_strictest_where_nobody_can_be_made_out() -> None:
    stage = Stage(DENY, config={"mode": "observe", "rollout": [{"mode": "enforce", "roles": ["pilot"]}]})
    assert await stage.answer(BASH, {"X-Claude-User-Roles": "others"}) == {}
    assert await stage.answer(BASH, {"X-Claude-User-Roles": "pilot"}) != {}
    found = await stage.answer(BASH, {"X-Claude-User": "x" * 1000})
    assert strength("PreToolUse", found) == "deny"
    assert stage.record["error"] == "identity_invalid"


REWRITTEN = saying("allow", updatedInput={"command": "ls", "timeout": 120000.0})


async def test_a_rewritten_input_is_asked_about_again_before_it_is_answered() -> None:
    stage = Stage(REWRITTEN, saying("allow", "S"))
    body = await stage.answer(BASH)
    first, second = stage.pdp.asked
    assert first.attributes["tool_input"] == BASH["tool_input"]
    assert second.attributes["tool_input"] == {"command": "ls", "timeout": 120000}
    assert second.request_id == f"{first.request_id}.changed"
    ours = {"tool_input": 0, "facts": 0}
    assert {**second.attributes, **ours} == {**first.attributes, **ours}
    assert [one["program"] for one in second.attributes["facts"]["commands"]] == ["ls"]
    assert body["hookSpecificOutput"]["updatedInput"] == {"command": "ls", "timeout": 120000}
    assert strength("PreToolUse", body) == "allow"
    assert len(stage.record["outputs"]) == 2


async def test_facts_are_those_of_the_call_as_changed() -> None:
    rewritten = saying("allow", updatedInput={"file_path": "/etc/passwd"})
    stage = Stage(rewritten, ALLOW)
    await stage.answer(payload("PreToolUse.Read"))
    assert [path["path"] for path in stage.pdp.asked[1].attributes["facts"]["paths"]] == ["/etc/passwd"]


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        (DENY, "deny"),
        (saying("deny"), "deny"),
        (saying("ask"), "ask"),
        (ALLOW, "allow"),
        (REWRITTEN, "allow"),
        (saying("allow", updatedInput={"command": "id"}), "deny"),
        (saying("allow", updatedInput={"command": "ls", "timeout": 120000.0, "more": None}), "deny"),
        (saying("defer"), "defer"),
        (NO_MATCH, "deny"),
        (GateError(ErrorKind.PDP_TIMEOUT), "deny"),
        (RuntimeError("a fault"), "deny"),
    ],
)
async def test_a_changed_call_must_itself_be_let_through_and_stay_as_it_is(second: Script, expected: str) -> None:
    stage = Stage(REWRITTEN, second)
    body = await stage.answer(BASH)
    assert strength("PreToolUse", body) == expected
    assert ("updatedInput" in body["hookSpecificOutput"]) == (expected in ("allow", "ask"))


async def test_a_changed_call_is_not_changed_a_third_time() -> None:
    stage = Stage(REWRITTEN, saying("allow", updatedInput={"command": "id"}), ALLOW)
    await stage.answer(BASH)
    assert len(stage.pdp.asked) == 2
    assert "in different ways" in stage.record["reason"]


@pytest.mark.parametrize(("no_match", "expected"), [("pass", "none"), ("ask", "ask"), ("deny", "deny")])
async def test_without_a_policy_the_configured_answer_is_given_on_governed_events(no_match: str, expected: str) -> None:
    stage = Stage(NO_MATCH, config={"no_match": no_match})
    assert strength("PreToolUse", await stage.answer(BASH)) == expected
    assert (stage.record["outcome"], stage.record["effect"]) == ("no_match", "")
    assert await stage.answer(payload("UserPromptSubmit")) == {}
    stage = Stage(NO_MATCH, config={"no_match": no_match, "on_error_events": ["UserPromptSubmit"]})
    found = strength("UserPromptSubmit", await stage.answer(payload("UserPromptSubmit")))
    assert found == ("none" if no_match == "pass" else "deny")


async def test_an_event_that_nobody_knows_is_recorded_and_answered_nothing() -> None:
    stage = Stage(NO_MATCH)
    assert await stage.answer({"hook_event_name": "EventOfTomorrow"}) == {}
    assert (stage.record["event"], stage.record["outcome"]) == ("EventOfTomorrow", "no_match")
    assert stage.sample("hookgate_unknown_events_total") == 1


async def test_a_kind_that_must_have_a_policy_is_an_error_without_one() -> None:
    stage = Stage(NO_MATCH, config={"pdp": {"required_kinds": ["PreToolUse"]}, "no_match": "pass", "on_error": "ask"})
    assert strength("PreToolUse", await stage.answer(BASH)) == "ask"
    assert stage.record["error"] == "policy_missing"
    assert await stage.answer(payload("Stop")) == {}
    assert stage.record["error"] == ""


async def test_a_kind_that_loses_its_policy_is_told_once_each_time() -> None:
    stage = Stage(NO_MATCH, ALLOW, NO_MATCH, NO_MATCH, DENY, NO_MATCH)
    for lost in (0, 0, 1, 1, 1, 2):
        await stage.answer(BASH)
        assert len(stage.trail.of("policy_lost")) == lost
    assert stage.sample("hookgate_policy_lost_total", event="PreToolUse") == 2
    assert stage.trail.of("policy_lost")[0]["detail"]["event"] == "PreToolUse"
    assert any('"policy_lost"' in line for line in stage.logged)


@pytest.mark.parametrize(("on_error", "expected"), [("deny", "deny"), ("ask", "ask"), ("pass", "none")])
async def test_while_the_canary_is_wrong_nothing_is_asked_or_decided(on_error: str, expected: str) -> None:
    wrong = Told(DENY)
    canary = Canary(wrong.check)
    await canary.round()
    stage = Stage(saying("allow"), config={"on_error": on_error}, canary=canary)
    assert strength("PreToolUse", await stage.answer(BASH)) == expected
    assert stage.pdp.asked == []
    assert stage.record["error"] == "canary_wrong"
    assert "canary allow" in stage.record["error_detail"]
    canary.trusted = True
    assert strength("PreToolUse", await stage.answer(BASH)) == "allow"


@pytest.mark.parametrize("on_error", ["deny", "ask", "pass"])
@pytest.mark.parametrize("kind", ErrorKind)
async def test_each_error_of_a_step_is_answered_by_its_side_and_recorded(kind: ErrorKind, on_error: str) -> None:
    stage = Stage(GateError(kind, "why", hint="Do this."), config={"on_error": on_error})
    body = await stage.answer(BASH)
    least = {Side.CALLER: "deny", Side.LOAD: "ask", Side.INFRASTRUCTURE: "none"}[kind.side]
    order = ["none", "ask", "deny"]
    configured = {"pass": "none"}.get(on_error, on_error)
    assert strength("PreToolUse", body) == max(least, configured, key=order.index)
    assert (stage.record["outcome"], stage.record["error"], stage.record["error_detail"]) == (
        "error",
        kind.value,
        "why",
    )
    assert stage.sample("hookgate_errors_total", kind=kind.value) == 1
    if body:
        assert "Do this." in json.dumps(body)
        assert "why" not in json.dumps(body)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "payload_malformed"),
        (b"[]", "payload_malformed"),
        (b'{"hook_event_name":"PreToolUse","tool_name":"Bash","a":1,"a":2}', "payload_malformed"),
        (b'{"hook_event_name":"PreToolUse","a":' + b"[" * 200, "payload_malformed"),
        (b'{"hook_event_name":"PreToolUse","a":[' + b"0," * 30_000 + b"0]}", "payload_too_complex"),
        ({"tool_name": "Bash"}, "event_invalid"),
        ({**BASH, "tool_name": None}, "tool_invalid"),
    ],
)
@pytest.mark.parametrize("on_error", ["deny", "pass"])
async def test_what_a_caller_gets_wrong_is_denied_and_the_pdp_not_asked(body: Any, kind: str, on_error: str) -> None:
    stage = Stage(config={"on_error": on_error})
    assert strength("PreToolUse", await stage.answer(body)) == "deny"
    assert stage.record["error"] == kind
    assert stage.pdp.asked == []


async def test_a_fault_found_before_the_gate_is_denied_in_the_form_of_the_event_that_the_body_names() -> None:
    stage = Stage(config={"on_error": "pass"})
    fault = GateError(ErrorKind.PAYLOAD_TOO_LARGE, "more than 1 byte")
    body = await stage.answer(json.dumps(payload("PermissionRequest.Bash"))[:800].encode(), fault=fault)
    assert strength("PermissionRequest", body) == "deny"
    assert (stage.record["error"], stage.record["event"]) == ("payload_too_large", "PermissionRequest")
    assert await stage.answer(json.dumps(payload("Stop")).encode(), fault=fault) == {}
    assert (await stage.answer(b"", fault=fault))["decision"] == "block"


async def test_a_scope_that_is_not_listed_is_the_callers_error() -> None:
    stage = Stage(config={"pdp": {"scope": "acme", "scopes": ["acme.eng"]}, "on_error": "pass"})
    await stage.answer(BASH, {"X-Cerbos-Scope": "acme.eng"})
    assert stage.pdp.asked[-1].scope == "acme.eng"
    assert strength("PreToolUse", await stage.answer(BASH, {"X-Cerbos-Scope": "other"})) == "deny"
    assert len(stage.pdp.asked) == 1


STEPS = [
    "scope_from",
    "mode_for",
    "event_from",
    "facts_of",
    "question_for",
    "verdict_of",
    "render",
]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("on_error", ["deny", "ask", "pass"])
async def test_a_fault_of_our_own_in_any_step_is_an_internal_error_with_an_answer_and_a_record(
    monkeypatch: pytest.MonkeyPatch, step: str, on_error: str
) -> None:
    stage = Stage(saying("allow"), config={"on_error": on_error})

    def failing(*args: Any, **options: Any) -> Any:
        raise RuntimeError("a fault")

    monkeypatch.setattr(module, step, failing)
    body = await stage.answer(BASH)
    assert strength("PreToolUse", body) == ("deny" if on_error == "deny" else "ask")
    assert (stage.record["error"], stage.record["error_detail"]) == ("internal", "RuntimeError")
    assert any('"internal"' in line and "RuntimeError" in line for line in stage.logged)


@pytest.mark.parametrize("late", ["record_of", "scribe", "tally", "observe", "reconcile"])
@pytest.mark.parametrize("decision", [DENY, saying("allow")])
async def test_a_fault_of_our_own_behind_the_decision_never_lets_a_denied_call_through(
    monkeypatch: pytest.MonkeyPatch, late: str, decision: Decision
) -> None:
    stage = Stage(decision)

    def failing(*args: Any, **options: Any) -> Any:
        raise RuntimeError("a fault")

    if late == "scribe":
        monkeypatch.setattr(stage.gate._recorder._scribe, "decision", failing)
    elif late == "tally":
        monkeypatch.setattr(stage.gate._tally, "decided", failing)
    elif late == "observe":
        monkeypatch.setattr(stage.gate, "_observe", failing)
    elif late == "reconcile":
        monkeypatch.setattr(stage.gate._recorder._calls, "saw", failing)
    else:
        monkeypatch.setattr(recorder, late, failing)
    body = await stage.answer(BASH)
    unharmed = late in ("tally", "observe", "reconcile") and decision is not DENY
    assert strength("PreToolUse", body) == ("allow" if unharmed else "deny")
    assert stage.gate.in_flight == 0


def bounded(seconds: float, **more: Any) -> dict[str, Any]:
    return merged({"decision": {"deadline_seconds": seconds}}, more)


async def hang(question: Question, deadline: float) -> Decision:
    await asyncio.Event().wait()
    raise AssertionError


async def timed(stage: Stage, body: Any, **options: Any) -> tuple[dict[str, Any], float]:
    begun = time.monotonic()
    found = await stage.answer(body, **options)
    return found, time.monotonic() - begun


async def test_a_pdp_that_hangs_is_waited_for_until_there_is_just_time_for_the_record() -> None:
    stage = Stage(hang, config=bounded(0.3))
    body, seconds = await timed(stage, BASH)
    assert strength("PreToolUse", body) == "deny"
    # A busy machine wakes it late.
    assert seconds < 2
    assert (stage.record["error"], len(stage.trail.lines)) == ("pdp_timeout", 1)
    # What the PDP had was over when the answer came, and less than all of the time.
    answered = asyncio.get_running_loop().time()
    assert answered - seconds < stage.pdp.deadlines[0] < min(answered, answered - seconds + 0.3)


@pytest.mark.parametrize(
    ("on_error", "decision", "expected"), [("deny", ALLOW, "deny"), ("pass", ALLOW, "none"), ("pass", DENY, "deny")]
)
async def test_the_deadline_holds_although_the_disk_hangs(on_error: str, decision: Decision, expected: str) -> None:
    stage = Stage(decision, config=bounded(0.3, on_error=on_error))
    stage.trail.held = True
    body, seconds = await timed(stage, BASH)
    assert strength("PreToolUse", body) == expected
    assert 0.25 < seconds < 2
    assert stage.observed[-1].error == "audit_unavailable"
    assert stage.record["outcome"] == decision_outcome(decision)


def decision_outcome(decision: Decision) -> str:
    return "deny" if decision.effect is Effect.DENY else "allow"


async def test_a_record_that_may_land_late_is_followed_by_what_was_really_sent() -> None:
    stage = Stage(ALLOW, config=bounded(0.3))
    stage.trail.held = True
    reply = await stage.reply(BASH)
    (told,) = stage.trail.of("answer")
    assert told["detail"]["decision"] == reply.decision_id
    assert told["detail"]["answer"] == json.loads(reply.data)


async def test_a_record_that_can_t_be_written_is_followed_by_none_for_the_journal_counts_it() -> None:
    stage = Stage(ALLOW)
    stage.trail.fault = JournalError("full")
    await stage.reply(BASH)
    assert stage.trail.of("answer") == []
    assert stage.trail.outcomes == ["error"]


@pytest.mark.parametrize(("required", "outcome"), [(True, "error"), (False, "allow")])
async def test_a_record_that_can_t_be_made_is_counted_as_what_was_answered(required: bool, outcome: str) -> None:
    stage = Stage(ALLOW, config={"audit": {"required": required}})
    stage.trail.fault = ValueError("no such encoding")
    await stage.reply(BASH)
    assert (stage.trail.counted, stage.trail.lines) == ([outcome], [])


async def test_where_records_are_not_required_a_lost_one_counts_as_what_was_decided() -> None:
    stage = Stage(ALLOW, config={"audit": {"required": False}})
    stage.trail.fault = JournalError("full")
    await stage.reply(BASH)
    assert stage.trail.outcomes == ["allow"]


TWO = {"max_in_flight": 2, "max_in_flight_per_principal": 2}


async def test_beyond_the_bound_decisions_wait_for_a_slot_and_then_are_overloaded() -> None:
    go = asyncio.Event()

    async def wait(question: Question, deadline: float) -> Decision:
        await go.wait()
        return ALLOW

    stage = Stage(wait, config=bounded(0.5, decision=TWO, on_error="pass"))
    running = [asyncio.create_task(stage.answer(BASH)) for _ in range(2)]
    await once(lambda: len(stage.pdp.asked) == 2)
    # One that came in long ago has hardly any time left to wait for a slot.
    late = await stage.answer(BASH, age=0.4)
    assert strength("PreToolUse", late) == "ask"
    assert stage.record["error"] == "overloaded"
    waiting = asyncio.create_task(stage.answer(BASH))
    await once(lambda: stage.gate.in_flight == 3)
    go.set()
    assert await asyncio.gather(*running, waiting) == [{}, {}, {}]
    assert stage.sample("hookgate_in_flight") == 0


async def test_a_request_that_came_in_too_long_ago_is_still_answered_and_recorded() -> None:
    stage = Stage(hang, config=bounded(5))
    body, seconds = await timed(stage, BASH, age=10)
    assert strength("PreToolUse", body) == "deny"
    assert stage.record["error"] == "pdp_timeout"
    assert seconds < 2.5


async def test_a_client_that_goes_away_frees_its_slot() -> None:
    stage = Stage(hang, ALLOW, config={"decision": {"max_in_flight": 1}})
    first = asyncio.create_task(stage.answer(BASH))
    await once(lambda: stage.pdp.asked)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert await stage.answer(BASH) == {}
    assert stage.gate.in_flight == 0


async def test_a_denied_call_that_ran_and_one_that_ran_otherwise_are_noted() -> None:
    ran = next(one.body for one in recorded() if one.event == "PostToolUse" and one.tool == "Bash")
    asked = {
        **BASH,
        "tool_input": ran["tool_input"],
        "session_id": ran["session_id"],
        "tool_use_id": ran["tool_use_id"],
    }
    stage = Stage(DENY)
    denied = await stage.reply(asked)
    await stage.reply(ran)
    (found,) = stage.trail.of("enforcement_violated")
    assert found["detail"]["decision"] == denied.decision_id
    assert stage.sample("hookgate_violations_total", type="enforcement_violated") == 1
    stage = Stage(ALLOW)
    await stage.reply(asked)
    await stage.reply({**ran, "tool_input": {"command": "other"}})
    assert len(stage.trail.of("executed_differs")) == 1
    stage = Stage(DENY, config={"mode": "observe"})
    await stage.reply(asked)
    await stage.reply(ran)
    assert stage.trail.of("enforcement_violated") == []


async def test_a_call_that_ran_as_a_policy_rewrote_it_adds_up() -> None:
    ran = next(one.body for one in recorded() if one.event == "PostToolUse" and one.tool == "Bash")
    asked = {**BASH, "session_id": ran["session_id"], "tool_use_id": ran["tool_use_id"]}
    stage = Stage(REWRITTEN, ALLOW, ALLOW)
    await stage.reply(asked)
    await stage.reply({**ran, "tool_input": {"command": "ls", "timeout": 120000}})
    assert stage.trail.of("executed_differs") == []


async def test_an_answer_that_nobody_received_is_noted_and_a_trail_that_fails_then_harms_nobody() -> None:
    stage = Stage()
    stage.gate.undelivered("D")
    assert stage.trail.of("undelivered")[0]["detail"] == {"decision": "D"}
    assert stage.sample("hookgate_undelivered_total") == 1
    stage.trail.fault = JournalError("full")
    stage.gate.undelivered("E")
    await asyncio.sleep(0)


async def test_stop_is_kept_going_by_an_output_that_says_so_and_not_when_it_is_active_already() -> None:
    denying = Decision(Effect.DENY, "p", outputs=(Output("p#r", {"decision": "block", "reason": "R"}),))
    stage = Stage(denying)
    assert (await stage.answer(payload("Stop", stop_hook_active=False)))["decision"] == "block"
    assert await stage.answer(payload("Stop", stop_hook_active=True)) == {}
    assert stage.record["unenforceable"]


VERIFYING = {
    "sources": [{"type": "peer", "users": {"0": "root@example.com"}}, {"type": "headers"}, {"type": "default"}]
}


async def test_nobody_in_particular_is_not_let_into_the_group_that_is_only_observed() -> None:
    rollout = [
        {"mode": "observe", "users": ["claude_user"], "allow_unverified": True},
        {"mode": "enforce", "users": ["x"]},
    ]
    stage = Stage(DENY, config={"mode": "observe", "rollout": rollout})
    assert await stage.answer(BASH) == {}
    stage = Stage(DENY, config={"mode": "observe", "rollout": rollout, "identity": VERIFYING})
    assert strength("PreToolUse", await stage.answer(BASH)) == "deny"


@pytest.mark.parametrize("on_error", ["deny", "ask", "pass"])
async def test_who_is_not_verified_is_denied_where_that_is_required_and_recorded_with_the_call(on_error: str) -> None:
    stage = Stage(ALLOW, config={"identity": {**VERIFYING, "require_verified": True}, "on_error": on_error})
    for headers in ({}, {"X-Claude-User": "root"}):
        body = await stage.answer(BASH, headers)
        assert strength("PreToolUse", body) == "deny"
        assert "loopback" in json.dumps(body)
        assert (stage.record["error"], stage.record["tool"]) == ("identity_required", "Bash")
    assert stage.record["user"] == "root"
    assert stage.pdp.asked == []


async def test_the_payload_names_neither_user_nor_roles() -> None:
    stage = Stage(ALLOW)
    await stage.answer({**BASH, "user": "root", "roles": ["admin"], "principal": {"id": "root"}, "verified": True})
    assert (stage.pdp.asked[0].principal_id, stage.pdp.asked[0].roles) == ("claude_user", ("claude_user",))
    assert stage.pdp.asked[0].principal_attributes["verified"] is False


class TestLargeBodies:
    """What of a large call is made on other threads or early, while the PDP is asked, and what of it is let go."""

    @staticmethod
    async def slow(question: Question, deadline: float) -> Decision:
        await asyncio.sleep(0.02)
        return ALLOW

    @pytest.mark.parametrize("event", ["PreToolUse", "PostToolUse"])
    @pytest.mark.parametrize("size_bytes", [3_000, 20_000, 100_000, 600_000])
    @pytest.mark.parametrize("at_once", [True, False])
    async def test_its_record_is_as_if_made_of_it_at_the_end(self, event: str, size_bytes: int, at_once: bool) -> None:
        stage = Stage(ALLOW if at_once else self.slow)
        text = "größe\n" * (size_bytes // 8)
        sent = payload(f"{event}.Write")
        sent = {**sent, "tool_input": {"file_path": "/x", "content": f"token={'s3cr3t' * 4} {text}"}}
        if "tool_response" in sent:
            sent["tool_response"] = {"content": text}
        body = msgspec.json.encode(sent)
        received, started = asyncio.get_running_loop().time(), time.perf_counter()
        request = HookRequest(received, started, {}, bytearray(body), "127.0.0.1")
        await stage.gate.decide(request)
        record, digests = stage.record, stage.gate._recorder._digests
        assert record["body_digest"] == digests.of(Purpose.BODY, body)
        assert record["body_bytes"] == len(body)
        assert record["input_digest"] == digests.of_json(Purpose.INPUT, sent["tool_input"])
        if "tool_response" in sent:
            assert record["response_digest"] == digests.of_json(Purpose.RESPONSE, sent["tool_response"])
            assert bytes(request.body) == body
        elif size_bytes >= 600_000 and not at_once:
            assert not request.body
        kept = Redactor(b"")
        kept._digests = digests
        assert record["input"] == kept.redacted({"input": sent["tool_input"]})["input"]
        assert "s3cr3t" not in json.dumps(record["input"])
