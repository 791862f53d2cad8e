"""What a person who asks the store finds of a run of the real client: every call, what was decided, and how it ended."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.e2e.client import Workspace
from tests.e2e.model import Call, Model, turn
from tests.e2e.session import Run
from tests.e2e.settings import hook_settings
from tests.integration.running import environment
from tests.support.pdp import Pdp
from tests.support.service import ServiceProcess
from tests.support.wait import until

POLICIES = Path(__file__).parent / "policies"
EVENTS = ("PreToolUse", "PostToolUse", "PostToolUseFailure", "PostToolBatch")


@pytest.fixture(scope="module")
def pdp(cerbos: Path) -> Iterator[Pdp]:
    running = Pdp(POLICIES).start()
    yield running
    running.stop()


@pytest.fixture
def service(pdp: Pdp) -> Iterator[ServiceProcess]:
    """One that ships to the default store."""
    running = ServiceProcess(pdp.address, {"audit": {"shippers": [{"type": "sqlite"}]}}).start()
    yield running
    running.remove()


def touch(name: str) -> Call:
    return Call("Bash", {"command": f"touch {name}"}, id=f"toolu_{name}")


def asked(service: ServiceProcess, *arguments: str) -> list[dict[str, Any]]:
    """What `hookgate audit` prints as JSON, one value a line."""
    command = [sys.executable, "-m", "hookgate", "audit", *arguments, "--json"]
    done = subprocess.run(
        [*command, "--directory", service.settings["audit"]["directory"]],
        capture_output=True,
        cwd=ROOT,
        env=environment(),
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return [json.loads(line) for line in done.stdout.splitlines()]


def until_shipped(service: ServiceProcess, run: Run) -> None:
    """Waits until the store has all that the journal has of a run."""
    journal = {record["id"] for record in service.records() if record["session_id"] == run.session_id}
    until(
        lambda: journal <= {row["id"] for row in asked(service, "search", "--session", run.session_id)},
        seconds=30,
        what="the run's records to be in the store",
    )


WHAT_IF = """
apiVersion: api.cerbos.dev/v1
resourcePolicy:
  resource: PreToolUse
  version: default
  rules:
    - {name: no-one, actions: [Bash], effect: EFFECT_DENY, roles: ["*"], condition: {match: {expr: 'R.attr.facts.paths.exists(p, p.path.endsWith("/one"))'}}}
    - {name: rest, actions: ["*"], effect: EFFECT_ALLOW, roles: ["*"]}
"""


def tried(service: ServiceProcess, run: Run, policies: Path, *options: str) -> dict[str, Any]:
    """What `hookgate whatif` tells of a run's calls."""
    place = [
        "--directory",
        service.settings["audit"]["directory"],
        "--session",
        run.session_id,
        "--event",
        "PreToolUse",
    ]
    command = [sys.executable, "-m", "hookgate", "whatif", "--policies", str(policies), *place, "--json", *options]
    done = subprocess.run(command, capture_output=True, cwd=ROOT, env=environment(), timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_each_call_is_found_with_how_it_ended_and_asked_again_of_other_policies(
    service: ServiceProcess, space: Workspace, model: Model, tmp_path: Path
) -> None:
    calls = [touch("one"), touch("forbidden"), Call("Bash", {"command": "exit 3"}, id="toolu_fails")]
    run = space.run(model.script(*(turn(call) for call in calls)), hook_settings(service.url, EVENTS))

    assert space.made() == ["one"]
    until_shipped(service, run)
    rows = asked(service, "search", "--session", run.session_id, "--event", "PreToolUse", "--oldest-first")
    found = [(row["tool_use_id"], row["outcome"], row["subject"], (row["ran"] or {}).get("how")) for row in rows]
    assert found == [
        ("toolu_one", "allow", "touch one", "ran"),
        ("toolu_forbidden", "deny", "touch forbidden", None),
        ("toolu_fails", "allow", "exit 3", "failed"),
    ]
    assert [row["violations"] for row in rows] == [[], [], []]

    same = tried(service, run, POLICIES)
    assert (same["total"], same["told"], same["changes"]["unchanged"]) == (3, 3, 3)
    candidate = tmp_path / "candidate"
    candidate.mkdir()
    (candidate / "policy.yaml").write_text(WHAT_IF)
    other = tried(service, run, candidate)
    assert other["transitions"] == {"allow > allow": 1, "allow > deny": 1, "deny > allow": 1}
    assert {(one["subject"], one["change"]) for one in other["examples"]} == {
        ("touch one", "newly_denied"),
        ("touch forbidden", "newly_allowed"),
    }
    assert tried(service, run, candidate, "--against", str(POLICIES))["transitions"] == other["transitions"]


def test_a_denied_call_that_ran_because_its_hook_timed_out_is_a_violation(
    service: ServiceProcess, pdp: Pdp, space: Workspace, model: Model
) -> None:
    pdp.freeze()
    try:
        # The client waits for less time than Hookgate takes to deny, and has no `onFailure`: it goes on.
        run = space.run(model.script(turn(touch("late"))), hook_settings(service.url, EVENTS, timeout_seconds=1))
    finally:
        pdp.thaw()

    assert space.made() == ["late"]
    found = {"enforcement_violated", "undelivered"}
    until(lambda: found <= {record["type"] for record in service.records(None)}, what="the records of what went wrong")
    until_shipped(service, run)
    (row,) = asked(service, "search", "--session", run.session_id, "--event", "PreToolUse")
    assert (row["outcome"], row["error"], row["ran"]["how"]) == ("error", "pdp_timeout", "ran")
    until(
        lambda: (
            found
            <= set(asked(service, "search", "--session", run.session_id, "--event", "PreToolUse")[0]["violations"])
        ),
        what="the violation in the store",
    )
