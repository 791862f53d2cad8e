"""What becomes of what the PDP says: a real PDP, the real service, one line of the table of outcomes after the other."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hookgate.hooks.catalog import EVENTS
from tests.conftest import ROOT, payload
from tests.integration.conftest import Serving
from tests.integration.deciding import Decided, decide
from tests.integration.policies import rule, write
from tests.integration.stand_in import ALLOW, DENY, StandInPdp, response
from tests.support.pdp import Pdp
from tests.support.service import ServiceProcess
from tests.support.wait import until

POLICY = "resource.PreToolUse.vdefault"


def opinion(word: str, reason: str = "", **more: str) -> str:
    """Gives the CEL of an output in the spelling that the client takes before a tool runs."""
    fields = {"permissionDecision": f'"{word}"'}
    if reason:
        fields["permissionDecisionReason"] = f'"{reason}"'
    fields |= more
    return '{"hookSpecificOutput": {' + ", ".join(f'"{key}": {value}' for key, value in fields.items()) + "}}"


REWRITE = opinion("allow", updatedInput='{"command": "true", "timeout": 120000}')

#: By tool: what the policy says about it.
TOOLS = {
    "DenySilently": [rule("DENY")],
    "DenyWithReason": [rule("DENY", opinion("deny", "Not today."))],
    "DenyTwice": [rule("ALLOW", opinion("deny", "One.")), rule("DENY", opinion("deny", "Two."))],
    "DenyButOutputAllows": [rule("DENY", opinion("allow", "Go on."))],
    "DenyButOutputAsks": [rule("DENY", opinion("ask", "Really?"))],
    "DenyThoughOthersAllow": [rule("ALLOW", opinion("allow")), rule("DENY", opinion("deny", "No."))],
    "AllowSilently": [rule("ALLOW")],
    "AllowAloud": [rule("ALLOW", opinion("allow", "Known."))],
    "AllowButOutputDenies": [rule("ALLOW", opinion("deny", "Rather not.")), rule("ALLOW", opinion("allow"))],
    "AllowButOutputAsks": [rule("ALLOW", opinion("ask", "Look at it.")), rule("ALLOW", opinion("allow"))],
    "AllowWithContext": [rule("ALLOW", '{"hookSpecificOutput": {"additionalContext": "Mind the tests."}}')],
    "AllowDeferred": [rule("ALLOW", opinion("defer", "Later."))],
    "AllowInCapitals": [rule("ALLOW", opinion("DENY", "Loud."))],
    "AllowUnreadably": [rule("ALLOW", '{"hookSpecificOutput": 5, "async": true, "permissionDecision": "maybe"}')],
    "AllowWithBrokenOutput": [rule("ALLOW", "R.attr.nowhere.at_all")],
    "TopLevelBlock": [rule("ALLOW", '{"decision": "block", "reason": "Old spelling."}')],
    "TopLevelPermission": [rule("ALLOW", '{"permissionDecision": "deny", "permissionDecisionReason": "Bare."}')],
    "Behaviour": [rule("ALLOW", '{"hookSpecificOutput": {"decision": {"behavior": "deny", "message": "Prompt."}}}')],
    "RewriteToBad": [
        rule("ALLOW", REWRITE),
        rule("DENY", opinion("deny", "Not true either."), when='R.attr.tool_input.command == "true"'),
    ],
    "RewriteToGood": [rule("ALLOW", REWRITE, when='R.attr.tool_input.command != "true"'), rule("ALLOW")],
    "RewriteForEver": [
        rule("ALLOW", opinion("allow", updatedInput='{"command": R.attr.tool_input.command + "!"}')),
    ],
    "RewriteInTwoWays": [
        rule("ALLOW", opinion("allow", updatedInput='{"command": "a"}')),
        rule("ALLOW", opinion("allow", updatedInput='{"command": "b"}')),
    ],
    "RewriteBesideDeny": [rule("ALLOW", REWRITE), rule("DENY", opinion("deny", "No."))],
}
#: By event: what the policy says where the payload's `case` is so. Effect, output.
CASES = {
    "deny": ("DENY", ""),
    "reason": ("DENY", '{"decision": "block", "reason": "Stand still."}'),
    "ask": ("ALLOW", '{"hookSpecificOutput": {"permissionDecision": "ask", "permissionDecisionReason": "Sure?"}}'),
    "allow": ("ALLOW", '{"hookSpecificOutput": {"permissionDecision": "allow"}}'),
    "context": ("ALLOW", '{"hookSpecificOutput": {"additionalContext": "By the way."}}'),
    "silent": ("ALLOW", ""),
}
#: These have no policy.
SPARED = ("PreModelSwitch", "ConfigChange", "UserPromptExpansion", "Notification")


@pytest.fixture(scope="module")
def pdp(cerbos: Path, policies: Path) -> Iterator[Pdp]:
    """A real PDP with a rule for each line of the table."""
    lines = [{**line, "actions": [tool]} for tool, lines in TOOLS.items() for line in lines]
    write(policies, "PreToolUse", *lines)
    for event in [*EVENTS, "FutureEvent"]:
        if event != "PreToolUse" and event not in SPARED:
            cases = [rule(*said, when=f'R.attr.case == "{case}"') for case, said in CASES.items()]
            write(policies, event, *cases)
    pdp = Pdp(policies).start()
    yield pdp
    pdp.stop()


@pytest.fixture(scope="module")
def service(serving: Serving, pdp: Pdp) -> ServiceProcess:
    return serving(pdp.address)


def call(service: ServiceProcess, tool: str, headers: dict[str, str] | None = None) -> Decided:
    """Has a call of one of the table's tools decided about."""
    return decide(service, headers=headers, tool_name=tool, tool_input={"command": "ls"})


