"""What doctor finds in settings files: nothing in those that ship, and each finding where it is laid on purpose."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hookgate.client import route
from hookgate.client.examine import Settings, examine
from hookgate.client.finding import Exit, Finding, Kind, Severity, exit_of
from hookgate.client.reading import Scope, SettingsFile, hooks_of, invalid_entries, managed_directory, settings_files
from hookgate.client.settings import can_block
from tests.docs.tables import managed_settings

ENVIRON = {"USER": "alex", "HOME": "/home/alex"}
NAMES = {"hooks.example.com": ["93.184.216.34"], "sidecar.internal": ["172.18.0.5"], "here": ["127.0.0.1"]}
Change = Callable[[dict[str, Any]], object]


def managed(content: dict[str, Any]) -> SettingsFile:
    return SettingsFile(Scope.MANAGED, Path("/etc/claude-code/managed-settings.json"), content)


def other(content: dict[str, Any], scope: Scope = Scope.LOCAL) -> SettingsFile:
    return SettingsFile(scope, Path(f"/project/.claude/{scope.name.lower()}.json"), content)


def found(*files: SettingsFile, environ: dict[str, str] = ENVIRON, url: str = "") -> list[Finding]:
    return examine(Settings(files, environ, url=url), lambda host: NAMES.get(host, []))


def kinds(findings: list[Finding]) -> set[Kind]:
    return {finding.kind for finding in findings}


def each_hook(content: dict[str, Any], **changes: Any) -> None:
    """Changes every hook's entry; None takes a key out."""
    for groups in content["hooks"].values():
        entry = groups[0]["hooks"][0]
        for key, value in changes.items():
            if value is None:
                entry.pop(key, None)
            else:
                entry[key] = value


BRIDGE: dict[str, Any] = {"command": "/opt/hookgate/bin/python", "args": ["-I", "-m", "hookgate", "hook"]}


def bridged(content: dict[str, Any], **entry: Any) -> None:
    """Has every hook done by a command."""
    for event, groups in content["hooks"].items():
        failing = {"onFailure": "block"} if can_block(event) else {}
        groups[0]["hooks"] = [{"type": "command", "timeout": 10, **failing, **entry}]


def test_the_bridge_is_a_guard_for_clients_of_any_version() -> None:
    content = managed_settings()
    bridged(content, **BRIDGE)
    del content["requiredMinimumVersion"]
    assert found(managed(content)) == []


def test_the_settings_that_ship_are_without_fault() -> None:
    assert found(managed(managed_settings())) == []
    assert exit_of([]) is Exit.CLEAN


