"""A server in the PDP's place whose answers are nonsense, late, or none: what each event is told then."""

import contextlib
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from cerbos.response.v1.response_pb2 import CheckResourcesResponse

from hookgate.errors import ErrorKind
from tests.conftest import payload
from tests.integration.calling import Connection
from tests.integration.conftest import Serving
from tests.integration.deciding import decide, decide_by
from tests.integration.faults import (
    DEADLINE_SECONDS,
    Services,
    assert_fault,
    by_on_error,
)
from tests.integration.stand_in import ALLOW, DENY, StandInPdp, never, response, says


class TestNonsense:
    """A server that speaks gRPC, but whose answers do not fit the question."""

    @pytest.fixture
    def services(self, serving: Serving, stand_in: StandInPdp) -> Services:
        return by_on_error(serving, stand_in.address)

    @staticmethod
    def changed(change: Callable[[CheckResourcesResponse], object]) -> Callable[..., bytes]:
        def behave(request: Any, context: grpc.ServicerContext) -> bytes:
            made = response(request, ALLOW, {"hookSpecificOutput": {"permissionDecision": "allow"}})
            change(made)
            return made.SerializeToString()

        return behave

    @pytest.mark.parametrize(
        "change",
        [
            lambda made: setattr(made, "request_id", "another"),
            lambda made: setattr(made, "request_id", ""),
            lambda made: made.ClearField("results"),
            lambda made: made.results.append(made.results[0]),
            lambda made: setattr(made.results[0].resource, "id", "another"),
            lambda made: setattr(made.results[0].resource, "kind", "PostToolUse"),
            lambda made: made.results[0].ClearField("resource"),
            lambda made: made.results[0].actions.clear(),
            lambda made: made.results[0].actions.update({"Read": ALLOW}),
            lambda made: made.results[0].actions.update({"Bash": 0}),
            lambda made: made.results[0].actions.update({"Bash": 3}),
            lambda made: made.results[0].actions.update({"Bash": 99}),
        ],
        ids=[
            "wrong request id",
            "no request id",
            "no result",
            "two results",
            "wrong resource id",
            "wrong kind",
            "no resource",
            "no action",
            "another action",
            "unspecified effect",
            "no-match effect",
            "unknown effect",
        ],
    )
    def test_an_answer_that_does_not_fit_is_nonsense(
        self, services: Services, stand_in: StandInPdp, change: Callable[[CheckResourcesResponse], object]
    ) -> None:
        stand_in.behaviour = self.changed(change)
        assert_fault(services, ErrorKind.PDP_NONSENSE)

    @pytest.mark.parametrize(
        "data",
        [b"", b"\xff" * 40, os.urandom(2000), b"\x0a\x05ab", b'{"results": []}'],
        ids=["empty", "ones", "random", "cut", "JSON"],
    )
    def test_an_answer_that_is_no_message_is_nonsense(
        self, services: Services, stand_in: StandInPdp, data: bytes
    ) -> None:
        stand_in.behaviour = lambda request, context: data
        assert_fault(services, ErrorKind.PDP_NONSENSE)

    def test_an_answer_beyond_every_measure_is_refused(self, services: Services, stand_in: StandInPdp) -> None:
        stand_in.behaviour = lambda request, context: bytes(17 * 1024 * 1024)
        decided = assert_fault(services, ErrorKind.PDP_TOO_LARGE)
        assert "Received message larger" in decided["deny"].record["error_detail"]

    def test_a_large_answer_that_fits_is_used(self, services: Services, stand_in: StandInPdp) -> None:
        stand_in.behaviour = says(
            DENY, {"hookSpecificOutput": {"permissionDecision": "deny", "permissionDecisionReason": "x" * 1_000_000}}
        )
        decided = decide(services["deny"])
        assert decided.record["outcome"] == "deny"
        assert len(decided.reason) <= 4000

    def test_an_answer_that_never_comes_is_a_timeout(self, services: Services, stand_in: StandInPdp) -> None:
        stand_in.behaviour = never
        assert_fault(services, ErrorKind.PDP_TIMEOUT)

    def test_an_answer_that_comes_too_late_is_a_timeout(self, services: Services, stand_in: StandInPdp) -> None:
        def late(request: Any, context: grpc.ServicerContext) -> bytes:
            time.sleep(DEADLINE_SECONDS)
            return says(ALLOW)(request, context)

        stand_in.behaviour = late
        assert_fault(services, ErrorKind.PDP_TIMEOUT)

    def test_a_call_that_the_server_drops_is_a_timeout(self, services: Services, stand_in: StandInPdp) -> None:
        def drop(request: Any, context: grpc.ServicerContext) -> bytes:
            context.cancel()
            return b""

        stand_in.behaviour = drop
        assert_fault(services, ErrorKind.PDP_TIMEOUT)

    def test_a_server_that_breaks_is_refusing(self, services: Services, stand_in: StandInPdp) -> None:
        def broken(request: Any, context: grpc.ServicerContext) -> bytes:
            context.set_code(grpc.StatusCode.UNKNOWN)
            context.set_details("first line\nsecond line")
            return b""

        stand_in.behaviour = broken
        decided = assert_fault(services, ErrorKind.PDP_REFUSED)
        assert decided["deny"].record["error_detail"] == "UNKNOWN: first line"

    @pytest.mark.parametrize(
        "code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK], ids=lambda code: code.name
    )
    def test_each_status_has_its_kind(self, services: Services, stand_in: StandInPdp, code: grpc.StatusCode) -> None:
        kinds = {
            grpc.StatusCode.UNAVAILABLE: ErrorKind.PDP_UNAVAILABLE,
            grpc.StatusCode.DEADLINE_EXCEEDED: ErrorKind.PDP_TIMEOUT,
            grpc.StatusCode.CANCELLED: ErrorKind.PDP_TIMEOUT,
            grpc.StatusCode.RESOURCE_EXHAUSTED: ErrorKind.PDP_TOO_LARGE,
            grpc.StatusCode.INVALID_ARGUMENT: ErrorKind.PDP_INVALID,
            grpc.StatusCode.OUT_OF_RANGE: ErrorKind.PDP_INVALID,
        }

        def abort(request: Any, context: grpc.ServicerContext) -> bytes:
            context.set_code(code)
            context.set_details("because")
            return b""

        stand_in.behaviour = abort
        decided = assert_fault(services, kinds.get(code, ErrorKind.PDP_REFUSED))
        assert decided["deny"].record["error_detail"] == f"{code.name}: because"

    def test_an_outage_within_a_decision_s_time_is_asked_over(self, services: Services, stand_in: StandInPdp) -> None:
        tries = []

        def recovering(request: Any, context: grpc.ServicerContext) -> bytes:
            tries.append(request.request_id)
            if len(tries) < 3:
                context.set_code(grpc.StatusCode.UNAVAILABLE)
                return b""
            return says(ALLOW)(request, context)

        stand_in.behaviour = recovering
        decided = decide(services["deny"])
        assert decided.record["outcome"] == "allow"
        assert tries == [decided.record["id"]] * 3

    def test_a_refusal_is_not_asked_over(self, services: Services, stand_in: StandInPdp) -> None:
        def refuse(request: Any, context: grpc.ServicerContext) -> bytes:
            context.set_code(grpc.StatusCode.INTERNAL)
            return b""

        stand_in.behaviour = refuse
        assert decide(services["deny"]).record["error"] == "pdp_refused"
        assert len(stand_in.requests) == 1