def event(service: ServiceProcess, name: str, case: str, **changes: Any) -> Decided:
    """Has another event decided about."""
    return decide(service, {"hook_event_name": name, "cwd": "/p", "case": case, **changes})


class TestBeforeATool:
    @pytest.mark.parametrize(
        ("tool", "permission", "reason"),
        [
            ("DenySilently", "deny", f"Policy {POLICY} denied this call."),
            ("DenyWithReason", "deny", "Not today."),
            ("DenyTwice", "deny", "One.\nTwo."),
            ("DenyButOutputAllows", "deny", f"Policy {POLICY} denied this call."),
            ("DenyButOutputAsks", "deny", f"Policy {POLICY} denied this call."),
            ("DenyThoughOthersAllow", "deny", "No."),
            ("AllowButOutputDenies", "deny", "Rather not."),
            ("AllowInCapitals", "deny", "Loud."),
            ("TopLevelBlock", "deny", "Old spelling."),
            ("TopLevelPermission", "deny", "Bare."),
            ("Behaviour", "deny", "Prompt."),
            ("AllowButOutputAsks", "ask", "Look at it."),
            ("AllowDeferred", "defer", "Later."),
        ],
    )
    def test_a_denial_or_question_comes_with_its_reason_and_the_decision_s_id(
        self, service: ServiceProcess, tool: str, permission: str, reason: str
    ) -> None:
        decided = call(service, tool)
        assert decided.answer == {
            "hookSpecificOutput": {
                "hookEventName": "PreToolUse",
                "permissionDecision": permission,
                "permissionDecisionReason": f"{reason} [hookgate {decided.record['id']}]",
            }
        }
        assert (decided.record["outcome"], decided.record["mode"]) == (permission, "enforce")
        assert (decided.record["policy"], decided.record["reason"]) == (POLICY, reason)
        assert decided.record["answer"] == decided.answer

    def test_an_allow_that_an_output_speaks_out_is_an_allow(self, service: ServiceProcess) -> None:
        decided = call(service, "AllowAloud")
        assert (decided.permission, decided.reason) == ("allow", f"Known. [hookgate {decided.record['id']}]")
        assert decided.record["outcome"] == "allow"

    @pytest.mark.parametrize("tool", ["AllowSilently", "AllowUnreadably", "AllowWithBrokenOutput"])
    def test_an_allow_without_a_legible_opinion_leaves_the_client_s_own_rules(
        self, service: ServiceProcess, tool: str
    ) -> None:
        decided = call(service, tool)
        assert (decided.answer, decided.record["outcome"]) == ({}, "allow")
        assert decided.record["effect"] == "EFFECT_ALLOW"

    def test_context_for_the_model_is_no_opinion(self, service: ServiceProcess) -> None:
        specific = {"hookEventName": "PreToolUse", "additionalContext": "Mind the tests."}
        assert call(service, "AllowWithContext").answer == {"hookSpecificOutput": specific}

    def test_a_tool_that_no_rule_names_is_denied_by_the_policy(self, service: ServiceProcess) -> None:
        decided = call(service, "Unheard")
        assert (decided.permission, decided.record["outcome"]) == ("deny", "deny")

    @pytest.mark.parametrize(
        ("tool", "rules"),
        [("DenyButOutputAllows", 1), ("DenyThoughOthersAllow", 1), ("AllowButOutputDenies", 1), ("DenyWithReason", 0)],
    )
    def test_outputs_that_disagree_with_the_effect_are_recorded_and_counted(
        self, service: ServiceProcess, tool: str, rules: int
    ) -> None:
        before = service.metric("hookgate_contradictions_total")
        assert len(call(service, tool).record["contradictions"]) == rules
        assert service.metric("hookgate_contradictions_total") == before + rules

    def test_what_is_dropped_is_recorded_counted_and_logged_once(self, service: ServiceProcess) -> None:
        before = service.metric("hookgate_dropped_output_fields_total")
        dropped = call(service, "AllowUnreadably").record["dropped"]
        assert call(service, "AllowUnreadably").record["dropped"] == dropped
        assert {drop["field"] for drop in dropped} == {"hookSpecificOutput", "async", "permissionDecision"}
        assert service.metric("hookgate_dropped_output_fields_total") == before + 2 * len(dropped)
        sources = {drop["source"] for drop in dropped}

        def warned() -> list[dict[str, Any]]:
            return [line for line in service.log_events("output_field_dropped") if line["source"] in sources]

        until(lambda: len(warned()) >= len(dropped), what="the warnings")
        assert len(warned()) == len(dropped)

    def test_a_failed_output_expression_is_recorded(self, service: ServiceProcess) -> None:
        record = call(service, "AllowWithBrokenOutput").record
        assert record["outputs"][0]["error"]
        assert [drop["why"] for drop in record["dropped"]] == ["evaluation_error"]


