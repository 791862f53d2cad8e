"""What comes over a connection, as far as it is wanted."""

from typing import Protocol


class Readable(Protocol):
    """What can be read from, some bytes at a time."""

    async def read(self, n: int = -1) -> bytes:
        """Gives at most so many bytes, as soon as there are any; none at the end."""


async def first_of(stream: Readable, most: int) -> bytes:
    """Gives all that comes up to the end, or the first `most` bytes. One `read` gives what has arrived by then, which may be
    half of it."""
    found = bytearray()
    while len(found) < most and (some := await stream.read(most - len(found))):
        found += some
    return bytes(found)
