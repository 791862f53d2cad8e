"""Metrics of a collector."""

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
        self.ship = ShipMetrics(registry)
        Info("hookgate_build", "Version of Hookgate.", registry=registry).info({"version": __version__})

    def exposition(self) -> bytes:
        """Gives the metrics in Prometheus's text format."""
        return generate_latest(self.registry)