class TestOutputsStricterThanTheEffect:
    def test_are_dropped_where_the_configuration_says_so(self, serving: Serving, pdp: Pdp) -> None:
        service = serving(pdp.address, {"outputs": {"stricter_than_effect": "drop"}})
        decided = call(service, "AllowButOutputDenies")
        assert (decided.permission, decided.record["outcome"]) == ("allow", "allow")
        assert len(decided.record["contradictions"]) == 1
        assert call(service, "AllowButOutputAsks").permission == "ask"
        assert call(service, "DenyButOutputAllows").permission == "deny"


class TestRewrittenInput:
    def test_travels_with_the_allow_once_the_changed_call_is_let_through(self, service: ServiceProcess) -> None:
        decided = call(service, "RewriteToGood")
        assert decided.permission == "allow"
        updated = decided.answer["hookSpecificOutput"]["updatedInput"]
        assert updated == {"command": "true", "timeout": 120000}
        assert isinstance(updated["timeout"], int)

    def test_that_would_itself_be_denied_is_denied(self, service: ServiceProcess) -> None:
        decided = call(service, "RewriteToBad")
        assert (decided.permission, decided.record["outcome"]) == ("deny", "deny")
        assert "updatedInput" not in decided.answer["hookSpecificOutput"]

    @pytest.mark.parametrize("tool", ["RewriteForEver", "RewriteInTwoWays"])
    def test_that_does_not_stay_the_same_is_denied(self, service: ServiceProcess, tool: str) -> None:
        decided = call(service, tool)
        assert decided.permission == "deny"
        assert "in different ways" in decided.reason

    def test_never_goes_with_a_denial(self, service: ServiceProcess) -> None:
        answer = call(service, "RewriteBesideDeny").answer["hookSpecificOutput"]
        assert answer["permissionDecision"] == "deny"
        assert "updatedInput" not in answer

    def test_is_asked_about_as_a_call_of_its_own(self, serving: Serving, stand_in: StandInPdp) -> None:
        allow = {"hookSpecificOutput": {"permissionDecision": "allow", "updatedInput": {"file_path": "/etc/hosts"}}}
        stand_in.behaviour = lambda request, context: response(request, ALLOW, allow).SerializeToString()
        decided = decide(serving(stand_in.address), payload("PreToolUse.Read"))
        first, second = stand_in.about(decided.record["session_id"])
        assert second.attr["tool_input"] == {"file_path": "/etc/hosts"}
        assert [path["path"] for path in second.attr["facts"]["paths"]] == ["/etc/hosts"]
        assert second.annotations == first.annotations
        assert second.request_id != first.request_id
        assert decided.permission == "allow"

    def test_is_denied_when_the_second_question_gets_no_answer(self, serving: Serving, stand_in: StandInPdp) -> None:
        allow = {"hookSpecificOutput": {"permissionDecision": "allow", "updatedInput": {"command": "true"}}}

        def once(request: Any, context: Any) -> bytes:
            changed = request.request_id.endswith(".changed")
            return b"\xff" if changed else response(request, ALLOW, allow).SerializeToString()

        stand_in.behaviour = once
        decided = decide(serving(stand_in.address))
        assert (decided.permission, decided.record["error"]) == ("deny", "pdp_nonsense")
        assert "updatedInput" not in decided.answer["hookSpecificOutput"]


