"""A store as a collector writes to it: the same statements for each kind, several of them in one transaction."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from hookgate.audit.shipping.shipment import Shipment

Row = Sequence[Any]


class DatabaseError(Exception):
    """The database did not do what it was asked, and may later. One line without secrets."""


class ContentError(DatabaseError):
    """The database will never take what it was given."""


class Session(Protocol):
    """A transaction that is open. Values in statements are $1, $2, …, each used once and in order."""

    async def rows(self, sql: str, *values: object) -> list[Row]:
        """Gives the rows of a statement. Raises DatabaseError."""

    async def store(self, batch: Sequence[Shipment]) -> None:
        """Stores lines as the store's shipper does; once in a transaction. Raises DatabaseError."""


class Database(Protocol):
    """A store that is open for writing."""

    #: What is put behind a SELECT whose rows are about to be changed.
    for_update: str

    async def open(self) -> None:
        """Makes ready, the tables included. Raises DatabaseError."""

    def transaction(self) -> AbstractAsyncContextManager[Session]:
        """Gives a transaction: what is done in it is on the disk when it ends, or not there at all. Raises DatabaseError."""

    async def expire(self) -> None:
        """Removes what is old enough to go. Raises DatabaseError."""

    async def close(self) -> None:
        """Lets go."""
