"""What others can write is found before the service starts."""

import os
from pathlib import Path
from typing import Any

import pytest

from hookgate.app.exposure import Exposure, exposures, own_user
from hookgate.config import Config, parse
from tests.support.service import merged

OTHER = 12345


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory as it should be, with a configuration and a directory for records."""
    tmp_path.chmod(0o700)
    (tmp_path / "etc").mkdir(mode=0o755)
    (tmp_path / "etc" / "hookgate.yaml").write_text("")
    (tmp_path / "etc" / "hookgate.yaml").chmod(0o644)
    (tmp_path / "audit").mkdir(mode=0o700)
    return tmp_path


def config(place: Path, **more: Any) -> Config:
    return parse(merged({"pdp": {"address": "127.0.0.1:1"}, "audit": {"directory": str(place / "audit")}}, more), {})


def found(place: Path, **more: Any) -> list[Exposure]:
    """Without what lies above the test's own directory."""
    every = exposures(config(place, **more), place / "etc" / "hookgate.yaml")
    return [one for one in every if one.path.is_relative_to(place)]


def test_what_only_this_user_and_root_can_write_is_not_exposed(place: Path) -> None:
    assert found(place) == []


@pytest.mark.parametrize(
    ("path", "mode", "setting", "why", "refused"),
    [
        ("audit", 0o777, "audit.directory", "everybody can write it", True),
        ("audit", 0o1777, "audit.directory", "everybody can write it", True),
        ("audit", 0o770, "audit.directory", "its group", False),
        ("etc/hookgate.yaml", 0o666, "configuration", "everybody can write it", True),
        ("etc/hookgate.yaml", 0o664, "configuration", "its group", False),
        ("etc", 0o777, "configuration", "everybody can write it", True),
        ("", 0o777, "audit.directory", "everybody can exchange what is below", False),
    ],
)
def test_what_others_can_write_is_refused_or_told(
    place: Path, path: str, mode: int, setting: str, why: str, refused: bool
) -> None:
    (place / path).chmod(mode)
    told = [(one.setting, one.path, one.why.partition(" (")[0], one.refused) for one in found(place)]
    assert (setting, place / path, why, refused) in told
    place.chmod(0o700)


def test_a_link_is_looked_at_where_it_leads(place: Path) -> None:
    (place / "open").mkdir()
    (place / "open").chmod(0o777)
    (place / "link").symlink_to(place / "open")
    assert [one.refused for one in found(place, audit={"directory": str(place / "link")})] == [True]


def test_what_belongs_to_somebody_else_is_refused(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: OTHER)
    if os.stat(place).st_uid == 0:  # noqa: PTH116
        os.chown(place / "audit", OTHER + 1, -1)
    assert [one.path for one in found(place) if one.refused and "another user" in one.why][-1] == place / "audit"


def test_secrets_that_everybody_can_read_and_open_directories_of_sockets_are_told(place: Path) -> None:
    (place / "audit" / "signing.key").write_text("x")
    (place / "audit" / "signing.key").chmod(0o644)
    (place / "run").mkdir()
    (place / "run").chmod(0o777)
    told = {
        one.line().removeprefix(str(place)): one.refused
        for one in found(place, pdp={"address": f"unix:{place}/run/pdp.sock"})
    }
    assert told == {
        f"audit.directory: {place}/audit/signing.key: everybody can read it": False,
        f"pdp.address: {place}/run: everybody can put a socket there, and answer in the PDP's stead": True,
    }
    (place / "run").chmod(0o1777)
    assert not any(one.refused for one in found(place, pdp={"address": f"unix:{place}/run/pdp.sock"}))


def test_what_shippers_and_traces_go_by_is_looked_at(place: Path) -> None:
    for name, mode in (("ca.pem", 0o666), ("collector.token", 0o644), ("traces.pem", 0o666)):
        (place / name).write_text("x")
        (place / name).chmod(mode)
    shipper = {
        "type": "collector",
        "url": "https://collector.example.com:3596",
        "ca": str(place / "ca.pem"),
        "token_file": str(place / "collector.token"),
    }
    traces = {"url": "https://traces.example.com/v1/traces", "ca": str(place / "traces.pem")}
    shown = {one.line(): one.refused for one in found(place, audit={"shippers": [shipper]}, traces=traces)}
    assert shown == {
        f"traces.ca: {place}/traces.pem: everybody can write it": True,
        f"audit.shippers[0].ca: {place}/ca.pem: everybody can write it": True,
        f"audit.shippers[0].token_file: {place}/collector.token: everybody can read it": False,
    }


def test_root_and_a_user_that_runs_agents_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert [line.partition(":")[0] for line in own_user()] == ["runs as root"]
    monkeypatch.setattr(os, "geteuid", lambda: OTHER)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert list(own_user()) == []
    (tmp_path / ".claude").mkdir()
    assert [line.partition(" (")[0] for line in own_user()] == ["runs as a user that runs Claude Code"]