class TestNoPolicy:
    @pytest.fixture(params=["pass", "ask", "deny"], scope="class", name="fallback")
    @staticmethod
    def fallback_of(request: pytest.FixtureRequest) -> str:
        found: str = request.param
        return found

    @pytest.fixture(scope="class", name="falling_back")
    @staticmethod
    def service_with(serving: Serving, pdp: Pdp, fallback: str) -> ServiceProcess:
        further = ["UserPromptExpansion", "Stop"]
        required = {"required_kinds": ["ConfigChange", "Notification"]}
        settings = {"no_match": fallback, "on_error": fallback, "on_error_events": further, "pdp": required}
        return serving(pdp.address, settings)

    def test_is_answered_as_configured(self, falling_back: ServiceProcess, fallback: str) -> None:
        decided = decide(falling_back, payload("PreModelSwitch"))
        assert decided.permission == ("" if fallback == "pass" else fallback)
        assert (decided.record["outcome"], decided.record["error"]) == ("no_match", "")
        assert (decided.record["effect"], decided.record["policy"]) == ("", "NO_MATCH")

    def test_asked_of_an_event_that_can_t_ask_denies(self, falling_back: ServiceProcess, fallback: str) -> None:
        decided = decide(falling_back, payload("UserPromptExpansion.slash_command"))
        assert decided.answer.get("decision") == (None if fallback == "pass" else "block")
        assert decided.record["outcome"] == "no_match"

    def test_for_a_required_kind_is_an_error(self, falling_back: ServiceProcess, fallback: str) -> None:
        before = falling_back.metric("hookgate_errors_total", kind="policy_missing")
        decided = decide(falling_back, payload("ConfigChange"))
        assert decided.answer.get("decision") == (None if fallback == "pass" else "block")
        assert (decided.record["outcome"], decided.record["error"]) == ("error", "policy_missing")
        assert falling_back.metric("hookgate_errors_total", kind="policy_missing") == before + 1
        assert decide(falling_back, tool_name="AllowSilently").record["outcome"] == "allow"

    def test_stops_nothing_that_these_settings_do_not_govern(self, falling_back: ServiceProcess) -> None:
        decided = decide(falling_back, payload("Notification.idle_prompt"))
        assert (decided.answer, decided.record["error"]) == ({}, "policy_missing")

    def test_passes_by_default(self, service: ServiceProcess) -> None:
        assert decide(service, payload("PreModelSwitch")).answer == {}


