"""Sinks for tests: they take what they are told to take."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from hookgate.audit.shipping.shipment import Shipment, SinkError, SinkRefusedError

Refuses = Callable[[dict[str, Any]], bool]


@dataclass
class FakeSink:
    """Keeps what it takes, by number in the chain: delivering twice adds nothing."""

    refuses: Refuses = lambda record: False
    #: What the next attempts fail with.
    fails: list[Exception] = field(default_factory=list)
    hangs: bool = False
    taken: list[Shipment] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    opened: int = 0
    closed: int = 0

    async def open(self) -> None:
        self.opened += 1

    async def send(self, batch: Sequence[Shipment]) -> None:
        self.batches.append(len(batch))
        if self.hangs:
            await asyncio.Event().wait()
        if self.fails:
            raise self.fails.pop(0)
        if any(self.refuses(shipment.record) for shipment in batch):
            raise SinkRefusedError("it says no")
        self.taken += batch

    async def close(self) -> None:
        self.closed += 1

    @property
    def lines(self) -> list[bytes]:
        """What has come, each once, in the order of the chain."""
        found = {shipment.seq: shipment.line for shipment in self.taken}
        return [found[seq] for seq in sorted(found)]


def away() -> SinkError:
    """Gives what a sink fails with that is away."""
    return SinkError("nobody there")
