"""The open connections to a collector: who says nothing, or nothing that proves who it is, keeps none for long."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Protocol

#: How long one may be open before anything came on it that proves who it is, or since that.
_UNPROVEN_SECONDS, _QUIET_SECONDS = 60.0, 180.0
#: Of one journal. A shipper has one; there may be several for a while where the network breaks them.
_OF_ONE = 8
_LOOK_SECONDS = 1.0


class Handler(Protocol):
    """What speaks HTTP on one connection."""

    @property
    def transport(self) -> asyncio.Transport | None:
        """None once it has ended."""


class Lines:
    """All of them. `most`: how many may be open; beyond that the oldest go that have proved nothing."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._since: dict[Handler, float] = {}
        #: Whose it is, and when that was proved last.
        self._proven: dict[Handler, tuple[str, float]] = {}

    def prove(self, handler: Handler | None, instance: str) -> None:
        """A journal's credential came on it."""
        if handler is not None:
            self._proven[handler] = instance, self._clock()

    async def run(self, handlers: Callable[[], Iterable[Handler]]) -> None:
        """Looks at those that are open until it is cancelled."""
        while True:
            self.look(handlers())
            await asyncio.sleep(_LOOK_SECONDS)

    def look(self, handlers: Iterable[Handler]) -> None:
        """Closes those that are open for too long, or too many."""
        now = self._clock()
        # Those that are open, the oldest first.
        there = dict.fromkeys(handlers)
        self._since = {one: at for one, at in self._since.items() if one in there}
        for one in there:
            self._since.setdefault(one, now)
        self._proven = {one: proof for one, proof in self._proven.items() if one in there}
        unproven = [one for one in self._since if one not in self._proven]
        gone = {one for one in unproven if now - self._since[one] > _UNPROVEN_SECONDS}
        of_journal: dict[str, list[tuple[float, Handler]]] = defaultdict(list)
        for one, (instance, at) in self._proven.items():
            of_journal[instance].append((at, one))
            if now - at > _QUIET_SECONDS:
                gone.add(one)
        for several in of_journal.values():
            gone.update(one for _, one in sorted(several, key=lambda pair: pair[0])[:-_OF_ONE])
        over = len(there) - len(gone) - self._most
        if over > 0:
            gone.update([one for one in unproven if one not in gone][:over])
        for one in gone:
            if one.transport is not None:
                one.transport.abort()
