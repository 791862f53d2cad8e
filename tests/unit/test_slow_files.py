"""The list of slow files names files that there are."""

from tests.conftest import ROOT
from tests.slow import SLOW_FILES


def test_each_is_there_and_named_once() -> None:
    assert [name for name in SLOW_FILES if not (ROOT / "tests" / name).is_file()] == []
    assert len(set(SLOW_FILES)) == len(SLOW_FILES)
