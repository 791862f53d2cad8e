"""Deadlines of what is nearly always done in time: one timer for all of them, which as a rule finds nothing to do."""

import asyncio
import math
from collections.abc import Callable


class Deadline:
    """One of them."""

    __slots__ = ("is_over", "late", "when")

    def __init__(self, when: float, late: Callable[[], object]) -> None:
        self.when = when
        self.late = late
        #: Whether it has passed.
        self.is_over = False


class Deadlines:
    """Deadlines by the clock of the running loop; all of them belong to one loop."""

    def __init__(self) -> None:
        self._open: set[Deadline] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._looks_at = math.inf

    def set(self, when: float, late: Callable[[], object]) -> Deadline:
        """Has `late` called at a time, unless the deadline is lifted before."""
        found = Deadline(when, late)
        self._open.add(found)
        if when < self._looks_at:
            self._look_at(when)
        return found

    def lift(self, deadline: Deadline) -> None:
        """What it was for is done. One that has passed stays so."""
        self._open.discard(deadline)

    def pass_all(self) -> None:
        """Lets all of them pass now."""
        self._pass(math.inf)

    def _look_at(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._looks_at = when
        self._timer = asyncio.get_running_loop().call_at(when, self._look)

    def _look(self) -> None:
        self._timer, self._looks_at = None, math.inf
        self._pass(asyncio.get_running_loop().time())
        if self._open:
            self._look_at(min(deadline.when for deadline in self._open))

    def _pass(self, now: float) -> None:
        for deadline in [one for one in self._open if one.when <= now]:
            self._open.discard(deadline)
            deadline.is_over = True
            deadline.late()
