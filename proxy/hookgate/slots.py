"""Room for decisions under way: in all, for heavy ones, and for one caller."""

import asyncio
import contextlib
from collections import deque
from types import TracebackType

from hookgate.config.tree import Decision

#: What is made of a body that is not light takes up to a megabyte, and is held until the PDP has answered.
_HEAVY_SHARE = 4
#: What one caller may take of all slots, where nothing is said: others find room beside one that floods.
_CALLER_SHARE = 2


class _Share:
    """So many slots, in the order of asking. While somebody waits none is free: one that is given back goes to the first."""

    __slots__ = ("_free", "_waiting")

    def __init__(self, most: int) -> None:
        self._free = most
        self._waiting: deque[asyncio.Future[None]] | None = None

    def take_at_once(self) -> bool:
        """Takes a slot, if there is one."""
        if not self._free:
            return False
        self._free -= 1
        return True

    async def take(self) -> None:
        """Waits for a slot, and takes it."""
        if self.take_at_once():
            return
        if self._waiting is None:
            self._waiting = deque()
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                # Unless it was passed over already.
                with contextlib.suppress(ValueError):
                    self._waiting.remove(turn)
            else:
                # It came at the same moment.
                self.give()
            raise

    def give(self) -> None:
        """Gives a slot back."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1


class _Caller:
    """One who asks."""

    __slots__ = ("heavy", "requests", "slots")

    def __init__(self, slots: int) -> None:
        self.slots = _Share(slots)
        #: Its own heavy ones must not hold its share while they wait for each other: its small ones would wait behind them.
        self.heavy: _Share | None = None
        #: Requests that hold a slot or wait for one; without any, the entry goes.
        self.requests = 0


class Slots:
    """Hands out slots, first come, first served."""

    def __init__(self, config: Decision) -> None:
        most = config.max_in_flight
        self._all = _Share(most)
        self._heavy = _Share(max(1, most // _HEAVY_SHARE))
        self._for_one = config.max_in_flight_per_principal or max(1, most // _CALLER_SHARE)
        #: No larger than the number of requests that are open.
        self._callers: dict[str, _Caller] = {}

    def callers(self) -> int:
        """How many callers are remembered."""
        return len(self._callers)

    def taken(self, caller: str, *, heavy: bool) -> "_Slot":
        """Waits for a slot and holds it (`async with`). Who waits for its own share holds nothing that others wait for."""
        entry = self._callers.get(caller)
        if entry is None:
            entry = self._callers[caller] = _Caller(self._for_one)
        entry.requests += 1
        if not heavy:
            return _Slot(self, caller, entry, (entry.slots, self._all))
        if entry.heavy is None:
            entry.heavy = _Share(max(1, self._for_one // _HEAVY_SHARE))
        return _Slot(self, caller, entry, (entry.heavy, entry.slots, self._heavy, self._all))

    def left(self, caller: str, entry: _Caller) -> None:
        """Takes note that a request of a caller has ended."""
        entry.requests -= 1
        if not entry.requests:
            del self._callers[caller]


class _Slot:
    """A slot, of each share that it counts in."""

    __slots__ = ("_caller", "_entry", "_held", "_shares", "_slots")

    def __init__(self, slots: Slots, caller: str, entry: _Caller, shares: tuple[_Share, ...]) -> None:
        self._slots = slots
        self._caller = caller
        self._entry = entry
        self._shares = shares
        self._held = 0

    async def __aenter__(self) -> None:
        try:
            for share in self._shares:
                if not share.take_at_once():
                    await share.take()
                self._held += 1
        except BaseException:
            self._leave()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._leave()

    def _leave(self) -> None:
        for share in self._shares[: self._held]:
            share.give()
        self._slots.left(self._caller, self._entry)
