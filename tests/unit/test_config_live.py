"""What of a changed configuration counts at once, and what waits for a restart."""

from typing import Any

import pytest

from hookgate.config import Config, parse
from hookgate.config.change import LIVE, change, changed_paths
from tests.docs.tables import settings
from tests.support.service import merged

BASE: dict[str, Any] = {"pdp": {"address": "unix:/x"}}


def config(**more: Any) -> Config:
    return parse(merged(BASE, more), {})


def test_nothing_changes_between_two_that_are_alike() -> None:
    found = change(config(), config())
    assert (found.config, found.live, found.pending) == (config(), (), ())
    assert changed_paths(config(), config()) == []


def test_what_can_count_at_once_does_and_the_rest_stays_as_it_was() -> None:
    new = config(
        mode="observe",
        on_error="ask",
        decision={"deadline_seconds": 5},
        server={"port": 4000, "path": "/x", "keep_alive_seconds": 60, "allowed_hosts": ["a"]},
        pdp={"address": "unix:/y", "scopes": ["a"], "required_kinds": ["PreToolUse"]},
        limits={"values": 1000, "header_bytes": 10000},
        audit={"directory": "/elsewhere"},
        identity={"default_user": "nobody"},
        rollout=[{"mode": "enforce", "users": ["alex"]}],
    )
    found = change(config(), new)
    assert set(found.live) == {
        "mode",
        "on_error",
        "decision.deadline_seconds",
        "server.path",
        "server.allowed_hosts",
        "pdp.scopes",
        "pdp.required_kinds",
        "limits.values",
        "identity.default_user",
        "rollout",
    }
    assert set(found.pending) == {
        "server.port",
        "server.keep_alive_seconds",
        "pdp.address",
        "limits.header_bytes",
        "audit.directory",
    }
    assert set(changed_paths(config(), new)) == {*found.live, *found.pending}
    assert (found.config.mode.value, found.config.server.path, found.config.limits.values) == ("observe", "/x", 1000)
    assert (found.config.server.port, found.config.pdp.address) == (3594, "unix:/x")
    assert found.config.audit.directory == config().audit.directory
    again = change(found.config, new)
    assert (again.live, set(again.pending)) == ((), set(found.pending))


def test_what_went_back_waits_no_longer() -> None:
    changed = change(config(), config(server={"port": 4000})).config
    assert change(changed, config()).pending == ()


@pytest.mark.parametrize("path", LIVE)
def test_every_setting_that_counts_at_once_is_one(path: str) -> None:
    known = [one.path for one in settings()]
    assert any(one == path or one.startswith(f"{path}.") for one in known)
