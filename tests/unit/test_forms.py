"""The forms in which settings reach a client: each can be read back, is what its platform expects, and has no fault that doctor knows."""

import json
import plistlib
import re
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from hookgate.client.examine import Settings, examine
from hookgate.client.finding import Kind
from hookgate.client.forms import FORMS, ansible, macos, parsed, windows
from hookgate.client.managed import Platform, managed_settings, server_settings
from hookgate.client.plan import Plan, parse
from hookgate.client.reading import Scope, read, settings_files
from tests.conftest import ROOT

PUBLIC = "https://hooks.example.com/ext/claude"
#: Everything that has to be escaped somewhere: quotes, backslashes, ends of here-strings, templates, letters beyond ASCII.
AWKWARD = parse(
    {
        "url": PUBLIC,
        "headers": {"X-Claude-Label-Note": "it's \"{{ quoted }}\" {% raw %} \\ end\\\\ é $env:X `x` '@"},
        "hardening": {"env": {"NOTE": "one\ntwo\n'@\n日本"}},
        "bridge": {"events": ["SessionStart"]},
        "teams": {"marketing": {}},
    }
)
MADE = [name for name in FORMS if name != "bridge"]
PLATFORMS = {
    "mobileconfig": Platform.MACOS,
    "plist": Platform.MACOS,
    "reg": Platform.WINDOWS,
    "powershell": Platform.WINDOWS,
}

PROFILE = {
    "type": "object",
    "required": [
        "PayloadContent",
        "PayloadType",
        "PayloadVersion",
        "PayloadIdentifier",
        "PayloadUUID",
        "PayloadDisplayName",
    ],
    "properties": {
        "PayloadType": {"const": "Configuration"},
        "PayloadVersion": {"const": 1},
        "PayloadScope": {"const": "System"},
        "PayloadIdentifier": {"type": "string", "pattern": r"^[a-z0-9.-]+$"},
        "PayloadUUID": {"type": "string", "pattern": "^[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}$"},
        "PayloadRemovalDisallowed": {"const": True},
        "PayloadContent": {
            "type": "array",
            "minItems": 1,
            "maxItems": 1,
            "items": {
                "type": "object",
                "required": ["PayloadType", "PayloadVersion", "PayloadIdentifier", "PayloadUUID", "PayloadContent"],
                "properties": {
                    "PayloadType": {"const": "com.apple.ManagedClient.preferences"},
                    "PayloadVersion": {"const": 1},
                    "PayloadUUID": {"type": "string", "pattern": "^[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}$"},
                    "PayloadContent": {
                        "type": "object",
                        "required": ["com.anthropic.claudecode"],
                        "additionalProperties": False,
                        "properties": {
                            "com.anthropic.claudecode": {
                                "type": "object",
                                "required": ["Forced"],
                                "additionalProperties": False,
                                "properties": {
                                    "Forced": {
                                        "type": "array",
                                        "minItems": 1,
                                        "maxItems": 1,
                                        "items": {
                                            "type": "object",
                                            "required": ["mcx_preference_settings"],
                                            "properties": {
                                                "mcx_preference_settings": {
                                                    "type": "object",
                                                    "required": ["hooks", "env", "permissions"],
                                                }
                                            },
                                        },
                                    }
                                },
                            }
                        },
                    },
                },
            },
        },
    },
}


def made_of(form: str, plan: Plan) -> dict[str, Any]:
    """Gives what a form is to hold."""
    return server_settings(plan) if form == "server" else managed_settings(plan, PLATFORMS.get(form, Platform.LINUX))


@pytest.mark.parametrize("form", MADE)
@pytest.mark.parametrize("plan", [Plan(), AWKWARD], ids=["by default", "awkward"])
def test_a_form_is_read_back_as_what_was_written_and_always_written_alike(form: str, plan: Plan) -> None:
    raw = FORMS[form].render(plan, "")
    assert parsed(Path(FORMS[form].file), raw) == made_of(form, plan)
    assert FORMS[form].render(plan, "") == raw


