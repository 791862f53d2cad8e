"""Metrics, by Prometheus's conventions."""

from functools import partial

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
from hookgate.audit.reconcile import Violation
from hookgate.errors import ErrorKind
from hookgate.hooks.catalog import EVENTS
from hookgate.pdp.findings import CanaryState
from hookgate.telemetry.labels import Labels
from hookgate.telemetry.principals import Principals
from hookgate.telemetry.shipping import ShipMetrics

_BUCKETS = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """All metrics of one service, in a registry of their own."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry = CollectorRegistry()
        self.labels = Labels()
        self.decisions = Counter(
            "hookgate_decisions",
            "Hook requests answered, by event, tool, outcome and mode.",
            ["event", "tool", "outcome", "mode"],
            registry=registry,
        )
        self.errors = Counter(
            "hookgate_errors",
            "Requests for which no decision could be made, by error kind.",
            ["kind"],
            registry=registry,
        )
        for kind in ErrorKind:
            self.errors.labels(kind.value)
        self.hook_seconds = Histogram(
            "hookgate_hook_duration_seconds",
            "From headers received to answer, by event.",
            ["event"],
            buckets=_BUCKETS,
            registry=registry,
        )
        self.pdp_seconds = Histogram(
            "hookgate_pdp_duration_seconds", "The PDP's answer, as waited for.", buckets=_BUCKETS, registry=registry
        )
        self.pdp_fallbacks = Counter(
            "hookgate_pdp_transport_fallbacks",
            "Times that grpcio took over from `pdp.transport: http2`, until the next start.",
            registry=registry,
        )
        self.journal_seconds = Histogram(
            "hookgate_journal_duration_seconds", "Writing a record, as waited for.", buckets=_BUCKETS, registry=registry
        )
        self.journal_records = Counter(
            "hookgate_journal_records", "Lines written to the journal, by type.", ["record"], registry=registry
        )
        self.journal_lost = Counter(
            "hookgate_journal_lost_records",
            "Lines that could not be written to the journal, by type; a record `gap` counts them there.",
            ["record"],
            registry=registry,
        )
        self.journal_lost.labels("decision")
        self.journal_bytes = Counter(
            "hookgate_journal_written_bytes", "Bytes written to the journal.", registry=registry
        )
        self.journal_gaps = Counter(
            "hookgate_journal_gaps",
            "Times that the journal could not be written and then could again.",
            registry=registry,
        )
        self.journal_sync_seconds = Histogram(
            "hookgate_journal_sync_duration_seconds",
            "Flushing the journal to the disk; no decision waits for it with `audit.durability: process`.",
            buckets=_BUCKETS,
            registry=registry,
        )
        self.journal_sync_errors = Counter(
            "hookgate_journal_sync_errors", "Times that the journal could not be flushed.", registry=registry
        )
        self.journal_segments = Gauge("hookgate_journal_segments", "Segments of the journal.", registry=registry)
        self.journal_disk_bytes = Gauge(
            "hookgate_journal_disk_bytes", "Size of all segments of the journal.", registry=registry
        )
        self.journal_checkpoint_age = Gauge(
            "hookgate_journal_checkpoint_age_seconds",
            "Time since the last signed checkpoint; more than 10 s apart means that the journal can't be written.",
            registry=registry,
        )
        self.journal_writable = Gauge(
            "hookgate_journal_writable", "1 while records can be written, 0 while they can't.", registry=registry
        )
        self.journal_writable.set(1)
        self.journal_removed = Counter(
            "hookgate_journal_removed_segments",
            "Segments that were removed, by reason.",
            ["reason"],
            registry=registry,
        )
        self.journal_dropped = Counter(
            "hookgate_journal_dropped_records",
            "Lines that were removed to make room before a shipper had them, by its name.",
            ["shipper"],
            registry=registry,
        )
        self.ship = ShipMetrics(registry)
        self.in_flight = Gauge("hookgate_in_flight", "Decisions under way.", registry=registry)
        self.connections = Gauge("hookgate_connections", "Open connections on the hook listener.", registry=registry)
        self.admin_refused = Counter(
            "hookgate_admin_refused",
            "Requests to the admin listener that a web page sent, or that name another host.",
            registry=registry,
        )
        self.dropped_fields = Counter(
            "hookgate_dropped_output_fields",
            "Fields of policy outputs left out of an answer, by why.",
            ["why"],
            registry=registry,
        )
        self.contradictions = Counter(
            "hookgate_contradictions", "Policy outputs that disagree with the effect.", registry=registry
        )
        self.identities = Counter(
            "hookgate_identities", "Hook requests by where the identity came from.", ["source"], registry=registry
        )
        self.principals = Principals()
        people = Gauge(
            "hookgate_principals",
            "Different users of the last hour, at most 10,000, by whether they were verified.",
            ["verified"],
            registry=registry,
        )
        for verified in (True, False):
            people.labels(str(verified).lower()).set_function(partial(self.principals.count, verified=verified))
        self.claims_contradicted = Counter(
            "hookgate_identity_contradictions",
            "Requests whose X-Claude-User named somebody else than the verified user.",
            registry=registry,
        )
        self.key_fetches = Counter(
            "hookgate_identity_key_fetches",
            "Times that an issuer's keys were asked for, by result.",
            ["result"],
            registry=registry,
        )
        for result in ("ok", "failed"):
            self.key_fetches.labels(result)
        self.tls_refused = Counter(
            "hookgate_tls_refused", "Connections that ended in the TLS handshake.", registry=registry
        )
        self.unenforceable = Counter(
            "hookgate_unenforceable", "Denials that the client does not obey, by event.", ["event"], registry=registry
        )
        self.unknown_events = Counter(
            "hookgate_unknown_events", "Requests with an event that is not in the catalog.", registry=registry
        )
        self.violations = Counter(
            "hookgate_violations",
            "Calls that ran although they were denied, with another input than the one judged, or without being asked about.",
            ["type"],
            registry=registry,
        )
        for violation in Violation:
            self.violations.labels(violation.value)
        self.policy_lost = Counter(
            "hookgate_policy_lost", "Events that had a policy and have none any more.", ["event"], registry=registry
        )
        # From 0, or else the first loss would be a new series, in which increase() sees nothing.
        for event in (*EVENTS, "unknown"):
            self.policy_lost.labels(event)
        self.undelivered = Counter(
            "hookgate_undelivered", "Answers whose client had gone before they were sent.", registry=registry
        )
        self.trace_spans = Counter(
            "hookgate_trace_spans",
            "Spans of traces, by what became of them: `sent`, or `lost` because the collector did not take them.",
            ["result"],
            registry=registry,
        )
        for result in ("sent", "lost"):
            self.trace_spans.labels(result)
        self.log_lines_dropped = Gauge(
            "hookgate_log_lines_dropped",
            "Log lines dropped because standard error did not take them.",
            registry=registry,
        )
        self.canary = Gauge(
            "hookgate_canary_state", "1 for the state that the canary's last round found.", ["state"], registry=registry
        )
        self.canary_trusted = Gauge(
            "hookgate_canary_trusted", "0 while decisions are refused because of a wrong canary.", registry=registry
        )
        self.canary_trusted.set(1)
        self.pdp_strict = Gauge(
            "hookgate_pdp_strict_evaluation",
            "1 if the PDP evaluates strictly, 0 if not, -1 unknown.",
            registry=registry,
        )
        self.pdp_strict.set(-1)
        self.ready = Gauge("hookgate_ready", "1 while ready.", registry=registry)
        build = Info("hookgate_build", "Version of Hookgate.", registry=registry)
        build.info({"version": __version__})
        self.config_reloads = Counter(
            "hookgate_config_reloads",
            "Times that the configuration was read again, by what became of it.",
            ["result"],
            registry=registry,
        )
        for result in ("taken", "refused", "unchanged"):
            self.config_reloads.labels(result)
        self.config_faults = Gauge(
            "hookgate_config_faults",
            "Faults of a changed configuration that was refused; what was in force stays so.",
            registry=registry,
        )
        self.config_pending = Gauge(
            "hookgate_config_pending", "Changed settings that wait for a restart.", registry=registry
        )
        self.config_info = Info("hookgate_config", "Settings in force that change what is answered.", registry=registry)

    def canary_state(self, state: CanaryState, *, trusted: bool, strict: bool | None) -> None:
        """Takes over a canary's round."""
        for one in CanaryState:
            self.canary.labels(one.value).set(1 if one is state else 0)
        self.canary_trusted.set(1 if trusted else 0)
        if strict is not None:
            self.pdp_strict.set(1 if strict else 0)

    def exposition(self) -> bytes:
        """Gives the metrics in Prometheus's text format."""
        return generate_latest(self.registry)
