"""Metrics and log lines of the journal."""

import time
from collections.abc import Mapping
from functools import cache

import structlog

from hookgate.audit.gap import Loss
from hookgate.audit.removal import Removal
from hookgate.telemetry.metrics import Metrics


class TrailWatch:
    """Takes over what the journal tells of itself, on the journal's threads."""

    def __init__(self, metrics: Metrics, log: structlog.typing.FilteringBoundLogger) -> None:
        self._metrics = metrics
        self._log = log
        self._unflushed = False
        self._kept = ""
        # There are not more of them than kinds of records, and finding one anew takes longer than counting.
        self._records = cache(metrics.journal_records.labels)

    def wrote(self, kinds: Mapping[str, int], size_bytes: int) -> None:
        """Counts lines that were written."""
        for kind, count in kinds.items():
            self._records(kind).inc(count)
        self._metrics.journal_bytes.inc(size_bytes)

    def lost(self, kind: str) -> None:
        """Counts a line that could not be written."""
        self._metrics.journal_lost.labels(kind).inc()

    def gap(self, loss: Loss) -> None:
        """Tells that the journal can be written again, and what is missing."""
        self._metrics.journal_gaps.inc()
        self._log.warning(
            "journal_gap",
            since=loss.since,
            until=loss.until,
            answers=loss.answers,
            records=loss.records,
        )

    def synced(self, seconds: float, fault: OSError | None) -> None:
        """Measures a flush; a series of failed ones is logged once."""
        if fault is None:
            self._metrics.journal_sync_seconds.observe(seconds)
        else:
            self._metrics.journal_sync_errors.inc()
            if not self._unflushed:
                self._log.error("journal_not_flushed", detail=fault.strerror)
        self._unflushed = fault is not None

    def checkpointed(self, segments: int, disk_bytes: int) -> None:
        """Takes over the size of the journal; the checkpoint's age counts from now."""
        at = time.monotonic()
        self._metrics.journal_segments.set(segments)
        self._metrics.journal_disk_bytes.set(disk_bytes)
        self._metrics.journal_checkpoint_age.set_function(lambda: time.monotonic() - at)

    def locked(self) -> None:
        """Tells that another Hookgate is waited for."""
        self._log.warning("journal_locked")

    def held_up(self, why: str) -> None:
        """Tells when nothing can be written any more, and when it can again."""
        self._metrics.journal_writable.set(0 if why else 1)
        if why:
            self._log.error("journal_held_up", detail=why)
        else:
            self._log.info("journal_goes_on")

    def removed(self, removal: Removal) -> None:
        """Counts segments that went; what a shipper had not got is told aloud."""
        self._metrics.journal_removed.labels(removal.why).inc(removal.segments)
        told = {
            "first_seq": removal.first_seq,
            "last_seq": removal.last_seq,
            "segments": removal.segments,
            "size_bytes": removal.bytes,
            "why": removal.why,
        }
        if removal.missed:
            self._log.error("journal_removed", missed=removal.missed, **told)
        else:
            self._log.info("journal_removed", **told)
        for name, count in removal.missed.items():
            self._metrics.journal_dropped.labels(name).inc(count)

    def kept(self, why: str) -> None:
        """Tells that what was to go could not; once for each reason in a row."""
        if why and why != self._kept:
            self._log.error("journal_not_removed", detail=why)
        self._kept = why
