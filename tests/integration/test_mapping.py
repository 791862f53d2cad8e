"""What the PDP is asked: the mapping that policies written for Cerbos Synapse's `/ext/claude` know."""

import json
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hookgate import __version__
from hookgate.recorded import Recorded
from tests.conftest import payload
from tests.integration.conftest import Serving
from tests.integration.deciding import decide
from tests.integration.policies import rule, write
from tests.integration.stand_in import Asked, StandInPdp
from tests.support.pdp import Pdp
from tests.support.service import ServiceProcess

NO_FACTS = {
    "version": 2,
    "paths": [],
    "hosts": [],
    "commands": [],
    "shapes": [],
    "server": "",
    "tool": "",
    "inside_project": True,
    "opaque": False,
    "opaque_reasons": [],
    "altered": False,
    "dropped": [],
    "truncated": [],
}


class Asking:
    """A service before a server that keeps what it is asked."""

    def __init__(self, service: ServiceProcess, pdp: StandInPdp) -> None:
        self.service, self._pdp = service, pdp

    def __call__(
        self, body: dict[str, Any] | None = None, headers: dict[str, str] | None = None, **changes: Any
    ) -> Asked:
        """Posts a payload and gives the one question that it led to."""
        found = self._pdp.about(decide(self.service, body, headers, **changes).record["session_id"])
        assert len(found) == 1
        return found[0]


@pytest.fixture
def asking(serving: Serving, stand_in: StandInPdp) -> Asking:
    return Asking(serving(stand_in.address), stand_in)


def without(name: str, *keys: str, **changes: Any) -> dict[str, Any]:
    """Gives a recorded payload without some of its keys."""
    return {key: value for key, value in payload(name, **changes).items() if key not in keys}


class TestResource:
    def test_every_recorded_request_is_asked_about_as_it_came(self, asking: Asking, recording: Recorded) -> None:
        body = recording.body
        question = asking(body)
        attributes = {**question.attr}
        facts = attributes.pop("facts")
        assert attributes == {**body, "session_id": attributes["session_id"]}
        assert facts.keys() == NO_FACTS.keys()
        assert question.kind == recording.event
        assert question.actions == [body.get("tool_name", "event")]
        assert question.id == body.get("tool_use_id", body.get("prompt_id", attributes["session_id"]))
        assert (question.scope, question.policy_version) == ("", "")
        assert question.include_meta
        assert not question.has_aux_data

    def test_its_id_is_the_prompt_s_where_no_tool_use_has_one(self, asking: Asking) -> None:
        assert asking(without("PreToolUse.Bash", "tool_use_id", prompt_id="prompt-1")).id == "prompt-1"

    def test_its_id_is_the_session_s_where_there_is_no_prompt(self, asking: Asking) -> None:
        question = asking(without("PreToolUse.Bash", "tool_use_id", "prompt_id"))
        assert question.id == question.attr["session_id"]

    @pytest.mark.parametrize("absent", ["", None, 5, ["toolu_1"], {}])
    def test_an_id_that_is_no_text_counts_as_absent(self, asking: Asking, absent: object) -> None:
        assert asking(payload("PreToolUse.Bash", tool_use_id=absent, prompt_id="prompt-2")).id == "prompt-2"

    def test_its_id_is_the_decision_s_where_the_payload_has_none(self, asking: Asking, stand_in: StandInPdp) -> None:
        asking.service.post(without("PreToolUse.Bash", "tool_use_id", "prompt_id", "session_id"))
        record = asking.service.records()[-1]
        assert record["session_id"] == ""
        assert stand_in.requests[-1].resources[0].resource.id == record["id"]

    def test_an_unknown_event_is_asked_about_under_its_own_name(self, asking: Asking) -> None:
        question = asking({"hook_event_name": "FutureEvent", "whatever": [1, None, {"a": True}]})
        assert (question.kind, question.actions) == ("FutureEvent", ["event"])
        assert question.attr["whatever"] == [1, None, {"a": True}]

    def test_an_unknown_event_with_a_tool_is_asked_about_that_tool(self, asking: Asking) -> None:
        question = asking({"hook_event_name": "FutureToolEvent", "tool_name": "NewTool"})
        assert question.actions == ["NewTool"]
        assert question.attr["tool_input"] == {}

    @pytest.mark.parametrize("name", ["Bash", "mcp__files__read:all", "Wörter mit Leerzeichen", "a/b*c?"])
    def test_the_action_is_the_tool_whatever_it_is_called(self, asking: Asking, name: str) -> None:
        assert asking(tool_name=name).actions == [name]

    def test_what_policies_rely_on_is_there_with_its_type_though_the_payload_lacks_it(self, asking: Asking) -> None:
        assert asking(without("PreToolUse.Bash", "tool_input")).attr["tool_input"] == {}
        assert asking(without("UserPromptSubmit", "prompt")).attr["prompt"] == ""
        change = asking(without("ConfigChange", "source", "file_path")).attr
        assert (change["source"], change["file_path"]) == ("", "")

    def test_values_of_every_json_type_arrive_unchanged(self, asking: Asking) -> None:
        odd = {
            "text": "NUL \0 ü \U0001f600",
            "big": 2**53,
            "small": 1e-300,
            "no": None,
            "yes": True,
            "deep": [[[{}]], []],
        }
        assert asking(tool_input=odd).attr["tool_input"] == odd


