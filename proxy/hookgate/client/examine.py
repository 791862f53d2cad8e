"""What is wrong with a client's settings, by what the real client makes of them."""

import fnmatch
import re
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import urlsplit

from hookgate.client import interpolation, route
from hookgate.client.finding import Finding, Kind
from hookgate.client.reading import (
    MANAGED_FILE,
    Hook,
    Scope,
    SettingsFile,
    hooks_of,
    invalid_entries,
    managed_directory,
    merged_env,
    setting,
)
from hookgate.client.settings import COMMAND_ONLY, EVENTS, LEAST_CLIENT_VERSION, NEVER, can_block

#: Where hooks are posted to, unless another path is configured.
PATH = "/ext/claude"
#: Those that decide, and on which the client obeys a denial.
DECIDING = ("PreToolUse", "PermissionRequest", "UserPromptSubmit", "UserPromptExpansion", "ConfigChange", "PreCompact")
_UNSUITABLE = (*COMMAND_ONLY, *NEVER, "MessageDisplay")
_ALL = (None, "", "*", ".*")
_LEAST_TIMEOUT_SECONDS = 2
_STEERING = re.compile(
    r"(?i:PATH|BASH_ENV|ENV|SHELL|(HTTP|HTTPS|ALL|NO|FTP)_PROXY)|CLAUDE_CODE_SHELL\w*|(LD|DYLD|PYTHON|NODE)_?\w*|PERL5\w*|RUBYOPT|GIT_\w+"
)
_SHELL_PINS = ("PATH", "SHELL", "BASH_ENV", "CLAUDE_CODE_SHELL_PREFIX", "CLAUDE_CODE_SHELL", "LD_PRELOAD")
_CREDENTIALS = re.compile(r"(?i)authorization|cookie|.*(token|secret|password|api-?key).*")


class Settings:
    """All files that a client reads, those that count most first, and the environment that it would work in."""

    def __init__(self, files: Sequence[SettingsFile], environ: Mapping[str, str], *, url: str = "") -> None:
        self.files = list(files)
        self.managed = [file for file in files if file.is_managed]
        self.env = merged_env(files, environ)
        self.hooks = [hook for file in files for hook in hooks_of(file)]
        #: The hooks that are Hookgate's: at this URL, or by their path; or by the bridge.
        self.ours = [
            hook
            for hook in self.hooks
            if hook.is_bridge or (hook.url and (hook.url == url if url else _path(hook.url) == PATH))
        ]

    def allowed_variables(self, hook: Hook) -> set[str]:
        """Gives the variables that a hook's headers may use."""
        names = hook.entry.get("allowedEnvVars")
        allowed = {name for name in names if isinstance(name, str)} if isinstance(names, list) else set()
        bound, _ = setting(self.files, "httpHookAllowedEnvVars")
        return allowed & set(map(str, bound)) if isinstance(bound, list) else allowed

    def headers(self, hook: Hook) -> dict[str, str]:
        """Gives a hook's headers as they are sent."""
        headers = hook.entry.get("headers")
        allowed = self.allowed_variables(hook)
        return {
            name: interpolation.filled(value, allowed, self.env)
            for name, value in (headers.items() if isinstance(headers, dict) else ())
            if isinstance(value, str)
        }

    @property
    def asking(self) -> Hook | None:
        """The hook that is asked about a call."""
        return next((hook for hook in self.ours if hook.event == "PreToolUse"), None)


def examine(settings: Settings, resolve: route.Resolve = route.resolve) -> list[Finding]:
    """Gives all findings, the same one only once for a place."""
    found = [
        *_files(settings),
        *_presence(settings),
        *(finding for hook in settings.ours for finding in _hook(settings, hook)),
        *_routes(settings, resolve),
        *_policy(settings),
        *_environment(settings),
    ]
    return list(dict.fromkeys(found))


def _files(settings: Settings) -> Iterator[Finding]:
    for file in settings.files:
        if file.fault:
            yield Finding(Kind.FILE_UNREADABLE, file.place(), file.fault)
        for key, fault in invalid_entries(file):
            yield Finding(Kind.ENTRY_INVALID, file.place(key), fault)


def _presence(settings: Settings) -> Iterator[Finding]:
    asking = settings.asking
    if asking is None:
        yield Finding(Kind.NO_HOOKS, "hooks.PreToolUse", ", ".join(str(file.path) for file in settings.files))
        return
    if not asking.file.is_managed:
        yield Finding(Kind.NOT_MANAGED, asking.place)
    there = {hook.event for hook in settings.ours}
    for event in EVENTS:
        if event not in there:
            kind = Kind.EVENT_MISSING if event in DECIDING else Kind.EVENT_UNTOLD
            yield Finding(kind, asking.file.place(f"hooks.{event}"), event)
    for hook in settings.hooks:
        if hook.event in _UNSUITABLE and hook.url:
            yield Finding(Kind.EVENT_UNSUITABLE, hook.place, hook.event)
        if hook not in settings.ours:
            yield Finding(Kind.OTHER_HOOK, hook.place, str(hook.entry.get("type", "")))


