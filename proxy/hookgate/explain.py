"""One decision, with all that led to it: the gate's own way, but for the journal."""

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any

import msgspec
import structlog

from hookgate.audit.record import Record
from hookgate.config import Config
from hookgate.config.identity import DefaultSource, Directory, HeadersSource, Identity
from hookgate.exchange import HookRequest, Pdp
from hookgate.gate import Gate
from hookgate.pdp.canary import Canary
from hookgate.pdp.decision import Decision
from hookgate.pdp.request import Question
from hookgate.telemetry.metrics import Metrics


class Explanation(msgspec.Struct, frozen=True):
    """What the PDP was asked (more than once where a policy changed the call), and the record of what became of it."""

    asked: list[dict[str, Any]]
    record: Record


async def explain(body: bytes, headers: Mapping[str, str], config: Config, pdp: Pdp) -> Explanation:
    """Decides about one payload as the service would, and writes nothing."""
    config = msgspec.structs.replace(config, identity=_as_told(config.identity))
    asked: list[dict[str, Any]] = []
    records: list[Record] = []
    listener = _Listener(pdp, asked)
    gate = Gate(
        config,
        pdp=listener,
        journal=_NoJournal(),
        metrics=Metrics(),
        log=structlog.wrap_logger(
            structlog.ReturnLogger(), wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL)
        ),
        canary=Canary(pdp.check),
        observe=records.append,
    )
    await gate.decide(HookRequest(asyncio.get_running_loop().time(), time.perf_counter(), headers, body))
    # Those who look on are told in the loop's next turn.
    await asyncio.sleep(0)
    return Explanation(asked, records[0])


def _as_told(identity: Identity) -> Identity:
    """Who is asked about is told by headers here, and nobody need prove it."""
    return msgspec.structs.replace(
        identity,
        sources=(HeadersSource(), DefaultSource()),
        require_verified=False,
        directory=Directory(file=identity.directory.file, allow_unverified=True),
    )


class _Listener:
    """Passes questions on and keeps them."""

    def __init__(self, pdp: Pdp, asked: list[dict[str, Any]]) -> None:
        self._pdp = pdp
        self._asked = asked

    async def check(self, question: Question, deadline: float) -> Decision:
        self._asked.append(
            {
                "kind": question.kind,
                "id": question.resource_id,
                "action": question.action,
                "scope": question.scope,
                "attributes": question.attributes,
                "principal": {
                    "id": question.principal_id,
                    "roles": question.roles,
                    "attr": question.principal_attributes,
                },
            }
        )
        return await self._pdp.check(question, deadline)


class _NoJournal:
    def append(self, line: bytes, kind: str = "decision", outcome: str = "") -> asyncio.Future[None]:
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        written.set_result(None)
        return written

    def lost(self, kind: str = "decision", outcome: str = "") -> None:
        """Nothing is kept, so nothing is lost."""
