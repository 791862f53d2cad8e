"""Memory of a process that runs for long: what the start has made stays out of the collector's way, and what large bodies
took goes back to the system."""

import asyncio
import ctypes
import gc
import sys
from collections.abc import Callable

#: Between collections of what was made last: a decision leaves next to nothing behind that only the collector finds.
_YOUNG = 20_000
#: How long no large body may have come when memory is given back.
_QUIET_SECONDS = 1.0
#: What mallopt(3) is told. By itself glibc takes each large buffer from the system and gives it back at once: for a body of 1 MB
#: that was two fifths of its processor time. Buffers up to so many bytes come from what is kept, and so many are kept, until
#: it is quiet; and threads that digest share what is kept with the one that reads.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_BUFFER_BYTES, _KEPT_BYTES = 8 * 1024 * 1024, 16 * 1024 * 1024


def settle() -> None:
    """Takes all that is there now for permanent: collections then cost what a decision has made, and not what the program is."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, *gc.get_threshold()[1:])


def _keep() -> None:
    mallopt: Callable[[int, int], int] | None = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _BUFFER_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
        mallopt(_M_ARENA_MAX, 1)


def _trim() -> Callable[[int], int] | None:
    """What was freed is kept by glibc until it is told to give it back (malloc_trim(3)); others have no such call."""
    if sys.platform != "linux":
        return None
    found: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return found


class Heap:
    """Gives memory back once it is quiet, off the loop's thread."""

    def __init__(self) -> None:
        self._trim = _trim()
        if self._trim is not None:
            # Only what is given back later is kept.
            _keep()
        self._timer: asyncio.TimerHandle | None = None

    def was_used(self) -> None:
        """Takes note that a large body was dealt with."""
        if self._trim is None:
            return
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(_QUIET_SECONDS, loop.run_in_executor, None, self._trim, 0)
