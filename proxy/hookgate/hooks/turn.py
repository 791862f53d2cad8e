"""Work that takes milliseconds, one piece at a time: small decisions wait for one such piece and not for all."""

import asyncio
import time
from types import TracebackType

#: Bodies up to this size are light: what is done with them waits for no turn.
LIGHT_BYTES = 4096
#: After a piece as long as the first, nobody gets the turn for so long: while something is always ready to run, uvloop does
#: not look at its sockets (measured: for as long as twenty bodies took, half a second).
_LONG_SECONDS, _PAUSE_SECONDS = 0.001, 0.001


class Turn:
    """An asynchronous context for one piece of work. After it, everything else that is ready gets its turn before the next
    one that waits here, in the order of asking."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._begun = 0.0

    async def __aenter__(self) -> None:
        await self._lock.acquire()
        self._begun = time.perf_counter()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if time.perf_counter() - self._begun > _LONG_SECONDS:
            # Whoever has had the turn goes on meanwhile.
            asyncio.get_running_loop().call_later(_PAUSE_SECONDS, self._lock.release)
            return
        try:
            # Without this the lock would never be seen taken: the work itself awaits nothing.
            await asyncio.sleep(0)
        finally:
            self._lock.release()
