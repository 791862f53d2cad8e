"""Settings files with http hooks, as a person would write them, and the arguments that add an MCP server."""

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

Settings = dict[str, Any]

MCP_SERVER = Path(__file__).parent / "mcp_server.py"

# MessageDisplay fires for each chunk, and a hook on WorktreeCreate replaces the making of a worktree: neither by default.
COMMON_EVENTS = ("PreToolUse", "PermissionRequest", "PostToolUse", "UserPromptSubmit")


def hook_settings(
    url: str,
    events: Iterable[str] = COMMON_EVENTS,
    *,
    headers: Mapping[str, str] | None = None,
    variables: Iterable[str] = (),
    timeout_seconds: float = 20,
    on_failure: str | None = None,
    matcher: str = "*",
    more: Mapping[str, object] | None = None,
) -> Settings:
    """Settings that send these events to `url`; `variables` may stand in headers, besides USER; `more` is merged at the
    top level (permissions, env, …)."""
    hook: dict[str, object] = {
        "type": "http",
        "url": url,
        "timeout": timeout_seconds,
        "headers": {"x-claude-user": "${USER}"} | dict(headers or {}),
        "allowedEnvVars": ["USER", *variables],
    }
    if on_failure is not None:
        hook["onFailure"] = on_failure
    return dict(more or {}) | {"hooks": {event: [{"matcher": matcher, "hooks": [hook]}] for event in events}}


def mcp_arguments() -> list[str]:
    """Gives the client the demo MCP server, and no other."""
    server = {"command": sys.executable, "args": [str(MCP_SERVER)]}
    return ["--mcp-config", json.dumps({"mcpServers": {"demo": server}}), "--strict-mcp-config"]
