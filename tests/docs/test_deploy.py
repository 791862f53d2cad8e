"""What ships in deploy/ agrees with the code: the full configuration, the clients' managed settings."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from hookgate.client.settings import EVENTS, LEAST_CLIENT_VERSION, can_block, settings_for
from hookgate.config import load, parse
from hookgate.config.tree import Config, Pdp
from tests.docs import tables

DEPLOY = tables.ROOT / "deploy"
EXAMPLE = DEPLOY / "hookgate.example.yaml"


def paths(tree: Any, path: str = "") -> Iterator[str]:
    """Gives the path of each key that holds no further section."""
    for key, value in tree.items():
        here = f"{path}.{key}" if path else key
        if isinstance(value, dict) and not here.endswith((".payload", ".headers", ".users", ".map")):
            yield from paths(value, here)
            continue
        yield here
        for item in value if isinstance(value, list) else []:
            if isinstance(item, dict):
                kind = item.get("type", "")
                known = [one.path for one in tables.settings()]
                own = {
                    name: f"{here}[{kind}]"
                    for name in item
                    if any(f"{one}.".startswith(f"{here}[{kind}].{name}.") for one in known)
                }
                for name in item.keys() - {"type"}:
                    yield from paths({name: item[name]}, own.get(name, f"{here}[]"))


def examples() -> list[dict[str, Any]]:
    """Gives what stands behind `# Example` in the file's comments."""
    found = re.findall(r"^# Example:.*\n((?:#   .*\n)+)", EXAMPLE.read_text(), re.MULTILINE)
    return [yaml.safe_load(re.sub(r"^#   ", "", block, flags=re.MULTILINE)) for block in found]


def test_the_example_holds_every_setting_with_its_default() -> None:
    tree = yaml.safe_load(EXAMPLE.read_text())
    assert load(EXAMPLE, {}) == Config(pdp=Pdp(address=tree["pdp"]["address"]))
    named = set(paths(tree)) | {path for example in examples() for path in paths(example)}
    assert named == {one.path for one in tables.settings()}


def test_the_examples_in_its_comments_can_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    # They name files of yours.
    monkeypatch.setattr(Path, "is_file", lambda _: True)
    assert len(examples()) == 4
    for example in examples():
        parse({"pdp": {"address": "unix:/x"}, **example}, {})


def test_the_managed_settings_are_those_that_the_code_gives() -> None:
    text = tables.MANAGED_SETTINGS.read_text(encoding="utf-8")
    assert text == tables.managed_settings_text(), "out of date: python -m tests.docs.tables --write"


def test_the_managed_settings_hold_the_hooks_and_nothing_goes_round_them() -> None:
    settings = json.loads(tables.MANAGED_SETTINGS.read_text(encoding="utf-8"))
    assert settings["hooks"] == settings_for(tables.HOOK_URL)["hooks"]
    assert set(settings["hooks"]) == set(EVENTS)
    for event, entries in settings["hooks"].items():
        (hook,) = entries[0]["hooks"]
        assert (entries[0]["matcher"], hook.get("onFailure") == "block") == ("*", can_block(event))
        assert hook["url"].startswith("http://127.0.0.1:")
    assert settings["requiredMinimumVersion"] == LEAST_CLIENT_VERSION
    assert settings["allowManagedHooksOnly"] is True
    env = settings["env"]
    assert "127.0.0.1" in env["NO_PROXY"].split(",")
    assert env["NO_PROXY"] == env["no_proxy"]
    assert {env[name] for name in env if "PROXY" in name.upper() and not name.upper().startswith("NO_")} == {""}