class TestFacts:
    def test_are_complete_where_nothing_is_known(self, asking: Asking) -> None:
        assert asking(tool_input={"command": ""}).attr["facts"] == NO_FACTS

    def test_name_the_path_that_a_file_tool_touches(self, asking: Asking) -> None:
        facts = asking(payload("PreToolUse.Read", tool_input={"file_path": "/home/dev/project/../.SSH//id"})).attr[
            "facts"
        ]
        assert facts == {
            **NO_FACTS,
            "paths": [
                {
                    "path": "/home/dev/.SSH/id",
                    "written": "/home/dev/project/../.SSH//id",
                    "folded": "/home/dev/.ssh/id",
                    "home": "~/.SSH/id",
                    "access": "read",
                    "inside_project": False,
                    "recursive": False,
                    "program": "",
                    "indirect": False,
                    "dynamic": False,
                }
            ],
            "inside_project": False,
        }

    def test_are_never_the_payload_s_own(self, asking: Asking) -> None:
        lies = {"version": 1, "paths": [], "inside_project": True, "opaque": False}
        facts = asking(payload("PreToolUse.Read", tool_input={"file_path": "/etc/shadow"}, facts=lies)).attr["facts"]
        assert facts["dropped"] == ["facts"]
        assert [path["path"] for path in facts["paths"]] == ["/etc/shadow"]
        assert facts["inside_project"] is False

    def test_say_that_a_value_was_replaced(self, asking: Asking) -> None:
        assert asking(tool_input={"command": "echo \ud800"}).attr["facts"]["altered"] is True
        assert asking(tool_input={"timeout": 2**63}).attr["facts"]["altered"] is True


