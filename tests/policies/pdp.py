"""A real PDP with a directory of policies, asked as the service asks it: from a payload to the answer."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hookgate.config.tree import Pdp
from hookgate.facts import facts_of
from hookgate.hooks.answer import Answer, render
from hookgate.hooks.decode import Read
from hookgate.hooks.event import event_from
from hookgate.hooks.verdict import Verdict, verdict_of
from hookgate.identity.principal import Principal, Source
from hookgate.ids import uuid7
from hookgate.pdp.channel import GrpcTransport
from hookgate.pdp.client import PdpClient
from hookgate.pdp.decision import Decision
from hookgate.pdp.process import CerbosProcess
from hookgate.pdp.question import question_for
from hookgate.pdp.request import Question

CWD = "/home/dev/project"
_SECONDS = 10.0


@dataclass(frozen=True)
class Decided:
    """What the PDP said to one payload, and what the client would be told."""

    decision: Decision
    verdict: Verdict
    answer: Answer

    @property
    def rules(self) -> list[str]:
        """The names of the rules that gave an output."""
        return [output.source.rpartition("#")[2] for output in self.decision.outputs]


class RunningPdp:
    """A PDP under way, and the loop that its channel lives in."""

    def __init__(self, runner: asyncio.Runner, client: PdpClient, config: Pdp) -> None:
        self._runner, self._client, self._config = runner, client, config

    def decide(self, payload: dict[str, Any], roles: Sequence[str] = ("claude_user",)) -> Decided:
        """Decides about a payload for somebody with these roles."""
        event = event_from(Read({"cwd": CWD, **payload}, altered=False, truncated=()))
        principal = Principal("someone", tuple(sorted(roles)), Source.HEADER)
        question = question_for(event, principal, facts_of(event), self._config, scope="", decision_id=uuid7())
        decision = self.ask(question)
        verdict = verdict_of(decision, event.spec)
        return Decided(decision, verdict, render(verdict, event.spec, "test"))

    def tool(self, tool: str, tool_input: dict[str, Any], roles: Sequence[str] = ("claude_user",)) -> Decided:
        """Decides about a tool call before it runs."""
        payload = {"hook_event_name": "PreToolUse", "tool_name": tool, "tool_input": tool_input}
        return self.decide(payload, roles)

    def ask(self, question: Question) -> Decision:
        """Asks the PDP."""

        async def asked() -> Decision:
            return await self._client.check(question, asyncio.get_running_loop().time() + _SECONDS)

        return self._runner.run(asked())


@contextmanager
def running(cerbos: Path, policies: Path, *, strict: bool = True) -> Iterator[RunningPdp]:
    """Runs a PDP for as long as the context lasts."""
    with asyncio.Runner() as runner:
        process = CerbosProcess(cerbos, policies, strict=strict)
        runner.run(process.start())
        config = Pdp(address=process.address)

        async def connect() -> GrpcTransport:
            return GrpcTransport(config)

        try:
            transport = runner.run(connect())
            try:
                yield RunningPdp(runner, PdpClient(transport, max_request_bytes=config.max_request_bytes), config)
            finally:
                runner.run(transport.close())
        finally:
            runner.run(process.stop())