@pytest.mark.parametrize("form", MADE)
@pytest.mark.parametrize(
    "tree",
    [
        {},
        {"url": PUBLIC, "identity": {"token_variable": "TOKEN"}},
        {"bridge": {"events": ["SessionStart", "Setup"]}},
        {"events": {"files": [".envrc"]}},
    ],
    ids=["by default", "with a token", "with a bridge", "with files"],
)
def test_doctor_finds_nothing_wrong_with_any_form(form: str, tree: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / Path(FORMS[form].file).name
    path.write_bytes(FORMS[form].render(parse(tree), ""))
    environ = {"USER": "alex", "USERNAME": "alex", "TOKEN": "set"}
    assert examine(Settings([read(Scope.MANAGED, path)], environ), lambda _: ["93.184.216.34"]) == []


def test_a_profile_is_one_by_its_schema_and_replaces_only_the_same_teams() -> None:
    plain, again, marketing = (
        plistlib.loads(FORMS["mobileconfig"].render(plan, team))
        for plan, team in ((Plan(), ""), (AWKWARD, ""), (Plan(), "marketing"))
    )
    for profile in (plain, again, marketing):
        jsonschema.validate(profile, PROFILE)
        identities = [profile["PayloadUUID"], profile["PayloadContent"][0]["PayloadUUID"]]
        assert len({str(uuid.UUID(one)) for one in identities}) == 2
    assert plain["PayloadIdentifier"] == again["PayloadIdentifier"] != marketing["PayloadIdentifier"]
    assert plain["PayloadUUID"] == again["PayloadUUID"] != marketing["PayloadUUID"]


def test_a_property_list_has_the_settings_as_its_own_keys_with_their_types() -> None:
    found = plistlib.loads(FORMS["plist"].render(Plan(), ""))
    assert found["allowManagedHooksOnly"] is True
    assert found["hooks"]["PreToolUse"][0]["hooks"][0]["timeout"] == 10
    assert found["permissions"]["deny"][0] == "Read(**/.env)"
    assert isinstance(found["env"]["PATH"], str)


def test_a_profile_of_the_other_kind_is_read_too_and_a_signed_one_is_named() -> None:
    payload = {"PayloadType": macos.DOMAIN, "PayloadUUID": "x", "env": {"A": "b"}}
    other = plistlib.dumps({"PayloadType": "Configuration", "PayloadContent": [{"PayloadType": "x"}, payload]})
    assert parsed(Path("a.mobileconfig"), other) == {"env": {"A": "b"}}
    with pytest.raises(ValueError, match="nothing for com.anthropic.claudecode"):
        macos.parse(plistlib.dumps({"PayloadType": "Configuration", "PayloadContent": []}))
    with pytest.raises(ValueError, match="signed"):
        macos.parse(b"0\x82\x01\x00\x06\x09*\x86H\x86")


def test_a_registry_file_is_what_regedit_writes() -> None:
    raw = FORMS["reg"].render(AWKWARD, "")
    assert raw[:2] == b"\xff\xfe"
    text = raw[2:].decode("utf-16-le")
    assert text.startswith(
        "Windows Registry Editor Version 5.00\r\n\r\n[HKEY_LOCAL_MACHINE\\SOFTWARE\\Policies\\ClaudeCode]\r\n"
    )
    assert text.endswith('"\r\n\r\n')
    assert text.count("\r\n") == text.count("\n") == 5
    # As in any such file: inside the quotes only a backslash and a quote are escaped, each by a backslash.
    value = text.splitlines()[3].removeprefix('"Settings"="').removesuffix('"')
    assert re.fullmatch(r'(?:[^"\\]|\\["\\])*', value)
    assert value.isascii()
    assert json.loads(value.replace("\\\\", "\0").replace('\\"', '"').replace("\0", "\\")) == made_of("reg", AWKWARD)


def test_a_script_for_intune_holds_the_settings_in_one_line_that_nothing_ends() -> None:
    """PowerShell itself is not to be had here: its structure is looked at."""
    raw = FORMS["powershell"].render(AWKWARD, "")
    text = raw.decode("ascii")
    assert text.count("\r\n") == text.count("\n")
    lines = text.split("\r\n")
    begin = lines.index("$settings = @'")
    # A here-string ends at the first line that begins with '@; inside it nothing is expanded.
    assert [number for number, line in enumerate(lines) if line.startswith("'@")] == [begin + 2]
    assert json.loads(lines[begin + 1]) == made_of("powershell", AWKWARD)
    rest = "\n".join(lines[:begin] + lines[begin + 3 :])
    assert "RegistryView]::Registry64" in rest
    assert f"CreateSubKey('{windows.KEY}')" in rest
    for opening, closing in ("()", "{}", "[]"):
        assert rest.count(opening) == rest.count(closing)
    assert rest.count("'") % 2 == 0


def test_ansible_puts_each_systems_settings_where_its_client_reads_them() -> None:
    raw = FORMS["ansible"].render(AWKWARD, "")
    for system, platform in (("Linux", Platform.LINUX), ("Darwin", Platform.MACOS)):
        assert ansible.parse(raw, system) == managed_settings(AWKWARD, platform)
    # What looks like a template in it is none: the tag keeps Ansible from reading it so.
    assert raw.decode().count("content: !unsafe |") == 2

    class Loader(yaml.SafeLoader):
        """Reads the tag as text."""

    Loader.add_constructor("!unsafe", lambda _, node: node.value)
    tasks = yaml.load(raw, Loader)
    assert [set(task) - {"name", "when"} for task in tasks] == [
        {"ansible.builtin.file"},
        {"ansible.builtin.copy"},
    ] * 2
    copy = tasks[1]["ansible.builtin.copy"]
    assert (copy["dest"], copy["mode"], copy["owner"]) == (
        "/etc/claude-code/managed-settings.d/90-hookgate.json",
        "0644",
        "root",
    )
    assert tasks[1]["when"] == "ansible_facts['system'] == 'Linux'"


@pytest.mark.parametrize(
    ("name", "raw", "fault"),
    [
        ("a.plist", b"bplist00", "no property list"),
        ("a.plist", b"<plist>", "no property list"),
        ("a.mobileconfig", b"", "no property list"),
        ("a.reg", b"REGEDIT4", "no registry file in UTF-16"),
        ("a.reg", b"\xff\xfe" + "Windows".encode("utf-16-le"), "no registry file with SOFTWARE"),
        ("a.ps1", b"exit 1", "no script with $settings"),
        ("a.yaml", b"- name: x", "no tasks"),
        ("a.yaml", b"{", "no tasks"),
        ("a.json", b"{", "no JSON"),
    ],
)
def test_a_file_that_holds_no_settings_is_a_finding(name: str, raw: bytes, fault: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(raw)
    (finding,) = [one for one in examine(Settings([read(Scope.MANAGED, path)], {})) if one.kind is Kind.FILE_UNREADABLE]
    assert finding.detail.startswith(fault)


def test_doctor_reads_what_a_profile_forced_on_macos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forced = tmp_path / "com.anthropic.claudecode.plist"
    forced.write_bytes(FORMS["plist"].render(Plan(), ""))
    monkeypatch.setattr("hookgate.client.reading.managed_preferences", lambda: [forced])
    (tmp_path / "managed-settings.json").write_text("{}")
    # The file beside it does not count then.
    files = settings_files(tmp_path, {"HOME": str(tmp_path)}, tmp_path)
    assert [file.path for file in files] == [forced]
    assert files[0].is_managed
    monkeypatch.undo()
    from hookgate.client.reading import managed_preferences

    assert [str(path) for path in managed_preferences("darwin")][
        1
    ] == "/Library/Managed Preferences/com.anthropic.claudecode.plist"
    assert managed_preferences("linux") == []


def command(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "hookgate", "settings", *arguments],
        env={"PYTHONPATH": str(ROOT / "proxy")},
        input=stdin,
        capture_output=True,
        timeout=60,
        check=False,
    )


def test_the_command_writes_every_form_of_a_teams_variant(tmp_path: Path) -> None:
    plan = tmp_path / "hooks.yaml"
    plan.write_text(
        "bridge: {events: [Setup]}\nteams: {marketing: {headers: {X-Claude-Label-Team: marketing}, deny: []}}\n"
    )
    told = command(str(plan), "--team", "marketing", "--out", str(tmp_path / "out"))
    assert told.returncode == 0, told.stderr
    paths = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert paths == {form.file for form in FORMS.values()}
    assert told.stdout.decode().count("\n") == len(FORMS)
    assert b"marketing" in (tmp_path / "out" / "hookgate.mobileconfig").read_bytes()
    (line,) = told.stderr.decode().splitlines()
    assert line.startswith(f"hookgate: warning: {plan}: teams.marketing: deny: No permission rule")


def test_the_command_prints_one_form_and_refuses_holes_on_wish(tmp_path: Path) -> None:
    assert command("--form", "json").stdout == FORMS["json"].render(Plan(), "")
    assert command().returncode == 1
    plan = tmp_path / "hooks.yaml"
    plan.write_text("events: {without: [PreToolUse]}\n")
    told = command(str(plan), "--form", "json", "--strict")
    assert (told.returncode, told.stdout) == (1, b"")
    lines = told.stderr.decode().splitlines()
    assert lines[0].startswith(f"hookgate: hole: {plan}: events.without: ")
    assert lines[-1] == "hookgate: --strict: nothing was written"
    # Each form is held to its own platform.
    plan.write_text("hardening: {path: {macos: ''}}\n")
    assert command(str(plan), "--form", "json", "--strict").returncode == 0
    told = command(str(plan), "--form", "mobileconfig", "--strict")
    assert (told.returncode, told.stdout) == (1, b"")
    told = command(str(plan), "--out", str(tmp_path / "out"), "--strict")
    assert told.stderr.decode().startswith(f"hookgate: hole: {plan}: hardening.pin_environment (macos): ")
    assert not (tmp_path / "out").exists()
    wrong = command("--form", "toml")
    assert wrong.stderr.decode().startswith("hookgate: --form toml: expected one of json, drop-in,")
    plan.write_text("events: 5\n")
    assert command(str(plan), "--form", "json").stderr.decode().startswith(f"hookgate: {plan}: events: expected")
