"""What an administrator says about a fleet's clients: a small YAML file, from which all settings are made."""

import math
import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta, Struct

from hookgate.client.settings import LEAST_CLIENT_VERSION, NEVER, ON_WISH, TIMEOUT_SECONDS
from hookgate.config import ConfigError, section, tree_of
from hookgate.hooks.catalog import EVENTS as CATALOG

#: What a policy can't see coming: an `@file` mention goes to the model without a hook.
SECRETS = (
    "Read(**/.env)",
    "Read(**/.env.*)",
    "Read(**/*.pem)",
    "Read(**/*.key)",
    "Read(**/id_rsa*)",
    "Read(**/id_ed25519*)",
    "Read(~/.ssh/**)",
    "Read(~/.aws/**)",
    "Read(~/.gnupg/**)",
    "Read(~/.kube/**)",
    "Read(~/.config/gcloud/**)",
    "Read(~/.docker/config.json)",
    "Read(~/.netrc)",
    "Read(~/.git-credentials)",
    "Read(~/.npmrc)",
    "Read(~/.pypirc)",
)

#: RFC 9110, 5.1; the client's `fetch` takes no other, and then no hook of any event arrives.
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_TEAM = re.compile(r"[A-Za-z0-9._-]+")

Platforms = dict[str, str]


class Events(Struct, frozen=True, kw_only=True):
    """Which events are sent; by default all that can be, but FileChanged and MessageDisplay."""

    without: Annotated[tuple[str, ...], Meta(description="Events that are not sent.")] = ()
    message_display: Annotated[bool, Meta(description="Send MessageDisplay, too: one hook for each piece of text.")] = (
        False
    )
    files: Annotated[
        tuple[str, ...], Meta(description="File names whose changes are sent (FileChanged), such as `.envrc`.")
    ] = ()


class Identity(Struct, frozen=True, kw_only=True):
    """How the service is told who asks."""

    variable: Annotated[
        str,
        Meta(
            description="The variable with the user's name; on Windows USERNAME stands for USER. Empty: none is sent."
        ),
    ] = "USER"
    user: Annotated[
        str,
        Meta(description="The user's name, where these settings are for one person: it is set in the managed `env`."),
    ] = ""
    roles: Annotated[tuple[str, ...], Meta(description="Roles to claim for everybody with these settings.")] = ()
    token_variable: Annotated[str, Meta(description="The variable with a token, sent as `Authorization: Bearer`.")] = ""
    client_certificate: Annotated[str, Meta(description="Path of the client's certificate, for TLS.")] = ""
    client_key: Annotated[str, Meta(description="Path of its key.")] = ""
    ca_file: Annotated[str, Meta(description="Path of the authority that signed the service's certificate.")] = ""


class Hardening(Struct, frozen=True, kw_only=True):
    """What keeps an agent from going round the hooks."""

    minimum_version: Annotated[
        str,
        Meta(
            pattern=r"^(\d+\.\d+\.\d+)?$",
            description="Older clients do not start. Before 2.1.295 they ignore `onFailure`. Empty: none is required.",
        ),
    ] = LEAST_CLIENT_VERSION
    managed_hooks_only: Annotated[bool, Meta(description="Hooks of users, projects and plugins do not run.")] = True
    bypass_mode: Annotated[bool, Meta(description="Allow sessions without any prompt.")] = False
    skill_shell: Annotated[bool, Meta(description="Let shell lines in skills run, which no hook sees.")] = False
    pin_environment: Annotated[
        bool, Meta(description="Set what steers the client's way to the hooks, and what its commands run.")
    ] = True
    path: Annotated[
        Platforms, Meta(description="PATH of what agents run, by platform: `linux`, `macos`, `windows`, `any`.")
    ] = {}
    shell: Annotated[Platforms, Meta(description="SHELL, likewise.")] = {}
    proxy: Annotated[str, Meta(description="The proxy that clients reach the API through; hooks never go by it.")] = ""
    no_proxy: Annotated[tuple[str, ...], Meta(description="Hosts that are reached without the proxy, too.")] = ()
    env: Annotated[dict[str, str], Meta(description="More variables for the managed `env`.")] = {}
    refresh: Annotated[
        bool, Meta(description="Server-managed settings only: a client does not start before it has them.")
    ] = True


