"""What the real service writes: every line in the schema's form, no secret in it, and what ran joined with what was judged."""

import functools
import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from typer.testing import CliRunner

from hookgate.audit.schema import text as schema_text
from hookgate.commands import app
from hookgate.recorded import recorded
from tests.conftest import payload
from tests.integration.stand_in import ALLOW, DENY, StandInPdp, says
from tests.support.planted import all_payloads, events, traces
from tests.support.service import ServiceProcess
from tests.support.wait import until

MakeService = Callable[..., ServiceProcess]
FULL = {"audit": {"levels": [{"level": "full"}]}, "log": {"level": "debug"}}


@functools.cache
def validator() -> jsonschema.Draft202012Validator:
    """The schema as the command prints it."""
    schema = json.loads(schema_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def faults(record: dict[str, Any]) -> list[str]:
    """What the schema has against a record, of its own type."""
    part = {"$ref": f"#/$defs/{record['type']}", "$defs": json.loads(schema_text())["$defs"]}
    return [f"{record['type']}: {error.message}" for error in validator().evolve(schema=part).iter_errors(record)]


def assert_in_form(service: ServiceProcess) -> None:
    """Every line of the journal is in the schema's form."""
    assert [fault for record in service.records(None) for fault in faults(record)] == []


def audit_directory(service: ServiceProcess) -> Path:
    return Path(service.settings["audit"]["directory"])


def digest(service: ServiceProcess, content: bytes, kind: str) -> str:
    """What `hookgate audit digest` says of something."""
    arguments = ["audit", "digest", "-", str(audit_directory(service)), "--kind", kind]
    result = CliRunner().invoke(app, arguments, input=content)
    assert result.exit_code == 0, result.output
    return result.output.strip()


@pytest.fixture(scope="module", params=["redacted", "full", "metadata"])
def leveled(request: pytest.FixtureRequest, stand_in_server: StandInPdp) -> Iterator[ServiceProcess]:
    """A service at one level that was sent every recorded request, and has ended."""
    stand_in_server.forget()
    service = ServiceProcess(stand_in_server.address, {"audit": {"levels": [{"level": request.param}]}}).start()
    for one in recorded():
        service.post(one.body, {"X-Claude-User": "alex", "X-Claude-Label-Team": "core"})
    service.stop()
    yield service
    service.remove()


def test_each_recorded_request_is_one_line_in_the_schemas_form(leveled: ServiceProcess) -> None:
    records = leveled.records()
    assert [record["event"] for record in records] == [one.event for one in recorded()]
    assert len({record["id"] for record in records}) == len(records)
    assert_in_form(leveled)
    for record in leveled.records(None):
        validator().validate(record)
        assert (record["instance"], bool(record["host"])) == (records[0]["instance"], True)
    assert records[0]["labels"] == {"team": "core"}


def test_a_level_says_how_much_of_a_call_is_recorded(leveled: ServiceProcess) -> None:
    level = leveled.settings["audit"]["levels"][0]["level"]
    by_name = dict(zip((one.name for one in recorded()), leveled.records(), strict=True))
    call, prompt, result = (by_name[name] for name in ("PreToolUse.Bash", "UserPromptSubmit", "PostToolUse.Read"))
    assert {record["level"] for record in by_name.values()} == {level}
    assert bool(call["input"]) == bool(call["facts"]) == (level != "metadata")
    assert prompt["content"].get("prompt") == (payload("UserPromptSubmit")["prompt"] if level == "full" else None)
    assert bool(result["content"]) == (level == "full")
    assert prompt["content_bytes"]["prompt"] == len(payload("UserPromptSubmit")["prompt"].encode())
    response = json.dumps(payload("PostToolUse.Read")["tool_response"])
    assert result["response_bytes"] == result["content_bytes"]["tool_response"] == len(response)
    assert (result["failed"], by_name["PostToolUseFailure.Bash"]["failed"], call["failed"]) == (False, True, None)
    assert result["ran_seconds"] == payload("PostToolUse.Read")["duration_ms"] / 1000
    if level == "metadata":
        text = json.dumps(leveled.records())
        assert payload("PreToolUse.Bash")["tool_input"]["command"] not in text
    mcp = by_name["PreToolUse.mcp__demo__echo"]
    assert (mcp["mcp_server"], mcp["mcp_source"]) == tuple(payload("PreToolUse.mcp__demo__echo")["mcp_server"].values())


def test_an_investigation_finds_a_body_an_input_and_a_response_by_their_digests(leveled: ServiceProcess) -> None:
    records = dict(zip((one.name for one in recorded()), leveled.records(), strict=True))
    body, call = payload("PreToolUse.Bash"), records["PreToolUse.Bash"]
    assert call["body_digest"] == digest(leveled, json.dumps(body).encode(), "body")
    assert call["input_digest"] == digest(leveled, json.dumps(body["tool_input"], indent=3).encode(), "input")
    after = records["PostToolUse.Bash"]
    response = json.dumps(payload("PostToolUse.Bash")["tool_response"]).encode()
    assert after["response_digest"] == digest(leveled, response, "response")
    assert records["PostToolBatch"]["calls"] == [
        {"tool": "Bash", "tool_use_id": call["tool_use_id"], "input_digest": call["input_digest"]}
    ]


def test_planted_secrets_are_in_no_journal_log_metric_or_other_file(
    make_service: MakeService, stand_in: StandInPdp
) -> None:
    service = make_service(stand_in.address, FULL)
    sent = 0
    for body in all_payloads():
        service.post(body)
        service.post(json.dumps(body)[:-1].encode())
        sent += 2
    assert sent == 2 * len(events())
    assert len(service.records()) == sent
    assert_in_form(service)
    assert {record["error"] for record in service.records()} == {"", "payload_malformed"}
    metrics = service.get("/metrics")[1]
    service.stop()
    assert_shipped_and_shown_without_secrets(service)
    journal = "\n".join(
        path.read_text(errors="replace") for path in audit_directory(service).rglob("*") if path.is_file()
    )
    journal = journal.replace("\\n", "\n").replace('\\"', '"')
    assert journal.count("[redacted:") > 200
    for text in (journal, service.log(), metrics):
        assert traces(text) == []


def assert_shipped_and_shown_without_secrets(service: ServiceProcess) -> None:
    """What was planted is in no store, no file of a sink in any format, no answer of a question and no report."""
    directory, made = audit_directory(service), service.directory / "made"
    made.mkdir()
    sinks = [
        {"type": "sqlite", "path": str(made / "store.sqlite")},
        *({"type": "file", "name": form, "path": str(made / form), "format": form} for form in ("native", "ocsf")),
    ]
    config = made / "hookgate.yaml"
    config.write_text(json.dumps({"pdp": {"address": "unix:/x"}, "audit": {"shippers": sinks}}))
    told = CliRunner().invoke(app, ["audit", "ship", str(directory), "--config", str(config)])
    assert told.exit_code == 0, told.output
    store = ["--store", str(made / "store.sqlite"), "--directory", str(directory)]
    ways = [
        ["search", "--limit", "1000", "--json"],
        ["search", "--limit", "1000", "--csv"],
        ["stats"],
        ["export", "--format", "csv"],
        ["export", "--format", "native"],
        *(
            [
                "report",
                "--from",
                "2026-01-01",
                "--to",
                "2099-01-01",
                "--paths",
                "**",
                "--out",
                str(made / f"report.{kind}"),
            ]
            for kind in ("html", "json", "csv")
        ),
    ]
    shown = []
    for way in ways:
        told = CliRunner().invoke(app, ["audit", *way, *store])
        assert told.exit_code == 0, (way, told.output)
        shown.append(told.output)
    assert all((made / f"report.{kind}").stat().st_size > 1000 for kind in ("html", "json", "csv"))
    files = [path.read_text(errors="replace") for path in made.iterdir() if path.is_file()]
    assert sum(text.count("[redacted:") for text in files) > 200
    for text in (*shown, *files):
        assert traces(text.replace("\\n", "\n").replace('\\"', '"')) == []


def test_secrets_and_names_of_ones_own_are_taken_out_too(make_service: MakeService, stand_in: StandInPdp) -> None:
    own = {"names": ["badge"], "forms": [{"kind": "acme", "pattern": "ACME-([0-9]{6})"}]}
    service = make_service(stand_in.address, {"audit": {"redaction": own}})
    command = "send ACME-123456 --badge-no 987654321"
    service.post(payload("PreToolUse.Bash", tool_input={"command": command, "my_badge": "555555555"}))
    record = service.records()[-1]
    assert record["input"]["command"].startswith("send ACME-[redacted:acme:")
    text = json.dumps(record)
    assert [secret for secret in ("123456", "987654321", "555555555") if secret in text] == []
    assert digest(service, b"123456\n", "secret") in record["input"]["command"]


def test_what_a_cut_text_was_can_be_shown_afterwards(make_service: MakeService, stand_in: StandInPdp) -> None:
    service = make_service(stand_in.address)
    command = "echo " + "long " * 5000
    service.post(payload("PreToolUse.Bash", tool_input={"command": command}))
    record = service.records()[-1]
    told = digest(service, command.encode(), "text")
    assert record["input"]["command"].endswith(f"… (cut, {len(command)} characters, {told})")
    assert "input" in record["cut"]


def call(name: str, number: int, **changes: Any) -> dict[str, Any]:
    given = {"session_id": "S", "prompt_id": "P", "tool_use_id": f"toolu_{number}", "duration_ms": 0}
    return payload(name, **given, **changes)


def violations(service: ServiceProcess) -> list[tuple[str, str]]:
    kinds = ("enforcement_violated", "executed_differs", "unasked")
    decisions = {record["id"]: record["tool_use_id"] for record in service.records()}
    return [
        (record["type"], decisions[record["detail"]["found_by"]])
        for record in service.records(None)
        if record["type"] in kinds
    ]


def test_what_ran_is_held_against_what_was_judged_before_the_service_was_killed(
    make_service: MakeService, stand_in: StandInPdp
) -> None:
    service = make_service(stand_in.address)
    other = {"command": "ls /other"}
    rewrite = {"hookSpecificOutput": {"permissionDecision": "allow", "updatedInput": other}}
    service.post(payload("UserPromptSubmit", session_id="S", prompt_id="P"))
    service.post(call("PreToolUse.Bash", 1))
    service.post(call("PreToolUse.Bash", 2))
    stand_in.behaviour = says(DENY)
    service.post(call("PreToolUse.Bash", 3))
    stand_in.behaviour = says(ALLOW, rewrite)
    service.post(call("PreToolUse.Bash", 4))
    stand_in.forget()
    service.stop(number=signal.SIGKILL)
    service.start()
    bash = payload("PreToolUse.Bash")["tool_input"]
    service.post(call("PostToolUse.Bash", 1, tool_input=bash))
    service.post(call("PostToolUse.Bash", 2, tool_input=other))
    service.post(call("PostToolUse.Bash", 3, tool_input=bash))
    service.post(call("PostToolUse.Bash", 4, tool_input=other))
    service.post(call("PostToolUse.Bash", 5, tool_input=bash))
    service.post(payload("PostToolUse.Bash", session_id="of before", prompt_id="Q", tool_use_id="toolu_6"))
    until(lambda: len(violations(service)) >= 3, what="the violations on record")
    assert violations(service) == [
        ("executed_differs", "toolu_2"),
        ("enforcement_violated", "toolu_3"),
        ("unasked", "toolu_5"),
    ]
    assert service.metric("hookgate_violations_total", type="unasked") == 1
    assert [line["tool"] for line in service.log_events("unasked")] == ["Bash"]
    assert_in_form(service)


def test_a_start_says_which_settings_have_changed_and_never_their_values(
    make_service: MakeService, stand_in: StandInPdp
) -> None:
    service = make_service(stand_in.address, {"on_error": "deny"})
    service.stop()
    service.start()
    assert service.records("config_changed") == []
    service.stop()
    service.settings["on_error"] = "ask"
    service.settings["audit"]["retention_days"] = 7
    service.start()
    (found,) = service.records("config_changed")
    assert found["detail"]["changed"] == ["audit.retention_days", "on_error"]
    starts = [record["detail"]["config_digest"] for record in service.records("start")]
    assert starts[0] == starts[1] == found["detail"]["previous_digest"]
    assert starts[2] == found["detail"]["config_digest"] != starts[1]
    assert_in_form(service)
    for name in ("redaction.key", "settings.json"):
        assert (audit_directory(service) / name).stat().st_mode & 0o777 == 0o600
