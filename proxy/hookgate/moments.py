"""Times as people write them: so long ago, a day, or a moment."""

import re
from datetime import UTC, date, datetime, timedelta

_AGO = re.compile(r"([0-9]{1,9})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_FORMS = "`2d` (also s, m, h, w), `2026-11-22` or `2026-11-22T10:30` (UTC, unless it ends in an offset such as +01:00)"


def moment(text: str, now: datetime, *, end: bool = False) -> datetime:
    """Gives the time that a text means, in UTC: a duration before `now`, or a date or time (UTC where it has no offset).

    A date is the whole day: its beginning, or with `end` that of the day after. Raises ValueError with what is understood.
    """
    try:
        if match := _AGO.fullmatch(text):
            return now - timedelta(**{_UNITS[match[2]]: int(match[1])})
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
            day = date.fromisoformat(text) + timedelta(days=1 if end else 0)
            return datetime(day.year, day.month, day.day, tzinfo=UTC)
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is no time: give {_FORMS}") from None
