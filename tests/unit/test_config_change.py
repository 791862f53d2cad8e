"""Which settings have changed since the last start: paths, and never a value."""

from pathlib import Path
from typing import Any

from hookgate.audit import config_change
from hookgate.audit.config_change import FILE_NAME, Settings, changed, kept, settings_of
from hookgate.audit.digest import Digests
from hookgate.config import parse

DIGESTS = Digests(b"k" * 32)


def settings(**more: Any) -> Settings:
    return settings_of(parse({"pdp": {"address": "unix:/x"}, **more}, {}), DIGESTS)


def test_only_what_is_another_is_named() -> None:
    before = settings(rollout=[{"users": ["a"], "mode": "observe"}])
    assert changed(before, settings(rollout=[{"users": ["a"], "mode": "observe"}])) == []
    after = settings(rollout=[{"users": ["a", "b"], "mode": "enforce"}], on_error="ask")
    assert changed(before, after) == ["on_error", "rollout[0].mode", "rollout[0].users[1]"]
    assert before.digest != after.digest


def test_what_is_kept_has_no_value_in_it_and_is_its_owners_alone(tmp_path: Path) -> None:
    url = "postgresql://bob:hunter2@db/audit"
    found = settings(audit={"shippers": [{"type": "postgres", "url": url}]})
    found.keep(tmp_path)
    text = (tmp_path / FILE_NAME).read_text()
    assert [word for word in ("hunter2", "bob", "db/audit") if word in text] == []
    assert "audit.shippers[0].url" in text
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o777 == 0o600
    assert kept(tmp_path) == found
    other = settings(audit={"shippers": [{"type": "postgres", "url": url.replace("hunter2", "hunter3")}]})
    assert changed(found, other) == ["audit.shippers[0].url"]


def test_a_first_start_has_nothing_before_it_and_a_spoilt_file_tells_nothing(tmp_path: Path) -> None:
    assert kept(tmp_path) is None
    (tmp_path / FILE_NAME).write_bytes(b"{")
    assert kept(tmp_path) == Settings()
    assert changed(Settings(), settings()) == []


def test_very_many_changes_are_counted(monkeypatch: Any) -> None:
    monkeypatch.setattr(config_change, "_MAX_PATHS", 2)
    before = settings(on_error_events=["A", "B", "C"])
    assert changed(before, settings(on_error_events=["X", "Y", "Z"])) == [
        "on_error_events[0]",
        "on_error_events[1]",
        "and 1 more",
    ]
