"""From a decided case to its line in the journal, and what earlier cases say of it."""

import asyncio
import contextlib
import os
import time

import structlog

from hookgate.audit.digest import Digests, Purpose
from hookgate.audit.level import Levels
from hookgate.audit.payload import Sums, ending_of, input_digest_of, response_in, sums_of
from hookgate.audit.reconcile import Calls, Sighting, Violation
from hookgate.audit.record import Origin, Record, ServiceRecord, now
from hookgate.audit.redact import SMALL_BYTES as WHOLE_BYTES
from hookgate.audit.redact import Redactor
from hookgate.audit.scribe import CleanInput, Scribe
from hookgate.case import Case, record_of
from hookgate.config.audit import Audit, Level
from hookgate.exchange import HookRequest, Trail
from hookgate.hooks.answer import Answer
from hookgate.hooks.decode import SMALL_BYTES
from hookgate.hooks.event import HookEvent
from hookgate.hooks.opinion import Opinion
from hookgate.hooks.turn import LIGHT_BYTES, Turn
from hookgate.ids import uuid7
from hookgate.telemetry.metrics import Metrics

#: Larger bodies are digested by another thread, while the PDP is asked.
_DIGESTED_AT_ONCE_BYTES = 256 * 1024
#: An input of so many texts and numbers at the most is looked through for secrets while the PDP is asked.
_MOST_PARTS = 32
#: Events that are about a call which may run, if they are not denied.
_CALLS = frozenset({"PreToolUse", "PermissionRequest"})


