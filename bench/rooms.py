"""What each step of a decision costs, inside one process: the steps are the service's own, the PDP is the real one."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import msgspec
import uvloop
from multidict import CIMultiDict

from bench.grid import Grid
from bench.payloads import HEADERS, Payload
from bench.question import config_for, reader_for
from bench.servers import pdp
from hookgate.audit.digest import Digests, Purpose
from hookgate.audit.journal import Journal
from hookgate.audit.payload import Sums, response_in, sums_of
from hookgate.audit.redact import Redactor
from hookgate.audit.scribe import Scribe
from hookgate.case import Case, record_of
from hookgate.config import Config
from hookgate.exchange import HookRequest
from hookgate.facts.extract import read as facts_of
from hookgate.gate import Gate
from hookgate.hooks.answer import render
from hookgate.hooks.event import event_from
from hookgate.hooks.verdict import verdict_of
from hookgate.identity.chain import Chain
from hookgate.identity.connection import UNKNOWN
from hookgate.identity.headers import scope_from
from hookgate.identity.rollout import mode_for
from hookgate.ids import uuid7
from hookgate.pdp.canary import Canary
from hookgate.pdp.channel import GrpcTransport
from hookgate.pdp.decision import Decision
from hookgate.pdp.question import question_for
from hookgate.pdp.request import Question, encode
from hookgate.pdp.response import decode
from hookgate.pdp.transport import Channel, channel_for
from hookgate.telemetry.log import make_logger
from hookgate.telemetry.metrics import Metrics
from hookgate.telemetry.tally import Tally

Step = Callable[[], object] | Callable[[], Awaitable[object]]

_BATCHES = 15
#: The last step: all that Hookgate does itself.
WHOLE = "the gate, without the PDP"


@dataclass(frozen=True, slots=True)
class Cost:
    """One step: seconds as waited for, and of this process's processor time."""

    step: str
    wall_seconds: float
    cpu_seconds: float


class NoPdp:
    """Stands where the client to the PDP stands, and gives one decision to every question at once."""

    def __init__(self, decision: Decision) -> None:
        self._decision = decision

    async def check(self, question: Question, deadline: float) -> Decision:
        """Gives the decision."""
        return self._decision


def run(payloads: tuple[Payload, ...], *, seconds: float) -> dict[str, list[Cost]]:
    """Measures all steps for each payload; gives the costs by the payload's title."""
    with pdp() as running:
        return {payload.title: uvloop.run(costs(payload, running.address, seconds=seconds)) for payload in payloads}


async def costs(payload: Payload, address: str, *, seconds: float) -> list[Cost]:
    """Gives the costs of all steps, in the order of a decision, then of the whole without the PDP."""
    with TemporaryDirectory(prefix="bench-") as directory:
        config = config_for(address)
        journal = Journal(Path(directory))
        journal.open()
        transport, reference = channel_for(config.pdp), GrpcTransport(config.pdp)
        try:
            steps = await _steps(payload, config, (transport, reference), journal)
            return [await _timed(name, step, seconds) for name, step in steps]
        finally:
            await transport.close()
            await reference.close()
            await journal.close(timeout_seconds=5.0)


