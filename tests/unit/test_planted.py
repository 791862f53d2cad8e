"""Planted secrets leave no trace: not in a record, a log line, a metric, a service record, at any level."""

import asyncio
import json

import pytest

from hookgate.pdp.decision import Decision, Effect, Output
from tests.support.planted import PLANTS, Plant, payloads, traces
from tests.unit.test_gate import Stage

FULL = {"audit": {"levels": [{"level": "full"}]}, "log": {"level": "debug"}}


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.kind)
async def test_a_secret_in_every_field_of_every_event_is_written_nowhere(plant: Plant) -> None:
    says = {
        "hookSpecificOutput": {"permissionDecision": "ask", "permissionDecisionReason": plant.text},
        "systemMessage": plant.text,
        plant.text: plant.text,
    }
    decision = Decision(Effect.ALLOW, plant.text, plant.text, outputs=(Output(plant.text, says, plant.text),))
    stage = Stage(decision, config=FULL)
    header = plant.text.replace("\n", " ")
    headers = {"X-Claude-User": header, "X-Claude-User-Roles": header, "X-Claude-Label-Team": header}
    for event, body in payloads(plant):
        await stage.answer(body, headers)
        assert stage.record["event"] == event
    await stage.answer(json.dumps({"hook_event_name": "PreToolUse", "tool_input": plant.text})[:-1].encode(), headers)
    await stage.answer(json.dumps({"hook_event_name": plant.text}).encode(), headers | {"X-Cerbos-Scope": header})
    stage.gate.note("canary", {"state": "wrong", "faults": [plant.text], plant.text: 1})
    await asyncio.sleep(0)
    written = json.dumps(stage.trail.lines, ensure_ascii=False).replace("\\n", "\n").replace('\\"', '"')
    for text in (written, "\n".join(stage.logged), stage.metrics.exposition().decode()):
        assert traces(text) == []
    assert "[redacted:" in written
