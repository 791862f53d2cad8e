"""A thread for what may block for ever: a hung disk or a full pipe then holds up one shipper, and no process's end."""

import asyncio
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Worker:
    """Runs one call after another. A call that nobody waits for any more still ends before the next begins."""

    def __init__(self, name: str) -> None:
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    async def __call__(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Gives what the function gives, or raises what it raises."""
        if self._thread.ident is None:
            self._thread.start()
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()

        def call() -> None:
            try:
                found = function(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001 (it is raised where it is waited for)
                _tell(loop, done, done.set_exception, error)
            else:
                _tell(loop, done, done.set_result, found)

        self._calls.put(call)
        return await done

    def close(self, last: Callable[[], None] | None = None) -> None:
        """Lets the thread end after what it is at, and after `last`."""
        if self._thread.ident is not None:
            self._calls.put(last)
            self._calls.put(None)
        elif last is not None:
            last()

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            with suppress(OSError):
                call()


def _tell(
    loop: asyncio.AbstractEventLoop, done: "asyncio.Future[T]", how: Callable[..., None], found: T | BaseException
) -> None:
    def tell() -> None:
        if not done.done():
            how(found)

    # The loop is gone when the process ends first.
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(tell)
