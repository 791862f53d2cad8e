"""The way of one request: the steps in order, the one deadline, and what happens when a step fails."""

import asyncio
import copy
import time
from collections.abc import Callable
from typing import cast

import structlog

from hookgate.audit.error import JournalError
from hookgate.audit.reconcile import Calls
from hookgate.audit.record import Origin, Record
from hookgate.case import Case, about
from hookgate.client.telling import ASKING
from hookgate.config import Config
from hookgate.deadlines import Deadlines
from hookgate.errors import ErrorKind, GateError
from hookgate.exchange import HookRequest, Pdp, Reply, Trail
from hookgate.facts import facts_of
from hookgate.hooks.answer import EMPTY, Answer, is_governed, render, render_error
from hookgate.hooks.decode import Reader
from hookgate.hooks.event import HookEvent, event_from, hinted_spec
from hookgate.hooks.opinion import Opinion
from hookgate.hooks.turn import LIGHT_BYTES, Turn
from hookgate.hooks.verdict import Verdict, no_match_verdict, rejudged, verdict_of
from hookgate.identity.chain import Chain
from hookgate.identity.headers import labels_from, scope_from
from hookgate.identity.principal import Principal
from hookgate.identity.rollout import mode_for
from hookgate.ids import uuid7
from hookgate.outcome import Mode, Outcome
from hookgate.pdp.canary import Canary
from hookgate.pdp.decision import Decision
from hookgate.pdp.question import question_for
from hookgate.recorder import Recorder
from hookgate.slots import Slots
from hookgate.telemetry.metrics import Metrics
from hookgate.telemetry.spans import Spans
from hookgate.telemetry.tally import Tally

#: Part of the deadline that is kept for writing the record, and the most that is kept.
_JOURNAL_SHARE, _JOURNAL_SECONDS = 0.15, 0.25
#: What the journal is given where the deadline has passed already: uvloop's clock stands still while others work.
_LEAST_JOURNAL_SECONDS = 0.05
#: As Cerbos calls the version where none is asked for.
_DEFAULT_POLICY_VERSION = "default"