class TestPrincipal:
    def test_is_the_default_where_no_header_names_one(self, asking: Asking) -> None:
        question = asking()
        assert (question.principal_id, question.roles) == ("claude_user", ["claude_user"])
        assert question.principal_attr == {
            "verified": False,
            "source": "default",
            "claims": {},
            "groups": [],
            "attributes": {},
        }

    @pytest.mark.parametrize("blank", ["", " ", "\t ", " , ,,"])
    def test_a_blank_header_counts_as_absent(self, asking: Asking, blank: str) -> None:
        user = "" if "," in blank else blank
        question = asking(headers={"X-Claude-User": user, "X-Claude-User-Roles": blank})
        assert (question.principal_id, question.roles) == ("claude_user", ["claude_user"])
        assert question.principal_attr["source"] == "default"

    def test_is_the_one_that_the_header_names(self, asking: Asking) -> None:
        question = asking(headers={"x-claude-user": "  alex "})
        assert (question.principal_id, question.roles) == ("alex", ["claude_user"])
        assert question.principal_attr == {
            "verified": False,
            "source": "header",
            "claims": {},
            "groups": [],
            "attributes": {},
        }

    def test_has_its_roles_trimmed_sorted_and_once_each(self, asking: Asking) -> None:
        question = asking(headers={"X-Claude-User-Roles": "staff, engineering,,staff , admin,\tengineering"})
        assert question.roles == ["admin", "engineering", "staff"]
        assert question.principal_id == "claude_user"

    @pytest.mark.parametrize(
        ("sent", "name"),
        [(b"al\xebx", "alëx"), ("日本".encode(), "日本"), (b"a\xff\xfe", "aÿþ")],
        ids=["latin-1", "utf-8", "neither"],
    )
    def test_may_have_a_name_beyond_ascii(self, asking: Asking, stand_in: StandInPdp, sent: bytes, name: str) -> None:
        session = str(uuid.uuid4())
        body = json.dumps(payload("PreToolUse.Bash", session_id=session)).encode()
        head = (
            b"POST /ext/claude HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Type: application/json\r\n"
        )
        with socket.create_connection(("127.0.0.1", asking.service.port), 10) as client:
            client.sendall(head + b"X-Claude-User: %s\r\nContent-Length: %d\r\n\r\n%s" % (sent, len(body), body))
            answer = b"".join(iter(lambda: client.recv(65536), b""))
        assert answer.endswith(b"\r\n\r\n{}")
        assert [question.principal_id for question in stand_in.about(session)] == [name]
        assert [record["user"] for record in asking.service.records() if record["session_id"] == session] == [name]

    @pytest.mark.parametrize(
        "headers",
        [
            {"X-Claude-User": "a" * 257},
            {"X-Claude-User-Roles": "r" * 257},
            {"X-Claude-User-Roles": ",".join(f"role-{n}" for n in range(101))},
        ],
        ids=["long name", "long role", "many roles"],
    )
    def test_that_no_one_could_have_is_refused_without_asking(
        self, asking: Asking, stand_in: StandInPdp, headers: dict[str, str]
    ) -> None:
        answer = asking.service.post(payload("PreToolUse.Bash"), headers)
        assert answer["hookSpecificOutput"]["permissionDecision"] == "deny"
        assert asking.service.records()[-1]["error"] == "identity_invalid"
        assert stand_in.requests == []

    def test_may_be_configured_to_have_another_default(self, serving: Serving, stand_in: StandInPdp) -> None:
        identity = {"default_user": "nobody", "default_role": "guest"}
        question = Asking(serving(stand_in.address, {"identity": identity}), stand_in)()
        assert (question.principal_id, question.roles) == ("nobody", ["guest"])


SCOPED = {"pdp": {"policy_version": "v2", "scope": "acme", "scopes": ["acme.berlin", "other-corp"]}}


class TestScopeAndVersion:
    @pytest.fixture
    def asking(self, serving: Serving, stand_in: StandInPdp) -> Asking:
        return Asking(serving(stand_in.address, SCOPED), stand_in)

    def test_are_the_configured_ones(self, asking: Asking) -> None:
        question = asking()
        assert (question.scope, question.policy_version) == ("acme", "v2")

    @pytest.mark.parametrize("scope", ["acme.berlin", " other-corp ", "acme", ""])
    def test_a_caller_may_name_a_scope_that_is_listed(self, asking: Asking, scope: str) -> None:
        assert asking(headers={"X-Cerbos-Scope": scope}).scope == (scope.strip() or "acme")

    @pytest.mark.parametrize("scope", ["acme.paris", "ACME", "acme.berlin.mitte", ".", "a b"])
    def test_a_caller_s_other_scope_is_an_error_and_never_asked(
        self, asking: Asking, stand_in: StandInPdp, scope: str
    ) -> None:
        decided = decide(asking.service, headers={"X-Cerbos-Scope": scope})
        assert decided.permission == "deny"
        assert (decided.record["outcome"], decided.record["error"]) == ("error", "scope_unknown")
        assert stand_in.requests == []

    def test_a_scope_that_is_not_listed_denies_although_errors_and_missing_policies_pass(
        self, serving: Serving, stand_in: StandInPdp
    ) -> None:
        lenient = {**SCOPED, "on_error": "pass", "no_match": "pass"}
        decided = decide(serving(stand_in.address, lenient), headers={"X-Cerbos-Scope": "nowhere"})
        assert decided.permission == "deny"


