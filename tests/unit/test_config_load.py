"""The configuration: YAML and environment into one tree, every fault at once and in its place."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hookgate.config import Config, ConfigError, load, parse, schema
from hookgate.config.expected import expected, shown
from hookgate.config.tree import Config as Tree
from hookgate.outcome import Fallback, Mode
from tests.unit.strategies import sent_values

PDP: dict[str, Any] = {"pdp": {"address": "unix:/pdp.sock"}}


def faults(tree: Any, environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(tree, environ or {})
    return caught.value.faults


def written(directory: Path, text: str) -> Path:
    file = directory / "hookgate.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def refused(file: Path, environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(file, environ or {})
    assert caught.value.source == str(file)
    return caught.value.faults


def test_only_the_pdps_address_must_be_given() -> None:
    config = parse(PDP, {})
    assert config.pdp.address == "unix:/pdp.sock"
    assert (config.mode, config.on_error, config.no_match) == (Mode.ENFORCE, Fallback.DENY, Fallback.PASS)
    assert config.decision.deadline_seconds == 2.0
    assert faults({}) == ["pdp: is required, a mapping"]
    assert faults(None) == ["pdp: is required, a mapping"]
    assert faults({"pdp": {}}) == ["pdp.address: is required, text that is not empty"]


def test_all_faults_are_told_at_once_each_with_its_path() -> None:
    tree = {
        "pdp": {"address": 5, "tls": {"enabled": "perhaps"}},
        "decision": {"deadline_seconds": "2s", "max_in_flight": 0},
        "on_error": "permit",
        "server": {"path": "ext", "port": 70000},
        "rollout": [{"mode": "enforce", "users": "alex"}, {"users": ["x"]}],
        "log": {"format": "xml"},
        "outputs": {"reason_characters": 10},
        "admin": [],
        "canary": {"expect": [{"payload": 5}]},
    }
    assert set(faults(tree)) == {
        "pdp.address: expected text that is not empty, got 5",
        'pdp.tls.enabled: expected true or false, got "perhaps"',
        'decision.deadline_seconds: expected a number above 0 and of at most 600, got "2s"',
        "decision.max_in_flight: expected a whole number of at least 1, got 0",
        'on_error: expected one of pass, ask, deny, got "permit"',
        'server.path: expected a path that begins with /, got "ext"',
        "server.port: expected a whole number of at least 0 and of at most 65535, got 70000",
        'rollout[0].users: expected a list of texts, got "alex"',
        "rollout[1].mode: is required, one of enforce, observe",
        'log.format: expected one of auto, json, console, got "xml"',
        "outputs.reason_characters: expected a whole number of at least 200 and of at most 20000, got 10",
        "admin: expected a mapping, got []",
        "canary.expect[0].name: is required, text that is not empty",
        "canary.expect[0].payload: expected a mapping, got 5",
        "canary.expect[0].outcome: is required, one of allow, deny, ask, defer, no_match, error",
    }


@pytest.mark.parametrize(
    ("tree", "fault"),
    [
        ({"on_eror": "deny"}, "on_eror: unknown key, did you mean on_error?"),
        ({"decision": {"deadline": 2}}, "decision.deadline: unknown key, did you mean deadline_seconds?"),
        ({"pdp": {"address": "unix:/x", "tls": {"cert": "x"}}}, "pdp.tls.cert: unknown key"),
        ({"rollout": [{"mode": "enforce", "role": ["x"]}]}, "rollout[0].role: unknown key, did you mean roles?"),
        ({"zzzz": 1}, "zzzz: unknown key"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_known_name(tree: dict[str, Any], fault: str) -> None:
    found = faults({**PDP, **tree})
    assert any(one.startswith(fault) for one in found), found


def test_values_are_taken_by_their_types_and_never_guessed() -> None:
    numbers: tuple[Any, ...] = (True, "2", [2], {"a": 2}, None)
    for value in numbers:
        assert faults({**PDP, "decision": {"deadline_seconds": value}})
    truths: tuple[Any, ...] = (1, 0, "true", None)
    for value in truths:
        assert faults({**PDP, "canary": {"required": value}})
    assert parse({**PDP, "decision": {"deadline_seconds": 3}}, {}).decision.deadline_seconds == 3.0


def test_the_environment_is_laid_over_the_file() -> None:
    environ = {
        "HOOKGATE__DECISION__DEADLINE_SECONDS": "1.5",
        "HOOKGATE__PDP__ADDRESS": "127.0.0.1:3593",
        "HOOKGATE__PDP__TLS__ENABLED": "true",
        "HOOKGATE__PDP__REQUIRED_KINDS": "[PreToolUse, ConfigChange]",
        "HOOKGATE__MODE": "observe",
        "HOOKGATE_PORT": "tcp://10.0.0.1:3594",
        "PATH": "/bin",
    }
    config = parse({**PDP, "mode": "enforce"}, environ)
    assert config.decision.deadline_seconds == 1.5
    assert config.pdp.address == "127.0.0.1:3593"
    assert config.pdp.tls.enabled
    assert config.pdp.required_kinds == ("PreToolUse", "ConfigChange")
    assert config.mode is Mode.OBSERVE
    assert load(None, environ) == parse({}, environ)


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("HOOKGATE__ON_EROR", "on_eror: unknown key, did you mean on_error?"),
        ("HOOKGATE__DECISION____X", "HOOKGATE__DECISION____X: expected HOOKGATE__SECTION__KEY"),
        ("HOOKGATE__", "HOOKGATE__: expected HOOKGATE__SECTION__KEY"),
        ("HOOKGATE__MODE__X", "HOOKGATE__MODE__X: mode is no section"),
        ("HOOKGATE__DECISION", "decision: expected a mapping, got 1"),
    ],
)
def test_a_variable_that_names_no_setting_is_a_fault(name: str, fault: str) -> None:
    assert fault in faults({**PDP, "mode": "enforce"}, {name: "1"})


def test_the_environment_does_not_change_the_tree_that_it_is_laid_over() -> None:
    tree = {"pdp": {"address": "unix:/x"}}
    parse(tree, {"HOOKGATE__PDP__ADDRESS": "unix:/y"})
    assert tree == {"pdp": {"address": "unix:/x"}}


def test_variables_in_values_are_replaced_with_types_kept(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        """
pdp: {address: "${PDP_HOST}:${PDP_PORT:3593}"}
decision: {deadline_seconds: "${DEADLINE:2.5}"}
canary: {required: "${REQUIRED}"}
on_error_events: ["${EVENT}", Stop]
identity: {default_user: "$${USER}", default_role: "${ROLE:}x"}
""",
    )
    environ = {"PDP_HOST": "127.0.0.1", "REQUIRED": "true", "EVENT": "UserPromptSubmit", "ROLE": "r"}
    config = load(file, environ)
    assert config.pdp.address == "127.0.0.1:3593"
    assert config.decision.deadline_seconds == 2.5
    assert config.canary.required is True
    assert config.on_error_events == ("UserPromptSubmit", "Stop")
    assert (config.identity.default_user, config.identity.default_role) == ("${USER}", "rx")


def test_a_variable_that_is_not_set_and_has_no_default_is_a_fault_in_its_place(tmp_path: Path) -> None:
    file = written(tmp_path, 'pdp: {address: "${A}"}\non_error_events: [x, "${B}"]\n')
    found = refused(file)
    assert "pdp.address: ${A} is not set in the environment and has no default (${A:default})" in found
    assert any(fault.startswith("on_error_events[1]: ${B} is not set") for fault in found)


def test_of_a_variable_that_is_not_set_nothing_else_is_told(tmp_path: Path) -> None:
    file = written(tmp_path, 'pdp: {address: "unix:/x"}\ndecision: {deadline_seconds: "${A}", slots: x}\n')
    found = refused(file)
    assert [fault.partition(":")[0] for fault in found] == ["decision.deadline_seconds", "decision.slots"]
    assert "is not set" in found[0]


def test_what_a_variable_holds_is_not_expanded_again() -> None:
    tree = {"pdp": {"address": "unix:/x"}, "identity": {"default_user": "${A}"}}
    assert parse(tree, {"A": "${B}", "B": "b"}).identity.default_user == "${B}"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("pdp:\n  address: a\n  address: b\n", "line 3, column 3: key 'address' is given twice"),
        ("mode: a\nmode: b\n", "line 2, column 1: key 'mode' is given twice"),
        ("1: x\n", "line 1, column 1: keys are names, got 1"),
        ("true: x\n", "line 1, column 1: keys are names, got true"),
        ("? [a]\n: x\n", 'line 1, column 3: keys are names, got ["a"]'),
        ("pdp: [\n", "line 2, column 1: "),
        ("a: !!python/object:os.system x\n", "line 1, column 4: "),
        ("\tx: 1\n", "line 1, column 1: "),
        ("- a\n", 'expected a mapping of settings, got ["a"]'),
        ("5\n", "expected a mapping of settings, got 5"),
    ],
)
def test_a_file_that_is_no_mapping_of_settings_is_refused_with_the_place(tmp_path: Path, text: str, fault: str) -> None:
    (found,) = refused(written(tmp_path, text))
    assert found.startswith(fault)
    assert "\n" not in found


def test_a_file_that_cannot_be_read_is_one_fault(tmp_path: Path) -> None:
    assert refused(tmp_path / "none.yaml") == ["can't be read: No such file or directory"]
    assert refused(tmp_path) == ["can't be read: Is a directory"]
    odd = tmp_path / "latin.yaml"
    odd.write_bytes(b"pdp: {address: \xff}")
    assert refused(odd)[0].startswith("can't be read: 'utf-8' codec can't decode")


@pytest.mark.parametrize(
    "text",
    [
        "a: 2024-13-45\n",
        "a: 0b_\n",
        "a: 0x_\n",
        "a: !!int x\n",
        "a: !!float x\n",
        "a: !!timestamp x\n",
        "a: &a [*a]\n",
        "&a a: *a\n",
        "a: &a {b: *a}\n",
        "a: " + "[" * 3000,
        "a: " + "{b: " * 3000,
        "a: \x00",
        "? {a: b}\n: c\n",
        "<<: {a: b}\n",
        "a: !!binary x",
        "a: !!set {b, c}",
    ],
    ids=lambda text: repr(text[:20]),
)
def test_odd_yaml_is_refused_and_never_ends_in_another_error(tmp_path: Path, text: str) -> None:
    assert refused(written(tmp_path, text))


@given(text=st.text(alphabet=st.sampled_from("ab:{}[],-?&*!|>'\"#%@` \n\t0123456789.ex_+<"), max_size=40))
def test_any_text_of_a_variable_is_a_value_or_a_fault(text: str) -> None:
    for environ in ({"HOOKGATE__IDENTITY__DEFAULT_USER": text}, {"HOOKGATE__CANARY": text}):
        try:
            parse(PDP, environ)
        except ConfigError as error:
            assert all("\n" not in fault for fault in error.faults)  # noqa: PT017


@given(section=st.sampled_from([*Tree.__struct_fields__, "other"]), value=sent_values)
def test_any_value_in_any_place_is_taken_or_a_fault_that_begins_with_its_path(section: str, value: Any) -> None:
    try:
        parse({**PDP, section: value}, {})
    except ConfigError as error:
        assert all(fault.startswith(section) for fault in error.faults), error.faults  # noqa: PT017


def test_the_schema_knows_every_setting_with_a_description_and_takes_what_is_taken() -> None:
    found = schema()
    json.dumps(found)
    assert found["$schema"].endswith("2020-12/schema")

    def described(kind: type[msgspec.Struct], where: str = "") -> None:
        definition = found["$defs"][kind.__name__]
        assert definition["additionalProperties"] is False
        for field in msgspec.structs.fields(kind):
            told = definition["properties"][field.encode_name]
            inner = told.get("$ref") or next((one.get("$ref") for one in told.get("allOf", [])), None)
            assert inner or told.get("description"), f"{where}{field.name}"
            if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
                described(field.type, f"{where}{field.name}.")

    described(Config)


def test_expectations_and_values_are_told_in_words() -> None:
    assert expected(Mode) == "one of enforce, observe"
    assert expected(tuple[str, ...]) == "a list of texts"
    assert expected(str | None) == "text"
    assert shown("x" * 100) == '"' + "x" * 56 + "..."
    assert shown({"a": [1, None]}) == '{"a": [1, null]}'


@pytest.mark.parametrize(
    "shippers",
    [
        [{"type": "kafka", "brokers": ["h:9092"], "topic": "t", "password": ["hunter22"]}],
        [{"type": "http", "url": "ftp://me:hunter22@host"}],
        [{"type": "http", "url": "https://host", "headers": {"Authorization": ["hunter22"]}}],
        [{"type": "otlp", "url": "https://host", "headers": "Bearer hunter22"}],
        [{"type": "postgres", "url": "mysql://me:hunter22@host"}],
        ["https://me:hunter22@host"],
        {"type": "http", "headers": {"Authorization": "hunter22"}},
        "https://me:hunter22@host",
    ],
)
def test_a_fault_does_not_tell_a_secret(shippers: Any) -> None:
    found = faults({"pdp": {"address": "unix:/x"}, "audit": {"shippers": shippers}})
    assert [fault.partition("[")[0].partition(":")[0] for fault in found] == ["audit.shippers"]
    assert "hunter22" not in str(found)


def test_a_configuration_written_as_yaml_and_read_again_is_the_same(tmp_path: Path) -> None:
    config = parse({**PDP, "rollout": [{"mode": "observe", "roles": ["a"]}], "on_error": "ask"}, {})
    file = written(tmp_path, yaml.safe_dump(msgspec.to_builtins(config)))
    assert load(file, {}) == config
