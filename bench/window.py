"""The stretch of time in which requests count: after the warm-up, for so many seconds."""

import time
from collections.abc import Callable


class WrongAnswerError(Exception):
    """A server answered something else than what is right; says what."""


class Window:
    """Collects how long requests took. Begins with the first request that ends after the warm-up, and ends once so many
    seconds are over and at least `least` requests are in. `mark` is called at both moments (to read processor times).
    """

    def __init__(self, *, warm_seconds: float, seconds: float, least: int, mark: Callable[[], None]) -> None:
        self._seconds = seconds
        self._least = least
        self._mark = mark
        self._opens = time.perf_counter() + warm_seconds
        self._begun = 0.0
        self._ended = 0.0
        self.taken_seconds: list[float] = []

    @property
    def elapsed_seconds(self) -> float:
        """From the beginning of the window to its end."""
        return self._ended - self._begun

    def took(self, begun: float, ended: float) -> bool:
        """Takes note of one request (times of time.perf_counter()); gives whether to go on."""
        if self._ended:
            return False
        if not self._begun:
            if ended >= self._opens:
                self._begun = ended
                self._mark()
            return True
        self.taken_seconds.append(ended - begun)
        if ended - self._begun >= self._seconds and len(self.taken_seconds) >= self._least:
            self._ended = ended
            self._mark()
            return False
        return True
