"""The command line, as a person or a script meets it."""

import json
import re
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import trustme
import yaml
from typer.testing import CliRunner

from hookgate.commands import app
from hookgate.facts.model import VERSION as FACTS_VERSION
from tests.conftest import ROOT, payload
from tests.integration.conftest import Serving
from tests.integration.policies import rule, write
from tests.integration.running import Running, run
from tests.support.pdp import Pdp
from tests.support.service import ServiceProcess
from tests.support.wait import free_port

EXAMPLE = ROOT / "deploy" / "hookgate.example.yaml"

FAULTY = """\
pdp:
  adress: localhost:3593
decision:
  deadline_seconds: 2s
  max_in_flight: 0
server: {port: 70000, path: hooks}
on_error: maybe
canary:
  expect:
    - {name: a, payload: [], outcome: deny}
whatever: blue
"""
FAULTS = (
    "pdp.adress: unknown key, did you mean address?",
    "pdp.address: is required, text that is not empty",
    'decision.deadline_seconds: expected a number above 0 and of at most 600, got "2s"',
    "decision.max_in_flight: expected a whole number of at least 1, got 0",
    "server.port: expected a whole number of at least 0 and of at most 65535, got 70000",
    'server.path: expected a path that begins with /, got "hooks"',
    'on_error: expected one of pass, ask, deny, got "maybe"',
    "canary.expect[0].payload: expected a mapping, got []",
    "whatever: unknown key",
)


@pytest.fixture
def faulty(tmp_path: Path) -> Path:
    file = tmp_path / "faulty.yaml"
    file.write_text(FAULTY)
    return file


def told(*arguments: str | Path) -> CompletedProcess[str]:
    """Has a command run in this process, which is quicker."""
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)


def assert_one_line(done: CompletedProcess[str], *words: str) -> None:
    """A command that can't do what it is told ends with 1 and says so in one line."""
    assert (done.returncode, done.stdout) == (1, "")
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("hookgate: ")
    for word in words:
        assert word in lines[0]


class TestFaultyConfiguration:
    @pytest.mark.parametrize("command", [["serve", "--config"], ["config", "check"]], ids=["serve", "config check"])
    def test_is_told_whole_with_the_place_of_each_fault(self, command: list[str], faulty: Path) -> None:
        done = run(*command, faulty)
        assert (done.returncode, done.stdout) == (1, "")
        assert sorted(done.stderr.splitlines()) == sorted(f"hookgate: {faulty}: {fault}" for fault in FAULTS)

    def test_of_the_environment_is_told_likewise(self) -> None:
        done = run("serve", env={"HOOKGATE__DECISION__DEADLINE_SECONDS": "soon", "HOOKGATE__NO_MATCH": "never"})
        assert done.returncode == 1
        assert set(done.stderr.splitlines()) == {
            'hookgate: environment: decision.deadline_seconds: expected a number above 0 and of at most 600, got "soon"',
            'hookgate: environment: no_match: expected one of pass, ask, deny, got "never"',
            "hookgate: environment: pdp: is required, a mapping",
        }

    @pytest.mark.parametrize(
        ("text", "fault"),
        [
            ("pdp: {address: a\n", "line 2, column 1: "),
            ("pdp: {address: a, address: b}", "key 'address' is given twice"),
            ("- 1\n- 2\n", "expected a mapping of settings, got [1, 2]"),
            ("pdp: {address: 'unix:${HOOKGATE_TEST_UNSET}'}", "${HOOKGATE_TEST_UNSET} is not set in the environment"),
            ("pdp: {address: pdp.example.com:3593}", "is neither on loopback nor a unix socket"),
            ("pdp: {address: 'unix:x', tls: {enabled: true, ca: /nowhere.pem}}", "no such file: /nowhere.pem"),
        ],
        ids=["no YAML", "key twice", "a list", "unset variable", "plaintext", "no CA file"],
    )
    def test_of_other_kinds_is_told_in_one_line(self, tmp_path: Path, text: str, fault: str) -> None:
        file = tmp_path / "hookgate.yaml"
        file.write_text(text)
        assert_one_line(told("config", "check", file), str(file), fault)

    def test_that_is_not_there_is_told_in_one_line(self, tmp_path: Path) -> None:
        assert_one_line(told("config", "check", tmp_path / "none.yaml"), "can't be read: No such file or directory")

    def test_in_an_expectation_s_payload_is_found_before_anything_starts(self, tmp_path: Path) -> None:
        file = tmp_path / "hookgate.yaml"
        expectation = {"name": "a", "payload": {"hook_event_name": "PreToolUse"}, "outcome": "deny"}
        settings = {"pdp": {"address": "unix:x"}, "canary": {"expect": [expectation]}}
        file.write_text(yaml.safe_dump({**settings, "audit": {"directory": str(tmp_path / "audit")}}))
        for command in (["config", "check"], ["serve", "--config"]):
            assert_one_line(run(*command, file), "canary.expect[0].payload: tool_name is missing")

    @pytest.mark.parametrize("command", [["serve"], ["check"]], ids=["serve", "check"])
    def test_in_a_certificate_is_told_in_one_line(self, tmp_path: Path, command: list[str]) -> None:
        words = tmp_path / "words.pem"
        words.write_text("this is no certificate\n")
        file = tmp_path / "hookgate.yaml"
        ports = {"server": {"port": free_port()}, "admin": {"port": free_port()}}
        common = {**ports, "audit": {"directory": str(tmp_path / "audit")}}

        def configure(**tls: Any) -> None:
            file.write_text(
                yaml.safe_dump({**common, "pdp": {"address": "localhost:1", "tls": {"enabled": True, **tls}}})
            )

        configure(ca=str(words))
        assert_one_line(run(*command, "--config", file), "pdp.tls.ca", str(words))
        ca, others = trustme.CA(), trustme.CA()
        certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
        ca.issue_cert("localhost").cert_chain_pems[0].write_to_path(certificate)
        others.issue_cert("localhost").private_key_pem.write_to_path(key)
        configure(certificate=str(certificate), key=str(key))
        assert_one_line(run(*command, "--config", file), "pdp.tls.certificate", str(certificate), str(key))