class TestOtherEvents:
    """What an event other than PreToolUse is told while the PDP answers nonsense."""

    @pytest.fixture(autouse=True)
    def nonsense(self, stand_in: StandInPdp) -> None:
        stand_in.behaviour = lambda request, context: b"\xff"

    @pytest.fixture
    def services(self, serving: Serving, stand_in: StandInPdp) -> Services:
        return by_on_error(serving, stand_in.address)

    def answers(self, services: Services, body: dict[str, Any]) -> dict[str, dict[str, Any]]:
        decided = decide_by(services, body)
        assert {one.record["error"] for one in decided.values()} == {"pdp_nonsense"}
        return {name: one.answer for name, one in decided.items()}

    def test_a_permission_prompt_is_denied_or_stays(self, services: Services) -> None:
        answers = self.answers(services, payload("PermissionRequest.Bash"))
        assert answers["deny"]["hookSpecificOutput"]["decision"]["behavior"] == "deny"
        assert (answers["ask"], answers["pass"]) == ({}, {})

    def test_a_config_change_is_blocked_unless_errors_pass(self, services: Services) -> None:
        answers = self.answers(services, payload("ConfigChange"))
        assert (answers["deny"]["decision"], answers["ask"]["decision"], answers["pass"]) == ("block", "block", {})

    def test_a_model_switch_is_denied_or_asked_about(self, services: Services) -> None:
        answers = self.answers(services, payload("PreModelSwitch"))
        assert answers["deny"]["hookSpecificOutput"]["permissionDecision"] == "deny"
        assert answers["ask"]["hookSpecificOutput"]["permissionDecision"] == "ask"
        assert answers["pass"] == {}

    @pytest.mark.parametrize(
        "name",
        [
            "UserPromptSubmit",
            "PostToolUse.Bash",
            "PreCompact.manual",
            "Stop",
            "SubagentStop",
            "Elicitation",
            "SessionEnd.other",
        ],
    )
    def test_others_go_on(self, services: Services, name: str) -> None:
        assert list(self.answers(services, payload(name)).values()) == [{}, {}, {}]

    def test_others_are_stopped_where_they_are_named_but_never_an_agent_s_stopping(
        self, serving: Serving, stand_in: StandInPdp
    ) -> None:
        named = ["UserPromptSubmit", "PostToolUse", "Elicitation", "Stop", "SubagentStop"]
        service = serving(stand_in.address, {"on_error_events": named})
        assert decide(service, payload("UserPromptSubmit")).answer["decision"] == "block"
        assert decide(service, payload("PostToolUse.Bash")).answer["decision"] == "block"
        assert decide(service, payload("Elicitation")).answer["hookSpecificOutput"]["action"] == "decline"
        assert decide(service, payload("PreCompact.manual")).answer == {}
        for name in ("Stop", "SubagentStop"):
            assert decide(service, payload(name)).answer == {}


