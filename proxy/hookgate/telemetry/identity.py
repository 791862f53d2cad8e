"""Metrics and log lines of the sources of identity."""

import time

import structlog

from hookgate.telemetry.metrics import Metrics

#: How often one header is named that clients don't fill in.
_AGAIN_SECONDS = 600.0


class IdentityWatch:
    """Takes over what the sources tell."""

    def __init__(self, metrics: Metrics, log: structlog.typing.FilteringBoundLogger) -> None:
        self._metrics = metrics
        self._log = log
        self._named: dict[str, float] = {}
        self._failing: dict[str, str] = {}

    def file_taken(self, path: str) -> None:
        """Tells that a changed file counts."""
        self._log.info("identity_file_taken", path=path)

    def file_refused(self, path: str, why: str) -> None:
        """Tells that a changed file is broken."""
        self._log.error("identity_file_refused", path=path, detail=why)

    def keys_fetched(self, issuer: str, count: int) -> None:
        """Counts; tells the first success after failures."""
        self._metrics.key_fetches.labels("ok").inc()
        if self._failing.pop(issuer, None) is not None:
            self._log.info("keys_fetched", issuer=issuer, count=count)

    def keys_failed(self, issuer: str, why: str) -> None:
        """Counts; tells each reason once in a row."""
        self._metrics.key_fetches.labels("failed").inc()
        if self._failing.get(issuer) != why:
            self._log.error("keys_failed", issuer=issuer, detail=why)
        self._failing[issuer] = why

    def unfilled(self, header: str) -> None:
        """Tells once in a while; every call of such a client has it."""
        now = time.monotonic()
        if now >= self._named.get(header, float("-inf")) + _AGAIN_SECONDS:
            self._named[header] = now
            self._log.warning(
                "identity_header_empty",
                header=header,
                mend="list the variable in the hook's allowedEnvVars, in capitals and without a default",
            )