class TestServe:
    def test_needs_no_file_where_the_environment_says_it_all(self, tmp_path: Path) -> None:
        port = free_port()
        running = Running(
            "serve",
            env={
                "HOOKGATE__PDP__ADDRESS": f"unix:{tmp_path}/none.sock",
                "HOOKGATE__SERVER__PORT": str(port),
                "HOOKGATE__ADMIN__ENABLED": "false",
                "HOOKGATE__AUDIT__DIRECTORY": str(tmp_path / "audit"),
                "HOOKGATE__LOG__FORMAT": "json",
                "HOOKGATE__SERVER__LINGER_SECONDS": "0",
            },
        )
        try:
            started = json.loads(running.until_said('"started"')[0])
            assert started["hooks"] == f"127.0.0.1:{port}"
        finally:
            assert running.end() == 0


class TestConfigCheck:
    def test_finds_no_fault_in_the_example(self) -> None:
        done = run("config", "check", EXAMPLE)
        assert (done.returncode, done.stderr) == (0, "")
        assert "no faults" in done.stdout


#: All that a schema of a configuration may use; `faults_of` knows each of them.
KEYWORDS = {
    *("$ref", "type", "properties", "required", "additionalProperties", "items", "anyOf", "enum", "pattern"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "minItems"),
    *("title", "description", "default"),
}
TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "null": (type(None),),
}


def faults_of(value: Any, schema: dict[str, Any], definitions: dict[str, Any], path: str = "") -> list[str]:
    """Gives the paths at which a value does not fit a JSON Schema (2020-12, as far as ours goes)."""
    assert schema.keys() <= KEYWORDS, schema.keys() - KEYWORDS
    if reference := schema.get("$ref"):
        return faults_of(value, definitions[reference.removeprefix("#/$defs/")], definitions, path)
    if options := schema.get("anyOf"):
        return [] if any(not faults_of(value, one, definitions, path) for one in options) else [path]
    if "enum" in schema and value not in schema["enum"]:
        return [path]
    kind = schema.get("type")
    if kind and (not isinstance(value, TYPES[kind]) or (isinstance(value, bool) and kind != "boolean")):
        return [path]
    if isinstance(value, dict):
        return _object_faults(value, schema, definitions, path)
    if isinstance(value, list):
        found = [path] if len(value) < schema.get("minItems", 0) else []
        items = schema.get("items", {})
        return found + [f for i, one in enumerate(value) for f in faults_of(one, items, definitions, f"{path}[{i}]")]
    bounded = isinstance(value, int | float) and not isinstance(value, bool)
    wrong = (isinstance(value, str) and len(value) < schema.get("minLength", 0)) or (
        isinstance(value, str) and "pattern" in schema and not re.search(schema["pattern"], value)
    )
    if bounded:
        wrong = (
            value < schema.get("minimum", value)
            or value > schema.get("maximum", value)
            or ("exclusiveMinimum" in schema and value <= schema["exclusiveMinimum"])
            or ("exclusiveMaximum" in schema and value >= schema["exclusiveMaximum"])
        )
    return [path] if wrong else []