class TestAnnotations:
    def test_join_the_pdp_s_logs_with_ours_and_the_client_s(self, asking: Asking, stand_in: StandInPdp) -> None:
        decided = decide(asking.service, tool_use_id="toolu_42")
        question = stand_in.about(decided.record["session_id"])[0]
        assert question.request_id == decided.record["id"]
        assert question.annotations == {
            "hookgate_decision_id": decided.record["id"],
            "hookgate_version": __version__,
            "session_id": decided.record["session_id"],
            "tool_use_id": "toolu_42",
        }
        assert decided.record["call_id"] == "01STANDIN"


ECHO = (
    '{"kind": R.kind, "id": R.id, "scope": R.scope, "attr": R.attr, '
    '"principal": {"id": P.id, "roles": P.roles, "attr": P.attr}, "rule": "%s"}'
)


@pytest.fixture(scope="module")
def pdp(cerbos: Path, policies: Path) -> Iterator[Pdp]:
    """A real PDP whose policies say what they were asked."""
    write(policies, "PreToolUse", rule("ALLOW", ECHO % "default"))
    write(policies, "PreToolUse", rule("ALLOW", ECHO % "acme"), scope="acme")
    write(policies, "PreToolUse", rule("ALLOW", ECHO % "v2"), version="v2")
    pdp = Pdp(policies).start()
    yield pdp
    pdp.stop()


class TestRealPdp:
    """The same, as a policy sees it."""

    @staticmethod
    def echoed(service: ServiceProcess, headers: dict[str, str] | None = None, **changes: Any) -> dict[str, Any]:
        record = decide(service, payload("PreToolUse.Read", **changes), headers).record
        assert record["error"] == ""
        assert len(record["outputs"]) == 1
        echo: dict[str, Any] = record["outputs"][0]["value"]
        return echo

    def test_a_policy_reads_payload_facts_and_principal(self, serving: Serving, pdp: Pdp) -> None:
        headers = {"X-Claude-User": "alex", "X-Claude-User-Roles": "b,a,b,,"}
        echo = self.echoed(serving(pdp.address), headers, tool_use_id="toolu_7")
        assert (echo["kind"], echo["id"], echo["scope"], echo["rule"]) == ("PreToolUse", "toolu_7", "", "default")
        assert echo["attr"]["tool_input"] == {"file_path": "/home/dev/project/app.py"}
        assert echo["attr"]["facts"]["paths"][0]["path"] == "/home/dev/project/app.py"
        assert echo["principal"] == {
            "id": "alex",
            "roles": ["a", "b"],
            "attr": {"verified": False, "source": "header", "claims": {}, "groups": [], "attributes": {}},
        }

    def test_the_configured_version_chooses_the_policy(self, serving: Serving, pdp: Pdp) -> None:
        assert self.echoed(serving(pdp.address, {"pdp": {"policy_version": "v2"}}))["rule"] == "v2"

    def test_the_scope_chooses_the_policy(self, serving: Serving, pdp: Pdp) -> None:
        service = serving(pdp.address, {"pdp": {"scopes": ["acme"]}})
        assert self.echoed(service, {"X-Cerbos-Scope": "acme"})["rule"] == "acme"
        assert decide(service, headers={"X-Cerbos-Scope": "acme"}).record["scope"] == "acme"
        assert self.echoed(service)["rule"] == "default"

    @pytest.mark.parametrize(
        "name",
        ["a", "Ünïcödé", "x" * 256, "semi;colon:slash/", "{{.}}"],
        ids=["short", "unicode", "long", "marks", "braces"],
    )
    def test_no_name_or_role_makes_the_pdp_refuse_the_question(self, serving: Serving, pdp: Pdp, name: str) -> None:
        raw = name.encode().decode("latin-1")
        echo = self.echoed(serving(pdp.address), {"X-Claude-User": raw, "X-Claude-User-Roles": f"{raw},{raw}, ,z"})
        assert (echo["principal"]["id"], sorted(echo["principal"]["roles"])) == (name, sorted({name, "z"}))