class Recorder:
    """Makes records. `key` is that of the journal's digests (32 bytes), `origin` what records say of where they come from, `calls`
    what is known of earlier calls; heavy records wait for their `turn`."""

    def __init__(
        self,
        config: Audit,
        *,
        journal: Trail,
        metrics: Metrics,
        log: structlog.typing.FilteringBoundLogger,
        turn: Turn,
        key: bytes = b"",
        origin: Origin = Origin(),  # noqa: B008 (frozen)
        calls: Calls | None = None,
    ) -> None:
        key = key or os.urandom(32)
        self.origin = origin
        self._journal = journal
        self._metrics = metrics
        self._log = log
        self._turn = turn
        self._digests = Digests(key)
        self._scribe = Scribe(Redactor(key, config.redaction))
        self._levels = Levels(config.levels)
        self._calls = calls or Calls(detect_unasked=config.detect_unasked)

    def began(self, case: Case, request: HookRequest) -> None:
        """Begins with the digest of a large body."""
        case.body_digested = self._begun(Purpose.BODY, request.body)

    def read(self, case: Case, request: HookRequest, response: tuple[int, int] | None) -> None:
        """Begins with the digest of a large response, once the event is known; `response` is where it was seen already."""
        if case.event is not None:
            case.response = response_in(request.body, case.event, response)
            case.response_digested = self._begun(Purpose.RESPONSE, case.response)

    def meanwhile(self, case: Case, request: HookRequest) -> None:
        """Makes what does not hang on the answer, while the PDP is asked. What fails here is made again with the record."""
        event = case.event
        if event is None or case.sums.body_digest or case.input_made is not None:
            return
        with contextlib.suppress(Exception):
            if case.body_bytes > SMALL_BYTES:
                case.input_made = asyncio.get_running_loop().run_in_executor(None, self._input_made, event)
                self._let_go(case, request.body)
                return
            body_digest = self._digests.of(Purpose.BODY, request.body)
            case.sums = sums_of(event, self._digests, body_digest=body_digest, response=case.response)
            if case.body_bytes > WHOLE_BYTES:
                case.clean = self._cleaned(event)

    async def line(
        self, case: Case, request: HookRequest, intended: Answer, sent: Answer, deadline: float
    ) -> tuple[bytes, Record]:
        """Gives the record's line, and the record as it stands there. Nothing is waited for beyond the deadline."""
        if case.body_digested is not None or case.input_made is not None:
            case.sums = await self._digested(case, deadline)
        if case.body_bytes > LIGHT_BYTES and not _is_prepared(case):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(deadline), self._turn:
                    return self._line(case, request, intended, sent)
        return self._line(case, request, intended, sent)

    def shown(self, case: Case, intended: Answer, sent: Answer) -> Record:
        """Gives the record for those who look on, of a case whose own could not be written."""
        return self._scribe.decision(record_of(case, intended, sent))[1]

    def reconcile(self, case: Case, sent: Answer, tool: str) -> None:
        """Remembers what was judged, and compares it with what has run. `tool` is the tool's name without secrets."""
        event, denied = case.event, sent.opinion is Opinion.DENY
        if event is None:
            if not denied and (case.spec is None or case.spec.name in _CALLS):
                self._calls.missed()
            return
        sums = case.sums
        finding = self._calls.saw(
            Sighting(
                event=event.name,
                decision_id=case.id,
                at=time.time(),
                session_id=event.session_id,
                prompt_id=event.prompt_id,
                tool=event.tool,
                tool_use_id=event.tool_use_id,
                input_digest=sums.input_digest,
                changed_digest=sums.changed_digest,
                denied=denied,
                ran_seconds=ending_of(event).ran_seconds,
                calls=sums.calls,
            )
        )
        if finding is None:
            return
        violation = finding.violation
        self._metrics.violations.labels(violation.value).inc()
        self._log.error(violation.value, decision_id=finding.decision_id, tool=tool, found_by=case.id)
        if violation is Violation.UNASKED:
            self.note("unasked", {"found_by": case.id, "tool": event.tool, "tool_use_id": event.tool_use_id})
        else:
            self.note(violation.value, {"decision": finding.decision_id, "found_by": case.id, "tool": event.tool})

    def note(self, kind: str, detail: dict[str, object]) -> None:
        """Queues a record about the service itself; nobody waits for it."""
        try:
            instance, host = self.origin.instance, self.origin.host
            record = ServiceRecord(type=kind, id=uuid7(), time=now(), instance=instance, host=host, detail=detail)
            written = self._journal.append(self._scribe.service(record), kind)
        except Exception as error:  # noqa: BLE001 (neither a record nor its lack may spoil an answer)
            self._log.error("internal", exc_info=error)
            return
        written.add_done_callback(lambda done: done.exception())

    def _line(self, case: Case, request: HookRequest, intended: Answer, sent: Answer) -> tuple[bytes, Record]:
        event, verdict = case.event, case.verdict
        name = event.name if event else case.spec.name if case.spec else ""
        case.level = self._levels.of(name, event.tool if event else "")
        body_digest = case.sums.body_digest or self._digests.of(Purpose.BODY, request.body)
        if event is None:
            case.sums = Sums(body_digest=body_digest)
        else:
            changes = verdict is not None and sent.opinion in (Opinion.ALLOW, Opinion.ASK)
            changed = verdict.updated_input if verdict is not None and changes else None
            if changed is not None or not case.sums.is_whole:
                case.sums = sums_of(
                    event,
                    self._digests,
                    body_digest=body_digest,
                    response=case.response,
                    input_digest=case.sums.input_digest,
                    response_digest=case.sums.response_digest,
                    changed=changed,
                )
        return self._scribe.decision(record_of(case, intended, sent), case.clean)

    def _input_made(self, event: HookEvent) -> tuple[str, CleanInput | None]:
        return input_digest_of(event, self._digests), self._cleaned(event)

    def _cleaned(self, event: HookEvent) -> CleanInput | None:
        """Gives the input as its record holds it, where that takes few steps, however long its texts are."""
        given = event.tool_input
        if len(given) > _MOST_PARTS or any(isinstance(part, dict | list) for part in given.values()):
            return None
        if self._levels.of(event.name, event.tool) is Level.METADATA:
            return None
        return self._scribe.clean_input(given)

    @staticmethod
    def _let_go(case: Case, body: bytes | bytearray) -> None:
        """Frees a large body that nobody needs any more once its digest is made: what it says is read."""
        digested = case.body_digested
        if digested is None or not isinstance(body, bytearray) or len(case.response):
            return

        def free(done: "asyncio.Future[str]") -> None:
            if not done.cancelled() and done.exception() is None:
                with contextlib.suppress(BufferError):
                    body.clear()

        digested.add_done_callback(free)

    def _begun(self, purpose: Purpose, content: bytes | bytearray | memoryview) -> asyncio.Future[str] | None:
        """Small ones are digested when the record is made."""
        if len(content) <= _DIGESTED_AT_ONCE_BYTES:
            return None
        return asyncio.get_running_loop().run_in_executor(None, self._digests.of, purpose, content)

    @staticmethod
    async def _digested(case: Case, deadline: float) -> Sums:
        """Gives the digests that were begun; without one that is not done in time, it is made where it is needed."""
        body = given = response = ""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                body = await case.body_digested if case.body_digested is not None else ""
                response = await case.response_digested if case.response_digested is not None else ""
                if case.input_made is not None:
                    with contextlib.suppress(Exception):
                        given, case.clean = await case.input_made
        return Sums(body_digest=body, input_digest=given, response_digest=response)


def _is_prepared(case: Case) -> bool:
    """Whether all that takes long of a large call's record is made already. Where the input holds secrets, all of it is looked
    through for them."""
    sums, clean = case.sums, case.clean
    return bool(clean is not None and not clean.has_secrets and sums.body_digest and sums.input_digest)