def _hook(settings: Settings, hook: Hook) -> Iterator[Finding]:
    entry = hook.entry
    if entry.get("onFailure") != "block" and can_block(hook.event):
        yield Finding(Kind.FAILS_OPEN, f"{hook.place}.onFailure")
    # For this one the matcher names files, and says which are looked at.
    if hook.matcher not in _ALL and hook.event != "FileChanged":
        yield Finding(Kind.MATCHER_NARROW, hook.place, f"matcher {str(hook.matcher)[:80]!r}")
    if "if" in entry:
        yield Finding(Kind.CONDITIONAL, f"{hook.place}.if")
    timeout = entry.get("timeout")
    if not isinstance(timeout, int | float) or timeout <= _LEAST_TIMEOUT_SECONDS:
        yield Finding(Kind.TIMEOUT_UNSUITABLE, f"{hook.place}.timeout")
    headers = entry.get("headers")
    for name, value in headers.items() if isinstance(headers, dict) else ():
        if isinstance(value, str):
            for kind, what in interpolation.faults(value, settings.allowed_variables(hook), settings.env):
                yield Finding(kind, f"{hook.place}.headers.{name}", what)
            if _CREDENTIALS.fullmatch(name) and "$" not in value:
                yield Finding(Kind.SECRET_IN_HEADER, f"{hook.place}.headers.{name}")
    if hook.is_bridge and not (hook.words[0].startswith("/") and "-I" in hook.words[1:] and "args" in entry):
        yield Finding(Kind.BRIDGE_EXPOSED, hook.place)
    disabled, file = setting(settings.files, "disableAllHooks")
    if disabled is True and file is not None and (file.is_managed or not hook.file.is_managed):
        yield Finding(Kind.HOOKS_DISABLED, file.place("disableAllHooks"))
    for patterns, where in _url_lists(settings, hook):
        if hook.url and not any(fnmatch.fnmatchcase(hook.url, str(pattern)) for pattern in patterns):
            yield Finding(Kind.URL_NOT_ALLOWED, where.place("allowedHttpHookUrls"))


def _url_lists(settings: Settings, hook: Hook) -> Iterator[tuple[list[object], SettingsFile]]:
    """A managed list holds for all hooks, another one for those that are not managed."""
    for file in settings.files:
        patterns = file.content.get("allowedHttpHookUrls")
        if isinstance(patterns, list) and (file.is_managed or not hook.file.is_managed):
            yield patterns, file


def _routes(settings: Settings, resolve: route.Resolve) -> Iterator[Finding]:
    for url, hook in {hook.url: hook for hook in reversed(settings.ours) if hook.url}.items():
        place = f"{hook.place}.url"
        for kind, detail in route.route_faults(url, resolve):
            yield Finding(kind, place, detail)
        names = route.proxies(settings.env)
        if names and not route.is_exempt(url, settings.env):
            yield Finding(Kind.PROXIED, place, ", ".join(names))


def _policy(settings: Settings) -> Iterator[Finding]:
    """What only managed settings can say."""
    managed = settings.managed
    place = (managed[0] if managed else SettingsFile(Scope.MANAGED, managed_directory() / MANAGED_FILE)).place

    def value(*keys: str) -> object:
        return setting(managed, *keys)[0]

    # The bridge says no by its exit code, which every version obeys.
    is_bridged = bool(settings.ours) and not any(hook.url for hook in settings.ours)
    if not is_bridged and not _at_least(value("requiredMinimumVersion")):
        yield Finding(Kind.VERSION_NOT_REQUIRED, place("requiredMinimumVersion"))
    if value("allowManagedHooksOnly") is not True:
        yield Finding(Kind.OTHERS_HOOKS, place("allowManagedHooksOnly"))
    if value("permissions", "disableBypassPermissionsMode") != "disable":
        yield Finding(Kind.BYPASS_ALLOWED, place("permissions.disableBypassPermissionsMode"))
    if value("disableSkillShellExecution") is not True:
        yield Finding(Kind.SKILL_SHELL_ALLOWED, place("disableSkillShellExecution"))
    rules = value("permissions", "deny")
    if not any(str(rule).startswith("Read(") for rule in (rules if isinstance(rules, list) else ())):
        yield Finding(Kind.MENTIONS_OPEN, place("permissions.deny"))
    env = merged_env(managed, {})
    ours = next((hook.url for hook in settings.ours if hook.url), "")
    unpinned = [name for name in route.PROXY_VARIABLES if name not in env]
    unpinned += [name for name in route.EXEMPTIONS if ours and not route.is_exempt(ours, {name: env.get(name, "")})]
    if unpinned:
        yield Finding(Kind.PROXY_NOT_PINNED, place("env"), ", ".join(unpinned))
    if loose := [name for name in _SHELL_PINS if name not in env]:
        yield Finding(Kind.SHELL_NOT_PINNED, place("env"), ", ".join(loose))


def _environment(settings: Settings) -> Iterator[Finding]:
    for file in settings.files:
        for name in file.env:
            if not file.is_managed and _STEERING.fullmatch(name):
                yield Finding(Kind.ENV_STEERS, file.place(f"env.{name}"))
    if settings.env.get("NODE_TLS_REJECT_UNAUTHORIZED") == "0":
        yield Finding(Kind.TLS_UNCHECKED, "NODE_TLS_REJECT_UNAUTHORIZED")


def _at_least(version: object) -> bool:
    if not isinstance(version, str) or not re.fullmatch(r"\d+(\.\d+)*", version):
        return False
    wanted = [int(part) for part in LEAST_CLIENT_VERSION.split(".")]
    return [int(part) for part in version.split(".")] >= wanted


def _path(url: str) -> str:
    try:
        return urlsplit(url).path.rstrip("/")
    except ValueError:
        return ""
