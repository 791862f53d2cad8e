"""Spans that the gate tells of: none unless traces are on, bounded while nobody takes them, and never a reason to fail."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from hookgate.config import ConfigError, parse
from hookgate.config.traces import Traces
from hookgate.telemetry import traces
from hookgate.telemetry.metrics import Metrics
from hookgate.telemetry.spans import Spans, spans_for
from hookgate.telemetry.traces import TracedSpans
from tests.support.wait import free_port, until


def faults(settings: dict[str, Any]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse({"pdp": {"address": "unix:/pdp.sock"}, "traces": settings}, {})
    return caught.value.faults


def spans_to(url: str | None, metrics: Metrics, **settings: Any) -> Spans:
    return spans_for(
        Traces(url=url, timeout_seconds=0.2, **settings), instance="i", metrics=metrics, log=structlog.get_logger()
    )


def count(metrics: Metrics, result: str) -> float:
    return metrics.registry.get_sample_value("hookgate_trace_spans_total", {"result": result}) or 0.0


def test_faults_name_the_setting_and_no_secret(tmp_path: Path) -> None:
    unreadable = {"url": "http://user:planted@x:99999/v1/traces"}
    for settings in (unreadable, {"url": "ftp://user:planted@x"}, {"url": "http://x", "headers": {"a": ["planted"]}}):
        (found,) = faults(settings)
        assert found.startswith("traces.")
        assert "planted" not in found
    assert faults({"url": "http://x", "ca": "/ca"}) == ["traces.ca: has no effect without an https URL"]
    missing = tmp_path / "ca.pem"
    assert faults({"url": "https://x", "ca": str(missing)}) == [f"traces.ca: no such file: {missing}"]


def test_off_the_gate_gets_what_does_nothing() -> None:
    spans = spans_to(None, Metrics())
    assert type(spans) is Spans
    with spans.decision({}, 0.0), spans.step("pdp"):
        assert spans.metadata() is None


async def test_decisions_at_once_have_traces_of_their_own() -> None:
    spans = spans_to(f"http://127.0.0.1:{free_port()}/v1/traces", Metrics())
    here = asyncio.Barrier(3)

    async def decide() -> set[str]:
        found = set()
        with spans.decision({}, time.perf_counter()):
            for _ in range(3):
                with spans.step("pdp"):
                    await here.wait()
                    ((_, traceparent),) = spans.metadata() or ()
                    found.add(traceparent.split("-")[1])
        return found

    found = await asyncio.gather(*(decide() for _ in range(3)))
    assert [len(traces_) for traces_ in found] == [1, 1, 1]
    assert len(set.union(*found)) == 3
    assert spans.metadata() is None
    await spans.stop()


async def test_what_nobody_takes_is_counted_and_told_once() -> None:
    with capture_logs() as logged:
        metrics = Metrics()
        spans = spans_to(f"http://127.0.0.1:{free_port()}/v1/traces", metrics)
        for _ in range(traces._MAX_WAITING + 1000):
            with spans.decision({}, time.perf_counter()):
                pass
        until(lambda: count(metrics, "lost") >= 1000, seconds=30)
        await spans.stop()
    assert count(metrics, "sent") == 0
    assert [entry["event"] for entry in logged] == ["traces_lost"]


async def test_a_fault_of_the_library_spoils_no_decision(monkeypatch: pytest.MonkeyPatch) -> None:
    spans = spans_to(f"http://127.0.0.1:{free_port()}/v1/traces", Metrics())
    assert isinstance(spans, TracedSpans)

    def fail(*_: Any, **__: Any) -> None:
        raise ValueError

    monkeypatch.setattr(spans._tracer, "start_span", fail)
    reached = []
    with spans.decision({}, 0.0), spans.step("pdp"):
        reached.append(spans.metadata())
    assert reached == [None]
    await spans.stop()


def test_what_fails_where_no_span_is_fails_as_ever() -> None:
    for spans in (Spans().step("read"), Spans().decision({}, 0.0)):
        with spans as inside:
            assert not inside
        with pytest.raises(ValueError, match="as ever"), spans:
            raise ValueError("as ever")
