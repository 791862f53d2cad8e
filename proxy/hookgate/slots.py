"""Room for decisions under way: in all, for heavy ones, and for one caller."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass

from hookgate.config.tree import Decision

#: What is made of a body that is not light takes up to a megabyte, and is held until the PDP has answered.
_HEAVY_SHARE = 4
#: What one caller may take of all slots, where nothing is said: others find room beside one that floods.
_CALLER_SHARE = 2


@dataclass(slots=True)
class _Caller:
    slots: asyncio.Semaphore
    #: Its own heavy ones must not hold its share while they wait for each other: its small ones would wait behind them.
    heavy: asyncio.Semaphore
    #: Requests that hold a slot or wait for one; without any, the entry goes.
    requests: int = 0


class Slots:
    """Hands out slots, first come, first served."""

    def __init__(self, config: Decision) -> None:
        most = config.max_in_flight
        self._all = asyncio.Semaphore(most)
        self._heavy = asyncio.Semaphore(max(1, most // _HEAVY_SHARE))
        self._for_one = config.max_in_flight_per_principal or max(1, most // _CALLER_SHARE)
        #: No larger than the number of requests that are open.
        self._callers: dict[str, _Caller] = {}

    def callers(self) -> int:
        """How many callers are remembered."""
        return len(self._callers)

    @asynccontextmanager
    async def taken(self, caller: str, *, heavy: bool) -> AsyncIterator[None]:
        """Waits for a slot and holds it. Who waits for its own share holds nothing that others wait for."""
        entry = self._callers.get(caller)
        if entry is None:
            entry = self._callers[caller] = _Caller(
                asyncio.Semaphore(self._for_one), asyncio.Semaphore(max(1, self._for_one // _HEAVY_SHARE))
            )
        entry.requests += 1
        try:
            async with (
                entry.heavy if heavy else nullcontext(),
                entry.slots,
                self._heavy if heavy else nullcontext(),
                self._all,
            ):
                yield
        finally:
            entry.requests -= 1
            if not entry.requests:
                del self._callers[caller]
