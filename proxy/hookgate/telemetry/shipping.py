"""Metrics of the shipping process, on the service's admin listener or on its own."""

import time
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge


class Figures(Protocol):
    """How one shipper is doing, since its process has started."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def shipped(self) -> int:
        """Records that its sink has."""

    @property
    def failures(self) -> int:
        """Attempts that failed."""

    @property
    def refused(self) -> int:
        """Records that the sink would not take as they are."""

    @property
    def dropped(self) -> int:
        """Records that were not shipped at all."""

    @property
    def lag_records(self) -> int:
        """How many it is behind."""

    @property
    def lag_seconds(self) -> float:
        """The age of the oldest one that it has not shipped."""

    @property
    def last_success_seconds(self) -> float:
        """Since the sink took something last; negative where it has not yet."""


class ShipMetrics:
    """What shippers do, each a label. Counters go on over restarts of the process that they come from."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.up = Gauge(
            "hookgate_ship_up",
            "1 while the shipping process reports, and where this service starts none.",
            registry=registry,
        )
        self.up.set(1)
        self.restarts = Counter(
            "hookgate_ship_restarts",
            "Times that the shipping process ended or hung, and was started again.",
            registry=registry,
        )
        self.lag_records = Gauge(
            "hookgate_ship_lag_records",
            "Lines of the journal that a shipper has not delivered.",
            ["shipper"],
            registry=registry,
        )
        self.lag_seconds = Gauge(
            "hookgate_ship_lag_seconds",
            "Age of the oldest line that a shipper has not delivered; it grows while the shipping process does not report.",
            ["shipper"],
            registry=registry,
        )
        self.shipped = Counter("hookgate_ship_shipped", "Records delivered.", ["shipper"], registry=registry)
        self.failures = Counter(
            "hookgate_ship_failures",
            "Attempts to deliver that failed; they are made again.",
            ["shipper"],
            registry=registry,
        )
        self.refused = Counter(
            "hookgate_ship_refused",
            "Records that a sink would not take, and of which it was sent metadata and digest.",
            ["shipper"],
            registry=registry,
        )
        self.dropped = Counter(
            "hookgate_ship_dropped",
            "Lines not delivered at all: refused even so, damaged, or removed too early.",
            ["shipper"],
            registry=registry,
        )
        self.last_success_age = Gauge(
            "hookgate_ship_last_success_age_seconds",
            "Since a shipper delivered something last, or else since the start. Checkpoints are delivered, too: at least one in ten seconds.",
            ["shipper"],
            registry=registry,
        )
        self._seen: dict[str, tuple[int, int, int, int]] = {}

    def expect(self, *shippers: str) -> None:
        """Makes the series of these shippers, so that the first failure of one is seen to be an increase."""
        at = time.monotonic()
        for name in shippers:
            self.lag_records.labels(name)
            self.lag_seconds.labels(name)
            self.last_success_age.labels(name).set_function(lambda: time.monotonic() - at)
            for counter in (self.shipped, self.failures, self.refused, self.dropped):
                counter.labels(name)

    def begin(self) -> None:
        """Another process reports from now on: it counts from 0."""
        self._seen.clear()

    def take(self, found: Figures) -> None:
        """Takes over how one shipper is doing."""
        name, at = found.name, time.monotonic()
        new = (found.shipped, found.failures, found.refused, found.dropped)
        seen = self._seen.get(name, (0, 0, 0, 0))
        self._seen[name] = new
        counters = (self.shipped, self.failures, self.refused, self.dropped)
        for counter, now, before in zip(counters, new, seen, strict=True):
            counter.labels(name).inc(max(0, now - before))
        self.lag_records.labels(name).set(found.lag_records)
        lag = found.lag_seconds
        self.lag_seconds.labels(name).set_function(lambda: lag + _beyond(time.monotonic() - at))
        if (age := found.last_success_seconds) >= 0:
            self.last_success_age.labels(name).set_function(lambda: age + time.monotonic() - at)


#: Reports come each second.
_FRESH_SECONDS = 5.0


def _beyond(seconds: float) -> float:
    return seconds if seconds > _FRESH_SECONDS else 0.0
