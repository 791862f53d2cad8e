"""Faults that show only when several settings are looked at together."""

from pathlib import Path
from typing import Any

import pytest

from hookgate.config import ConfigError, parse
from hookgate.config.check import is_local
from tests.support.service import merged

PDP: dict[str, Any] = {"pdp": {"address": "unix:/pdp.sock"}}
EXPECTATION: dict[str, Any] = {"name": "env", "payload": {"hook_event_name": "Stop"}, "outcome": "deny"}


def faults(changes: dict[str, Any]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(merged(PDP, changes), {})
    return caught.value.faults


@pytest.mark.parametrize("scope", ["", ".", "acme", "acme.eng", "acme.e-n_g.9", "9x"])
def test_scopes_that_cerbos_takes_are_taken(scope: str) -> None:
    assert parse(merged(PDP, {"pdp": {"scope": scope, "scopes": [scope]}}), {}).pdp.scope == scope


@pytest.mark.parametrize(
    "scope", ["-acme", "acme.", ".acme", "a..b", "a b", "a/b", "acme\n", "acm\u00e9", "a.\u0661", "a,b"]
)
def test_scopes_that_cerbos_refuses_are_faults(scope: str) -> None:
    (found,) = faults({"pdp": {"scope": scope}})
    assert found.startswith("pdp.scope: ")
    assert "no scope that Cerbos takes" in found
    (found,) = faults({"pdp": {"scopes": ["acme", scope]}})
    assert found.startswith("pdp.scopes[1]: ")


@pytest.mark.parametrize("version", ["v1.2", "v-1", "v\u00e9", "a b"])
def test_policy_versions_that_cerbos_refuses_are_faults(version: str) -> None:
    (found,) = faults({"pdp": {"policy_version": version}})
    assert found.startswith("pdp.policy_version: ")


@pytest.mark.parametrize("version", ["", "default", "v1_2", "20261122"])
def test_policy_versions_that_cerbos_takes_are_taken(version: str) -> None:
    assert parse(merged(PDP, {"pdp": {"policy_version": version}}), {}).pdp.policy_version == version


@pytest.mark.parametrize("name", ["", "Pre Tool", "PreToolUse\n", "*", "5x", "A" * 65])
def test_settings_that_name_events_take_names_only(name: str) -> None:
    (found,) = faults({"pdp": {"required_kinds": ["PreToolUse", name]}})
    assert found == f"pdp.required_kinds[1]: expected the name of an event, got {name!r}"
    (found,) = faults({"on_error_events": [name]})
    assert found.startswith("on_error_events[0]: ")


def test_a_rollout_rule_that_matches_nobody_is_a_fault() -> None:
    (found,) = faults({"rollout": [{"mode": "observe", "users": ["x"]}, {"mode": "observe"}]})
    assert found.startswith("rollout[1]: matches nobody")


def test_expectations_have_names_of_their_own() -> None:
    assert faults({"canary": {"expect": [EXPECTATION, EXPECTATION]}}) == [
        "canary.expect: the name 'env' is given twice"
    ]


def test_probes_and_hooks_have_ports_of_their_own() -> None:
    assert faults({"admin": {"port": 3594}}) == ["admin.port: is the hooks' own port; pick another"]
    for fine in ({"port": 0}, {"port": 3594, "host": "127.0.0.2"}, {"port": 3594, "enabled": False}):
        parse({**PDP, "admin": fine}, {})
    parse({**PDP, "admin": {"port": 0}, "server": {"port": 0}}, {})


def test_a_grace_period_leaves_time_for_a_decision_that_comes_last() -> None:
    (found,) = faults({"server": {"linger_seconds": 3, "grace_seconds": 4.5}})
    assert found.startswith(
        "server.grace_seconds: 4.5 is less than linger_seconds (3) and decision.deadline_seconds (2)"
    )
    assert found.endswith("set at least 5")
    parse({**PDP, "server": {"linger_seconds": 3, "grace_seconds": 5}}, {})


def test_tls_settings_fit_together_and_name_files_that_are_there(tmp_path: Path) -> None:
    here = tmp_path / "ca.pem"
    here.write_text("")
    parse(merged(PDP, {"pdp": {"tls": {"enabled": True, "ca": str(here)}}}), {})
    assert faults({"pdp": {"tls": {"enabled": True, "certificate": str(here)}}}) == [
        "pdp.tls: certificate and key go together"
    ]
    assert faults({"pdp": {"tls": {"ca": str(here)}}}) == ["pdp.tls.ca: has no effect without pdp.tls.enabled: true"]
    assert faults({"pdp": {"tls": {"enabled": True, "ca": "/no/such"}}}) == ["pdp.tls.ca: no such file: /no/such"]
    assert len(faults({"pdp": {"tls": {"enabled": True, "key": "/none\0", "ca": "/none"}}})) == 3


@pytest.mark.parametrize(
    "address",
    [
        "unix:/run/pdp.sock",
        "unix:pdp.sock",
        "unix:///run/pdp.sock",
        "unix-abstract:pdp",
        "127.0.0.1:3593",
        "127.9.9.9:3593",
        "localhost:3593",
        "[::1]:3593",
        "dns:///localhost:3593",
        "dns:localhost:3593",
        "dns:///127.0.0.1:3593",
        "ipv4:127.0.0.1:3593",
        "ipv6:[::1]:3593",
    ],
)
def test_addresses_that_stay_on_this_machine_may_be_plaintext(address: str) -> None:
    assert is_local(address)
    parse({"pdp": {"address": address}}, {})


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1:3593",
        "pdp:3593",
        "dns:///pdp.internal:3593",
        "localhost.example.com:3593",
        "dns:///localhost.example.com",
        "0.0.0.0:3593",
        "[::]:3593",
        "ipv4:127.0.0.1:3593,10.0.0.1:3593",
        "ipv4:10.0.0.1:3593,127.0.0.1:3593",
        "127.0.0.1.example.com:3593",
        "xunix:/run/pdp.sock",
        "",
    ],
)
def test_plaintext_to_anywhere_else_must_be_allowed_in_so_many_words(address: str) -> None:
    assert not is_local(address)
    if address:
        (found,) = faults({"pdp": {"address": address}})
        assert "set pdp.tls.enabled: true, or pdp.allow_plaintext: true" in found
        parse({"pdp": {"address": address, "allow_plaintext": True}}, {})
        parse({"pdp": {"address": address, "tls": {"enabled": True}}}, {})


def test_faults_of_several_settings_are_told_together() -> None:
    found = faults(
        {"pdp": {"address": "pdp:1", "scope": "-"}, "rollout": [{"mode": "observe"}], "admin": {"port": 3594}}
    )
    assert len(found) == 4


def test_a_secrets_form_that_is_no_pattern_is_named_with_its_path() -> None:
    forms = [
        {"kind": "a", "pattern": "("},
        {"kind": "b", "pattern": "(?=x)y"},
        {"kind": "c", "pattern": "a*"},
        {"kind": "ok", "pattern": "ACME-([0-9]+)"},
    ]
    redaction = {"names": ["badge", " x"], "forms": forms}
    levels = [{"events": ["Pre*"], "level": "full"}, {"tools": ["mcp__*"], "level": "metadata"}]
    found = faults({"pdp": {"address": "unix:/x"}, "audit": {"redaction": redaction, "levels": levels}})
    assert [fault.split(": ")[0] for fault in found] == [
        "audit.redaction.names[1]",
        "audit.redaction.forms[0].pattern",
        "audit.redaction.forms[1].pattern",
        "audit.redaction.forms[2].pattern",
        "audit.levels[0].events[0]",
    ]
    assert "RE2" in found[1]
