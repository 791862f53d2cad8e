"""The administrator's plan: what is made of it, what is refused, and what is said about a hole that it leaves."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from hookgate.client.advice import Advice, advice, advice_for
from hookgate.client.examine import Settings, examine
from hookgate.client.finding import Kind
from hookgate.client.managed import EMPTIED, Platform, bridge_settings, managed_settings, server_settings
from hookgate.client.plan import SECRETS, Plan, parse, read
from hookgate.client.reading import Scope, SettingsFile
from hookgate.client.route import EXEMPTIONS, PROXY_VARIABLES
from hookgate.commands.settings import line
from hookgate.config import ConfigError
from tests.conftest import ROOT
from tests.docs.markdown import Page
from tests.docs.tables import settings

EXAMPLE = ROOT / "deploy" / "claude-code" / "hooks.yaml"
PUBLIC = "https://hooks.example.com/ext/claude"
NAMES = {"hooks.example.com": ["93.184.216.34"], "sidecar.internal": ["172.18.0.5"]}


def resolve(host: str) -> list[str]:
    return NAMES.get(host, [])


def said(tree: dict[str, Any]) -> list[Advice]:
    return advice(parse(tree), Platform.LINUX, resolve)


def hooks(tree: dict[str, Any], platform: Platform = Platform.LINUX) -> dict[str, dict[str, Any]]:
    """Gives each event's one hook."""
    made = managed_settings(parse(tree), platform)["hooks"]
    return {event: entries[0]["hooks"][0] for event, entries in made.items()}


def faults(tree: Any, team: str = "") -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(tree, team)
    return caught.value.faults


def test_the_commented_file_has_every_key_with_its_default() -> None:
    assert read(EXAMPLE) == Plan()
    tree = yaml.safe_load(EXAMPLE.read_text())

    def keys(part: dict[str, Any], path: str = "") -> list[str]:
        own = [f"{path}{key}" for key, value in part.items() if not (isinstance(value, dict) and value)]
        return own + [
            one for key, value in part.items() if isinstance(value, dict) for one in keys(value, f"{path}{key}.")
        ]

    assert sorted(keys(tree)) == sorted([*(one.path for one in settings(Plan)), "teams"])
    assert [one.path for one in settings(Plan) if not one.description] == []


def test_by_default_nothing_is_left_open_on_any_platform() -> None:
    for platform in Platform:
        assert advice(Plan(), platform, resolve) == []


def test_what_only_one_platform_leaves_open_is_told_of_that_one() -> None:
    plan = parse({"hardening": {"path": {"macos": ""}}, "deny": []})
    found = advice_for(plan, (Platform.LINUX, Platform.MACOS), resolve)
    assert [(one.kind, where) for one, where in found.items()] == [
        (Kind.SHELL_NOT_PINNED, [Platform.MACOS]),
        (Kind.MENTIONS_OPEN, [Platform.LINUX, Platform.MACOS]),
    ]
    # The bridge is not for Windows: older clients would go by http hooks there, and ignore `onFailure`.
    older = parse({"bridge": {"everything": True}, "hardening": {"minimum_version": "2.0.0"}})
    assert [(one.key, where) for one, where in advice_for(older, Platform, resolve).items()] == [
        ("hardening.minimum_version", [Platform.WINDOWS])
    ]


@pytest.mark.parametrize(
    ("tree", "fault"),
    [
        ({"headers": {"X Team": "a"}}, "headers.'X Team': is no name of a header: letters, digits and - only"),
        ({"headers": {"X-Team": "a\nb"}}, "headers.X-Team: no header can hold this value: one line, in ASCII"),
        ({"headers": {"X-Team": "\u4e2d"}}, "headers.X-Team: no header can hold this value: one line, in ASCII"),
        (
            {"headers": {"X-Claude-User": "a"}},
            "headers.X-Claude-User: is made from identity.variable: take one of them out",
        ),
        (
            {"headers": {"authorization": "a"}, "identity": {"token_variable": "TOKEN"}},
            "headers.authorization: is made from identity.token_variable: take one of them out",
        ),
        ({"settings": {"a": {"b": [1, None]}}}, "settings.a.b[1]: a property list can't hold null: leave it out"),
        (
            yaml.safe_load("settings: {since: 2026-01-01}"),
            "settings.since: JSON or a property list can't hold this value: write it in quotes",
        ),
        ({"settings": {"a": 2**64}}, "settings.a: JSON or a property list can't hold this value: write it in quotes"),
        ({"teams": {"Marketing EU": {}}}, "teams.Marketing EU: a profile is called so: letters, digits, . _ - only"),
        ({"settings": {"a": {1: 2}}}, "settings.a.1: write the name in quotes"),
    ],
)
def test_what_no_client_or_form_could_hold_is_named(tree: dict[str, Any], fault: str) -> None:
    assert faults(tree) == [fault]


