"""The settings that send a client's hooks here: all that the real client needs to be stopped (docs/events.md)."""

from typing import Any

#: The first version that obeys `onFailure`; older ones let the call run when Hookgate can't be reached.
LEAST_CLIENT_VERSION = "2.1.295"

#: Those that decide, and those that tell what became of a call. SessionStart and Setup have no http hooks; a hook on
#: WorktreeCreate would replace the making of the worktree; MessageDisplay fires for each chunk of text.
EVENTS = (
    "PreToolUse",
    "PermissionRequest",
    "PermissionDenied",
    "PostToolUse",
    "PostToolUseFailure",
    "PostToolBatch",
    "UserPromptSubmit",
    "UserPromptExpansion",
    "ConfigChange",
    "PreCompact",
    "SubagentStart",
    "SubagentStop",
    "Stop",
    "SessionEnd",
)

#: Longer than any decision's deadline; the client's own default is 600 s.
TIMEOUT_SECONDS = 10

_LOCAL = ("127.0.0.1", "localhost", "::1")


def settings_for(url: str, *, no_proxy: str = "") -> dict[str, Any]:
    """Gives a settings file's content. `no_proxy` is what the user exempts from a proxy already: a proxy that the
    environment names would otherwise be asked even for loopback, and could answer in our stead."""
    exempt = ",".join(dict.fromkeys([*_LOCAL, *(name.strip() for name in no_proxy.split(",") if name.strip())]))
    hook = {
        "type": "http",
        "url": url,
        "timeout": TIMEOUT_SECONDS,
        "onFailure": "block",
        "headers": {"x-claude-user": "${USER}"},
        # Without it ${USER} arrives empty.
        "allowedEnvVars": ["USER"],
    }
    return {
        "env": {"NO_PROXY": exempt, "no_proxy": exempt},
        "hooks": {event: [{"matcher": "*", "hooks": [hook]}] for event in EVENTS},
    }
