"""A small fleet with real journals, two real collectors and a real PostgreSQL: `python -m bench fleet` is the large one."""

import os

import pytest

from bench import fleet
from hookgate.binaries import BinaryError


def test_nothing_is_lost_or_doubled_and_every_cheat_is_found() -> None:
    """One machine and one collector are killed, some machines are offline; one rewrites, one replays, one floods."""
    try:
        result = fleet.run(12, 40, hour=60)
    except BinaryError as error:
        if os.environ.get("HOOKGATE_REQUIRE") == "all":
            raise
        pytest.skip(f"{error} (run: make prepare)")
    assert fleet.faults(result) == []
    assert result.lines > 12 * 40
    assert result.marks["laptop-0000"][0] == "tampered"
    assert result.marks["laptop-0001"] == ("foreign",)
