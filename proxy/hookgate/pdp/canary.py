"""Questions with known answers, asked of the live PDP: they show wrong merges, lost policies and lenient evaluation.

A service that answers wrongly is worse than one that is down: until the answers are right again, no decision is made.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from hookgate.errors import GateError
from hookgate.harmless import harmless
from hookgate.ids import uuid7
from hookgate.pdp.decision import Decision, Effect
from hookgate.pdp.findings import CanaryState, Findings
from hookgate.pdp.request import Question

#: No event can be called so: event names have no colon.
KIND = "hookgate:canary"
PRINCIPAL = ROLE = "hookgate_canary"

_TIMEOUT_SECONDS = 2.0
#: How often it is asked while it is wrong, so that a mended policy counts soon, or while the PDP can't be reached, so that
#: one that comes up with wrong policies is not trusted for long.
_UNSETTLED_INTERVAL_SECONDS = 1.0
_REVISION_CHARACTERS = 64


@dataclass(frozen=True, slots=True)
class Probe:
    """One question; `judge` gives what is wrong with an answer, or None if it is right."""

    name: str
    question: Question
    judge: Callable[[Decision], str | None]


Ask = Callable[[Question, float], Awaitable[Decision]]


class Canary:
    """Asks now and then, in the default version and without a scope, which is where its policy ships. `trusted` is false from a wrong answer until all are right again; an outage changes nothing."""

    def __init__(
        self,
        ask: Ask,
        *,
        interval_seconds: float = 30.0,
        required: bool = False,
        expectations: Sequence[Probe] = (),
        report: Callable[[Findings, Findings], None] = lambda before, now: None,
    ) -> None:
        self._ask = ask
        self.expect(interval_seconds, expectations, required=required)
        self._report = report
        self.findings = Findings(CanaryState.UNKNOWN)
        self.trusted = True
        #: Set after the first round, whatever it found.
        self.asked = asyncio.Event()

    def expect(self, interval_seconds: float, expectations: Sequence[Probe], *, required: bool) -> None:
        """Sets what is asked from the next round on."""
        self._interval_seconds = interval_seconds
        self._required = required
        self._expectations = tuple(expectations)

    async def run(self) -> None:
        """Asks until cancelled."""
        while True:
            await self.round()
            settled = self.trusted and self.findings.state is not CanaryState.UNREACHABLE
            wait = self._interval_seconds if settled else min(self._interval_seconds, _UNSETTLED_INTERVAL_SECONDS)
            await asyncio.sleep(wait)

    async def round(self) -> Findings:
        """Asks every question once."""
        findings = await self._find()
        if findings.state is CanaryState.WRONG or (findings.state is CanaryState.ABSENT and self._required):
            self.trusted = False
        elif findings.state is not CanaryState.UNREACHABLE:
            self.trusted = True
        if findings.state is CanaryState.UNREACHABLE:
            # They are what they were, as far as anybody knows.
            findings = replace(findings, policies=self.findings.policies)
        before, self.findings = self.findings, findings
        self._report(before, findings)
        self.asked.set()
        return findings

    async def _find(self) -> Findings:
        deadline = asyncio.get_running_loop().time() + _TIMEOUT_SECONDS
        faults: list[str] = []
        absent, strict, policies = False, None, ""
        try:
            for action in ("allow", "deny", "output", "strict"):
                decision = await self._ask(self._question(action), deadline)
                if decision.no_match:
                    absent = True
                    break
                if action == "strict":
                    strict = decision.effect is Effect.DENY
                elif fault := _fault(action, decision):
                    faults.append(fault)
                elif action == "output":
                    policies = _revision(decision)
            for probe in self._expectations:
                fault = probe.judge(await self._ask(probe.question, deadline))
                faults += [f"{probe.name}: {fault}"] if fault else []
        except GateError as error:
            return Findings(CanaryState.UNREACHABLE, (str(error),), strict)
        except Exception as error:  # noqa: BLE001 (a bug must not end the asking, and with it readiness and trust)
            return Findings(CanaryState.UNREACHABLE, (f"internal: {type(error).__name__}",), strict)
        if faults:
            return Findings(CanaryState.WRONG, tuple(faults), strict, policies)
        return Findings(CanaryState.ABSENT if absent else CanaryState.OK, (), strict, policies)

    def _question(self, action: str) -> Question:
        return Question(
            request_id=uuid7(),
            kind=KIND,
            resource_id="canary",
            action=action,
            attributes={"tool_input": {}},
            principal_id=PRINCIPAL,
            roles=(ROLE,),
            principal_attributes={},
        )


def _fault(action: str, decision: Decision) -> str | None:
    expected = Effect.DENY if action == "deny" else Effect.ALLOW
    if decision.effect is not expected:
        return f"canary {action}: expected {expected.value}, got {decision.effect.value}"
    if action == "output" and not any(
        isinstance(output.value, dict) and "hookSpecificOutput" in output.value for output in decision.outputs
    ):
        return "canary output: the rule's output is missing"
    return None


def _revision(decision: Decision) -> str:
    """Gives what the policy's author calls this version of the policies."""
    for output in decision.outputs:
        if isinstance(output.value, dict) and isinstance(found := output.value.get("revision"), str):
            return harmless(found, _REVISION_CHARACTERS)
    return ""
