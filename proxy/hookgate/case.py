"""What is known about one request so far, and the record that is made of it."""

from dataclasses import dataclass, field

from hookgate.audit.record import DroppedRecord, OutputRecord, Record, now
from hookgate.errors import ErrorKind
from hookgate.facts.model import Facts
from hookgate.hooks.answer import Answer
from hookgate.hooks.catalog import EventSpec
from hookgate.hooks.event import HookEvent
from hookgate.hooks.verdict import Verdict
from hookgate.identity.principal import Principal
from hookgate.outcome import Mode, Outcome
from hookgate.pdp.decision import Decision


@dataclass(slots=True)
class Case:
    """One request under way. It fills as the steps go on, so that a record can be made wherever they end."""

    id: str
    remote: str
    body_bytes: int
    mode: Mode = Mode.ENFORCE
    principal: Principal | None = None
    event: HookEvent | None = None
    #: The event's entry, also where only a hint of it could be found.
    spec: EventSpec | None = None
    facts: Facts | None = None
    decision: Decision | None = None
    verdict: Verdict | None = None
    error: ErrorKind | None = None
    error_detail: str = ""
    hint: str = ""
    #: The error that a timeout at this moment means.
    waiting_for: ErrorKind = ErrorKind.DEADLINE_EXCEEDED
    pdp_seconds: float = 0.0
    total_seconds: float = 0.0
    extra_outputs: list[OutputRecord] = field(default_factory=list)

    @property
    def outcome(self) -> Outcome:
        """The outcome so far."""
        if self.error is not None or self.verdict is None:
            return Outcome.ERROR
        return self.verdict.outcome

    def fail(self, kind: ErrorKind, detail: str, hint: str = "") -> None:
        """Takes note that no decision could be made."""
        self.error, self.error_detail, self.hint = kind, detail, hint

    def asked(self, decision: Decision) -> None:
        """Takes over an answer of the PDP; a second one is about the call as a policy changed it."""
        self.pdp_seconds += decision.seconds
        if self.decision is None:
            self.decision = decision
        else:
            self.extra_outputs += [_output(output.source, output.value, output.error) for output in decision.outputs]


def record_of(case: Case, intended: Answer, sent: Answer) -> Record:
    """Gives the record of a request with what was, or would have been, answered."""
    event, principal, decision, verdict = case.event, case.principal, case.decision, case.verdict
    outputs = [_output(o.source, o.value, o.error) for o in decision.outputs] if decision else []
    return Record(
        id=case.id,
        time=now(),
        outcome=case.outcome.value,
        mode=case.mode.value,
        user=principal.id if principal else "",
        roles=principal.roles if principal else (),
        source=principal.source.value if principal else "",
        verified=principal.verified if principal else False,
        remote=case.remote,
        event=event.name if event else case.spec.name if case.spec else "",
        tool=event.tool if event else "",
        session_id=event.session_id if event else "",
        prompt_id=event.prompt_id if event else "",
        tool_use_id=event.tool_use_id if event else "",
        agent_id=event.agent_id if event else "",
        agent_type=event.agent_type if event else "",
        permission_mode=event.permission_mode if event else "",
        cwd=event.cwd if event else "",
        input=event.tool_input if event else {},
        facts=case.facts.attributes() if case.facts else {},
        body_bytes=case.body_bytes,
        effect=decision.effect.value if decision and not decision.no_match else "",
        policy=decision.policy if decision else "",
        scope=decision.scope if decision else "",
        outputs=tuple(outputs + case.extra_outputs),
        dropped=tuple(DroppedRecord(d.source, d.field, d.why) for d in verdict.dropped) if verdict else (),
        contradictions=verdict.contradictions if verdict else (),
        reason=verdict.reason if verdict else "",
        error=case.error.value if case.error else "",
        error_detail=case.error_detail,
        call_id=decision.call_id if decision else "",
        answer=sent.body,
        would_answer=None if case.mode is Mode.ENFORCE else intended.body,
        unenforceable=intended.unenforceable,
        pdp_seconds=round(case.pdp_seconds, 6),
        total_seconds=round(case.total_seconds, 6),
    )


def _output(source: str, value: object, error: str) -> OutputRecord:
    return OutputRecord(source, value, error)
