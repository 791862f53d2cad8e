"""The canary: questions with a known answer, asked of the live PDP, and what readiness makes of them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from cerbos.request.v1.request_pb2 import CheckResourcesRequest

from tests.conftest import ROOT, payload
from tests.integration.conftest import Serving
from tests.integration.deciding import decide
from tests.integration.policies import rule, write
from tests.integration.stand_in import ALLOW, DENY, StandInPdp, never, response
from tests.support.pdp import Pdp
from tests.support.service import ServiceProcess
from tests.support.wait import free_port, until

#: A canary that is asked often, so that a test need not wait for it.
OFTEN = {"interval_seconds": 0.2}
LIVE_SECONDS = 15
KIND = "hookgate:canary"


def readiness(service: ServiceProcess) -> dict[str, Any]:
    """Gives what /readyz says."""
    found: dict[str, Any] = json.loads(service.get("/readyz")[1])
    return found


def state(service: ServiceProcess) -> str:
    """Gives the canary's state."""
    found: str = readiness(service)["canary"]["state"]
    return found


def canary(*, deny: str = "DENY") -> list[dict[str, Any]]:
    """Gives a canary policy's rules; with `deny` ALLOW, one that contradicts what is known."""
    output = '{"hookSpecificOutput": {"permissionDecision": "deny"}}'
    roles = ["hookgate_canary"]
    return [
        rule("ALLOW", actions=["allow", "strict"], roles=roles),
        rule(deny, actions=["deny"], roles=roles),
        rule("ALLOW", output, actions=["output"], roles=roles),
        rule("DENY", actions=["strict"], roles=roles, when='R.attr.absent.value == "x"'),
    ]


def right(request: CheckResourcesRequest, context: grpc.ServicerContext) -> bytes:
    """Answers the canary as its policy would."""
    action = request.resources[0].actions[0]
    output = {"hookSpecificOutput": {"permissionDecision": "deny"}}
    made = response(request, DENY if action in ("deny", "strict") else ALLOW, *([output] if action == "output" else []))
    return made.SerializeToString()


