"""One decision, with all that led to it."""

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec

from hookgate.config import Config
from hookgate.facts import facts_of
from hookgate.hooks.answer import EMPTY, is_governed, render
from hookgate.hooks.decode import Reader
from hookgate.hooks.event import event_from
from hookgate.hooks.opinion import read
from hookgate.hooks.verdict import no_match_verdict, verdict_of
from hookgate.identity.headers import principal_from, scope_from
from hookgate.ids import uuid7
from hookgate.pdp.client import PdpClient
from hookgate.pdp.question import question_for

_SECONDS = 10.0


class Explanation(msgspec.Struct, frozen=True):
    """What was asked, what the PDP said, and what becomes of it."""

    asked: dict[str, Any]
    effect: str
    policy: str
    outputs: list[dict[str, Any]]
    dropped: list[dict[str, str]]
    contradictions: list[str]
    outcome: str
    answer: dict[str, Any]


async def explain(body: bytes, headers: Mapping[str, str], config: Config, pdp: PdpClient) -> Explanation:
    """Decides about one payload as the gate would, without a record. Raises GateError."""
    decision_id = uuid7()
    reader = Reader(
        values=config.limits.values,
        cut_bytes=config.limits.tool_response_bytes,
        whole_bytes=config.pdp.max_request_bytes,
    )
    principal = principal_from(headers, config.identity)
    event = event_from(await reader.read(body))
    scope = scope_from(headers, config.pdp.scope, config.pdp.scopes)
    question = question_for(event, principal, facts_of(event), config.pdp, scope=scope, decision_id=decision_id)
    decision = await pdp.check(question, asyncio.get_running_loop().time() + _SECONDS)
    if decision.no_match:
        verdict = no_match_verdict(config.no_match)
        answer = render(verdict, event.spec, decision_id) if is_governed(event.spec, config.on_error_events) else EMPTY
    else:
        verdict = verdict_of(decision, event.spec, stricter_than_effect=config.outputs.stricter_than_effect)
        answer = render(
            verdict,
            event.spec,
            decision_id,
            reason_characters=config.outputs.reason_characters,
            stop_hook_active=event.payload.get("stop_hook_active") is True,
        )
    readings = [read(output, event.spec) for output in decision.outputs]
    return Explanation(
        asked={
            "kind": question.kind,
            "id": question.resource_id,
            "action": question.action,
            "scope": question.scope,
            "attributes": question.attributes,
            "principal": {"id": principal.id, "roles": principal.roles, "attr": principal.attributes()},
        },
        effect="" if decision.no_match else decision.effect.value,
        policy="" if decision.no_match else decision.policy,
        outputs=[
            {
                "source": output.source,
                "says": reading.opinion.name.lower(),
                "value": output.value,
                "error": output.error,
            }
            for output, reading in zip(decision.outputs, readings, strict=True)
        ],
        dropped=[{"source": d.source, "field": d.field, "why": d.why} for d in verdict.dropped],
        contradictions=list(verdict.contradictions),
        outcome=verdict.outcome.value,
        answer=answer.body,
    )
