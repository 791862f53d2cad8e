"""What a sink has of a batch that it has not all of."""

from collections.abc import Iterable, Sequence

from hookgate.audit.shipping.shipment import Shipment


class Taken:
    """Remembers lines that arrived although their batch failed, so that they aren't sent again with the rest.

    It holds no more than the batch that is being tried: a line is forgotten with the batch, or the half of it, that is through.
    """

    def __init__(self) -> None:
        self._hashes: set[str] = set()

    def missing(self, batch: Sequence[Shipment]) -> list[Shipment]:
        """Gives those of a batch that haven't arrived."""
        return [shipment for shipment in batch if shipment.hash not in self._hashes]

    def add(self, arrived: Iterable[Shipment]) -> None:
        """These are there."""
        self._hashes.update(shipment.hash for shipment in arrived)

    def through(self, batch: Iterable[Shipment]) -> None:
        """All of a batch is there: it won't come again."""
        self._hashes.difference_update(shipment.hash for shipment in batch)