class Bridge(Struct, frozen=True, kw_only=True):
    """`hookgate hook`, for events and clients without http hooks."""

    events: Annotated[
        tuple[str, ...], Meta(description="Events sent by the bridge: SessionStart, Setup, or any other.")
    ] = ()
    everything: Annotated[bool, Meta(description="All events by the bridge, for clients before 2.1.295.")] = False
    python: Annotated[str, Meta(description="Absolute path of the Python that Hookgate is installed in.")] = (
        "/opt/hookgate/bin/python"
    )
    config: Annotated[str, Meta(description="Absolute path of the bridge's configuration on the clients.")] = (
        "/etc/hookgate/hook.json"
    )
    token_file: Annotated[
        str, Meta(description="A file of mode 0600 with the token, read for each hook; `~/` is the account's home.")
    ] = ""


class Plan(Struct, frozen=True, kw_only=True):
    """All of it."""

    url: Annotated[str, Meta(pattern=r"^https?://", description="Where hooks are posted to.")] = (
        "http://127.0.0.1:3594/ext/claude"
    )
    organization: Annotated[str, Meta(min_length=1, description="Whose profile it is, as macOS shows it.")] = "Hookgate"
    timeout_seconds: Annotated[float, Meta(gt=0, le=600, description="How long a client waits for a hook.")] = (
        TIMEOUT_SECONDS
    )
    deadline_seconds: Annotated[
        float,
        Meta(gt=0, le=600, description="The service's `decision.deadline_seconds`, which clients have to outwait."),
    ] = 2.0
    events: Events = Events()
    headers: Annotated[
        dict[str, str], Meta(description="More headers for each hook, such as `X-Claude-Label-Team`.")
    ] = {}
    identity: Identity = Identity()
    hardening: Hardening = Hardening()
    deny: Annotated[
        tuple[str, ...], Meta(description="Permission rules that deny: what `@file` mentions must not reach.")
    ] = SECRETS
    bridge: Bridge = Bridge()
    settings: Annotated[
        dict[str, Any],
        Meta(description="More of the client's settings, as they are; not `hooks`, `env`, `permissions`."),
    ] = {}

    @property
    def uses_bridge(self) -> bool:
        """Whether any event is sent by the bridge."""
        return self.bridge.everything or bool(self.bridge.events)


def read(path: Path | None, team: str = "") -> Plan:
    """Reads the file, and lays what `teams` says about a team over it. Without a file, everything is as by default.

    Raises ConfigError with all faults, those of other teams included.
    """
    return parse(tree_of(path) if path is not None else {}, team, str(path) if path is not None else "defaults")


def parse(tree: Any, team: str = "", source: str = "settings") -> Plan:
    """Gives the plan that an already read tree tells of. Raises ConfigError."""
    if tree is None:
        tree = {}
    if not isinstance(tree, dict):
        raise ConfigError(source, ["expected a mapping of settings"])
    teams = tree.get("teams", {})
    if not isinstance(teams, dict) or not all(isinstance(one, dict) for one in teams.values()):
        raise ConfigError(source, ["teams: expected a mapping of teams, each a mapping of settings"])
    if strange := [name for name in teams if not isinstance(name, str) or not _TEAM.fullmatch(name)]:
        raise ConfigError(
            source, [f"teams.{name}: a profile is called so: letters, digits, . _ - only" for name in strange]
        )
    if team and team not in teams:
        known = ", ".join(map(str, teams)) or "none"
        raise ConfigError(source, [f"teams.{team}: no such team; the file has {known}"])
    common = {key: value for key, value in tree.items() if key != "teams"}
    plans = {"": _plan(common, "", source)}
    for name, more in teams.items():
        plans[name] = _plan(_over(common, more), f"teams.{name}.", source)
    return plans[team]


