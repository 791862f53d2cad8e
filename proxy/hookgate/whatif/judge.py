"""Policies of a directory, on a PDP of their own, asked many requests at once."""

import asyncio
import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from msgspec.structs import replace

from hookgate.config.tree import Pdp
from hookgate.errors import ErrorKind, GateError
from hookgate.facts import facts_of
from hookgate.hooks.event import HookEvent
from hookgate.hooks.verdict import Verdict, rejudged, verdict_of
from hookgate.ids import uuid7
from hookgate.outcome import Outcome
from hookgate.pdp.channel import GrpcTransport
from hookgate.pdp.decision import Decision
from hookgate.pdp.process import CerbosError, CerbosProcess
from hookgate.pdp.request import Question, encode_all
from hookgate.pdp.response import allow_deep_answers, decode_all
from hookgate.whatif.asked_again import Request
from hookgate.whatif.change import rules_of
from hookgate.whatif.reads import reads_in

#: As many resources as a PDP takes in one request by default; what they may weigh together: well below its 4 MiB.
_MOST_TOGETHER, _BATCH_BYTES = 50, 1024 * 1024
_IN_FLIGHT = 4
_ANSWER_SECONDS = 60.0
#: Nobody's call waits for it.
_START_SECONDS = 120.0
_WATCH = 'cat; kill -TERM "$0"; rm -rf -- "$1"'


@dataclass(frozen=True, slots=True)
class Judged:
    """What policies say to one request: the outcome, and the rules that made it."""

    outcome: Outcome
    rules: tuple[str, ...]
    reason: str
    sources: tuple[str, ...] = ()


class Judge:
    """An asynchronous context in which the policies can be asked. Raises CerbosError where they don't compile; whatever happens,
    nothing of the PDP is left behind."""

    def __init__(self, binary: Path, policies: Path, *, stricter_than_effect: str = "deny") -> None:
        self.policies = policies
        self._stricter_than_effect = stricter_than_effect
        self._process = CerbosProcess(binary, policies, start_seconds=_START_SECONDS)
        self._watcher: asyncio.subprocess.Process | None = None
        self._transport: GrpcTransport | None = None
        self._free = asyncio.Semaphore(_IN_FLIGHT)
        self.reads = reads_in(policies)

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._stop()
            raise
        self._transport = GrpcTransport(Pdp(address=self._process.address))
        allow_deep_answers()
        return self

    async def _start(self) -> None:
        await self._process.start()
        # Reads from us until we are no more, however that comes: then nobody else would end the PDP.
        self._watcher = await asyncio.create_subprocess_exec(
            *("/bin/sh", "-c", _WATCH, str(self._process.pid), str(self._process.log.parent)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )

    async def _stop(self) -> None:
        if self._watcher is not None and self._watcher.returncode is None:
            self._watcher.kill()
            await self._watcher.wait()
        await self._process.stop()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if self._transport is not None:
                await self._transport.close()
        finally:
            await asyncio.shield(self._stop())

    async def judge(self, requests: Sequence[Request]) -> list[Judged | GateError]:
        """Gives what the policies say to each, in their order; an error for one to which the PDP gave no answer. Raises
        CerbosError where the PDP has ended."""
        decisions = await self._asked([request.question for request in requests])
        found: list[Judged | GateError] = []
        changed: list[tuple[int, HookEvent, Verdict]] = []
        for number, (request, decision) in enumerate(zip(requests, decisions, strict=True)):
            if isinstance(decision, GateError):
                found.append(decision)
                continue
            if decision.no_match:
                found.append(Judged(Outcome.NO_MATCH, (decision.policy,), ""))
                continue
            verdict = self._verdict(decision, request.event)
            found.append(_judged(verdict, decision))
            if verdict.updated_input is not None:
                changed.append((number, request.event.with_input(verdict.updated_input), verdict))
        if changed:
            again = await self._asked([_changed(requests[number].question, event) for number, event, _ in changed])
            for (number, event, first), decision in zip(changed, again, strict=True):
                if isinstance(decision, GateError):
                    found[number] = decision
                else:
                    both = rejudged(first, self._verdict(decision, event), event.tool_input)
                    found[number] = _judged(both, decision)
        return found

    def _verdict(self, decision: Decision, event: HookEvent) -> Verdict:
        return verdict_of(decision, event.spec, stricter_than_effect=self._stricter_than_effect)

    async def _asked(self, questions: Sequence[Question]) -> list[Decision | GateError]:
        """Questions about the same principal go together."""
        groups: dict[str, list[int]] = {}
        for number, question in enumerate(questions):
            # Not as JSON: a damaged record may hold what that has no form for.
            key = repr((question.principal_id, question.roles, question.principal_attributes))
            groups.setdefault(key, []).append(number)
        found: list[Decision | GateError] = [GateError(ErrorKind.PDP_NONSENSE)] * len(questions)

        async def ask(numbers: list[int]) -> None:
            async with self._free:
                answers = await self._batch([questions[number] for number in numbers])
            for number, answer in zip(numbers, answers, strict=True):
                found[number] = answer

        async with asyncio.TaskGroup() as group:
            for numbers in groups.values():
                for begin in range(0, len(numbers), _MOST_TOGETHER):
                    group.create_task(ask(numbers[begin : begin + _MOST_TOGETHER]))
        return found

    async def _batch(self, questions: list[Question]) -> list[Decision | GateError]:
        """Asks for all of them; where that fails, half by half, so that one of them spoils none of the others."""
        questions = [replace(questions[0], request_id=uuid7()), *questions[1:]]
        begun = time.perf_counter()
        try:
            request = encode_all(questions)
            if len(request) > _BATCH_BYTES and len(questions) > 1:
                raise GateError(ErrorKind.PDP_TOO_LARGE)
            if self._transport is None:
                raise CerbosError("the PDP has not been started")
            answer = await self._transport(request, _ANSWER_SECONDS)
            return [*decode_all(answer, questions, time.perf_counter() - begun)]
        except GateError as error:
            if self._process.pid is None:
                raise CerbosError(f"{self.policies}: the PDP that was asked has ended: {error}") from None
            if len(questions) == 1:
                return [error]
        except (TypeError, ValueError, OverflowError) as error:
            # What a damaged record holds may be nothing that JSON has.
            if len(questions) == 1:
                return [GateError(ErrorKind.PAYLOAD_MALFORMED, type(error).__name__)]
        half = len(questions) // 2
        return [*await self._batch(questions[:half]), *await self._batch(questions[half:])]


def digest_of(policies: Path) -> str:
    """Gives a digest of all files of a directory, and their names. Raises OSError."""
    digest = hashlib.sha256()
    for file in sorted(policies.rglob("*")):
        if file.is_file():
            name = str(file.relative_to(policies)).encode("utf-8", "surrogateescape")
            content = file.read_bytes()
            digest.update(b"%d %d " % (len(name), len(content)) + name + content)
    return digest.hexdigest()


def _judged(verdict: Verdict, decision: Decision) -> Judged:
    sources = tuple(dict.fromkeys(output.source for output in decision.outputs))
    return Judged(verdict.outcome, rules_of(verdict, decision), verdict.reason, sources)


def _changed(question: Question, event: HookEvent) -> Question:
    return replace(question, attributes={**event.payload, "facts": facts_of(event).attributes()})