CHANGES: dict[str, tuple[Kind, Change]] = {
    "no hooks": (Kind.NO_HOOKS, lambda s: s.pop("hooks")),
    "no PreToolUse": (Kind.NO_HOOKS, lambda s: s["hooks"].pop("PreToolUse")),
    "an event that decides is missing": (Kind.EVENT_MISSING, lambda s: s["hooks"].pop("ConfigChange")),
    "an event that tells is missing": (Kind.EVENT_UNTOLD, lambda s: s["hooks"].pop("PostToolUse")),
    "a hook for SessionStart": (
        Kind.EVENT_UNSUITABLE,
        lambda s: s["hooks"].update(SessionStart=copy.deepcopy(s["hooks"]["Stop"])),
    ),
    "a hook for WorktreeCreate": (
        Kind.EVENT_UNSUITABLE,
        lambda s: s["hooks"].update(WorktreeCreate=copy.deepcopy(s["hooks"]["Stop"])),
    ),
    "no onFailure": (Kind.FAILS_OPEN, lambda s: each_hook(s, onFailure=None)),
    "onFailure continues": (Kind.FAILS_OPEN, lambda s: each_hook(s, onFailure="continue")),
    "no version": (Kind.VERSION_NOT_REQUIRED, lambda s: s.pop("requiredMinimumVersion")),
    "an old version": (Kind.VERSION_NOT_REQUIRED, lambda s: s.update(requiredMinimumVersion="2.1.294")),
    "a version that is none": (Kind.VERSION_NOT_REQUIRED, lambda s: s.update(requiredMinimumVersion="latest")),
    "a matcher": (Kind.MATCHER_NARROW, lambda s: s["hooks"]["PreToolUse"][0].update(matcher="Bash")),
    "an invalid matcher": (Kind.MATCHER_NARROW, lambda s: s["hooks"]["PreToolUse"][0].update(matcher="B[ash")),
    "a condition": (Kind.CONDITIONAL, lambda s: each_hook(s, **{"if": "Bash(git push*)"})),
    "a private name": (Kind.NAME_IS_PRIVATE, lambda s: each_hook(s, url="https://sidecar.internal/ext/claude")),
    "an unknown name": (Kind.NAME_UNKNOWN, lambda s: each_hook(s, url="https://nowhere.example/ext/claude")),
    "localhost": (Kind.LOCALHOST, lambda s: each_hook(s, url="http://localhost:3594/ext/claude")),
    "plain http": (Kind.URL_PLAIN, lambda s: each_hook(s, url="http://10.1.2.3:3594/ext/claude")),
    "other URLs allowed": (Kind.URL_NOT_ALLOWED, lambda s: s.update(allowedHttpHookUrls=["https://a.example/*"])),
    "no timeout": (Kind.TIMEOUT_UNSUITABLE, lambda s: each_hook(s, timeout=None)),
    "a short timeout": (Kind.TIMEOUT_UNSUITABLE, lambda s: each_hook(s, timeout=1)),
    "no exemption": (Kind.PROXY_NOT_PINNED, lambda s: s["env"].pop("no_proxy")),
    "an exemption of others": (Kind.PROXY_NOT_PINNED, lambda s: s["env"].update(NO_PROXY="example.com")),
    "a proxy left open": (Kind.PROXY_NOT_PINNED, lambda s: s["env"].pop("https_proxy")),
    "no PATH": (Kind.SHELL_NOT_PINNED, lambda s: s["env"].pop("PATH")),
    "no BASH_ENV": (Kind.SHELL_NOT_PINNED, lambda s: s["env"].pop("BASH_ENV")),
    "no environment": (Kind.PROXY_NOT_PINNED, lambda s: s.pop("env")),
    "TLS unchecked": (Kind.TLS_UNCHECKED, lambda s: s["env"].update(NODE_TLS_REJECT_UNAUTHORIZED="0")),
    "a variable not allowed": (Kind.VARIABLE_NOT_ALLOWED, lambda s: each_hook(s, allowedEnvVars=None)),
    "a variable not allowed for any": (Kind.VARIABLE_NOT_ALLOWED, lambda s: s.update(httpHookAllowedEnvVars=["A"])),
    "a variable with a default": (
        Kind.VARIABLE_UNFILLABLE,
        lambda s: each_hook(s, headers={"x-claude-user": "${USER:-bob}"}),
    ),
    "a variable in lower case": (
        Kind.VARIABLE_UNFILLABLE,
        lambda s: each_hook(s, headers={"x-claude-user": "${user}"}),
    ),
    "a credential": (
        Kind.VARIABLE_UNFILLABLE,
        lambda s: each_hook(s, headers={"a": "$ANTHROPIC_API_KEY"}, allowedEnvVars=["ANTHROPIC_API_KEY"]),
    ),
    "a variable that is not set": (
        Kind.VARIABLE_UNSET,
        lambda s: each_hook(s, headers={"a": "${TOKEN}"}, allowedEnvVars=["TOKEN"]),
    ),
    "others' hooks": (Kind.OTHERS_HOOKS, lambda s: s.pop("allowManagedHooksOnly")),
    "another hook": (
        Kind.OTHER_HOOK,
        lambda s: s["hooks"]["PreToolUse"].append({"hooks": [{"type": "command", "command": "true"}]}),
    ),
    "bypass": (Kind.BYPASS_ALLOWED, lambda s: s["permissions"].pop("disableBypassPermissionsMode")),
    "shell in skills": (Kind.SKILL_SHELL_ALLOWED, lambda s: s.update(disableSkillShellExecution=False)),
    "a credential in a header": (
        Kind.SECRET_IN_HEADER,
        lambda s: each_hook(s, headers={"Authorization": "Bearer abc"}),
    ),
    "no rule for mentions": (Kind.MENTIONS_OPEN, lambda s: s["permissions"].update(deny=["Bash(rm *)"])),
    "a bridge by a shell": (Kind.BRIDGE_EXPOSED, lambda s: bridged(s, command="hookgate hook")),
    "a bridge by a Python that heeds the environment": (
        Kind.BRIDGE_EXPOSED,
        lambda s: bridged(s, command="/opt/hookgate/bin/python", args=["-m", "hookgate", "hook"]),
    ),
    "a bridge that fails open": (Kind.FAILS_OPEN, lambda s: bridged(s, onFailure="continue", **BRIDGE)),
    "no SHELL": (Kind.SHELL_NOT_PINNED, lambda s: s["env"].pop("SHELL")),
    "all hooks off": (Kind.HOOKS_DISABLED, lambda s: s.update(disableAllHooks=True)),
    "an entry without a URL": (Kind.ENTRY_INVALID, lambda s: each_hook(s, url=None)),
    "an entry with a wrong word": (Kind.ENTRY_INVALID, lambda s: each_hook(s, onFailure="deny")),
    "a timeout that is text": (Kind.ENTRY_INVALID, lambda s: each_hook(s, timeout="10")),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_hole_laid_on_purpose_is_found_and_says_where(name: str) -> None:
    kind, change = CHANGES[name]
    content = managed_settings()
    change(content)
    findings = found(managed(content))
    assert kind in kinds(findings)
    assert all(finding.place for finding in findings)
    assert exit_of(findings) is (Exit.HOLES if kind.severity is Severity.HOLE else exit_of(findings))


def test_without_any_file_nothing_is_asked() -> None:
    assert Kind.NO_HOOKS in kinds(found())


def test_hooks_in_settings_that_the_agent_can_change_are_no_guard() -> None:
    content = {"hooks": managed_settings()["hooks"]}
    findings = found(other(content, Scope.USER))
    assert {Kind.NOT_MANAGED, Kind.OTHERS_HOOKS, Kind.VERSION_NOT_REQUIRED} <= kinds(findings)
    off = found(other({"disableAllHooks": True}), other(content, Scope.USER))
    assert Kind.HOOKS_DISABLED in kinds(off)
    assert Kind.HOOKS_DISABLED not in kinds(found(managed(managed_settings()), other({"disableAllHooks": True})))


@pytest.mark.parametrize(
    "name",
    [
        "PATH",
        "BASH_ENV",
        "CLAUDE_CODE_SHELL_PREFIX",
        "CLAUDE_CODE_SHELL",
        "http_proxy",
        "HTTPS_PROXY",
        "NO_PROXY",
        "no_proxy",
        "LD_PRELOAD",
        "DYLD_INSERT_LIBRARIES",
        "PYTHONPATH",
        "NODE_OPTIONS",
        "NODE_EXTRA_CA_CERTS",
        "ENV",
    ],
)
def test_a_variable_that_steers_is_found_in_settings_that_are_not_managed(name: str) -> None:
    findings = found(managed(managed_settings()), other({"env": {name: "x"}}))
    assert [finding.place for finding in findings if finding.kind is Kind.ENV_STEERS] == [
        f"/project/.claude/local.json: env.{name}"
    ]
    assert Kind.ENV_STEERS not in kinds(found(managed(managed_settings()), other({"env": {"EDITOR": "vi"}})))


def test_a_proxy_is_found_unless_the_host_is_exempt() -> None:
    content = managed_settings()
    content["env"] = {"PATH": "/bin"}
    for name in ("HTTP_PROXY", "https_proxy"):
        assert Kind.PROXIED in kinds(found(managed(content), environ={**ENVIRON, name: "http://10.0.0.1:3128"}))
    exempt = {**ENVIRON, "HTTP_PROXY": "http://10.0.0.1:3128", "NO_PROXY": "example.com, 127.0.0.1:3594"}
    assert Kind.PROXIED not in kinds(found(managed(content), environ=exempt))


def test_managed_env_counts_for_more_than_the_process_and_other_settings() -> None:
    environ = {**ENVIRON, "HTTP_PROXY": "http://evil.example:1", "NO_PROXY": ""}
    findings = found(
        managed(managed_settings()), other({"env": {"http_proxy": "http://evil.example:1"}}), environ=environ
    )
    assert kinds(findings) == {Kind.ENV_STEERS}


def test_another_path_is_found_by_its_url_alone() -> None:
    content = managed_settings()
    each_hook(content, url="https://hooks.example.com/hook", onFailure="block")
    assert Kind.NO_HOOKS in kinds(found(managed(content)))
    content["env"] |= dict.fromkeys(route.EXEMPTIONS, "hooks.example.com")
    assert found(managed(content), url="https://hooks.example.com/hook") == []


def test_headers_are_filled_in_as_the_client_does_it() -> None:
    content = managed_settings()
    each_hook(
        content,
        headers={"a": "${USER}-$USER", "b": "x${HOME}y", "c": "${USER:-z}", "d": "${NO}", "e": "$ANTHROPIC_API_KEY"},
        allowedEnvVars=["USER", "NO", "ANTHROPIC_API_KEY"],
    )
    settings = Settings([managed(content)], {**ENVIRON, "ANTHROPIC_API_KEY": "sk-1"})
    assert settings.asking is not None
    assert settings.headers(settings.asking) == {"a": "alex-alex", "b": "xy", "c": "${USER:-z}", "d": "", "e": ""}


def test_files_are_read_from_where_the_client_reads_them_in_its_order(tmp_path: Path) -> None:
    home, project, system = tmp_path / "home", tmp_path / "project", tmp_path / "etc"
    places = [
        system / "managed-settings.json",
        system / "managed-settings.d" / "10-a.json",
        system / "managed-settings.d" / "20-b.json",
        project / ".claude" / "settings.local.json",
        project / ".claude" / "settings.json",
        home / ".claude" / "settings.json",
    ]
    for path in places:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"env": {"WHO": path.stem}}))
    files = settings_files(project, {"HOME": str(home)}, system)
    assert [file.path for file in files] == places
    assert Settings(files, {"WHO": "process"}).env["WHO"] == "20-b"
    assert [file.path for file in settings_files(home, {"HOME": str(home)}, system)][-1] == places[-1]
    moved = settings_files(project, {"HOME": "/nowhere", "CLAUDE_CONFIG_DIR": str(home / ".claude")}, system)
    assert moved[-1].path == places[-1]
    assert managed_directory("linux") == Path("/etc/claude-code")
    assert managed_directory("darwin") == Path("/Library/Application Support/ClaudeCode")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"a": NaN', "\xff", "[" * 100000])