def _object_faults(value: dict[str, Any], schema: dict[str, Any], definitions: dict[str, Any], path: str) -> list[str]:
    known, more = schema.get("properties", {}), schema.get("additionalProperties", True)
    found = [f"{path}.{key}" for key in schema.get("required", []) if key not in value]
    for key, one in value.items():
        here = f"{path}.{key}"
        if key in known:
            found += faults_of(one, known[key], definitions, here)
        elif more is False:
            found.append(here)
    return found


class TestConfigSchema:
    @pytest.fixture(scope="class", name="schema")
    @staticmethod
    def printed_schema() -> dict[str, Any]:
        done = run("config", "schema")
        assert (done.returncode, done.stderr) == (0, "")
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    @staticmethod
    def faults(value: Any, schema: dict[str, Any]) -> list[str]:
        return faults_of(value, {"$ref": schema["$ref"]}, schema["$defs"])

    def test_is_one_of_2020_12(self, schema: dict[str, Any]) -> None:
        assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        assert schema.keys() == {"$schema", "$ref", "$defs"}

    def test_accepts_the_full_example(self, schema: dict[str, Any]) -> None:
        assert self.faults(yaml.safe_load(EXAMPLE.read_text()), schema) == []

    def test_refuses_what_the_service_refuses(self, schema: dict[str, Any]) -> None:
        assert sorted(self.faults(yaml.safe_load(FAULTY), schema)) == sorted(
            f".{fault.split(':', 1)[0]}" for fault in FAULTS
        )

    def test_refuses_an_unknown_key_in_every_section(self, schema: dict[str, Any]) -> None:
        example = yaml.safe_load(EXAMPLE.read_text())
        assert self.faults({**example, "more": 1}, schema) == [".more"]
        sections = {key: value for key, value in example.items() if isinstance(value, dict)}
        assert len(sections) >= 9
        for name, section in sections.items():
            assert self.faults({**example, name: {**section, "more": 1}}, schema) == [f".{name}.more"]
        tls = {**example["pdp"]["tls"], "more": 1}
        assert self.faults({**example, "pdp": {**example["pdp"], "tls": tls}}, schema) == [".pdp.tls.more"]

    def test_describes_every_setting(self, schema: dict[str, Any]) -> None:
        undescribed = [
            f"{name}.{key}"
            for name, section in schema["$defs"].items()
            for key, setting in section.get("properties", {}).items()
            if "$ref" not in json.dumps(setting) and "description" not in setting
        ]
        assert undescribed == []


class TestCheck:
    @pytest.fixture(name="configuration")
    def configuration_of_the_shipped_pdp(self, shipped_pdp: Pdp, tmp_path: Path) -> Path:
        file = tmp_path / "hookgate.yaml"
        file.write_text(yaml.safe_dump({"pdp": {"address": shipped_pdp.address}}))
        return file

    @staticmethod
    def check(body: Any, *arguments: str | Path) -> CompletedProcess[str]:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return run("check", *arguments, stdin=data)

    def test_ends_with_0_for_what_goes_on(self, configuration: Path) -> None:
        done = self.check(payload("PreToolUse.Bash"), "--config", configuration)
        assert (done.returncode, done.stderr) == (0, "")
        assert self.check(payload("Notification.idle_prompt"), "--config", configuration).returncode == 0

    def test_ends_with_4_for_a_denial_and_explains_it(self, configuration: Path) -> None:
        body = payload("PreToolUse.Read", tool_input={"file_path": "/home/dev/project/.env"})
        done = self.check(body, "--config", configuration, "--user", "alex", "--roles", "b, a,b")
        assert (done.returncode, done.stderr) == (4, "")
        for line in (
            "principal     alex  roles a, b",
            f"asked         Read on PreToolUse {body['tool_use_id']}",
            "effect        EFFECT_DENY",
            "policy        resource.PreToolUse.vdefault",
            "output        resource.PreToolUse.vdefault#sensitive-files",
            "outcome       deny",
        ):
            assert line in done.stdout.splitlines()

    def test_explains_in_json(self, configuration: Path) -> None:
        body = payload("PreToolUse.Bash", tool_input={"command": "git push --force"})
        done = self.check(body, "--json", "--config", configuration)
        explained = json.loads(done.stdout)
        assert done.returncode == 4
        assert [asked["kind"] for asked in explained["asked"]] == ["PreToolUse"]
        assert explained["asked"][0]["attributes"]["facts"]["version"] == FACTS_VERSION
        assert explained["record"]["outcome"] == "deny"
        assert explained["record"]["answer"]["hookSpecificOutput"]["permissionDecision"] == "deny"

    def test_ends_with_3_for_a_question_and_names_what_is_dropped(self, tmp_path: Path) -> None:
        directory = tmp_path / "policies"
        directory.mkdir()
        output = '{"hookSpecificOutput": {"permissionDecision": "ask", "colour": "blue"}, "async": true}'
        write(directory, "PreToolUse", rule("ALLOW", output))
        done = self.check(payload("PreToolUse.Bash"), "--policies", directory)
        assert (done.returncode, done.stderr) == (3, "")
        assert "hookSpecificOutput.colour of resource.PreToolUse.vdefault#rule-001: unknown_field" in done.stdout
        assert "async of resource.PreToolUse.vdefault#rule-001: unknown_field" in done.stdout

    def test_asks_again_about_a_call_that_a_policy_rewrites(self, tmp_path: Path) -> None:
        directory = tmp_path / "policies"
        directory.mkdir()
        rewrite = '{"hookSpecificOutput": {"permissionDecision": "allow", "updatedInput": {"command": "false"}}}'
        denied = rule("DENY", when='R.attr.tool_input.command == "false"')
        write(directory, "PreToolUse", rule("ALLOW", rewrite), denied)
        done = self.check(payload("PreToolUse.Bash"), "--policies", directory, "--json")
        explained = json.loads(done.stdout)
        assert done.returncode == 4
        assert [asked["attributes"]["tool_input"]["command"] for asked in explained["asked"]][1] == "false"

    def test_ends_with_1_where_nothing_can_be_decided(self, configuration: Path, tmp_path: Path) -> None:
        done = self.check(b'{"hook_event_name": ', "--config", configuration)
        assert done.returncode == 1
        assert "payload_malformed" in done.stdout
        nowhere = tmp_path / "nowhere.yaml"
        settings = {"pdp": {"address": f"unix:{tmp_path}/none.sock"}, "decision": {"deadline_seconds": 0.3}}
        nowhere.write_text(yaml.safe_dump(settings))
        done = self.check(payload("PreToolUse.Bash"), "--config", nowhere)
        assert done.returncode == 1
        assert "pdp_unavailable" in done.stdout

    def test_shows_no_control_character(self, configuration: Path) -> None:
        body = payload("PreToolUse.Bash", tool_input={"command": "\x1b[2Jls \u202e \x07"})
        # Hidden characters are asked about; a user of such a name is refused; that too is shown.
        for user, code in (("alex", 3), ("a\x1b]0;b", 1)):
            done = self.check(body, "--config", configuration, "--user", user)
            assert done.returncode == code
            assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u202e]", done.stdout)

    def test_without_policies_says_which_are_missing(self, tmp_path: Path) -> None:
        assert_one_line(run("check", stdin=b"{}", cwd=tmp_path), "policies: no such directory of policies")


