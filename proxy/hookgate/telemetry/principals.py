"""How many different users there were lately, counted without a label for each of them."""

import time
from collections.abc import Callable

WINDOW_SECONDS = 3600.0
#: Beyond it the one that was seen longest ago is forgotten: a caller may invent names.
MOST = 10_000


class Principals:
    """The users of the last hour, by whether they were verified. `clock` gives seconds that never go back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # In the order in which they were seen last.
        self._seen: dict[bool, dict[str, float]] = {True: {}, False: {}}

    def see(self, user: str, *, verified: bool) -> None:
        """Takes over one request's user; an empty id is nobody."""
        if not user:
            return
        seen = self._seen[verified]
        seen.pop(user, None)
        seen[user] = self._clock()
        if len(seen) > MOST:
            del seen[next(iter(seen))]

    def count(self, *, verified: bool) -> int:
        """Gives how many there were within the window."""
        seen, since = self._seen[verified], self._clock() - WINDOW_SECONDS
        while seen and seen[oldest := next(iter(seen))] < since:
            del seen[oldest]
        return len(seen)