def test_a_file_that_is_no_settings_file_is_found(tmp_path: Path, text: str) -> None:
    directory = tmp_path / ".claude"
    directory.mkdir()
    (directory / "settings.json").write_text(text, encoding="latin-1")
    files = settings_files(tmp_path, {"HOME": "/nowhere"}, tmp_path / "etc")
    assert [finding.place for finding in found(*files) if finding.kind is Kind.FILE_UNREADABLE] == [
        str(directory / "settings.json")
    ]


@pytest.mark.parametrize(
    "hooks",
    [5, {"PreToolUse": 5}, {"PreToolUse": [5]}, {"PreToolUse": [{"hooks": 5}]}, {"PreToolUse": [{"hooks": [5]}]}],
)
def test_whatever_stands_for_hooks_is_examined(hooks: Any) -> None:
    file = other({"hooks": hooks, "env": 5, "permissions": 5})
    assert list(hooks_of(file)) == []
    assert len(list(invalid_entries(file))) == 1
    assert Kind.ENTRY_INVALID in kinds(found(file))


def test_every_finding_is_laid_by_some_test() -> None:
    here = {kind for kind, _ in CHANGES.values()} | {
        Kind.NOT_MANAGED,
        Kind.ENV_STEERS,
        Kind.PROXIED,
        Kind.FILE_UNREADABLE,
    }
    elsewhere = {
        Kind.WRITABLE,
        Kind.SIGNALABLE,
        Kind.RUN_AS_ROOT,
        Kind.UNREACHABLE,
        Kind.ANSWER_WRONG,
        Kind.NOT_ENFORCED,
        Kind.USER_UNVERIFIED,
        Kind.USER_UNKNOWN,
        Kind.SLOW,
    }
    assert here | elsewhere == set(Kind)
    text = "".join(path.read_text() for path in Path(__file__).parent.glob("test_doctor*.py"))
    assert [kind for kind in elsewhere if f"Kind.{kind.name}" not in text] == []