class TestSeveralRoles:
    @pytest.fixture(scope="class", name="guided")
    @staticmethod
    def guided_service(cerbos: Path) -> Iterator[ServiceProcess]:
        pdp = Pdp(ROOT / "tests" / "fixtures" / "guide-policies" / "6").start()
        service = ServiceProcess(pdp.address).start()
        yield service
        service.remove()
        pdp.stop()

    @pytest.mark.parametrize("command", ["rm -rf build", "git push --force origin main", "git reset --hard HEAD~3"])
    def test_an_engineer_s_dangerous_command_is_denied_though_the_first_output_allows(
        self, guided: ServiceProcess, command: str
    ) -> None:
        decided = decide(guided, headers={"X-Claude-User-Roles": "engineering"}, tool_input={"command": command})
        words = [one["value"]["hookSpecificOutput"]["permissionDecision"] for one in decided.record["outputs"]]
        assert words == ["allow", "deny"]
        assert decided.permission == "deny"
        assert "This command destroys work" in decided.reason

    def test_an_engineer_s_other_command_is_allowed(self, guided: ServiceProcess) -> None:
        assert decide(guided, headers={"X-Claude-User-Roles": "engineering"}).permission == "allow"

    def test_marketing_may_not_run_commands(self, guided: ServiceProcess) -> None:
        decided = decide(guided, headers={"X-Claude-User-Roles": "marketing"})
        assert decided.permission == "deny"
        assert "needs the engineering role" in decided.reason

    def test_the_order_of_roles_in_the_header_changes_nothing(self, guided: ServiceProcess) -> None:
        found = [
            decide(guided, headers={"X-Claude-User-Roles": roles})
            for roles in ("engineering,marketing", "marketing, engineering")
        ]
        assert found[0].permission == found[1].permission
        assert found[0].record["outputs"] == found[1].record["outputs"]
        assert found[0].record["roles"] == ["engineering", "marketing"]

    def test_each_rule_s_output_counts_once_whatever_the_number_of_roles(self, guided: ServiceProcess) -> None:
        decided = decide(
            guided,
            payload("PreToolUse.Read", tool_input={"file_path": "/etc/passwd"}),
            {"X-Claude-User-Roles": "a,b,c"},
        )
        assert len(decided.record["outputs"]) == 1
        assert decided.reason.count("Sensitive files are off limits here.") == 1


BLOCKING = ("UserPromptSubmit", "PostToolUse", "PostToolUseFailure", "PostToolBatch", "PreCompact", "TaskCreated")
DEAF = ("SubagentStart", "SessionEnd", "PostCompact", "CwdChanged", "PermissionDenied", "StopFailure")
TOOL = {"tool_name": "Bash", "tool_input": {"command": "ls"}}