async def _steps(
    payload: Payload, config: Config, channels: tuple[Channel, Channel], journal: Journal
) -> list[tuple[str, Step]]:
    headers = CIMultiDict(HEADERS)
    reader = reader_for(config)
    read = await reader.read(payload.body)
    event = event_from(read)
    identities = Chain(config.identity)
    principal = await identities.principal(headers, UNKNOWN)
    facts = facts_of(event)
    decision_id = uuid7()

    def ask() -> Question:
        return question_for(event, principal, facts, config.pdp, scope="", decision_id=decision_id)

    def identify() -> None:
        # It waits for nothing, and so ends at once.
        with contextlib.suppress(StopIteration):
            identities.principal(headers, UNKNOWN).send(None)
        scope_from(headers, config.pdp.scope, config.pdp.scopes)
        mode_for(principal, config.mode, config.rollout)

    question = ask()
    request = encode(question)
    transport, reference = channels
    response = await transport(request, 5.0)
    decision = decode(response, question, 0.001)
    verdict = verdict_of(decision, event.spec)
    answer = render(verdict, event.spec, decision_id)
    case = Case(id=decision_id, remote="127.0.0.1", body_bytes=len(payload.body))
    case.principal, case.event, case.facts, case.verdict = principal, event, facts, verdict
    case.asked(decision)
    digests = Digests(bytes(32))

    def sums() -> Sums:
        body_digest = digests.of(Purpose.BODY, payload.body)
        response = response_in(payload.body, event, read.response)
        return sums_of(event, digests, body_digest=body_digest, response=response)

    case.sums = sums()
    record = record_of(case, answer, answer)
    scribe = Scribe(Redactor(bytes(32)))
    line, written = scribe.decision(record)
    metrics = Metrics()
    log = make_logger(config.log, lambda text: None)
    tally = Tally(metrics, log)
    gate = Gate(
        # The gate looks at its own clock only; a long journal must not turn a slow machine into refusals.
        msgspec.structs.replace(config, decision=msgspec.structs.replace(config.decision, deadline_seconds=60.0)),
        pdp=NoPdp(msgspec.structs.replace(decision, seconds=0.001)),
        journal=journal,
        metrics=metrics,
        log=log,
        canary=Canary(NoPdp(decision).check),
    )

    async def decide() -> None:
        received = asyncio.get_running_loop().time()
        reply = await gate.decide(HookRequest(received, time.perf_counter(), headers, payload.body, "127.0.0.1"))
        assert reply.data == answer.encode(), reply.data

    return [
        ("decision id", uuid7),
        ("bytes to JSON values", lambda: reader.read(payload.body)),
        ("event", lambda: event_from(read)),
        ("identity, scope, mode", identify),
        ("facts", lambda: facts_of(event)),
        ("question", ask),
        ("question to protobuf", lambda: encode(question)),
        ("the PDP, asked over http2", lambda: transport(request, 60.0)),
        ("the same by grpcio", lambda: reference(request, 60.0)),
        ("response to decision", lambda: decode(response, question, 0.001)),
        ("verdict", lambda: verdict_of(decision, event.spec)),
        ("answer", lambda: render(verdict, event.spec, decision_id)),
        ("answer to bytes", answer.encode),
        ("digests and sizes", sums),
        ("record", lambda: record_of(case, answer, answer)),
        ("record to a line, redacted", lambda: scribe.decision(record)),
        ("journal, until written", lambda: journal.append(line)),
        ("metrics and log", lambda: tally.decided(written)),
        (WHOLE, decide),
    ]


def grid(found: dict[str, list[Cost]]) -> Grid:
    """Gives one column a payload, one row a step, the whole below."""
    made = Grid("What each step costs, µs", ("step", *found))
    rows = [(row[0].step, *(_figure(cost) for cost in row)) for row in zip(*found.values(), strict=True)]
    made.groups += [rows[:-1], rows[-1:]]
    return made


def notes() -> list[str]:
    """Gives what is to be known of the table."""
    return ["Medians. In brackets: this process's own processor time, where it is not what was waited for."]


def _figure(cost: Cost) -> str:
    wall, cpu = cost.wall_seconds * 1e6, cost.cpu_seconds * 1e6
    text = f"{wall:,.1f}" if wall < 100 else f"{wall:,.0f}"
    return text if 0.8 < cpu / wall < 1.25 else f"{text} ({cpu:,.0f})"


async def _timed(name: str, step: Step, seconds: float) -> Cost:
    """Repeats a step in batches; gives the medians of the batches' means."""
    once = await _batch(step, 1)
    once = min(once, await _batch(step, 1))
    times = max(1, int(seconds / _BATCHES / max(once[0], 1e-7)))
    batches = [await _batch(step, times) for _ in range(_BATCHES)]
    return Cost(name, median(wall for wall, _ in batches), median(cpu for _, cpu in batches))


async def _batch(step: Step, times: int) -> tuple[float, float]:
    begun, spent = time.perf_counter(), time.process_time()
    for _ in range(times):
        awaited = step()
        if isinstance(awaited, Awaitable):
            await awaited
    return (time.perf_counter() - begun) / times, (time.process_time() - spent) / times
