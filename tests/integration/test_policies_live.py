"""Policies are edited while everything runs: what holds when, and what is said of it."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import payload
from tests.integration.deciding import decide
from tests.integration.policies import rule, write
from tests.integration.stand_in import DENY, StandInPdp, response
from tests.support.pdp import Pdp
from tests.support.service import ServiceProcess
from tests.support.wait import until

#: An edit was live after 3 to 4 s on an idle machine.
LIVE_SECONDS = 15
COMPACTION = payload("PreCompact.manual")
DENYING = rule("DENY", '{"hookSpecificOutput": {"permissionDecision": "deny", "permissionDecisionReason": "Edited."}}')


class Watched:
    """A PDP whose policies a test edits, and a service before it."""

    def __init__(self, pdp: Pdp, service: ServiceProcess) -> None:
        self.pdp, self.service = pdp, service

    @property
    def directory(self) -> Path:
        """The policies that the PDP watches."""
        return self.pdp.policies

    def outcome(self, body: dict[str, Any] | None = None) -> str:
        """Gives the outcome of a decision of now."""
        found: str = decide(self.service, body).record["outcome"]
        return found

    def until_outcome(self, outcome: str, body: dict[str, Any] | None = None) -> None:
        """Waits until a decision has this outcome."""
        until(lambda: self.outcome(body) == outcome, seconds=LIVE_SECONDS, what=f"the edit to give {outcome}")


@pytest.fixture(scope="module")
def watched(cerbos: Path, policies: Path) -> Iterator[Watched]:
    """One PDP for the module; each test edits another kind's policy."""
    for kind in ("PreToolUse", "UserPromptSubmit", "PermissionRequest", "PreCompact"):
        write(policies, kind, rule("ALLOW"))
    pdp = Pdp(policies).start()
    service = ServiceProcess(pdp.address).start()
    yield Watched(pdp, service)
    service.remove()
    pdp.stop()


@pytest.fixture(scope="module")
def edited(watched: Watched) -> float:
    """Has one policy edited and another removed; gives after how many seconds both were live."""
    assert watched.outcome() == "allow"
    assert watched.outcome(COMPACTION) == "allow"
    assert watched.service.metric("hookgate_policy_lost_total") == 0
    begun = time.monotonic()
    write(watched.directory, "PreToolUse", DENYING)
    (watched.directory / "PreCompact.default..yaml").unlink()
    watched.until_outcome("deny")
    watched.until_outcome("no_match", COMPACTION)
    return time.monotonic() - begun


def test_an_edit_is_live_without_a_restart(
    watched: Watched, edited: float, record_property: Callable[[str, object], None]
) -> None:
    record_property("edit_live_after_seconds", round(edited, 2))
    print(f"an edit was live after {edited:.1f} s")
    assert decide(watched.service).reason.startswith("Edited. ")
    assert len(watched.service.records("start")) == 1


def test_a_kind_that_loses_its_policy_is_counted_logged_and_recorded_once(watched: Watched, edited: float) -> None:
    service = watched.service
    assert watched.outcome(COMPACTION) == "no_match"
    assert service.metric("hookgate_policy_lost_total", event="PreCompact") == 1
    assert service.metric("hookgate_policy_lost_total") == 1
    assert [record["detail"] for record in service.records("policy_lost")] == [{"event": "PreCompact", "scope": ""}]
    until(lambda: service.log_events("policy_lost"), what="the log line")
    lines = service.log_events("policy_lost")
    assert [(line["event_name"], line["level"]) for line in lines] == [("PreCompact", "error")]


def test_a_broken_edit_keeps_the_rules_that_held_and_its_mend_is_live(watched: Watched) -> None:
    prompt = payload("UserPromptSubmit")
    assert watched.outcome(prompt) == "allow"
    file = write(watched.directory, "UserPromptSubmit", rule("DENY", when="this is (no CEL"))
    log = watched.pdp.directory / "log"
    until(lambda: file.name in log.read_text(), seconds=LIVE_SECONDS, what="the PDP to notice the broken policy")
    assert watched.outcome(prompt) == "allow"
    assert watched.service.get("/readyz")[0] == 200
    write(watched.directory, "UserPromptSubmit", DENYING)
    watched.until_outcome("deny", prompt)


class TestLostPolicy:
    """Where the PDP's answers change faster than a real one's."""

    @pytest.fixture
    def has_policy(self, stand_in: StandInPdp) -> dict[str, bool]:
        """Whether there is a policy, by scope."""
        there: dict[str, bool] = {}

        def behave(request: Any, context: Any) -> bytes:
            known = there.get(request.resources[0].resource.scope, True)
            answer = response(request) if known else response(request, DENY, policy="NO_MATCH")
            return answer.SerializeToString()

        stand_in.behaviour = behave
        return there

    def test_that_comes_back_and_is_lost_again_is_told_again(
        self, make_service: Callable[..., ServiceProcess], stand_in: StandInPdp, has_policy: dict[str, bool]
    ) -> None:
        service = make_service(stand_in.address)
        outcomes = []
        for there in (False, True, False, False, True, True, False):
            has_policy[""] = there
            outcomes.append(decide(service).record["outcome"])
        assert outcomes == ["no_match", "allow", "no_match", "no_match", "allow", "allow", "no_match"]
        assert service.metric("hookgate_policy_lost_total", event="PreToolUse") == 2
        assert len(service.records("policy_lost")) == 2

    def test_is_no_loss_where_another_scope_never_had_one(
        self, make_service: Callable[..., ServiceProcess], stand_in: StandInPdp, has_policy: dict[str, bool]
    ) -> None:
        service = make_service(stand_in.address, {"pdp": {"scopes": ["acme", "other"]}})
        has_policy["other"] = False
        for _ in range(3):
            assert decide(service, headers={"X-Cerbos-Scope": "acme"}).record["outcome"] == "allow"
            assert decide(service, headers={"X-Cerbos-Scope": "other"}).record["outcome"] == "no_match"
        assert service.metric("hookgate_policy_lost_total") == 0
        assert service.records("policy_lost") == []

    def test_names_the_scope_that_lost_it(
        self, make_service: Callable[..., ServiceProcess], stand_in: StandInPdp, has_policy: dict[str, bool]
    ) -> None:
        service = make_service(stand_in.address, {"pdp": {"scopes": ["acme"]}})
        for there in (True, False):
            has_policy["acme"] = there
            decide(service, headers={"X-Cerbos-Scope": "acme"})
            decide(service)
        assert [record["detail"] for record in service.records("policy_lost")] == [
            {"event": "PreToolUse", "scope": "acme"}
        ]
        until(lambda: service.log_events("policy_lost"), what="the log line")
        assert service.log_events("policy_lost")[0]["scope"] == "acme"

    def test_of_a_required_kind_is_an_error_as_well(
        self, make_service: Callable[..., ServiceProcess], stand_in: StandInPdp, has_policy: dict[str, bool]
    ) -> None:
        service = make_service(stand_in.address, {"pdp": {"required_kinds": ["PreToolUse"]}})
        assert decide(service).answer == {}
        has_policy[""] = False
        decided = decide(service)
        assert (decided.permission, decided.record["error"]) == ("deny", "policy_missing")
        assert service.metric("hookgate_policy_lost_total", event="PreToolUse") == 1


def test_readiness_does_not_depend_on_what_policies_say(watched: Watched) -> None:
    found = json.loads(watched.service.get("/readyz")[1])
    assert (found["ready"], found["canary"]["state"]) == (True, "absent")
