"""A sink that could not be made when the shippers began: tried again whenever it is opened, so that the others ship meanwhile."""

from collections.abc import Callable, Sequence

from hookgate.audit.shipping.shipment import Keeper, Shipment, Sink, SinkError


class LateSink:
    """Makes a sink when it is opened, and then is that sink."""

    def __init__(self, make: Callable[[], Sink]) -> None:
        self._make = make
        self._sink: Sink | None = None

    async def open(self) -> None:
        """Makes the sink, unless that was done, and opens it. Raises SinkError."""
        self._sink = self._sink or self._make()
        await self._sink.open()

    async def send(self, batch: Sequence[Shipment]) -> None:
        """Sends a batch. Raises SinkError or SinkRefusedError, see Sink."""
        if self._sink is None:
            raise SinkError("not open")
        await self._sink.send(batch)

    async def holds(self, instance: str) -> bool:
        """Whether it has ever got a line of a chain; one that can't tell is not doubted. Raises SinkError."""
        sink = self._sink
        return sink is None or not isinstance(sink, Keeper) or await sink.holds(instance)

    async def close(self) -> None:
        """Lets the sink go, if there is one."""
        if self._sink is not None:
            await self._sink.close()
