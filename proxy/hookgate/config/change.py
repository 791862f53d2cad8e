"""What differs between two configurations, and which of it can count without a restart."""

from dataclasses import dataclass
from typing import Any

import msgspec

from hookgate.config.tree import Config

#: Settings, or whole sections, that are read anew for each decision, connection or question. All others are built into what is
#: opened at the start: listeners, the journal, the channel to the PDP.
LIVE = (
    "mode",
    "rollout",
    "on_error",
    "on_error_events",
    "no_match",
    "outputs",
    "decision",
    "canary",
    "pdp.policy_version",
    "pdp.scope",
    "pdp.scopes",
    "pdp.required_kinds",
    "server.allowed_hosts",
    "server.path",
    "server.first_request_seconds",
    "server.grace_seconds",
    "server.linger_seconds",
    "limits.body_bytes",
    "limits.values",
    "limits.tool_response_bytes",
    "limits.connections",
    "limits.connections_per_peer",
    "identity.default_user",
    "identity.default_role",
    "identity.require_verified",
    "identity.directory.allow_unverified",
)


@dataclass(frozen=True, slots=True)
class Change:
    """A configuration that can count at once: `config` has what is new of the `live` settings, and what was of the `pending` ones,
    which wait for a restart. Both name settings by their paths."""

    config: Config
    live: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()


def change(old: Config, new: Config) -> Change:
    """Gives what can be taken over of `new`."""
    live: list[str] = []
    pending: list[str] = []
    config = _merged(old, new, "", live, pending)
    return Change(config, tuple(live), tuple(pending))


def changed_paths(old: Any, new: Any, path: str = "") -> list[str]:
    """Gives the paths of the settings that differ; a list counts as one setting."""
    if not isinstance(old, msgspec.Struct) or type(old) is not type(new):
        return [path] if old != new else []
    return [
        found
        for field in msgspec.structs.fields(old)
        for found in changed_paths(
            getattr(old, field.name), getattr(new, field.name), f"{path}.{field.encode_name}".lstrip(".")
        )
    ]


def _merged(old: Any, new: Any, path: str, live: list[str], pending: list[str]) -> Any:
    if path in LIVE:
        live += changed_paths(old, new, path)
        return new
    if not isinstance(old, msgspec.Struct) or not any(name.startswith(f"{path}.".lstrip(".")) for name in LIVE):
        pending += changed_paths(old, new, path)
        return old
    return msgspec.structs.replace(
        old,
        **{
            field.name: _merged(
                getattr(old, field.name),
                getattr(new, field.name),
                f"{path}.{field.encode_name}".lstrip("."),
                live,
                pending,
            )
            for field in msgspec.structs.fields(old)
        },
    )