class TestOtherEvents:
    @pytest.mark.parametrize("name", [*BLOCKING, "FutureEvent"])
    def test_a_denial_blocks_where_the_client_obeys_a_block(self, service: ServiceProcess, name: str) -> None:
        decided = event(service, name, "deny", **TOOL)
        reason = f"Policy resource.{name}.vdefault denied this call. [hookgate {decided.record['id']}]"
        assert decided.answer == {"decision": "block", "reason": reason}
        assert (decided.record["outcome"], decided.record["unenforceable"]) == ("deny", False)
        assert event(service, name, "reason", **TOOL).answer["reason"].startswith("Stand still. [hookgate ")

    @pytest.mark.parametrize("name", [*BLOCKING, "FutureEvent"])
    def test_a_question_denies_where_the_client_can_t_ask(self, service: ServiceProcess, name: str) -> None:
        decided = event(service, name, "ask", **TOOL)
        assert decided.answer["decision"] == "block"
        assert "hookSpecificOutput" not in decided.answer

    @pytest.mark.parametrize("name", sorted({*EVENTS, "FutureEvent"} - {"PreToolUse", *SPARED}))
    @pytest.mark.parametrize("case", ["silent", "allow", "context"])
    def test_an_allow_never_stops_anything(self, service: ServiceProcess, name: str, case: str) -> None:
        decided = event(service, name, case, **TOOL)
        assert decided.record["outcome"] == "allow"
        assert decided.answer.keys() <= {"hookSpecificOutput"}
        specific = decided.answer.get("hookSpecificOutput", {"hookEventName": name})
        assert specific.pop("hookEventName") == name
        if case == "context" and specific:
            assert specific == {"additionalContext": "By the way."}
        elif case == "allow":
            assert specific in ({}, {"decision": {"behavior": "allow"}})

    @pytest.mark.parametrize("name", DEAF)
    def test_a_denial_that_the_client_does_not_obey_is_recorded_as_such(
        self, service: ServiceProcess, name: str
    ) -> None:
        before = service.metric("hookgate_unenforceable_total", event=name)
        decided = event(service, name, "deny", **TOOL)
        assert decided.answer == {}
        assert (decided.record["outcome"], decided.record["unenforceable"]) == ("deny", True)
        assert service.metric("hookgate_unenforceable_total", event=name) == before + 1

    def test_a_permission_prompt_is_answered_in_its_own_form(self, service: ServiceProcess) -> None:
        prompt = payload("PermissionRequest.Bash")
        denied = decide(service, prompt, case="deny")
        assert denied.answer["hookSpecificOutput"]["decision"]["behavior"] == "deny"
        assert denied.record["id"] in denied.answer["hookSpecificOutput"]["decision"]["message"]
        allowed = {"hookEventName": "PermissionRequest", "decision": {"behavior": "allow"}}
        assert decide(service, prompt, case="allow").answer == {"hookSpecificOutput": allowed}

    @pytest.mark.parametrize("case", ["ask", "silent", "context"])
    def test_a_permission_prompt_stays_where_the_policy_does_not_decide(
        self, service: ServiceProcess, case: str
    ) -> None:
        assert decide(service, payload("PermissionRequest.Bash"), case=case).answer == {}

    @pytest.mark.parametrize("name", ["Elicitation", "ElicitationResult"])
    def test_an_elicitation_is_declined_and_the_person_told_why(self, service: ServiceProcess, name: str) -> None:
        decided = decide(service, payload(name), case="reason")
        assert decided.answer == {
            "systemMessage": f"Stand still. [hookgate {decided.record['id']}]",
            "hookSpecificOutput": {"hookEventName": name, "action": "decline"},
        }

    @pytest.mark.parametrize("name", ["Stop", "SubagentStop"])
    def test_an_agent_goes_on_only_where_an_output_says_so_and_only_once(
        self, service: ServiceProcess, name: str
    ) -> None:
        silent = decide(service, payload(name), case="deny")
        assert (silent.answer, silent.record["unenforceable"]) == ({}, True)
        assert decide(service, payload(name), case="reason").answer["decision"] == "block"
        again = decide(service, payload(name), case="reason", stop_hook_active=True)
        assert (again.answer, again.record["outcome"], again.record["unenforceable"]) == ({}, "deny", True)

    def test_a_config_change_is_blocked(self, shipped_service: ServiceProcess) -> None:
        decided = decide(shipped_service, payload("ConfigChange"))
        assert decided.answer == {
            "decision": "block",
            "reason": f"{decided.record['reason']} [hookgate {decided.record['id']}]",
        }

    def test_an_unknown_event_is_recorded_and_counted(self, service: ServiceProcess) -> None:
        before = service.metric("hookgate_unknown_events_total")
        decided = event(service, "EventOfTomorrow", "x")
        assert (decided.answer, decided.record["outcome"]) == ({}, "no_match")
        assert decided.record["event"] == "EventOfTomorrow"
        assert service.metric("hookgate_unknown_events_total") == before + 1
        assert service.metric("hookgate_decisions_total", event="unknown") >= 1
        assert service.metric("hookgate_decisions_total", event="EventOfTomorrow") == 0


@pytest.fixture
def observing(serving: Serving, pdp: Pdp) -> ServiceProcess:
    """Observes all but a pilot group, whom it may stop."""
    pilots = [{"mode": "enforce", "roles": ["pilot"]}, {"mode": "enforce", "users": ["pat"]}]
    more = {"no_match": "deny", "pdp": {"required_kinds": ["ConfigChange"]}}
    return serving(pdp.address, {"mode": "observe", "rollout": pilots, **more})


@pytest.fixture
def sparing(serving: Serving, pdp: Pdp) -> ServiceProcess:
    """Enforces for all but trial groups, whom it only observes."""
    rules = [
        {"mode": "observe", "roles": ["trial"]},
        {"mode": "observe", "roles": ["open-trial"], "allow_unverified": True},
        {"mode": "enforce", "users": ["pat"]},
    ]
    return serving(pdp.address, {"rollout": rules})


