"""How much somebody may do in a time."""

import time
from collections import OrderedDict
from collections.abc import Callable


class Allowance:
    """So much a second for each name, and so much at once after a rest. Names that were not heard for long are forgotten."""

    def __init__(
        self, a_second: float, burst: float, *, most_names: int = 100_000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._a_second = a_second
        self._burst = burst
        self._most_names = most_names
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_seconds(self, name: str) -> float:
        """Gives how long a name has to wait; 0 where it need not."""
        left = self._now(name)
        return 0.0 if left > 0 else (1 - left) / self._a_second

    def spend(self, name: str, amount: float) -> None:
        """Takes from what a name has; also more than that, which it then waits for."""
        self._left[name] = (self._now(name) - amount, self._clock())
        self._left.move_to_end(name)
        while len(self._left) > self._most_names:
            self._left.popitem(last=False)

    def _now(self, name: str) -> float:
        left, at = self._left.get(name, (self._burst, 0.0))
        return min(self._burst, left + (self._clock() - at) * self._a_second)
