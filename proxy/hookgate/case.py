"""What is known about one request so far, and the record that is made of it."""

import asyncio
from dataclasses import dataclass, field

from hookgate.audit.level import bare_answer
from hookgate.audit.payload import Ending, Sums, content_of, ending_of, mcp_server_of
from hookgate.audit.record import DroppedRecord, Origin, OutputRecord, Record, now
from hookgate.audit.scribe import CleanInput
from hookgate.config.audit import Level
from hookgate.errors import ErrorKind
from hookgate.facts.model import Facts
from hookgate.hooks.answer import Answer
from hookgate.hooks.catalog import EventSpec
from hookgate.hooks.event import HookEvent
from hookgate.hooks.verdict import Verdict
from hookgate.identity.headers import Labels
from hookgate.identity.principal import Principal
from hookgate.outcome import Mode, Outcome
from hookgate.pdp.decision import Decision

_NO_RESPONSE = memoryview(b"")
_NOWHERE, _NO_LABELS, _NO_SUMS, _NOT_ENDED = Origin(), Labels(), Sums(), Ending()


@dataclass(slots=True)
class Case:
    """One request under way. It fills as the steps go on, so that a record can be made wherever they end."""

    id: str
    remote: str
    body_bytes: int
    mode: Mode = Mode.ENFORCE
    peer: str = ""
    origin: Origin = _NOWHERE
    labels: Labels = _NO_LABELS
    level: Level = Level.REDACTED
    sums: Sums = _NO_SUMS
    #: The digests of a large body and of a tool's large response, under way.
    body_digested: "asyncio.Future[str] | None" = None
    response_digested: "asyncio.Future[str] | None" = None
    #: The tool's large input, under way: its digest, and as the record holds it.
    input_made: "asyncio.Future[tuple[str, CleanInput | None]] | None" = None
    #: The tool's input as the record holds it, where that is made already.
    clean: CleanInput | None = None
    principal: Principal | None = None
    event: HookEvent | None = None
    #: The event's entry, also where only a hint of it could be found.
    spec: EventSpec | None = None
    #: What the tool gave back, as it stands in the body.
    response: memoryview = _NO_RESPONSE
    facts: Facts | None = None
    decision: Decision | None = None
    policy_version: str = ""
    asked_scope: str = ""
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
    """Gives the record of a request with what was, or would have been, answered, as much of it as its level says."""
    event, principal, decision, verdict, sums = case.event, case.principal, case.decision, case.verdict, case.sums
    outputs = [_output(o.source, o.value, o.error) for o in decision.outputs] if decision else []
    outputs += case.extra_outputs
    answer, would_answer = sent.body, None if case.mode is Mode.ENFORCE else intended.body
    bare = case.level is Level.METADATA
    if bare:
        outputs = [_output(o.source, None, o.error) for o in outputs]
        answer, would_answer = bare_answer(answer), None if would_answer is None else bare_answer(would_answer)
    server, server_source = mcp_server_of(event) if event else ("", "")
    transcript = event.payload.get("transcript_path") if event else ""
    ending = ending_of(event) if event else _NOT_ENDED
    return Record(
        id=case.id,
        time=now(),
        instance=case.origin.instance,
        host=case.origin.host,
        outcome=str(case.outcome),
        mode=str(case.mode),
        user=principal.id if principal else "",
        roles=principal.roles if principal else (),
        source=str(principal.source) if principal else "",
        verified=principal.verified if principal else False,
        claimed_user=principal.claimed_user if principal else "",
        attributes=_attributes(principal) if principal else {},
        labels=case.labels.values,
        remote=case.remote,
        peer=case.peer,
        event=event.name if event else case.spec.name if case.spec else "",
        tool=event.tool if event else "",
        session_id=event.session_id if event else "",
        prompt_id=event.prompt_id if event else "",
        tool_use_id=event.tool_use_id if event else "",
        agent_id=event.agent_id if event else "",
        agent_type=event.agent_type if event else "",
        permission_mode=event.permission_mode if event else "",
        cwd=event.cwd if event else "",
        transcript_path=transcript if isinstance(transcript, str) else "",
        mcp_server=server,
        mcp_source=server_source,
        level=str(case.level),
        input=event.tool_input if event and not bare else {},
        input_digest=sums.input_digest,
        changed_digest=sums.changed_digest,
        facts=case.facts.attributes() if case.facts and not bare else {},
        body_bytes=case.body_bytes,
        body_digest=sums.body_digest,
        content=content_of(event) if event and case.level is Level.FULL else {},
        content_bytes=sums.content_bytes,
        response_bytes=sums.response_bytes,
        response_digest=sums.response_digest,
        failed=ending.failed,
        interrupted=ending.interrupted,
        ran_seconds=ending.ran_seconds,
        calls=sums.calls,
        cut=(*(event.truncated if event else ()), *(("labels",) if case.labels.cut else ())),
        effect=str(decision.effect) if decision and not decision.no_match else "",
        policy=decision.policy if decision else "",
        policy_version=case.policy_version,
        asked_scope=case.asked_scope,
        scope=decision.scope if decision else "",
        outputs=tuple(outputs),
        dropped=tuple(DroppedRecord(d.source, d.field, d.why) for d in verdict.dropped) if verdict else (),
        contradictions=verdict.contradictions if verdict else (),
        reason=verdict.reason if verdict else "",
        error=str(case.error) if case.error else "",
        error_detail=case.error_detail,
        call_id=decision.call_id if decision else "",
        answer=answer,
        would_answer=would_answer,
        unenforceable=intended.unenforceable,
        pdp_seconds=round(case.pdp_seconds, 6),
        total_seconds=round(case.total_seconds, 6),
    )


def _attributes(principal: Principal) -> dict[str, object]:
    """Without what has a field of its own."""
    found: dict[str, object] = {"groups": principal.groups, "claims": principal.claims, "attributes": principal.known}
    return {name: value for name, value in found.items() if value}


def _output(source: str, value: object, error: str) -> OutputRecord:
    return OutputRecord(source, value, error)


def about(case: Case) -> dict[str, str]:
    """Gives what a caller may know of itself: whom it was taken for, and what came of its request."""
    principal = case.principal
    return {
        "decision": case.id,
        "user": principal.id if principal else "",
        "roles": ", ".join(principal.roles) if principal else "",
        "source": principal.source.value if principal else "",
        "verified": str(principal.verified if principal else False).lower(),
        "mode": case.mode.value,
        "outcome": case.outcome.value,
        "error": case.error.value if case.error else "",
    }
