"""Work that takes milliseconds, one piece at a time: small decisions wait for one such piece and not for all."""

import asyncio
from types import TracebackType

#: Bodies up to this size are light: what is done with them waits for no turn.
LIGHT_BYTES = 4096


class Turn:
    """An asynchronous context for one piece of work. After it, everything else that is ready gets its turn before the next
    one that waits here, in the order of asking."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    async def __aenter__(self) -> None:
        await self._lock.acquire()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            # Without this the lock would never be seen taken: the work itself awaits nothing.
            await asyncio.sleep(0)
        finally:
            self._lock.release()
