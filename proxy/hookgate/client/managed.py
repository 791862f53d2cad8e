"""Managed settings made from a plan: the hooks, and all that keeps an agent from going round them."""

from enum import StrEnum
from typing import Any

from hookgate.client.plan import Plan
from hookgate.client.route import EXEMPTIONS, PROXY_VARIABLES, host_of
from hookgate.client.settings import EVENTS, can_block, exempted, http_hook, timeout_of

_USER_VARIABLE = "HOOKGATE_USER"
#: Of the client's time for a hook, the bridge takes so much: it has to say no before the client gives it up.
_BRIDGE_SHARE = 0.8


class Platform(StrEnum):
    """Whose settings they are. `ANY` is for settings that a server hands to all clients, but those on Windows."""

    LINUX = "linux"
    MACOS = "macos"
    WINDOWS = "windows"
    ANY = "any"


#: Directories that only root can write come first: on macOS the last may belong to the person.
PATHS = {
    Platform.LINUX: "/usr/local/bin:/usr/bin:/bin",
    Platform.MACOS: "/usr/bin:/bin:/usr/sbin:/sbin:/usr/local/bin:/opt/homebrew/bin",
    Platform.WINDOWS: "C:\\Windows\\System32;C:\\Windows;C:\\Windows\\System32\\WindowsPowerShell\\v1.0;C:\\Program Files\\Git\\cmd;C:\\Program Files\\nodejs",
    Platform.ANY: "/usr/bin:/bin:/usr/sbin:/sbin:/usr/local/bin:/opt/homebrew/bin",
}
SHELLS = {Platform.LINUX: "/bin/bash", Platform.MACOS: "/bin/zsh", Platform.WINDOWS: "", Platform.ANY: "/bin/bash"}
#: What makes an approved command run other code, where it is not empty (measured with the client's own shell).
EMPTIED = (
    "BASH_ENV",
    "CLAUDE_CODE_SHELL_PREFIX",
    "CLAUDE_CODE_SHELL",
    "LD_PRELOAD",
    "LD_AUDIT",
    "DYLD_INSERT_LIBRARIES",
)


def managed_settings(plan: Plan, platform: Platform = Platform.LINUX) -> dict[str, Any]:
    """Gives the content of `managed-settings.json`."""
    hardening = plan.hardening
    content: dict[str, Any] = {**plan.settings}
    if hardening.minimum_version:
        content["requiredMinimumVersion"] = hardening.minimum_version
    if hardening.managed_hooks_only:
        content["allowManagedHooksOnly"] = True
    if not hardening.skill_shell:
        content["disableSkillShellExecution"] = True
    permissions: dict[str, Any] = {}
    if not hardening.bypass_mode:
        permissions["disableBypassPermissionsMode"] = "disable"
    if plan.deny:
        permissions["deny"] = list(plan.deny)
    if permissions:
        content["permissions"] = permissions
    if env := _env(plan, platform):
        content["env"] = env
    content["hooks"] = _hooks(plan, platform)
    return content


def server_settings(plan: Plan) -> dict[str, Any]:
    """Gives what is pasted into the console that manages settings for all clients."""
    fresh = {"forceRemoteSettingsRefresh": True} if plan.hardening.refresh else {}
    return {**fresh, **managed_settings(plan, Platform.ANY)}


def bridge_settings(plan: Plan) -> dict[str, Any]:
    """Gives the configuration of `hookgate hook`."""
    identity = plan.identity
    headers = dict(plan.headers)
    if identity.user or identity.variable:
        # The bridge puts the account's name there, whatever the environment says.
        headers["x-claude-user"] = identity.user or "${USER}"
    if identity.roles:
        headers["x-claude-user-roles"] = ",".join(identity.roles)
    texts = {
        "token_file": plan.bridge.token_file,
        "ca_file": identity.ca_file,
        "client_certificate": identity.client_certificate,
        "client_key": identity.client_key,
    }
    return {
        "url": plan.url,
        "headers": headers,
        "timeout_seconds": round(plan.timeout_seconds * _BRIDGE_SHARE, 3),
        **{name: text for name, text in texts.items() if text},
    }


def _hooks(plan: Plan, platform: Platform) -> dict[str, Any]:
    headers, variables = _headers(plan, platform)
    events = [name for name in EVENTS if name not in plan.events.without]
    events += ["MessageDisplay"] if plan.events.message_display else []
    events += ["FileChanged"] if plan.events.files else []
    bridged = platform is not Platform.WINDOWS
    if bridged and plan.uses_bridge:
        events += [name for name in plan.bridge.events if name not in events]
    hooks = {}
    for event in events:
        if bridged and (plan.bridge.everything or event in plan.bridge.events):
            hook = _bridge_hook(plan, event)
        else:
            hook = http_hook(event, plan.url, headers, variables, plan.timeout_seconds)
        matcher = "|".join(plan.events.files) if event == "FileChanged" else "*"
        hooks[event] = [{"matcher": matcher, "hooks": [hook]}]
    return hooks


def _bridge_hook(plan: Plan, event: str) -> dict[str, Any]:
    """The form with arguments: no shell, so nothing of the environment but the loader's has a say."""
    hook = {
        "type": "command",
        "command": plan.bridge.python,
        "args": ["-I", "-m", "hookgate", "hook", "--config", plan.bridge.config],
        "timeout": timeout_of(event, plan.timeout_seconds),
    }
    return hook | ({"onFailure": "block"} if can_block(event) else {})


def _headers(plan: Plan, platform: Platform) -> tuple[dict[str, str], list[str]]:
    """Gives the headers, and the variables that they use."""
    identity = plan.identity
    headers = dict(plan.headers)
    variables = []
    name = _USER_VARIABLE if identity.user else identity.variable
    if name == "USER" and platform is Platform.WINDOWS:
        name = "USERNAME"
    if name:
        headers["x-claude-user"] = f"${{{name}}}"
        variables.append(name)
    if identity.roles:
        headers["x-claude-user-roles"] = ",".join(identity.roles)
    if identity.token_variable:
        headers["Authorization"] = f"Bearer ${{{identity.token_variable}}}"
        variables.append(identity.token_variable)
    return headers, variables


def _env(plan: Plan, platform: Platform) -> dict[str, str]:
    identity, hardening = plan.identity, plan.hardening
    env: dict[str, str] = {}
    if hardening.pin_environment:
        exempt = exempted([host_of(plan.url), *hardening.no_proxy])
        env |= dict.fromkeys(EXEMPTIONS, exempt) | dict.fromkeys(PROXY_VARIABLES, hardening.proxy)
        shell, path = (
            {**defaults, **given} for defaults, given in ((SHELLS, hardening.shell), (PATHS, hardening.path))
        )
        if path[platform]:
            env["PATH"] = path[platform]
        # One that is given as empty is left alone.
        if hardening.shell.get(platform) != "":
            env["SHELL"] = shell[platform]
        env |= dict.fromkeys(EMPTIED, "")
        env["NODE_TLS_REJECT_UNAUTHORIZED"] = "1"
        if plan.url.startswith("https:"):
            # Another authority could vouch for whoever answers.
            env["NODE_EXTRA_CA_CERTS"] = ""
    named = {
        "NODE_EXTRA_CA_CERTS": identity.ca_file,
        "CLAUDE_CODE_CLIENT_CERT": identity.client_certificate,
        "CLAUDE_CODE_CLIENT_KEY": identity.client_key,
        _USER_VARIABLE: identity.user,
    }
    return env | {name: value for name, value in named.items() if value} | hardening.env
