"""Log records for an OpenTelemetry collector: OTLP over HTTP in its JSON encoding.

Source: https://opentelemetry.io/docs/specs/otlp/#otlphttp and the semantic conventions for attributes' names.
"""

import asyncio
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

import msgspec

from hookgate import __version__
from hookgate.audit.formats import encoded
from hookgate.audit.formats.content import content, identity, mapping, microseconds, text, texts
from hookgate.audit.shipping.shipment import Shipment, SinkRefusedError
from hookgate.audit.sinks.post import Answer, Poster, Target, pieces
from hookgate.audit.sinks.taken import Taken
from hookgate.config.shippers import Format, OtlpShipper

#: `severityNumber` and `severityText`.
_INFO, _WARN, _ERROR = (9, "INFO"), (13, "WARN"), (17, "ERROR")
_SEVERITIES = {
    **dict.fromkeys(("deny", "ask", "defer", "no_match"), _WARN),
    "error": _ERROR,
    **dict.fromkeys(
        ("enforcement_violated", "executed_differs", "unasked", "gap", "policy_lost", "key_changed", "shipper_skipped"),
        _ERROR,
    ),
    **dict.fromkeys(("undelivered", "journal_repair", "answer", "canary", "shipper_refused"), _WARN),
}
#: Members of a record that are attributes, by the names of the semantic conventions, else under `hookgate.`
_ATTRIBUTES = {
    "user": "user.id",
    "session_id": "session.id",
    "remote": "client.address",
    "tool": "gen_ai.tool.name",
    "tool_use_id": "gen_ai.tool.call.id",
    "error": "error.type",
    "outcome": "hookgate.outcome",
    "mode": "hookgate.mode",
    "event": "hookgate.event",
    "policy": "hookgate.policy",
    "type": "hookgate.type",
}


class OtlpSink:
    """Exports a batch in pieces of a few megabytes. What arrived of a batch that failed is not sent again with the rest."""

    def __init__(self, config: OtlpShipper) -> None:
        self._config = config
        self._poster = Poster(Target(config.url, config.headers, config.ca, config.timeout_seconds))
        self._taken = Taken()

    async def open(self) -> None:
        """Makes ready. Raises SinkError where the authorities can't be read."""
        self._poster.open()

    async def send(self, batch: Sequence[Shipment]) -> None:
        """Exports a batch. Raises SinkError or SinkRefusedError, see Sink."""
        missing = self._taken.missing(batch)
        for piece in await asyncio.to_thread(self._pieces, missing):
            body = await asyncio.to_thread(_body, piece)
            answer = await self._poster.post(body, content_type="application/json")
            self._poster.check(answer)
            self._check_partial(answer)
            self._taken.add(shipment for shipment, _ in piece)
        self._taken.through(batch)

    async def close(self) -> None:
        """Lets the connection go."""
        await self._poster.close()

    def _pieces(self, batch: Sequence[Shipment]) -> list[list[tuple[Shipment, bytes]]]:
        return list(pieces((shipment, _log_record(shipment, self._config.format)) for shipment in batch))

    def _check_partial(self, answer: Answer) -> None:
        """A success may say that records in it were rejected, but not which. They are found like any other that is refused;
        those beside them arrive again, with the same `log.record.uid`."""
        partial = mapping(answer.members, "partialSuccess")
        try:
            rejected = int(partial.get("rejectedLogRecords", 0))
        except (ValueError, TypeError):
            return
        if rejected > 0:
            said = self._poster.said(text(partial, "errorMessage"))
            raise SinkRefusedError(f"{self._poster.place} rejected {rejected} records: {said}")


def _log_record(shipment: Shipment, form: Format) -> bytes:
    record = content(shipment)
    kind = text(record, "type") or "unknown"
    number, name = _SEVERITIES.get(text(record, "outcome") or kind, _INFO)
    nanoseconds = str(microseconds(record) * 1000)
    attributes = [_attribute("log.record.uid", identity(shipment))]
    attributes += [_attribute(ours, said) for member, ours in _ATTRIBUTES.items() if (said := text(record, member))]
    attributes.append({"key": "hookgate.seq", "value": {"intValue": str(shipment.seq)}})
    attributes.append(_attribute("hookgate.hash", shipment.hash))
    if roles := texts(record, "roles"):
        values = [{"stringValue": role} for role in roles]
        attributes.append({"key": "user.roles", "value": {"arrayValue": {"values": values}}})
    return msgspec.json.encode(
        {
            "timeUnixNano": nanoseconds,
            "observedTimeUnixNano": nanoseconds,
            "severityNumber": number,
            "severityText": name,
            "eventName": f"hookgate.{kind}",
            "body": {"stringValue": encoded(shipment, form).decode()},
            "attributes": attributes,
        }
    )


def _body(piece: Iterable[tuple[Shipment, bytes]]) -> bytes:
    """Gives the request: records by the Hookgate that made them."""
    resources = [
        {
            "resource": {"attributes": _resource(instance, host)},
            "scopeLogs": [
                {
                    "scope": {"name": "hookgate.audit", "version": __version__},
                    "logRecords": [msgspec.Raw(log_record) for _, log_record in records],
                }
            ],
        }
        for (instance, host), records in groupby(piece, key=lambda item: _origin(item[0]))
    ]
    return msgspec.json.encode({"resourceLogs": resources})


def _origin(shipment: Shipment) -> tuple[str, str]:
    return shipment.instance, text(content(shipment), "host")


def _resource(instance: str, host: str) -> list[dict[str, Any]]:
    said = {
        "service.name": "hookgate",
        "service.version": __version__,
        "service.instance.id": instance,
        "host.name": host,
    }
    return [_attribute(name, value) for name, value in said.items() if value]


def _attribute(name: str, value: str) -> dict[str, Any]:
    return {"key": name, "value": {"stringValue": value}}
