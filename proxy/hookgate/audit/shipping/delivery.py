"""One sink's batches: tried until they are taken, ever less often while they fail; refused ones are told apart."""

import asyncio
import random
import time
from collections.abc import Sequence
from contextlib import suppress
from enum import Enum

import structlog

from hookgate.audit.shipping.shipment import Keeper, Shipment, Sink, SinkError, SinkRefusedError
from hookgate.harmless import harmless

_FIRST_PAUSE_SECONDS, _LAST_PAUSE_SECONDS = 0.1, 30.0
_LOG_AGAIN_SECONDS = 60.0
_CLOSE_SECONDS = 2.0
_ERROR_CHARACTERS = 300
#: So often a sink's code may stumble over one record, before it is tried with less of it.
_STUMBLES = 3


class Outcome(Enum):
    """What became of a batch."""

    TAKEN = "taken"
    #: A record in it is at fault.
    REFUSED = "refused"
    #: It may be too much at once, or a record in it is at fault: fewer are worth a try.
    TOO_MUCH = "too much"


class GivenUpError(Exception):
    """The sink could not be reached, and the process is about to end."""


class SinkEmptyError(Exception):
    """The sink has nothing of a chain that was delivered to it: it was removed, or another is in its place."""


class Delivery:
    """Delivers to one sink. `patience_seconds`: how long it still tries a sink that fails once it is told to end."""

    def __init__(
        self,
        name: str,
        sink: Sink,
        log: structlog.typing.FilteringBoundLogger,
        *,
        timeout_seconds: float,
        patience_seconds: float,
    ) -> None:
        self._name = name
        self._sink = sink
        self._log = log
        self._timeout_seconds = timeout_seconds
        self._patience_seconds = patience_seconds
        self._is_open = False
        self._ending = asyncio.Event()
        #: Failures in a row, since when, and when the log was told.
        self._row = 0
        self._row_began = self._told = 0.0
        self.failures = 0
        self.error = ""
        self.last_success: float | None = None

    def end(self) -> None:
        """From now on a failure lasts no longer than the patience does."""
        self._ending.set()

    @property
    def is_to_be_asked(self) -> bool:
        """Whether the sink could tell that it has lost what it had, and has not been asked since it was opened."""
        return not self._is_open and isinstance(self._sink, Keeper)

    async def send(self, batch: Sequence[Shipment], instance: str | None = None) -> Outcome:
        """Delivers a batch. Raises GivenUpError once it was told to end and the sink fails; SinkEmptyError where the sink
        should have something of a chain (`instance`), and has nothing."""
        stumbles = 0
        while True:
            ending, is_empty = self._ending.is_set(), False
            try:
                async with asyncio.timeout(self._timeout_seconds):
                    if not self._is_open:
                        await self._sink.open()
                        if instance is not None and isinstance(self._sink, Keeper):
                            is_empty = not await self._sink.holds(instance)
                        self._is_open = True
                    if batch and not is_empty:
                        await self._sink.send(batch)
            except SinkRefusedError as error:
                self.error = harmless(str(error), _ERROR_CHARACTERS)
                return Outcome.REFUSED
            except TimeoutError:
                await self.failed(f"no answer within {self._timeout_seconds:g} s", ending=ending)
                if len(batch) > 1:
                    return Outcome.TOO_MUCH
            except SinkError as error:
                await self.failed(str(error), ending=ending)
            except OSError as error:
                await self.failed(error.strerror or type(error).__name__, ending=ending)
            except Exception as error:  # noqa: BLE001 (a record that the sink's code stumbles over, or a fault of that code)
                await self.failed(type(error).__name__, ending=ending)
                stumbles += 1
                if len(batch) > 1 or stumbles == _STUMBLES:
                    return Outcome.TOO_MUCH
            else:
                self._succeeded()
                if is_empty:
                    raise SinkEmptyError
                return Outcome.TAKEN

    async def failed(self, error: str, *, ending: bool | None = None) -> None:
        """Takes note of a failed attempt and waits before the next. Raises GivenUpError; `ending` tells whether the attempt
        was made after it was told to end."""
        self._is_open = False
        self.failures += 1
        self.error = harmless(error, _ERROR_CHARACTERS)
        at = time.monotonic()
        if not self._row:
            self._row_began = at
        self._row += 1
        if self._row == 1 or at - self._told >= _LOG_AGAIN_SECONDS:
            self._told = at
            self._log.warning("ship_failed", shipper=self._name, detail=self.error, attempts=self._row)
        if ending is None:
            ending = self._ending.is_set()
        if ending and at - self._row_began >= self._patience_seconds:
            raise GivenUpError(self.error)
        pause = min(_LAST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2 ** min(self._row - 1, 16))
        pause *= random.uniform(0.5, 1.0)  # noqa: S311 (several that failed together need not come back together)
        if ending:
            await asyncio.sleep(min(pause, self._patience_seconds / 4))
        else:
            await self.pause(pause)

    async def pause(self, seconds: float) -> None:
        """Waits so long, but not once it was told to end."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._ending.wait(), seconds)

    async def close(self) -> None:
        """Lets the sink go."""
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._sink.close()
        except Exception as error:  # noqa: BLE001 (it is over in any case)
            self._log.info("ship_not_closed", shipper=self._name, exception_type=type(error).__name__)

    def _succeeded(self) -> None:
        self.last_success = time.monotonic()
        if self._row:
            seconds = round(self.last_success - self._row_began, 3)
            self._log.info("ship_recovered", shipper=self._name, attempts=self._row, seconds=seconds)
        self._row, self.error = 0, ""
