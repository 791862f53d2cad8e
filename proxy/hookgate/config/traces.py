"""Where traces of decisions go."""

import importlib.util
from pathlib import Path
from typing import Annotated

from msgspec import Meta, field

from hookgate.config.section import Section
from hookgate.config.shippers import Secret
from hookgate.config.url import http_fault

#: What the extra brings.
_MODULES = ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http")


class Traces(Section, frozen=True):
    """OpenTelemetry traces of decisions. Needs the extra `hookgate[traces]`."""

    url: Annotated[
        Annotated[Secret, Meta(pattern="^https?://")] | None,
        Meta(
            description="The collector's traces endpoint (OTLP over HTTP): `http://127.0.0.1:4318/v1/traces`; null: no traces."
        ),
    ] = None
    headers: Annotated[dict[str, Secret], Meta(description="Headers that every request carries.")] = field(
        default_factory=dict
    )
    ca: Annotated[str | None, Meta(description="PEM file of the authorities to trust instead of the system's.")] = None
    sample_ratio: Annotated[float, Meta(ge=0, le=1, description="Share of the decisions that are traced.")] = 1.0
    timeout_seconds: Annotated[
        float, Meta(gt=0, description="How long the collector may take for a batch before its spans are given up.")
    ] = 5.0


def traces_faults(traces: Traces) -> list[str]:
    """Gives one line a fault, each beginning with the key's path."""
    if traces.url is None:
        return []
    faults: list[str] = []
    if not all(_is_installed(module) for module in _MODULES):
        faults.append("traces.url: needs OpenTelemetry's SDK: pip install 'hookgate[traces]', or take traces out")
    if fault := http_fault(traces.url):
        faults.append(f"traces.url: {fault}")
    if traces.ca is not None and not traces.url.startswith("https:"):
        faults.append("traces.ca: has no effect without an https URL")
    elif traces.ca is not None and not Path(traces.ca).is_file():
        faults.append(f"traces.ca: no such file: {traces.ca}")
    return faults


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False