def test_a_version_is_one() -> None:
    assert parse({"hardening": {"minimum_version": ""}}).hardening.minimum_version == ""
    (fault,) = faults({"hardening": {"minimum_version": "latest"}})
    assert fault.startswith("hardening.minimum_version: expected")


def test_everything_that_steers_is_set_to_what_only_an_administrator_says() -> None:
    """THREATS: the variables that were shown to divert hooks, or to run foreign code."""
    env = managed_settings(parse({"url": PUBLIC, "hardening": {"no_proxy": ["intra.example"]}}))["env"]
    assert {env[name] for name in EXEMPTIONS} == {"127.0.0.1,localhost,::1,hooks.example.com,intra.example"}
    assert {env[name] for name in (*PROXY_VARIABLES, *EMPTIED)} == {""}
    assert (env["PATH"], env["SHELL"]) == ("/usr/local/bin:/usr/bin:/bin", "/bin/bash")
    assert (env["NODE_TLS_REJECT_UNAUTHORIZED"], env["NODE_EXTRA_CA_CERTS"]) == ("1", "")


def test_a_companys_proxy_is_set_for_all_and_hooks_still_never_go_by_it() -> None:
    env = managed_settings(parse({"url": PUBLIC, "hardening": {"proxy": "http://proxy.example:3128"}}))["env"]
    assert {env[name] for name in PROXY_VARIABLES} == {"http://proxy.example:3128"}
    assert said({"url": PUBLIC, "hardening": {"proxy": "http://proxy.example:3128"}}) == []
    assert "hooks.example.com" in env["no_proxy"].split(",")


@pytest.mark.parametrize(
    ("platform", "path", "shell", "variable"),
    [
        (Platform.LINUX, "/usr/local/bin:/usr/bin:/bin", "/bin/bash", "USER"),
        (Platform.MACOS, "/usr/bin:/bin:/usr/sbin:/sbin:/usr/local/bin:/opt/homebrew/bin", "/bin/zsh", "USER"),
        (Platform.ANY, "/usr/bin:/bin:/usr/sbin:/sbin:/usr/local/bin:/opt/homebrew/bin", "/bin/bash", "USER"),
        (Platform.WINDOWS, "C:\\Windows\\System32;", "", "USERNAME"),
    ],
)
def test_each_platform_has_its_own_path_shell_and_name_of_the_user(
    platform: Platform, path: str, shell: str, variable: str
) -> None:
    made = managed_settings(Plan(), platform)
    assert made["env"]["PATH"].startswith(path)
    assert made["env"]["SHELL"] == shell
    hook = hooks({}, platform)["PreToolUse"]
    assert (hook["headers"], hook["allowedEnvVars"]) == ({"x-claude-user": f"${{{variable}}}"}, [variable])
    other = {"hardening": {"path": {platform.value: "/only/here"}, "shell": {platform.value: "/bin/sh"}}}
    assert managed_settings(parse(other), platform)["env"]["PATH"] == "/only/here"