class TestDemo:
    def test_shows_a_call_allowed_one_denied_and_one_without_a_policy(self, shipped_service: ServiceProcess) -> None:
        before = len(shipped_service.records())
        done = run("demo", "--url", shipped_service.url)
        assert (done.returncode, done.stderr) == (0, "")
        answers = [line.split("answer", 1)[1].strip() for line in done.stdout.splitlines() if "  answer  " in line]
        assert answers[0] == answers[2] == "{}"
        assert '"permissionDecision":"deny"' in answers[1]
        assert [record["outcome"] for record in shipped_service.records()[before:]] == ["allow", "deny", "no_match"]

    def test_says_that_nobody_answers(self) -> None:
        url = f"http://127.0.0.1:{free_port()}/ext/claude"
        assert_one_line(run("demo", "--url", url), url, "no answer")

    @pytest.mark.parametrize("path", ["/livez", "/ext/claude"])
    def test_says_that_somebody_else_answers(self, shipped_service: ServiceProcess, path: str) -> None:
        url = shipped_service.admin_url + path
        assert_one_line(run("demo", "--url", url), url, "no answer")

    def test_asks_for_somebody_whom_the_system_knows_by_number_only(self, shipped_service: ServiceProcess) -> None:
        nameless = dict.fromkeys(("LOGNAME", "USER", "LNAME", "USERNAME"), "")
        script = "import pwd\ndef unknown(uid): raise KeyError(uid)\npwd.getpwuid = unknown"
        done = run("demo", "--url", shipped_service.url, env=nameless, before=script)
        assert (done.returncode, done.stderr) == (0, "")
        assert shipped_service.records()[-1]["user"] == "claude_user"


def test_every_command_has_help_and_nothing_has_a_trace() -> None:
    done = run("--help")
    assert done.returncode == 0
    for command in ("serve", "dev", "demo", "check", "config", "policies", "fetch", "version"):
        assert command in done.stdout
    assert run("nonsense").returncode == 2


def test_the_example_starts_a_service_but_for_its_places(serving: Serving, shipped_pdp: Pdp) -> None:
    settings = yaml.safe_load(EXAMPLE.read_text())
    for key in ("server", "admin", "audit", "pdp", "log"):
        settings.pop(key)
    assert serving(shipped_pdp.address, settings).post(payload("PreToolUse.Bash")) == {}