def _plan(tree: dict[str, Any], prefix: str, source: str) -> Plan:
    try:
        plan: Plan = section(Plan, tree, source)
    except ConfigError as error:
        raise ConfigError(source, [f"{prefix}{fault}" for fault in error.faults]) from None
    if faults := list(_faults(plan)):
        raise ConfigError(source, [f"{prefix}{fault}" for fault in faults])
    return plan


def _faults(plan: Plan) -> list[str]:
    faults = []
    for key, names in (("events.without", plan.events.without), ("bridge.events", plan.bridge.events)):
        faults += [f"{key}: {name}: no such event" for name in names if name not in CATALOG]
    faults += [
        f"bridge.events: {name}: a hook there would replace the making of worktrees"
        for name in NEVER
        if name in plan.bridge.events
    ]
    faults += [f"bridge.events: {name}: see events" for name in ON_WISH if name in plan.bridge.events]
    faults += [
        f"settings.{key}: is made from the rest of this file"
        for key in ("hooks", "env", "permissions")
        if key in plan.settings
    ]
    faults += [*_header_faults(plan), *_value_faults("settings", plan.settings)]
    for key, platforms in (("path", plan.hardening.path), ("shell", plan.hardening.shell)):
        faults += [
            f"hardening.{key}.{name}: expected linux, macos, windows or any"
            for name in platforms
            if name not in ("linux", "macos", "windows", "any")
        ]
    identity = plan.identity
    for key, name in (("variable", identity.variable), ("token_variable", identity.token_variable)):
        if name and (not name.replace("_", "A").isalnum() or name != name.upper() or name[0].isdigit()):
            faults.append(f"identity.{key}: {name}: the client fills in names of capitals, digits and _ only")
    if bool(identity.client_certificate) != bool(identity.client_key):
        faults.append("identity: client_certificate and client_key go together")
    if identity.user and not identity.user.isascii():
        faults.append("identity.user: write it in ASCII: other letters arrive mangled")
    if plan.uses_bridge and identity.token_variable and not plan.bridge.token_file:
        faults.append("bridge.token_file: is needed beside identity.token_variable: the bridge heeds no environment")
    if plan.uses_bridge and not (plan.bridge.python.startswith("/") and plan.bridge.config.startswith("/")):
        faults.append("bridge: python and config are absolute paths")
    return faults


def _header_faults(plan: Plan) -> Iterator[str]:
    identity = plan.identity
    made = {
        "x-claude-user": bool(identity.variable or identity.user) and "identity.variable",
        "x-claude-user-roles": bool(identity.roles) and "identity.roles",
        "authorization": bool(identity.token_variable) and "identity.token_variable",
    }
    for name, value in plan.headers.items():
        if not _HEADER_NAME.fullmatch(name):
            yield f"headers.{name!r}: is no name of a header: letters, digits and - only"
        elif other := made.get(name.lower()):
            yield f"headers.{name}: is made from {other}: take one of them out"
        if not _HEADER_VALUE.fullmatch(value):
            yield f"headers.{name}: no header can hold this value: one line, in ASCII"


def _value_faults(key: str, value: Any) -> Iterator[str]:
    """What one of the forms can't hold: a property list has no null, JSON no date."""
    match value:
        case dict():
            for name, one in value.items():
                if isinstance(name, str):
                    yield from _value_faults(f"{key}.{name}", one)
                else:
                    yield f"{key}.{name}: write the name in quotes"
        case list():
            for number, one in enumerate(value):
                yield from _value_faults(f"{key}[{number}]", one)
        case None:
            yield f"{key}: a property list can't hold null: leave it out"
        case bool() | str():
            pass
        case int() if -(2**63) <= value < 2**63:
            pass
        case float() if math.isfinite(value):
            pass
        case _:
            yield f"{key}: JSON or a property list can't hold this value: write it in quotes"


def _over(base: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Lays one tree over another; lists and texts are replaced."""
    out = deepcopy(dict(base))
    for key, value in more.items():
        under = out.get(key)
        out[key] = _over(under, value) if isinstance(under, dict) and isinstance(value, dict) else value
    return out
