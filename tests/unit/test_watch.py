"""A file is seen to change, whichever way it is changed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hookgate.app.watch import Watch
from tests.support.wait import until


class Watching:
    """A watch that counts."""

    def __init__(self, path: Path, *, interval_seconds: float = 0.02) -> None:
        self.seen: list[str] = []
        self._path = path
        self.watch = Watch(path, self._changed, interval_seconds=interval_seconds)

    def _changed(self) -> None:
        self.seen.append(self._path.read_text() if self._path.exists() else "gone")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "hookgate.yaml"
    found.write_text("1")
    return found


@pytest.fixture
def watching(path: Path) -> Iterator[Watching]:
    found = Watching(path)
    found.watch.start()
    until(lambda: found.seen == ["1"], what="the first look")
    yield found
    found.watch.stop()


def test_it_is_seen_when_it_is_written_anew(watching: Watching, path: Path) -> None:
    path.write_text("22")
    until(lambda: watching.seen == ["1", "22"])


def test_it_is_seen_when_it_is_exchanged_and_when_it_goes(watching: Watching, path: Path) -> None:
    other = path.with_name("other")
    other.write_text("2")
    other.replace(path)
    until(lambda: watching.seen == ["1", "2"])
    path.unlink()
    until(lambda: watching.seen == ["1", "2", "gone"])
    path.write_text("3")
    until(lambda: watching.seen[-1] == "3")


def test_a_config_map_is_seen_when_its_link_is_exchanged(tmp_path: Path) -> None:
    """As the kubelet does it: hookgate.yaml -> ..data/hookgate.yaml, ..data -> ..2026_1, and then another ..data."""
    for version in ("1", "2"):
        (tmp_path / f"..{version}").mkdir()
        (tmp_path / f"..{version}" / "hookgate.yaml").write_text(version)
    (tmp_path / "..data").symlink_to("..1")
    path = tmp_path / "hookgate.yaml"
    path.symlink_to(Path("..data") / "hookgate.yaml")
    watching = Watching(path)
    watching.watch.start()
    until(lambda: watching.seen == ["1"])
    (tmp_path / "..data_tmp").symlink_to("..2")
    (tmp_path / "..data_tmp").replace(tmp_path / "..data")
    until(lambda: watching.seen == ["1", "2"])
    watching.watch.stop()


def test_asking_needs_no_change_and_no_patience(path: Path) -> None:
    watching = Watching(path, interval_seconds=3600)
    watching.watch.start()
    watching.watch.ask()
    until(lambda: watching.seen == ["1"])
    watching.watch.ask()
    until(lambda: watching.seen == ["1", "1"])
    watching.watch.stop()
