"""Metrics of shippers: counts go on over restarts, ages grow while nobody reports."""

import pytest
from prometheus_client import CollectorRegistry

from hookgate.audit.shipping.status import ShipperStatus
from hookgate.telemetry.shipping import ShipMetrics


@pytest.fixture
def metrics() -> ShipMetrics:
    made = ShipMetrics(CollectorRegistry())
    made.expect("mine")
    return made


def value(metrics: ShipMetrics, name: str) -> float:
    found = metrics.registry.get_sample_value(f"hookgate_ship_{name}", {"shipper": "mine"})
    assert found is not None
    return found


def test_all_series_are_there_from_the_start(metrics: ShipMetrics) -> None:
    for name in ("shipped_total", "failures_total", "refused_total", "dropped_total", "lag_records", "lag_seconds"):
        assert value(metrics, name) == 0


def test_counters_go_on_when_another_process_begins_at_nought(metrics: ShipMetrics) -> None:
    metrics.begin()
    metrics.take(ShipperStatus(name="mine", shipped=5, failures=1))
    metrics.take(ShipperStatus(name="mine", shipped=9, failures=1))
    metrics.begin()
    metrics.take(ShipperStatus(name="mine", shipped=2, failures=1, refused=3, dropped=1))
    assert [value(metrics, f"{name}_total") for name in ("shipped", "failures", "refused", "dropped")] == [11, 2, 3, 1]


def test_lag_and_age_grow_while_nobody_reports(metrics: ShipMetrics, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr("hookgate.telemetry.shipping.time.monotonic", lambda: clock[0])
    metrics.take(ShipperStatus(name="mine", lag_records=4, lag_seconds=2.0, last_success_seconds=3.0))
    assert (value(metrics, "lag_records"), value(metrics, "lag_seconds")) == (4, 2.0)
    clock[0] += 100
    assert value(metrics, "lag_seconds") == 102.0
    assert value(metrics, "last_success_age_seconds") == 103.0


def test_one_that_has_never_delivered_is_as_old_as_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr("hookgate.telemetry.shipping.time.monotonic", lambda: clock[0])
    metrics = ShipMetrics(CollectorRegistry())
    metrics.expect("mine")
    clock[0] += 60
    metrics.take(ShipperStatus(name="mine"))
    assert value(metrics, "last_success_age_seconds") == 60.0
