"""What the metrics and the log say of the journal."""

from pathlib import Path
from typing import Any

import structlog

from hookgate.audit.gap import Loss
from hookgate.audit.journal import Journal
from hookgate.audit.ledger import Options
from hookgate.telemetry.metrics import Metrics
from hookgate.telemetry.trail import TrailWatch
from tests.support.journals import record, segments


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    """Gives a sample's value."""
    return metrics.registry.get_sample_value(name, labels)


def watch() -> tuple[TrailWatch, Metrics, list[dict[str, Any]]]:
    """Gives a watch with its metrics and log lines."""
    lines: list[dict[str, Any]] = []

    def keep(logger: object, level: str, event: Any) -> str:
        lines.append({"level": level, **event})
        raise structlog.DropEvent

    metrics = Metrics()
    return TrailWatch(metrics, structlog.wrap_logger(None, processors=[keep])), metrics, lines


async def test_what_is_written_is_counted_by_type_with_its_size(tmp_path: Path) -> None:
    watching, metrics, _ = watch()
    journal = Journal(tmp_path, Options(), watching)
    journal.open()
    await journal.append(record("a"))
    await journal.append(record("b"))
    await journal.append(record("c", kind="canary"), "canary")
    await journal.close(timeout_seconds=5)
    size = sum(path.stat().st_size for path in segments(tmp_path))
    found = {kind: value(metrics, "hookgate_journal_records_total", record=kind) for kind in ("decision", "canary")}
    assert found == {"decision": 2, "canary": 1}
    assert value(metrics, "hookgate_journal_records_total", record="checkpoint") == 2
    assert value(metrics, "hookgate_journal_written_bytes_total") == size
    assert value(metrics, "hookgate_journal_disk_bytes") == size
    assert value(metrics, "hookgate_journal_segments") == 1
    assert (value(metrics, "hookgate_journal_sync_duration_seconds_count") or 0) >= 1
    age = value(metrics, "hookgate_journal_checkpoint_age_seconds")
    assert age is not None
    assert 0 <= age < 60


def test_a_gap_is_counted_and_logged_with_what_is_missing() -> None:
    watching, metrics, lines = watch()
    watching.lost("decision")
    watching.gap(Loss(since="S", until="U", answers={"error": 1}, records={"canary": 2}))
    assert value(metrics, "hookgate_journal_lost_records_total", record="decision") == 1
    assert value(metrics, "hookgate_journal_gaps_total") == 1
    (line,) = lines
    assert (line["level"], line["event"]) == ("warning", "journal_gap")
    assert (line["since"], line["until"], line["answers"], line["records"]) == ("S", "U", {"error": 1}, {"canary": 2})


def test_a_series_of_failed_flushes_is_logged_once() -> None:
    watching, metrics, lines = watch()
    fault = OSError(5, "Input/output error")
    for one in (None, fault, fault, None, fault):
        watching.synced(0.1, one)
    assert [line["event"] for line in lines] == ["journal_not_flushed"] * 2
    assert lines[0]["detail"] == "Input/output error"
    assert value(metrics, "hookgate_journal_sync_errors_total") == 3
    assert value(metrics, "hookgate_journal_sync_duration_seconds_count") == 2
