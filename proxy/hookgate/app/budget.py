"""Room for large bodies, shared by all requests, so that they can't fill the memory together."""

import asyncio
import contextlib
from collections import deque


class ByteBudget:
    """Hands out bytes in the order asked for."""

    def __init__(self, total_bytes: int) -> None:
        self._total = total_bytes
        self._free = total_bytes
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def take(self, wanted_bytes: int) -> int:
        """Waits for room; gives how much was taken, which is to be given back. More than there is in all takes all."""
        size = min(wanted_bytes, self._total)
        if size <= self._free and not self._waiting:
            self._free -= size
            return size
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((size, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give(size)
            else:
                with contextlib.suppress(ValueError):  # whoever gave room back meanwhile has passed it over already
                    self._waiting.remove((size, turn))
                self._wake()
            raise
        return size

    def give(self, size_bytes: int) -> None:
        """Gives room back."""
        self._free += size_bytes
        self._wake()

    def _wake(self) -> None:
        while self._waiting and self._waiting[0][0] <= self._free:
            size, turn = self._waiting.popleft()
            if not turn.done():
                self._free -= size
                turn.set_result(None)
