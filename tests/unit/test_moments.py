"""Times as people write them."""

from datetime import UTC, datetime, timedelta

import pytest

from hookgate.moments import moment

NOW = datetime(2026, 11, 22, 12, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "before"),
    [
        ("0s", timedelta()),
        ("90s", timedelta(seconds=90)),
        ("30m", timedelta(minutes=30)),
        ("3h", timedelta(hours=3)),
        ("2d", timedelta(days=2)),
        ("2w", timedelta(weeks=2)),
    ],
)
def test_a_duration_is_so_long_ago(text: str, before: timedelta) -> None:
    assert moment(text, NOW) == NOW - before


def test_a_date_is_the_whole_day_in_utc() -> None:
    assert moment("2026-02-28", NOW) == datetime(2026, 2, 28, tzinfo=UTC)
    assert moment("2026-02-28", NOW, end=True) == datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize("end", [False, True])
@pytest.mark.parametrize(
    ("text", "hour"),
    [("2026-11-20T10:30", 10), ("2026-11-20 10:30:00", 10), ("2026-11-20T10:30Z", 10), ("2026-11-20T10:30+02:00", 8)],
)
def test_a_time_is_utc_unless_it_has_an_offset(text: str, hour: int, *, end: bool) -> None:
    found = moment(text, NOW, end=end)
    assert found == datetime(2026, 11, 20, hour, 30, tzinfo=UTC)
    assert found.utcoffset() == timedelta()


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2x", "-2d", "2026-13-01", "2026-02-30", "999999999w", "9999-12-31T23:59-23:00"]
)
def test_what_is_no_time_is_refused_with_what_is_understood(text: str) -> None:
    with pytest.raises(ValueError, match="is no time: give `2d`"):
        moment(text, NOW)


def test_a_day_without_a_next_one_has_no_end() -> None:
    with pytest.raises(ValueError, match="is no time"):
        moment("9999-12-31", NOW, end=True)
