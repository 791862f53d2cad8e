"""The hooks in a client's settings: which events are sent here, and how (docs/events.md, docs/settings.md)."""

from collections.abc import Iterable, Mapping
from typing import Any

from hookgate.hooks.catalog import EVENTS as CATALOG
from hookgate.hooks.catalog import spec_of

#: The first version that obeys `onFailure`; older ones let the call run when Hookgate can't be reached.
LEAST_CLIENT_VERSION = "2.1.295"

#: The client has no http hooks for these.
COMMAND_ONLY = ("SessionStart", "Setup")
#: A hook on the first replaces the making of the worktree.
NEVER = ("WorktreeCreate", "WorktreeRemove")
#: The first fires only for files that its matcher names, the second for each piece of text.
ON_WISH = ("FileChanged", "MessageDisplay")
#: All that decide, and all that tell what became of a call.
EVENTS = tuple(name for name in CATALOG if name not in (*COMMAND_ONLY, *NEVER, *ON_WISH))
#: These ignore `onFailure`.
NEVER_BLOCKED = ("Stop", "SubagentStop", "TaskCompleted", "TeammateIdle")

#: Longer than any decision's deadline; the client's own default is 600 s.
TIMEOUT_SECONDS = 10
#: As long as the client waits at most, whatever is set: measured.
_LONGEST_SECONDS = {"SessionEnd": 4, "UserPromptSubmit": 30}

LOCAL = ("127.0.0.1", "localhost", "::1")


def can_block(event: str) -> bool:
    """Whether a failing hook can stop what the event tells of."""
    return spec_of(event).obeys and event not in NEVER_BLOCKED


def timeout_of(event: str, seconds: float = TIMEOUT_SECONDS) -> float:
    """Gives how long the client is to wait for an event's hook."""
    return min(seconds, _LONGEST_SECONDS.get(event, seconds))


def http_hook(
    event: str, url: str, headers: Mapping[str, str], variables: Iterable[str], seconds: float
) -> dict[str, Any]:
    """Gives one hook's entry. `variables` are those that headers use: others arrive empty."""
    hook: dict[str, Any] = {"type": "http", "url": url, "timeout": timeout_of(event, seconds)}
    if can_block(event):
        hook["onFailure"] = "block"
    if headers:
        hook["headers"] = dict(headers)
    if names := list(variables):
        hook["allowedEnvVars"] = names
    return hook


def settings_for(url: str, *, no_proxy: str = "") -> dict[str, Any]:
    """Gives a settings file's content for trying out. `no_proxy` is what the user exempts from a proxy already: a proxy that the
    environment names would otherwise be asked even for loopback, and could answer in our stead."""
    exempt = exempted(no_proxy.split(","))
    return {
        "env": {"NO_PROXY": exempt, "no_proxy": exempt},
        "hooks": {
            event: [
                {
                    "matcher": "*",
                    "hooks": [http_hook(event, url, {"x-claude-user": "${USER}"}, ["USER"], TIMEOUT_SECONDS)],
                }
            ]
            for event in EVENTS
        },
    }


def exempted(names: Iterable[str]) -> str:
    """Gives a value for NO_PROXY: this machine, and the names."""
    return ",".join(dict.fromkeys([*LOCAL, *(name.strip() for name in names if name.strip())]))
