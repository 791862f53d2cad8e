"""Standard output as a sink: one line a record, for whatever collects it."""

import os
from collections.abc import Sequence

from hookgate.audit.shipping.shipment import Shipment, SinkError
from hookgate.audit.sinks.messages import as_lines
from hookgate.audit.worker import Worker
from hookgate.config.shippers import StdoutShipper

_STDOUT = 1


class StdoutSink:
    """Writes to standard output. A reader that pauses delays it, and never loses half a line."""

    def __init__(self, shipper: StdoutShipper, file: int = _STDOUT) -> None:
        self._format = shipper.format
        self._file = file
        self._worker = Worker("ship-stdout")

    async def open(self) -> None:
        """Nothing: it is open."""

    async def send(self, batch: Sequence[Shipment]) -> None:
        """Writes a batch. Raises SinkError."""
        data = as_lines(batch, self._format)
        try:
            await self._worker(self._write, data)
        except OSError as error:
            raise SinkError(f"standard output: {error.strerror}") from None

    async def close(self) -> None:
        """Nothing: others may still write there."""
        self._worker.close()

    def _write(self, data: bytes) -> None:
        """A batch that nobody waits for any more is still written whole, before it comes again."""
        view = memoryview(data)
        while view:
            view = view[os.write(self._file, view) :]
