"""What is shipped, and whom it is shipped to."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import msgspec


class SinkError(Exception):
    """A batch was not taken, and may be later: the sink is away, slow or full. The text says what it said, without secrets."""


class SinkRefusedError(SinkError):
    """The sink will never take this batch as it is: a record in it is at fault."""


@dataclass(frozen=True)
class Shipment:
    """A line of the journal on its way."""

    #: The line as it stands in the journal, without its line end.
    line: bytes
    #: Its number in the chain, and its hash in hexadecimal.
    seq: int
    hash: str
    #: The chain's own id: with `seq` it names the line for good.
    instance: str

    @cached_property
    def record(self) -> dict[str, Any]:
        """The line's JSON object, with `seq`, `prev` and `hash`."""
        found: dict[str, Any] = msgspec.json.decode(self.line)
        return found


class Sink(Protocol):
    """Where one shipper delivers to. Its methods are called one at a time, and cancelled when they take too long: nothing
    in them may block the event loop."""

    async def open(self) -> None:
        """Makes ready. Raises SinkError; it is then called again after a pause, also after a failed `send`."""

    async def send(self, batch: Sequence[Shipment]) -> None:
        """Returns once the sink has all of a batch for good. Raises SinkError or SinkRefusedError; then none, some or all may
        have arrived, and the same records come again."""

    async def close(self) -> None:
        """Lets everything go; also after a failure."""


@runtime_checkable
class Keeper(Protocol):
    """A sink that knows what it has: one that was emptied, or is another, can be told by it."""

    async def holds(self, instance: str) -> bool:
        """Whether it has ever got a line of the chain with that id; asked after `open`. Raises SinkError."""
