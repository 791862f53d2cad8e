"""What the gate tells of its steps while it takes them: nothing, unless traces are on."""

from collections.abc import Mapping
from contextlib import AbstractContextManager

import structlog

from hookgate.audit.record import Record
from hookgate.config.traces import Traces
from hookgate.telemetry.metrics import Metrics

#: What a call to the PDP carries beside its request.
Metadata = tuple[tuple[str, str], ...]


class _Nothing(AbstractContextManager[None]):
    """No span. Each step enters and leaves it, so by what is no Python: it takes whatever it is given, and gives what is false."""

    __enter__ = __exit__ = staticmethod("".format)  # type: ignore[assignment]


_NOTHING = _Nothing()


class Spans:
    """No spans at all. None of the methods raises or waits, here or in what does make spans."""

    def decision(self, headers: Mapping[str, str], started: float) -> AbstractContextManager[None]:
        """Spans one decision. `started` is a time of time.perf_counter()."""
        return _NOTHING

    def step(self, name: str) -> AbstractContextManager[None]:
        """Spans a step of the decision under way."""
        return _NOTHING

    def decided(self, record: Record) -> None:
        """Tells what became of the decision under way."""

    def metadata(self) -> Metadata | None:
        """Gives what leads from the PDP's own spans to the step under way."""
        return None

    async def stop(self) -> None:
        """Sends what is still waiting, if that can be done soon."""


def spans_for(config: Traces, *, instance: str, metrics: Metrics, log: structlog.typing.FilteringBoundLogger) -> Spans:
    """Gives what makes the spans that are configured. OpenTelemetry is imported only where it is used."""
    if config.url is None:
        return Spans()
    from hookgate.telemetry.traces import TracedSpans

    return TracedSpans(config, config.url, instance=instance, metrics=metrics, log=log)