def test_a_token_and_a_certificate_are_named_and_never_written_down() -> None:
    tree = {
        "url": PUBLIC,
        "identity": {
            "token_variable": "HOOKGATE_TOKEN",
            "client_certificate": "/etc/a.pem",
            "client_key": "/etc/a.key",
            "ca_file": "/etc/ca.pem",
            "roles": ["engineer", "eu"],
        },
    }
    made = managed_settings(parse(tree))
    hook = hooks(tree)["Stop"]
    assert hook["headers"] == {
        "x-claude-user": "${USER}",
        "x-claude-user-roles": "engineer,eu",
        "Authorization": "Bearer ${HOOKGATE_TOKEN}",
    }
    assert hook["allowedEnvVars"] == ["USER", "HOOKGATE_TOKEN"]
    env = made["env"]
    assert (env["CLAUDE_CODE_CLIENT_CERT"], env["CLAUDE_CODE_CLIENT_KEY"]) == ("/etc/a.pem", "/etc/a.key")
    assert env["NODE_EXTRA_CA_CERTS"] == "/etc/ca.pem"
    assert said(tree) == []


def test_settings_for_one_person_pin_the_name_in_the_managed_environment() -> None:
    tree = {"identity": {"user": "alex@example.com"}}
    assert managed_settings(parse(tree))["env"]["HOOKGATE_USER"] == "alex@example.com"
    assert hooks(tree)["PreToolUse"]["headers"] == {"x-claude-user": "${HOOKGATE_USER}"}


def test_a_team_has_the_common_settings_with_its_own_laid_over_them() -> None:
    tree = {
        "headers": {"X-Claude-Label-Site": "eu"},
        "teams": {
            "marketing": {
                "headers": {"X-Claude-Label-Team": "marketing"},
                "identity": {"roles": ["marketing"]},
                "deny": ["Read(**)"],
            },
            "engineering": {"hardening": {"skill_shell": True}},
        },
    }
    common, marketing, engineering = (parse(tree, team) for team in ("", "marketing", "engineering"))
    assert common.identity.roles == ()
    assert marketing.headers == {"X-Claude-Label-Site": "eu", "X-Claude-Label-Team": "marketing"}
    assert (marketing.identity.roles, marketing.deny) == (("marketing",), ("Read(**)",))
    assert (engineering.hardening.skill_shell, engineering.deny) == (True, SECRETS)
    assert [one.key for one in advice(engineering, resolve=resolve)] == ["hardening.skill_shell"]
    assert faults(tree, "sales") == ["teams.sales: no such team; the file has marketing, engineering"]


def test_the_bridge_sends_what_has_no_http_hooks_without_a_shell_and_isolated() -> None:
    """THREATS: `hookgate hook` inherits a hostile environment."""
    tree = {
        "url": PUBLIC,
        "timeout_seconds": 10,
        "identity": {"token_variable": "TOKEN", "ca_file": "/etc/ca.pem"},
        "bridge": {"events": ["SessionStart", "Setup"], "token_file": "~/.config/hookgate/token"},
    }
    made = hooks(tree)
    assert made["SessionStart"] == {
        "type": "command",
        "command": "/opt/hookgate/bin/python",
        "args": ["-I", "-m", "hookgate", "hook", "--config", "/etc/hookgate/hook.json"],
        "timeout": 10,
    }
    assert made["PreToolUse"]["type"] == "http"
    assert said(tree) == []
    assert bridge_settings(parse(tree)) == {
        "url": PUBLIC,
        "headers": {"x-claude-user": "${USER}"},
        # It says no before the client gives it up.
        "timeout_seconds": 8,
        "token_file": "~/.config/hookgate/token",
        "ca_file": "/etc/ca.pem",
    }
    # Not on Windows: nobody has run it there.
    assert not {"SessionStart", "Setup"} & hooks(tree, Platform.WINDOWS).keys()


def test_clients_that_ignore_on_failure_are_asked_for_everything_by_the_bridge() -> None:
    tree = {"hardening": {"minimum_version": "2.1.197"}, "bridge": {"everything": True, "events": ["SessionStart"]}}
    made = hooks(tree)
    assert {hook["type"] for hook in made.values()} == {"command"}
    assert {"PreToolUse", "SessionStart"} <= made.keys()
    assert made["PreToolUse"]["onFailure"] == "block"
    assert said(tree) == []
    del tree["bridge"]
    assert {one.kind for one in said(tree)} == {Kind.VERSION_NOT_REQUIRED}


