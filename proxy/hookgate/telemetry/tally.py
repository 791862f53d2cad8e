"""Metrics and log lines of decisions."""

from functools import cache

import structlog

from hookgate.audit.record import Record
from hookgate.outcome import Outcome
from hookgate.telemetry.metrics import Metrics

#: How many different dropped fields are warned of; all of them are counted.
_MAX_WARNINGS = 1000


class Tally:
    """Counts and logs each decision: errors as warnings, denials and questions at info, the rest at debug level."""

    def __init__(self, metrics: Metrics, log: structlog.typing.FilteringBoundLogger) -> None:
        self._metrics = metrics
        self._log = log
        self._warned: set[tuple[str, str, str]] = set()
        # There are not more of them than label values, and finding one anew takes longer than counting.
        self._decision = cache(metrics.decisions.labels)
        self._hook_seconds = cache(metrics.hook_seconds.labels)
        self._identity = cache(metrics.identities.labels)

    def decided(self, record: Record) -> None:
        """Takes over one decision's record."""
        metrics, labels = self._metrics, self._metrics.labels
        event = labels.event(record.event)
        self._decision(event, labels.tool(record.tool), record.outcome, record.mode).inc()
        self._hook_seconds(event).observe(record.total_seconds)
        self._identity(record.source or "none").inc()
        metrics.principals.see(record.user, verified=record.verified)
        if record.claimed_user:
            metrics.claims_contradicted.inc()
        if record.pdp_seconds:
            metrics.pdp_seconds.observe(record.pdp_seconds)
        if event == "unknown":
            metrics.unknown_events.inc()
        if record.unenforceable:
            metrics.unenforceable.labels(event).inc()
        if record.error:
            metrics.errors.labels(record.error).inc()
        self._write(record)
        self._outputs(record)

    def _write(self, record: Record) -> None:
        fields = {
            "decision_id": record.id,
            "event_name": record.event,
            "tool": record.tool,
            "outcome": record.outcome,
            "mode": record.mode,
            "milliseconds": round(record.total_seconds * 1000, 2),
        }
        if record.error:
            self._log.warning("decision", error=record.error, detail=record.error_detail, **fields)
        elif record.outcome in (Outcome.DENY, Outcome.ASK):
            self._log.info("decision", policy=record.policy, **fields)
        else:
            self._log.debug("decision", policy=record.policy, **fields)

    def _outputs(self, record: Record) -> None:
        if record.contradictions:
            self._metrics.contradictions.inc(len(record.contradictions))
        for drop in record.dropped:
            self._metrics.dropped_fields.labels(drop.why).inc()
            key = (drop.source, drop.field, drop.why)
            if key not in self._warned and len(self._warned) < _MAX_WARNINGS:
                self._warned.add(key)
                self._log.warning(
                    "output_field_dropped", source=drop.source, field=drop.field, why=drop.why, decision_id=record.id
                )
