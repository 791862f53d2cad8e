"""Times as the store keeps them: whole microseconds since 1970, UTC."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
HOUR = 3600 * 1_000_000
DAY = 24 * HOUR


def micros(moment: datetime) -> int:
    """Gives a time's microseconds; one without a zone is UTC."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // _MICROSECOND


def moment_of(found: int) -> datetime:
    """Gives the time of so many microseconds."""
    return _EPOCH + timedelta(microseconds=found)


def micros_of(text: object) -> int:
    """Gives the microseconds of a record's time; 0 for what is none, so that a damaged record has its place, too."""
    if not isinstance(text, str):
        return 0
    try:
        return micros(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        return 0


def text_of(found: int) -> str:
    """Gives the time as records have it."""
    return moment_of(found).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
