"""Metrics of a collector."""

from collections.abc import Mapping

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    disable_created_metrics,
    generate_latest,
)

from hookgate import __version__
from hookgate.telemetry.shipping import ShipMetrics

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class CollectMetrics:
    """All metrics of one collector, in a registry of their own. None has a label for each journal: there may be thousands."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry = CollectorRegistry()
        self.requests = Counter(
            "hookgate_collect_requests",
            "Requests to the collector, by status of the answer.",
            ["status"],
            registry=registry,
        )
        self.records = Counter(
            "hookgate_collect_records",
            "Lines that came, by whether they were `new` or `known` already.",
            ["result"],
            registry=registry,
        )
        for result in ("new", "known"):
            self.records.labels(result)
        self.bytes = Counter(
            "hookgate_collect_received_bytes", "Size of bodies with lines, as they came.", registry=registry
        )
        self.findings = Counter(
            "hookgate_collect_findings",
            "What was found wrong with journals for the first time, by kind.",
            ["finding"],
            registry=registry,
        )
        self.append_seconds = Histogram(
            "hookgate_collect_append_duration_seconds",
            "From a body read to its lines on the store's disk.",
            buckets=_BUCKETS,
            registry=registry,
        )
        self.waiting = Gauge("hookgate_collect_waiting", "Batches that wait to be stored.", registry=registry)
        self.ready = Gauge("hookgate_collect_ready", "1 while the store takes what comes.", registry=registry)
        self.tls_refused = Counter(
            "hookgate_collect_tls_refused", "Connections that ended in the TLS handshake.", registry=registry
        )
        self._machines = Gauge(
            "hookgate_fleet_machines",
            "Machines that are enrolled or expected; NaN while they can't be counted.",
            registry=registry,
        )
        self._marked = Gauge(
            "hookgate_fleet_marked_machines",
            "Of them those that have a mark, as `hookgate fleet` shows them; a finding counts for seven days.",
            ["mark"],
            registry=registry,
        )
        self.fleet_unknown()
        self.ship = ShipMetrics(registry)
        Info("hookgate_build", "Version of Hookgate.", registry=registry).info({"version": __version__})

    def fleet(self, machines: int, marks: Mapping[str, int]) -> None:
        """Takes how many machines there are, and how many of them have each mark."""
        self._machines.set(machines)
        for mark, count in marks.items():
            self._marked.labels(mark).set(count)

    def fleet_unknown(self) -> None:
        """How the fleet stands is not known now."""
        self._machines.set(float("nan"))
        self._marked.clear()

    def exposition(self) -> bytes:
        """Gives the metrics in Prometheus's text format."""
        return generate_latest(self.registry)
