"""Traces by OpenTelemetry: a span for each decision, one below it for each step, sent by a thread of their own.

No input, no reason and no user is in a span: the decision's id leads to the record, which has them.
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType

import requests
import structlog
from opentelemetry.context import Context, attach, detach
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode, get_current_span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from hookgate import __version__
from hookgate.audit.record import Record
from hookgate.config.traces import Traces
from hookgate.errors import GateError
from hookgate.telemetry.metrics import Metrics
from hookgate.telemetry.spans import Metadata, Spans

#: Spans that wait or are being sent; further ones are lost.
_MAX_WAITING = 4096
_BATCH_SPANS, _BATCH_SECONDS = 512, 1.0
#: Callers choose what a tool is called.
_ATTRIBUTE_CHARACTERS = 256
_STOP_SECONDS = 2.0

_KINDS = {"pdp": SpanKind.CLIENT}
_ATTRIBUTES: dict[str, dict[str, str]] = {
    "pdp": {"rpc.system": "grpc", "rpc.service": "cerbos.svc.v1.CerbosService", "rpc.method": "CheckResources"}
}


class TracedSpans(Spans):
    """Spans for a share of the decisions. Whoever calls can't extend its own trace into this one: a trace that it names is
    linked, and neither its id nor its sampling counts."""

    def __init__(
        self,
        config: Traces,
        url: str,
        *,
        instance: str,
        metrics: Metrics,
        log: structlog.typing.FilteringBoundLogger,
    ) -> None:
        # It logs what collectors answer, and each batch that fails; `_Delivery` tells that once.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        self._processor = _Bounded(_Delivery(_exporter(config, url), metrics, log), metrics)
        resource = {"service.name": "hookgate", "service.version": __version__, "service.instance.id": instance}
        provider = TracerProvider(
            sampler=TraceIdRatioBased(config.sample_ratio),
            resource=Resource(resource),
            span_limits=SpanLimits(max_span_attribute_length=_ATTRIBUTE_CHARACTERS),
            shutdown_on_exit=False,
        )
        provider.add_span_processor(self._processor)
        self._tracer = provider.get_tracer("hookgate", __version__)
        self._propagator = TraceContextTextMapPropagator()

    def decision(self, headers: Mapping[str, str], started: float) -> AbstractContextManager[None]:
        """Spans one decision, from when its request began to come."""

        def begin() -> Span:
            begun = time.time_ns() - int((time.perf_counter() - started) * 1e9)
            return self._tracer.start_span(
                "decide", context=Context(), kind=SpanKind.SERVER, links=self._links(headers), start_time=begun
            )

        return _spanned(begin)

    def step(self, name: str) -> AbstractContextManager[None]:
        """Spans a step of the decision under way."""
        return _spanned(
            lambda: self._tracer.start_span(
                name, kind=_KINDS.get(name, SpanKind.INTERNAL), attributes=_ATTRIBUTES.get(name)
            )
        )

    def decided(self, record: Record) -> None:
        """Tells what became of the decision under way."""
        span = get_current_span()
        if not span.is_recording():
            return
        found = {
            "hookgate.decision.id": record.id,
            "hookgate.event": record.event,
            "gen_ai.tool.name": record.tool,
            "hookgate.outcome": record.outcome,
            "hookgate.mode": record.mode,
            "hookgate.policy": record.policy,
            "hookgate.identity.source": record.source,
            "error.type": record.error,
        }
        with contextlib.suppress(Exception):
            span.set_attributes({name: value for name, value in found.items() if value})
            if record.error:
                span.set_status(Status(StatusCode.ERROR))

    def metadata(self) -> Metadata | None:
        """Gives W3C's trace context of the step under way."""
        carrier: dict[str, str] = {}
        with contextlib.suppress(Exception):
            self._propagator.inject(carrier)
        return tuple(carrier.items()) or None

    async def stop(self) -> None:
        """Sends what is still waiting, if the collector takes it soon."""
        # A thread that no exit waits for: the collector may hang.
        ending = threading.Thread(target=self._processor.shutdown, name="traces-end", daemon=True)
        ending.start()
        await asyncio.to_thread(ending.join, _STOP_SECONDS)

    def _links(self, headers: Mapping[str, str]) -> list[Link]:
        told = headers.get("traceparent")
        if told is None:
            return []
        caller = get_current_span(self._propagator.extract({"traceparent": told}, context=Context())).get_span_context()
        return [Link(caller)] if caller.is_valid else []


class _Spanned:
    """A span that is the current one inside, and ends with it."""

    __slots__ = ("_span", "_token")

    def __init__(self, span: Span) -> None:
        self._span = span

    def __enter__(self) -> None:
        self._token = attach(set_span_in_context(self._span))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        detach(self._token)
        with contextlib.suppress(Exception):
            if error is not None:
                # Without its message, which may hold what a caller wrote.
                name = error.kind.value if isinstance(error, GateError) else type(error).__name__
                self._span.set_attribute("error.type", name)
                self._span.set_status(Status(StatusCode.ERROR))
            self._span.end()


def _spanned(begin: Callable[[], Span]) -> AbstractContextManager[None]:
    try:
        return _Spanned(begin())
    except Exception:  # noqa: BLE001 (no trace may spoil a decision)
        return nullcontext()


class _Delivery(SpanExporter):
    """Sends batches, in the processor's thread; counts what has become of them."""

    def __init__(self, exporter: SpanExporter, metrics: Metrics, log: structlog.typing.FilteringBoundLogger) -> None:
        self._exporter = exporter
        self._metrics = metrics
        self._log = log
        self._failing = False
        #: Spans that no longer wait, sent or not.
        self.done = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Sends a batch, and gives it up if it is not taken in time."""
        result = SpanExportResult.FAILURE
        try:
            result = self._exporter.export(spans)
        finally:
            self.done += len(spans)
            sent = result is SpanExportResult.SUCCESS
            self._metrics.trace_spans.labels("sent" if sent else "lost").inc(len(spans))
            if not sent and not self._failing:
                self._log.warning(
                    "traces_lost", spans=len(spans), mend="see whether traces.url answers, and takes traces"
                )
            elif sent and self._failing:
                self._log.info("traces_sent")
            self._failing = not sent
        return result

    def shutdown(self) -> None:
        """Ends the attempts to send."""
        self._exporter.shutdown()


class _Bounded(BatchSpanProcessor):
    """Counts what finds no room, where the SDK would write a line of log for each."""

    def __init__(self, delivery: _Delivery, metrics: Metrics) -> None:
        super().__init__(
            delivery,
            max_queue_size=_MAX_WAITING,
            max_export_batch_size=_BATCH_SPANS,
            schedule_delay_millis=_BATCH_SECONDS * 1000,
        )
        self._delivery = delivery
        self._metrics = metrics
        self._taken = 0

    def on_end(self, span: ReadableSpan) -> None:
        """Takes a span that has ended, if there is room."""
        if not (span.context and span.context.trace_flags.sampled):
            return
        if self._taken - self._delivery.done >= _MAX_WAITING:
            self._metrics.trace_spans.labels("lost").inc()
            return
        self._taken += 1
        super().on_end(span)


def _exporter(config: Traces, url: str) -> OTLPSpanExporter:
    session = requests.Session()
    # As with shippers: no proxy, and no credentials of ~/.netrc in place of the configured ones.
    session.trust_env = False
    return OTLPSpanExporter(
        endpoint=url,
        certificate_file=config.ca,
        headers=config.headers,
        timeout=config.timeout_seconds,
        compression=Compression.NoCompression,
        session=session,
    )