class TestObserving:
    @pytest.mark.parametrize("tool", ["DenyWithReason", "AllowButOutputAsks", "AllowAloud", "AllowWithContext"])
    def test_answers_nothing_and_records_what_enforcing_would_have_said(
        self, observing: ServiceProcess, service: ServiceProcess, tool: str
    ) -> None:
        observed, enforced = call(observing, tool), call(service, tool)
        assert observed.answer == observed.record["answer"] == {}
        would = str(observed.record["would_answer"]).replace(observed.record["id"], enforced.record["id"])
        assert would == str(enforced.answer)
        assert observed.record["mode"] == "observe"
        assert observed.record["outcome"] == enforced.record["outcome"]

    def test_holds_for_missing_policies(self, observing: ServiceProcess) -> None:
        missing = decide(observing, payload("PreModelSwitch"))
        assert (missing.answer, missing.record["outcome"]) == ({}, "no_match")
        assert missing.record["would_answer"]["hookSpecificOutput"]["permissionDecision"] == "deny"

    def test_holds_for_errors(self, observing: ServiceProcess) -> None:
        missing = decide(observing, payload("ConfigChange"))
        assert (missing.answer, missing.record["error"]) == ({}, "policy_missing")
        assert missing.record["would_answer"]["decision"] == "block"
        assert observing.post(b"{") == {}
        assert observing.records()[-1]["would_answer"]["decision"] == "block"

    def test_is_counted_apart(self, observing: ServiceProcess) -> None:
        labels = {"event": "PreToolUse", "outcome": "deny", "mode": "observe"}
        before = observing.metric("hookgate_decisions_total", **labels)
        call(observing, "DenySilently")
        assert observing.metric("hookgate_decisions_total", **labels) == before + 1


class TestRollout:
    @staticmethod
    def mode(service: ServiceProcess, headers: dict[str, str]) -> str:
        """Gives the mode that a caller's denied call is answered in; answer and record must agree on it."""
        decided = call(service, "DenySilently", headers)
        assert (decided.permission == "deny") is (decided.record["mode"] == "enforce")
        mode: str = decided.record["mode"]
        return mode

    def test_starts_enforcement_with_one_team(self, observing: ServiceProcess) -> None:
        assert self.mode(observing, {"X-Claude-User-Roles": "staff,pilot"}) == "enforce"
        assert self.mode(observing, {"X-Claude-User": "pat"}) == "enforce"
        assert self.mode(observing, {"X-Claude-User": "sam"}) == "observe"
        assert self.mode(observing, {}) == "observe"

    def test_lets_nobody_name_themselves_into_being_observed(self, sparing: ServiceProcess) -> None:
        assert self.mode(sparing, {"X-Claude-User-Roles": "trial"}) == "enforce"

    def test_observes_unverified_callers_where_it_says_so(self, sparing: ServiceProcess) -> None:
        assert self.mode(sparing, {"X-Claude-User-Roles": "open-trial,staff"}) == "observe"
        assert self.mode(sparing, {"X-Claude-User-Roles": "staff"}) == "enforce"

    def test_enforces_where_two_rules_match(self, sparing: ServiceProcess) -> None:
        assert self.mode(sparing, {"X-Claude-User": "pat", "X-Claude-User-Roles": "open-trial"}) == "enforce"

    def test_gives_a_caller_who_can_t_be_established_the_strictest_mode(self, observing: ServiceProcess) -> None:
        body = payload("PreToolUse.Bash", tool_name="AllowSilently")
        answer = observing.post(body, {"X-Claude-User": "x" * 300})
        assert answer["hookSpecificOutput"]["permissionDecision"] == "deny"
        record = observing.records()[-1]
        assert (record["error"], record["mode"]) == ("identity_invalid", "enforce")


def test_a_denial_by_the_pdp_without_its_policy_s_name_is_still_one(serving: Serving, stand_in: StandInPdp) -> None:
    stand_in.behaviour = lambda request, context: response(request, DENY, policy="").SerializeToString()
    decided = decide(serving(stand_in.address))
    assert decided.permission == "deny"
    assert decided.reason.startswith("The policy denied this call.")
