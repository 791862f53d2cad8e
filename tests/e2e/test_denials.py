"""A policy that denies every event, and says so with everything that an answer must not have: the client takes each answer, and
what it obeys at all is stopped."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from hookgate.hooks.catalog import EVENTS
from tests.e2e.binary import ClientVersion
from tests.e2e.client import Workspace
from tests.e2e.model import Model
from tests.e2e.scenes import SCENES, Stage
from tests.e2e.trail import complaints, decisions
from tests.support.pdp import Pdp
from tests.support.service import ServiceProcess
from tests.support.wait import until

REASON = "No to everything."
#: Every field that some event has, wrong types, another event's name, and what voids an answer.
OUTPUT: dict[str, Any] = {
    "decision": "block",
    "reason": REASON,
    "permissionDecision": "DENY",
    "continue": True,
    "async": True,
    "systemMessage": 5,
    "terminalSequence": "\u001b[2J",
    "unheardOf": {"deep": [1, None]},
    "hookSpecificOutput": {
        "hookEventName": "Setup",
        "permissionDecision": "deny",
        "permissionDecisionReason": ["not", "a", "text"],
        "additionalContext": "More to know.",
        "decision": {"behavior": "deny", "message": None, "interrupt": "no"},
        "action": "decline",
        "retry": "yes",
        "watchPaths": "/",
        "displayContent": 5,
        "sessionTitle": 5,
        "updatedInput": {"command": "touch marker"},
        "updatedPermissions": "all",
    },
}


def policy(event: str) -> dict[str, Any]:
    rule = {
        "actions": ["*"],
        "effect": "EFFECT_DENY",
        "roles": ["*"],
        "output": {"when": {"ruleActivated": json.dumps(OUTPUT)}},
    }
    return {
        "apiVersion": "api.cerbos.dev/v1",
        "resourcePolicy": {"resource": event, "version": "default", "rules": [rule]},
    }


@pytest.fixture(scope="module")
def service(cerbos: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    directory = tmp_path_factory.mktemp("policies")
    for event in EVENTS:
        (directory / f"{event}.yaml").write_text(yaml.safe_dump(policy(event)))
    pdp = Pdp(directory).start()
    running = ServiceProcess(pdp.address).start()
    yield running
    running.remove()
    pdp.stop()


#: What the client makes of a denial, for each event where it obeys one; docs/client-measurements.md has what happens without.
STOPPED = {
    "PreToolUse": "call did not run",
    "PermissionRequest": "prompt withdrawn, call did not run",
    "PostToolBatch": "call ran, turn ends before the next request",
    "UserPromptSubmit": "model not asked",
    "UserPromptExpansion": "model not asked, its shell line did not run",
    "PreCompact": "not compacted",
    "PreModelSwitch": "not switched",
    "TaskCreated": "task list then: No tasks found",
    "TaskCompleted": "task list then: #1 [pending] work",
    "Elicitation": 'person not asked, server got {"action": "decline"}',
    "ElicitationResult": 'person asked, server got {"action": "decline"}',
    "ConfigChange": "change not applied",
    # Here a denial makes the agent go on: once, or it would never end.
    "Stop": "model is called again, 1 times",
    "SubagentStop": "subagent is called again, 1 times",
}
#: The tool has run: the model is told the reason beside its output.
TOLD = ("PostToolUse", "PostToolUseFailure")


class RecordedHooks:
    """The service as what a scene's event is sent to; what came is told by its records."""

    def __init__(self, service: ServiceProcess) -> None:
        self.url = service.url
        self._service = service
        self._before = len(service.records())

    def _seen(self, event: str) -> list[dict[str, Any]]:
        return [record for record in self._service.records()[self._before :] if record["event"] == event]

    def saw(self, event: str, text: str) -> bool:
        return any(text in str(record["input"]) for record in self._seen(event))

    def wait_for(self, event: str, timeout_seconds: float = 10.0) -> bool:
        try:
            until(lambda: self._seen(event), seconds=timeout_seconds)
        except AssertionError:
            return False
        return True


@pytest.mark.parametrize("event", SCENES)
def test_a_denial_is_taken_by_the_client_and_stops_what_its_event_can_stop(
    service: ServiceProcess, space: Workspace, model: Model, version: ClientVersion, event: str
) -> None:
    sight = SCENES[event](Stage(space, model, RecordedHooks(service)))

    found = decisions(service, sight.run, event)
    assert bool(found) == version.fires(event)
    assert complaints(sight.run) == []
    if not found:
        return
    assert found[0]["outcome"] == "deny"
    if event in STOPPED:
        assert sight.effect == STOPPED[event]
    elif event in TOLD:
        assert REASON in json.dumps(sight.asked)
    # What the client obeys no denial of is told apart in the record.
    assert found[0]["unenforceable"] == (event not in STOPPED and event not in TOLD)
