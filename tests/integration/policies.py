"""Cerbos policies written by a test."""

from pathlib import Path
from typing import Any

import yaml


def rule(
    effect: str,
    output: str = "",
    *,
    actions: list[str] | None = None,
    roles: list[str] | None = None,
    when: str = "",
) -> dict[str, Any]:
    """Gives a rule: `effect` is ALLOW or DENY, `output` and `when` are CEL."""
    return {
        "actions": actions or ["*"],
        "effect": f"EFFECT_{effect}",
        "roles": roles or ["*"],
        **({"condition": {"match": {"expr": when}}} if when else {}),
        **({"output": {"when": {"ruleActivated": output}}} if output else {}),
    }


def write(directory: Path, kind: str, *rules: dict[str, Any], version: str = "default", scope: str = "") -> Path:
    """Writes a policy for a kind, in place of the one that was there; gives its file."""
    policy: dict[str, Any] = {"resource": kind, "version": version, "rules": list(rules)}
    if scope:
        policy["scope"] = scope
    file = directory / f"{kind.replace(':', '_')}.{version}.{scope}.yaml"
    text = yaml.safe_dump({"apiVersion": "api.cerbos.dev/v1", "resourcePolicy": policy}, sort_keys=False)
    # In one step: the PDP watches the directory, and must not read half a file.
    draft = directory.parent / f"{file.name}.draft"
    draft.write_text(text)
    draft.replace(file)
    return file
