"""Stretches of time in which decisions were of a kind that should not last: observed only, or errors."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from hookgate.audit.report.model import Stretch

_MOST_STRETCHES = 2000
_MOST_NAMES = 12


@dataclass(slots=True)
class _Open:
    since: str
    until: str
    at: datetime
    count: int = 0
    others: int = 0
    #: Others since the last one of the kind: they belong to the stretch only if it goes on.
    waiting: int = 0
    held_back: int = 0
    names: dict[str, None] = field(default_factory=dict)


class Stretches:
    """Takes decisions in the order of their times. What lies no further apart than `tolerance` is one stretch."""

    def __init__(self, tolerance: timedelta) -> None:
        self._tolerance = tolerance
        self._open: dict[str, _Open] = {}
        self._closed: list[Stretch] = []
        self.count = 0

    def taken(self, instance: str, time: str, at: datetime, *, of_kind: bool, held_back: bool, name: str) -> None:
        """Takes a decision; `of_kind` tells whether it belongs into a stretch, `name` is what is shown of it."""
        running = self._open.get(instance)
        if running is not None and at - running.at > self._tolerance:
            self._close(instance)
            running = None
        if not of_kind:
            if running is not None:
                running.waiting += 1
            return
        self.count += 1
        if running is None:
            running = self._open[instance] = _Open(time, time, at)
        running.until, running.at = max(time, running.until), max(at, running.at)
        running.others, running.waiting = running.others + running.waiting, 0
        running.count += 1
        running.held_back += held_back
        if len(running.names) < _MOST_NAMES:
            running.names[name] = None

    def all(self) -> tuple[Stretch, ...]:
        """Gives the stretches by time, the first thousands of them."""
        for instance in list(self._open):
            self._close(instance)
        return tuple(sorted(self._closed, key=lambda stretch: (stretch.since, stretch.instance)))

    def _close(self, instance: str) -> None:
        done = self._open.pop(instance)
        if len(self._closed) < _MOST_STRETCHES:
            self._closed.append(
                Stretch(
                    instance=instance,
                    since=done.since,
                    until=done.until,
                    count=done.count,
                    others=done.others,
                    held_back=done.held_back,
                    names=tuple(sorted(done.names)),
                )
            )