class TestOverload:
    def test_beyond_the_slots_a_call_waits_and_is_then_never_let_through(
        self, serving: Serving, stand_in: StandInPdp
    ) -> None:
        stand_in.behaviour = never
        settings = {"on_error": "pass", "decision": {"deadline_seconds": DEADLINE_SECONDS, "max_in_flight": 2}}
        service = serving(stand_in.address, settings)
        with contextlib.ExitStack() as stack:
            # Opened before, so that all of them ask at the same time.
            callers = [stack.enter_context(contextlib.closing(Connection(service.port))) for _ in range(20)]
            for caller in callers:
                caller.send()
            answers = [caller.receive()[0] for caller in callers]
        assert {answer["hookSpecificOutput"]["permissionDecision"] for answer in answers} == {"ask"}
        # One that gets the slot of another that has given up may be too late to ask.
        errors = [record["error"] for record in service.records()]
        assert set(errors) == {"overloaded", "pdp_timeout"}
        assert service.metric("hookgate_errors_total", kind="overloaded") == errors.count("overloaded")

    def test_a_call_that_gets_a_slot_in_time_is_decided(self, serving: Serving, stand_in: StandInPdp) -> None:
        def slow(request: Any, context: grpc.ServicerContext) -> bytes:
            time.sleep(0.02)
            return says(ALLOW)(request, context)

        stand_in.behaviour = slow
        settings = {"on_error": "pass", "decision": {"deadline_seconds": 5, "max_in_flight": 1}}
        service = serving(stand_in.address, settings)
        with ThreadPoolExecutor(8) as pool:
            assert {one.record["outcome"] for one in pool.map(lambda _: decide(service), range(8))} == {"allow"}