def test_events_on_wish_and_events_left_out() -> None:
    assert not {"FileChanged", "MessageDisplay"} & hooks({}).keys()
    made = managed_settings(
        parse({"events": {"files": [".envrc", "Makefile"], "message_display": True, "without": ["Notification"]}})
    )
    assert made["hooks"]["FileChanged"][0]["matcher"] == ".envrc|Makefile"
    assert "MessageDisplay" in made["hooks"]
    assert "Notification" not in made["hooks"]


def test_what_a_server_hands_out_keeps_a_client_from_starting_without_it() -> None:
    assert server_settings(Plan())["forceRemoteSettingsRefresh"] is True
    assert "forceRemoteSettingsRefresh" not in server_settings(parse({"hardening": {"refresh": False}}))
    assert "forceRemoteSettingsRefresh" not in managed_settings(Plan())


HOLES: dict[str, tuple[dict[str, Any], Kind, str]] = {
    "no PreToolUse": ({"events": {"without": ["PreToolUse"]}}, Kind.NO_HOOKS, "events.without"),
    "no ConfigChange": ({"events": {"without": ["ConfigChange"]}}, Kind.EVENT_MISSING, "events.without"),
    "no Stop": ({"events": {"without": ["Stop"]}}, Kind.EVENT_UNTOLD, "events.without"),
    "MessageDisplay": ({"events": {"message_display": True}}, Kind.EVENT_UNSUITABLE, "events.message_display"),
    "an old client": (
        {"hardening": {"minimum_version": "2.1.294"}},
        Kind.VERSION_NOT_REQUIRED,
        "hardening.minimum_version",
    ),
    "no least version": (
        {"hardening": {"minimum_version": ""}},
        Kind.VERSION_NOT_REQUIRED,
        "hardening.minimum_version",
    ),
    "others' hooks": ({"hardening": {"managed_hooks_only": False}}, Kind.OTHERS_HOOKS, "hardening.managed_hooks_only"),
    "bypass": ({"hardening": {"bypass_mode": True}}, Kind.BYPASS_ALLOWED, "hardening.bypass_mode"),
    "skills": ({"hardening": {"skill_shell": True}}, Kind.SKILL_SHELL_ALLOWED, "hardening.skill_shell"),
    "proxies": ({"hardening": {"pin_environment": False}}, Kind.PROXY_NOT_PINNED, "hardening.pin_environment"),
    "shells": ({"hardening": {"pin_environment": False}}, Kind.SHELL_NOT_PINNED, "hardening.pin_environment"),
    "no PATH": ({"hardening": {"path": {"linux": ""}}}, Kind.SHELL_NOT_PINNED, "hardening.pin_environment"),
    "no SHELL": ({"hardening": {"shell": {"linux": ""}}}, Kind.SHELL_NOT_PINNED, "hardening.pin_environment"),
    "TLS": ({"hardening": {"env": {"NODE_TLS_REJECT_UNAUTHORIZED": "0"}}}, Kind.TLS_UNCHECKED, "hardening.env"),
    "no rules": ({"deny": []}, Kind.MENTIONS_OPEN, "deny"),
    "a literal token": ({"headers": {"Authorization": "Bearer x"}}, Kind.SECRET_IN_HEADER, "headers"),
    "a variable in a header": ({"headers": {"a": "${TEAM}"}}, Kind.VARIABLE_NOT_ALLOWED, "headers"),
    "a variable with a default": ({"headers": {"a": "${TEAM:-x}"}}, Kind.VARIABLE_UNFILLABLE, "headers"),
    "localhost": ({"url": "http://localhost:3594/ext/claude"}, Kind.LOCALHOST, "url"),
    "a private name": ({"url": "https://sidecar.internal/ext/claude"}, Kind.NAME_IS_PRIVATE, "url"),
    "plain http": ({"url": "http://10.1.2.3:3594/ext/claude"}, Kind.URL_PLAIN, "url"),
    "impatient": ({"timeout_seconds": 2}, Kind.TIMEOUT_UNSUITABLE, "timeout_seconds"),
    "a long deadline": ({"deadline_seconds": 4}, Kind.TIMEOUT_UNSUITABLE, "deadline_seconds"),
    "all off": ({"settings": {"disableAllHooks": True}}, Kind.HOOKS_DISABLED, "settings.disableAllHooks"),
    "other URLs": (
        {"settings": {"allowedHttpHookUrls": ["https://a/*"]}},
        Kind.URL_NOT_ALLOWED,
        "settings.allowedHttpHookUrls",
    ),
}