def refuse(request: CheckResourcesRequest, context: grpc.ServicerContext) -> bytes:
    """Gives no answer."""
    context.set_code(grpc.StatusCode.INTERNAL)
    return b""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Policies that let every tool run, and nothing else."""
    directory = tmp_path / "policies"
    directory.mkdir()
    write(directory, "PreToolUse", rule("ALLOW"))
    return directory


class TestShippedCanary:
    def test_is_right_under_strict_evaluation(self, shipped_service: ServiceProcess) -> None:
        status, text = shipped_service.get("/readyz")
        found = json.loads(text)
        assert (status, found["ready"], found["reasons"]) == (200, True, [])
        assert found["canary"] == {"state": "ok", "faults": [], "trusted": True}
        assert found["pdp_strict_evaluation"] is True
        assert shipped_service.metric("hookgate_canary_state", state="ok") == 1
        assert shipped_service.metric("hookgate_canary_state") == 1
        assert shipped_service.metric("hookgate_canary_trusted") == 1
        assert shipped_service.metric("hookgate_pdp_strict_evaluation") == 1
        assert shipped_service.metric("hookgate_ready") == 1

    def test_tells_that_a_pdp_evaluates_leniently(
        self, directory: Path, make_pdp: Callable[..., Pdp], make_service: Serving
    ) -> None:
        shutil.copy(ROOT / "policies" / "canary.yaml", directory)
        service = make_service(make_pdp(directory, strict=False).address)
        found = readiness(service)
        assert (found["ready"], found["canary"]["state"], found["pdp_strict_evaluation"]) == (True, "ok", False)
        assert service.metric("hookgate_pdp_strict_evaluation") == 0
        until(lambda: [line for line in service.log_events("canary") if line["strict"] is False], what="the warning")
        assert service.log_events("canary")[-1]["level"] == "warning"
        assert decide(service).record["outcome"] == "allow"


class TestAbsentCanary:
    def test_is_said_and_stops_nothing(
        self, directory: Path, make_pdp: Callable[..., Pdp], make_service: Serving
    ) -> None:
        service = make_service(make_pdp(directory).address)
        found = readiness(service)
        assert (found["ready"], found["canary"]["state"], found["canary"]["trusted"]) == (True, "absent", True)
        assert found["pdp_strict_evaluation"] is None
        assert service.metric("hookgate_pdp_strict_evaluation") == -1
        assert decide(service).record["outcome"] == "allow"
        until(lambda: service.log_events("canary"), what="the warning")
        assert service.log_events("canary")[-1]["level"] == "warning"

    def test_that_is_required_counts_as_wrong_until_it_is_there(
        self, make_service: Serving, stand_in: StandInPdp
    ) -> None:
        service = make_service(stand_in.address, {"canary": {**OFTEN, "required": True}})
        assert (state(service), readiness(service)["canary"]["trusted"]) == ("absent", False)
        decided = decide(service)
        assert (decided.permission, decided.record["error"]) == ("deny", "canary_wrong")
        stand_in.canary = right
        until(lambda: state(service) == "ok", what="the canary to be there")
        assert decide(service).record["outcome"] == "allow"


class TestWrongCanary:
    def test_refuses_every_decision_until_it_is_mended_live(
        self, directory: Path, make_pdp: Callable[..., Pdp], make_service: Serving
    ) -> None:
        write(directory, KIND, *canary(deny="ALLOW"))
        pdp = make_pdp(directory)
        service = make_service(pdp.address, {"canary": OFTEN})
        found = readiness(service)
        assert (found["ready"], found["canary"]["state"], found["canary"]["trusted"]) == (True, "wrong", False)
        assert found["canary"]["faults"] == ["canary deny: expected EFFECT_DENY, got EFFECT_ALLOW"]
        decided = decide(service)
        assert (decided.permission, decided.record["error"]) == ("deny", "canary_wrong")
        assert "canary deny" in decided.record["error_detail"]
        assert service.metric("hookgate_errors_total", kind="canary_wrong") == 1
        assert service.metric("hookgate_canary_trusted") == 0
        assert decide(service, payload("UserPromptSubmit")).record["error"] == "canary_wrong"
        write(pdp.policies, KIND, *canary())
        until(lambda: state(service) == "ok", seconds=LIVE_SECONDS, what="the mended canary")
        assert decide(service).record["outcome"] == "allow"
        assert service.metric("hookgate_canary_trusted") == 1
        states = [record["detail"]["state"] for record in service.records("canary")]
        assert states == ["wrong", "ok"]

    @pytest.mark.parametrize(("on_error", "permission"), [("ask", "ask"), ("pass", "")])
    def test_is_answered_by_on_error(
        self, make_service: Serving, stand_in: StandInPdp, on_error: str, permission: str
    ) -> None:
        stand_in.canary = lambda request, context: response(request, DENY).SerializeToString()
        service = make_service(stand_in.address, {"on_error": on_error, "canary": OFTEN})
        decided = decide(service)
        assert (decided.permission, decided.record["error"]) == (permission, "canary_wrong")
        assert stand_in.requests == []

    def test_stays_wrong_through_an_outage(self, make_service: Serving, stand_in: StandInPdp) -> None:
        stand_in.canary = lambda request, context: response(request, DENY).SerializeToString()
        service = make_service(stand_in.address, {"canary": OFTEN})
        assert state(service) == "wrong"
        stand_in.canary = refuse
        until(lambda: state(service) == "unreachable", what="the outage to be noticed")
        assert readiness(service)["canary"]["trusted"] is False
        assert decide(service).record["error"] == "canary_wrong"

    def test_an_outage_alone_makes_nothing_wrong(self, make_service: Serving, stand_in: StandInPdp) -> None:
        stand_in.canary = right
        service = make_service(stand_in.address, {"canary": {**OFTEN, "required": True}})
        assert state(service) == "ok"
        stand_in.canary = refuse
        until(lambda: state(service) == "unreachable", what="the outage to be noticed")
        found = readiness(service)
        assert (found["ready"], found["canary"]["trusted"]) == (True, True)
        assert decide(service).record["outcome"] == "allow"


class TestExpectations:
    READ = {"name": "reads", "payload": payload("PreToolUse.Read"), "outcome": "allow"}  # noqa: RUF012

    def secret(self, outcome: str) -> dict[str, Any]:
        """Gives the expectation about a file that the shipped policies protect."""
        body = payload("PreToolUse.Read", tool_input={"file_path": "/home/dev/project/.env"})
        return {
            "name": "secrets stay secret",
            "payload": body,
            "outcome": outcome,
            "user": "probe",
            "roles": ["b", "a"],
        }

    def test_that_hold_change_nothing(self, shipped_pdp: Pdp, make_service: Serving) -> None:
        silent = {"name": "silence", "payload": payload("Notification.idle_prompt"), "outcome": "no_match"}
        service = make_service(shipped_pdp.address, {"canary": {"expect": [self.READ, self.secret("deny"), silent]}})
        assert (state(service), decide(service).record["outcome"]) == ("ok", "allow")

    def test_that_do_not_hold_refuse_every_decision(self, shipped_pdp: Pdp, make_service: Serving) -> None:
        service = make_service(shipped_pdp.address, {"canary": {"expect": [self.READ, self.secret("allow")]}})
        found = readiness(service)["canary"]
        assert (found["state"], found["trusted"]) == ("wrong", False)
        assert found["faults"] == ["secrets stay secret: expected allow, got deny (resource.PreToolUse.vdefault)"]
        decided = decide(service)
        assert (decided.permission, decided.record["error"]) == ("deny", "canary_wrong")
        assert "secrets stay secret" in decided.record["error_detail"]

    def test_are_asked_of_a_pdp_without_a_canary_policy_too(self, make_service: Serving, stand_in: StandInPdp) -> None:
        service = make_service(stand_in.address, {"canary": {**OFTEN, "expect": [self.READ]}})
        assert (state(service), decide(service).record["outcome"]) == ("absent", "allow")
        stand_in.behaviour = lambda request, context: response(request, DENY, policy="NO_MATCH").SerializeToString()
        until(lambda: state(service) == "wrong", what="the lost policy to be noticed")
        assert readiness(service)["canary"]["faults"] == ["reads: expected allow, got no_match (NO_MATCH)"]
        assert decide(service).record["error"] == "canary_wrong"


class TestReadiness:
    def test_needs_the_first_round_and_not_a_pdp(self, make_service: Serving) -> None:
        service = make_service(f"127.0.0.1:{free_port()}", ready=False)
        status, text = service.get("/readyz")
        assert (status, json.loads(text)["reasons"]) == (503, ["the canary has not been asked yet"])
        assert service.metric("hookgate_ready") == 0
        until(service.is_ready, what="readiness without a PDP")
        found = readiness(service)
        assert (found["canary"]["state"], found["canary"]["trusted"]) == ("unreachable", True)
        assert service.metric("hookgate_canary_state", state="unreachable") == 1
        assert service.get("/livez")[0] == 200

    def test_comes_though_the_pdp_hangs(self, make_service: Serving, stand_in: StandInPdp) -> None:
        stand_in.canary = never
        service = make_service(stand_in.address)
        assert state(service) == "unreachable"
        assert decide(service).record["outcome"] == "allow"

    def test_tells_the_first_round_s_result_though_decisions_came_before_it(
        self, make_service: Serving, stand_in: StandInPdp
    ) -> None:
        stand_in.canary = never
        service = make_service(stand_in.address, ready=False)
        assert decide(service).record["outcome"] == "allow"
        assert state(service) in ("unknown", "unreachable")