class Gate:
    """Decides one request after another. `observe` is called with each record (the development server's screen); `key`, `origin`
    and `calls` are the recorder's."""

    def __init__(
        self,
        config: Config,
        *,
        pdp: Pdp,
        journal: Trail,
        metrics: Metrics,
        log: structlog.typing.FilteringBoundLogger,
        canary: Canary,
        identities: Chain | None = None,
        key: bytes = b"",
        origin: Origin = Origin(),  # noqa: B008 (frozen)
        calls: Calls | None = None,
        spans: Spans | None = None,
        observe: Callable[[Record], None] = lambda record: None,
    ) -> None:
        self._pdp = pdp
        self._journal = journal
        self._metrics = metrics
        self._log = log
        self._canary = canary
        self._identities = identities or Chain(config.identity)
        self._tally = Tally(metrics, log)
        self._observe = observe
        self._spans = spans or Spans()
        self._turn = Turn()
        #: With their scope: one scope may lack a policy that another has.
        self._kinds_with_policy: set[tuple[str, str]] = set()
        #: Until when there is to be a decision, and until when its record is waited for.
        self._limits, self._waits = Deadlines(), Deadlines()
        self._under_way: set[str] = set()
        metrics.in_flight.set_function(self._under_way.__len__)
        self._slots = Slots(config.decision)
        self._recorder = Recorder(
            config.audit,
            journal=journal,
            metrics=metrics,
            log=log,
            turn=self._turn,
            key=key,
            origin=origin,
            calls=calls,
        )
        self._adopt(config)

    def _adopt(self, config: Config) -> None:
        self._config = config
        self._identities = self._identities.successor(config.identity)
        self._reader = Reader(
            values=config.limits.values,
            cut_bytes=config.limits.tool_response_bytes,
            whole_bytes=config.pdp.max_request_bytes,
            turn=self._turn,
        )

    def successor(self, config: Config) -> "Gate":
        """Gives a gate that decides by another configuration and shares all else with this one. Whatever this one has under
        way ends by the configuration that it began with."""
        new = copy.copy(self)
        if config.decision != self._config.decision:
            new._slots = Slots(config.decision)  # noqa: SLF001 (a copy of our own)
        new._adopt(config)  # noqa: SLF001 (likewise)
        return new

    @property
    def in_flight(self) -> int:
        """Decisions under way, whichever configuration they began with."""
        return len(self._under_way)

    def time_to_decide(self, received: float) -> float:
        """Gives the time by which a decision must be made, so that its record can still be written within the deadline."""
        seconds = self._config.decision.deadline_seconds
        return received + seconds - min(_JOURNAL_SECONDS, seconds * _JOURNAL_SHARE)

    def hurry(self) -> None:
        """Ends the decisions under way as if their time were over, because the service is: each is still answered."""
        self._limits.pass_all()

    async def decide(self, request: HookRequest) -> Reply:
        """Gives the answer to one request. Never raises, never takes longer than the deadline, writes the record first."""
        peer, origin = request.connection.peer, self._recorder.origin
        case = Case(id=uuid7(), remote=request.remote, body_bytes=len(request.body), peer=peer, origin=origin)
        self._under_way.add(case.id)
        try:
            with self._spans.decision(request.headers, request.started):
                intended = await self._intended(case, request)
                sent = intended if case.mode is Mode.ENFORCE else EMPTY
                sent = await self._recorded(case, request, intended, sent)
            return Reply(sent.encode(), case.id, about(case) if ASKING in request.headers else {})
        finally:
            self._under_way.discard(case.id)

    async def _intended(self, case: Case, request: HookRequest) -> Answer:
        """Gives what is to be answered in enforcing mode; every failure is an error of some kind."""
        task = cast(asyncio.Task[None], asyncio.current_task())
        others = task.cancelling()
        limit = self._limits.set(self.time_to_decide(request.received), task.cancel)
        try:
            return await self._steps(case, request)
        except asyncio.CancelledError:
            if not limit.is_over or task.cancelling() > others + 1:
                # The client has gone.
                raise
            case.fail(case.waiting_for, "")
        except GateError as error:
            case.fail(error.kind, error.detail, error.hint)
        except TimeoutError:
            case.fail(case.waiting_for, "")
        except Exception as error:  # noqa: BLE001 (whatever a bug raises, the client gets an answer)
            case.fail(ErrorKind.INTERNAL, type(error).__name__)
            self._log.error("internal", decision_id=case.id, exc_info=error)
        finally:
            self._limits.lift(limit)
            if limit.is_over:
                task.uncancel()
        if case.spec is None:
            case.spec = hinted_spec(request.body)
            if case.error is ErrorKind.PAYLOAD_MALFORMED and case.spec is not None and not case.spec.obeys:
                # What is broken may name another event in a spelling that was not found: denied, not let through.
                case.spec = None
        return self._error_answer(case)

    async def _steps(self, case: Case, request: HookRequest) -> Answer:
        self._recorder.began(case, request)
        case.labels = labels_from(request.headers)
        principal, unknown = None, None
        try:
            principal = await self._identify(case, request)
        except GateError as error:
            # Denied below, once it is known what is denied: the record tells.
            unknown = error
        if request.fault is not None:
            raise request.fault
        case.waiting_for = ErrorKind.OVERLOADED
        # Nothing vouches for a user who is not verified: one caller could be as many as it likes.
        caller = f"user {principal.id}" if principal and principal.verified else f"peer {request.remote}"
        async with self._slots.taken(caller, heavy=len(request.body) > LIGHT_BYTES):
            case.waiting_for = ErrorKind.DEADLINE_EXCEEDED
            with self._spans.step("read"):
                read = await self._reader.read(request.body)
                event = event_from(read)
            case.event, case.spec = event, event.spec
            self._recorder.read(case, request, read.response)
            if principal is None:
                raise unknown or GateError(ErrorKind.INTERNAL)
            case.asked_scope = scope = scope_from(request.headers, self._config.pdp.scope, self._config.pdp.scopes)
            if not self._canary.trusted:
                raise GateError(ErrorKind.CANARY_WRONG, "; ".join(self._canary.findings.faults))
            case.waiting_for = ErrorKind.PDP_TIMEOUT
            deadline = self.time_to_decide(request.received)
            # Runs in the loop's next turn, when the question is on its way.
            asyncio.get_running_loop().call_soon(self._recorder.meanwhile, case, request)
            decision = await self._ask(case, event, principal, scope, deadline)
            if decision.no_match:
                case.verdict, answer = self._no_match(case, event, scope)
                return answer
            self._kinds_with_policy.add((event.name, scope))
            verdict = self._verdict(decision, event)
            if verdict.updated_input is not None:
                changed = event.with_input(verdict.updated_input)
                again = self._verdict(await self._ask(case, changed, principal, scope, deadline), changed)
                verdict = rejudged(verdict, again, changed.tool_input)
            case.verdict = verdict
            return render(
                verdict,
                event.spec,
                case.id,
                reason_characters=self._config.outputs.reason_characters,
                stop_hook_active=event.payload.get("stop_hook_active") is True,
            )

    async def _identify(self, case: Case, request: HookRequest) -> Principal:
        """Finds who asks, and so the mode; a principal that can't be established gets the strictest mode."""
        case.mode = mode_for(None, self._config.mode, self._config.rollout)
        case.waiting_for = ErrorKind.IDENTITY_UNAVAILABLE
        with self._spans.step("identity"):
            case.principal = principal = await self._identities.principal(request.headers, request.connection)
        self._identities.demand(principal)
        if not self._identities.suspects(principal):
            case.mode = mode_for(principal, self._config.mode, self._config.rollout)
        return principal

    async def _ask(self, case: Case, event: HookEvent, principal: Principal, scope: str, deadline: float) -> Decision:
        with self._spans.step("facts"):
            case.facts = facts_of(event)
        question = question_for(
            event,
            principal,
            case.facts,
            self._config.pdp,
            scope=scope,
            decision_id=case.id,
            request_id=case.id if case.decision is None else f"{case.id}.changed",
        )
        case.policy_version = self._config.pdp.policy_version or _DEFAULT_POLICY_VERSION
        with self._spans.step("pdp"):
            decision = await self._pdp.check(question, deadline)
        case.asked(decision)
        return decision

    def _verdict(self, decision: Decision, event: HookEvent) -> Verdict:
        return verdict_of(decision, event.spec, stricter_than_effect=self._config.outputs.stricter_than_effect)

    def _no_match(self, case: Case, event: HookEvent, scope: str) -> tuple[Verdict, Answer]:
        if (event.name, scope) in self._kinds_with_policy:
            self._policy_lost(event.name, scope)
        if event.name in self._config.pdp.required_kinds:
            raise GateError(ErrorKind.POLICY_MISSING, f"no policy for {event.name}")
        verdict = no_match_verdict(self._config.no_match)
        governed = is_governed(event.spec, self._config.on_error_events)
        return verdict, render(verdict, event.spec, case.id) if governed else EMPTY

    def _policy_lost(self, event: str, scope: str) -> None:
        self._kinds_with_policy.discard((event, scope))
        self._metrics.policy_lost.labels(self._metrics.labels.event(event)).inc()
        self._log.error("policy_lost", event_name=event, scope=scope)
        self.note("policy_lost", {"event": event, "scope": scope})

    def _error_answer(self, case: Case) -> Answer:
        return render_error(
            case.error or ErrorKind.INTERNAL,
            case.spec,
            case.id,
            on_error=self._config.on_error,
            governed=self._config.on_error_events,
            hint=case.hint,
        )

    async def _recorded(self, case: Case, request: HookRequest, intended: Answer, sent: Answer) -> Answer:
        """Writes the record and gives the answer; where it can't be written, the decision becomes an error."""
        loop = asyncio.get_running_loop()
        deadline = request.received + self._config.decision.deadline_seconds
        case.total_seconds = time.perf_counter() - request.started
        begun = time.perf_counter()
        record: Record | None = None
        fault, is_counted = "", False
        lost_as = Outcome.ERROR if self._config.audit.required else case.outcome
        try:
            with self._spans.step("journal"):
                line, record = await self._recorder.line(case, request, intended, sent, deadline)
                written = self._journal.append(line, record.type, str(lost_as))
                await self._written(written, max(deadline, loop.time() + _LEAST_JOURNAL_SECONDS))
        except JournalError as error:
            fault, is_counted = str(error), True
        except TimeoutError:
            fault = "the record could not be written in time"
        except Exception as error:  # noqa: BLE001 (likewise)
            fault, is_counted = type(error).__name__, True
            self._journal.lost(outcome=str(lost_as))
            self._log.error("internal", decision_id=case.id, exc_info=error)
        waited = time.perf_counter() - begun
        if fault:
            sent = self._unrecorded(case, fault, sent, is_counted=is_counted)
        shown: Record | None = None
        try:
            shown = self._recorder.shown(case, intended, sent) if fault or record is None else record
            self._spans.decided(shown)
        except Exception as error:  # noqa: BLE001 (no span may spoil an answer)
            self._log.error("internal", decision_id=case.id, exc_info=error)
        # Runs in the loop's next turn, when the answer is on its way, and before anything that comes in after it.
        loop.call_soon(self._told, case, sent, shown, waited)
        return sent

    async def _written(self, written: asyncio.Future[None], deadline: float) -> None:
        """Waits for a line of the journal. Raises TimeoutError, where the disk hangs: the line stays in the queue, and may land
        yet."""
        if written.done():
            return written.result()

        def give_up() -> None:
            if not written.done():
                written.set_exception(TimeoutError())

        limit = self._waits.set(deadline, give_up)
        try:
            await written
        finally:
            self._waits.lift(limit)

    def _told(self, case: Case, sent: Answer, record: Record | None, waited_seconds: float) -> None:
        """Counts, logs and remembers what was decided, and how long its record was waited for."""
        try:
            self._metrics.journal_seconds.observe(waited_seconds)
            if record is not None:
                self._tally.decided(record)
                self._observe(record)
        except Exception as error:  # noqa: BLE001 (neither a metric nor a screen may spoil what follows)
            self._log.error("internal", decision_id=case.id, exc_info=error)
        try:
            self._recorder.reconcile(case, sent, record.tool if record is not None else "")
        except Exception as error:  # noqa: BLE001 (likewise)
            self._log.error("internal", decision_id=case.id, exc_info=error)

    def _unrecorded(self, case: Case, fault: str, sent: Answer, *, is_counted: bool) -> Answer:
        """Gives what is answered without a record. One that may land yet is followed by what was really answered; one that
        can't is counted in the journal's gap."""
        self._log.error("audit_unavailable", decision_id=case.id, detail=fault, required=self._config.audit.required)
        if not self._config.audit.required:
            self._metrics.errors.labels(ErrorKind.AUDIT_UNAVAILABLE.value).inc()
            return sent
        case.fail(ErrorKind.AUDIT_UNAVAILABLE, fault)
        if case.mode is Mode.ENFORCE:
            answer = self._error_answer(case)
            # What was denied, asked, deferred or rewritten stays so: `on_error: pass` is about calls that nobody judged.
            rewritten = case.verdict is not None and case.verdict.updated_input is not None
            least = Opinion.ALLOW if rewritten else Opinion.DEFER
            sent = sent if sent.opinion >= max(answer.opinion, least) else answer
        if not is_counted:
            self.note("answer", {"decision": case.id, "error": ErrorKind.AUDIT_UNAVAILABLE.value, "answer": sent.body})
        return sent

    def unrecorded(self) -> None:
        """Takes note of an answer that has no record."""
        self._journal.lost(outcome=Outcome.ERROR.value)

    def undelivered(self, decision_id: str) -> None:
        """Takes note that a client had gone before its answer was sent."""
        self._metrics.undelivered.inc()
        self._log.warning("undelivered", decision_id=decision_id)
        self.note("undelivered", {"decision": decision_id})

    def note(self, kind: str, detail: dict[str, object]) -> None:
        """Queues a record about the service itself; nobody waits for it."""
        self._recorder.note(kind, detail)
