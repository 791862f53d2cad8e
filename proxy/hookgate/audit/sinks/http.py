"""Records posted to a collector: lines of JSON, an array, or the forms of Splunk's HTTP Event Collector and of the bulk API of
Elasticsearch and OpenSearch."""

import asyncio
import hashlib
from collections.abc import Callable, Sequence

from hookgate.audit.formats import encoded
from hookgate.audit.shipping.shipment import Shipment
from hookgate.audit.sinks import elastic, splunk
from hookgate.audit.sinks.post import Answer, Poster, Target, pieces
from hookgate.audit.sinks.taken import Taken
from hookgate.config.shippers import HttpBody, HttpShipper

Piece = Sequence[tuple[Shipment, bytes]]


class HttpSink:
    """Posts a batch in pieces of a few megabytes. What arrived of a batch that failed is not sent again with the rest."""

    def __init__(self, config: HttpShipper) -> None:
        self._config = config
        self._poster = Poster(
            Target(config.url, config.headers, config.ca, config.timeout_seconds, gzip=config.gzip),
        )
        self._taken = Taken()

    async def open(self) -> None:
        """Makes ready. Raises SinkError where the authorities can't be read."""
        self._poster.open()

    async def send(self, batch: Sequence[Shipment]) -> None:
        """Posts a batch. Raises SinkError or SinkRefusedError, see Sink."""
        missing = self._taken.missing(batch)
        for piece in await asyncio.to_thread(self._pieces, missing):
            answer = await self._poster.post(
                self._body(piece), content_type=_CONTENT_TYPES[self._config.body], headers=self._identity(piece)
            )
            self._judge(piece, answer)
        self._taken.through(batch)

    async def close(self) -> None:
        """Lets the connection go."""
        await self._poster.close()

    def _pieces(self, batch: Sequence[Shipment]) -> list[list[tuple[Shipment, bytes]]]:
        encode = self._encoder()
        return list(pieces((shipment, encode(shipment)) for shipment in batch))

    def _encoder(self) -> Callable[[Shipment], bytes]:
        config = self._config
        if config.body is HttpBody.SPLUNK_HEC:
            return lambda shipment: splunk.event(shipment, config.format, config.index)
        if config.body is HttpBody.ELASTIC_BULK:
            return lambda shipment: elastic.operation(shipment, config.format, config.index)
        return lambda shipment: encoded(shipment, config.format)

    def _body(self, piece: Piece) -> bytes:
        parts = [part for _, part in piece]
        if self._config.body is HttpBody.ARRAY:
            return b"[" + b",".join(parts) + b"]"
        return b"\n".join(parts) + b"\n"

    @staticmethod
    def _identity(piece: Piece) -> dict[str, str]:
        """The same lines, sent again together, have the same key: a collector that looks at it takes them once."""
        together = hashlib.sha256("".join(shipment.hash for shipment, _ in piece).encode())
        return {"Idempotency-Key": together.hexdigest()}

    def _judge(self, piece: Piece, answer: Answer) -> None:
        shipments = [shipment for shipment, _ in piece]
        if self._config.body is HttpBody.ELASTIC_BULK:
            elastic.judge(self._poster, answer, shipments, self._taken)
        elif self._config.body is HttpBody.SPLUNK_HEC:
            splunk.judge(self._poster, answer)
        else:
            self._poster.check(answer)
        self._taken.add(shipments)


_CONTENT_TYPES = {
    HttpBody.NDJSON: "application/x-ndjson",
    HttpBody.ARRAY: "application/json",
    HttpBody.SPLUNK_HEC: "application/json",
    HttpBody.ELASTIC_BULK: "application/x-ndjson",
}
