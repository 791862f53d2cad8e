"""The fleet as a store tells it now."""

from collections.abc import Sequence
from datetime import datetime

from hookgate.audit.fleet.expected import Expected
from hookgate.audit.fleet.standing import Standing, standings
from hookgate.audit.store.question import Store


def survey(
    store: Store,
    expected: Sequence[Expected] = (),
    *,
    since: datetime,
    now: int,
    silent_seconds: float = 900.0,
    late_seconds: float = 900.0,
) -> tuple[Standing, ...]:
    """Gives how each machine stands at `now` (microseconds since 1970); findings count from `since` on. Raises StoreError."""
    members = store.members()
    return standings(
        members,
        store.findings(since),
        expected,
        now=now,
        silent_seconds=silent_seconds,
        late_seconds=late_seconds,
        counts=store.found(since),
        unasked=store.unasked(since) if any(member.progress.unasked for member in members) else {},
    )