@pytest.mark.parametrize("name", HOLES)
def test_a_choice_that_opens_a_hole_is_told_with_its_key_and_the_mend(name: str) -> None:
    tree, kind, key = HOLES[name]
    found = said(tree)
    assert (kind, key) in {(one.kind, one.key) for one in found}
    for one in found:
        assert one.meaning
        assert one.mend
        assert "{detail}" not in one.mend
    # Doctor, on the machine, says the same of what was made, but for what the plan alone knows.
    made = SettingsFile(Scope.MANAGED, Path("managed-settings.json"), managed_settings(parse(tree)))
    there = {one.kind for one in examine(Settings([made], {"USER": "alex"}, url=parse(tree).url), resolve)}
    assert {one.kind for one in found if one.key != "deadline_seconds"} == there - {Kind.VARIABLE_UNSET}


@pytest.mark.parametrize(
    ("tree", "fault"),
    [
        ([], "expected a mapping of settings"),
        ({"ulr": "http://a"}, "ulr: unknown key, did you mean url?"),
        ({"url": "ftp://a"}, 'url: expected text that matches ^https?://, got "ftp://a"'),
        ({"timeout_seconds": 0}, "timeout_seconds: expected a number above 0"),
        ({"events": {"without": ["Foo"]}}, "events.without: Foo: no such event"),
        (
            {"bridge": {"events": ["WorktreeCreate"]}},
            "bridge.events: WorktreeCreate: a hook there would replace the making of worktrees",
        ),
        ({"bridge": {"events": ["FileChanged"]}}, "bridge.events: FileChanged: see events"),
        ({"bridge": {"everything": True, "python": "python3"}}, "bridge: python and config are absolute paths"),
        (
            {"identity": {"variable": "user"}},
            "identity.variable: user: the client fills in names of capitals, digits and _ only",
        ),
        (
            {"identity": {"token_variable": "1A"}},
            "identity.token_variable: 1A: the client fills in names of capitals, digits and _ only",
        ),
        ({"identity": {"client_key": "/a"}}, "identity: client_certificate and client_key go together"),
        ({"identity": {"user": "Jürgen"}}, "identity.user: write it in ASCII: other letters arrive mangled"),
        (
            {"identity": {"token_variable": "T"}, "bridge": {"events": ["Setup"]}},
            "bridge.token_file: is needed beside identity.token_variable: the bridge heeds no environment",
        ),
        ({"settings": {"hooks": {}}}, "settings.hooks: is made from the rest of this file"),
        ({"hardening": {"path": {"bsd": "/bin"}}}, "hardening.path.bsd: expected linux, macos, windows or any"),
        ({"teams": []}, "teams: expected a mapping of teams, each a mapping of settings"),
        ({"teams": {"a": {"ulr": "x"}}}, "teams.a.ulr: unknown key, did you mean url?"),
    ],
)
def test_a_fault_names_its_place(tree: Any, fault: str) -> None:
    assert any(one.startswith(fault) for one in faults(tree)), faults(tree)


def test_names_of_variables_are_those_that_the_client_fills_in() -> None:
    for name in ("USER", "_A", "HOOKGATE_TOKEN_2"):
        assert parse({"identity": {"variable": name}}).identity.variable == name
        assert re.fullmatch(r"[A-Z_][A-Z0-9_]*", name)


def test_the_plans_on_the_page_can_be_used_and_its_warning_is_the_one_that_is_told() -> None:
    page = Page(ROOT / "docs" / "settings.md")
    plans = [yaml.safe_load(block.text) for block in page.blocks if block.text.startswith("# hooks.yaml")]
    assert len(plans) == 2
    for plan in plans:
        for team in ("", *plan.get("teams", {})):
            parse(plan, team)
    shown = next(block.text for block in page.blocks if block.text.startswith("hookgate: hole:")).strip()
    (told,) = said({"hardening": {"managed_hooks_only": False}})
    assert shown == line(told, Path("hooks.yaml"), "")
