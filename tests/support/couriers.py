"""A courier of the tests' own: delivers a batch as the real one does, without its pauses."""

import asyncio
from collections.abc import Sequence

from hookgate.audit.shipping.shipment import Shipment, Sink, SinkError, SinkRefusedError


async def delivered(
    sink: Sink, batch: Sequence[Shipment], *, tries: int = 100, seconds: float = 10.0
) -> list[Shipment]:
    """Delivers a batch, however often it has to be tried, and gives the records that the sink refuses for good."""
    for _ in range(tries):
        try:
            async with asyncio.timeout(seconds):
                await sink.open()
                await sink.send(batch)
        except SinkRefusedError:
            if len(batch) == 1:
                return list(batch)
            middle = len(batch) // 2
            return [
                one for half in (batch[:middle], batch[middle:]) for one in await delivered(sink, half, seconds=seconds)
            ]
        except (SinkError, TimeoutError):
            await asyncio.sleep(0.02)
        else:
            return []
    raise AssertionError(f"not delivered in {tries} tries")
