"""Batches of many journals, stored together: one at a time of each journal, so that none waits behind another's flood."""

import asyncio
import time
from collections.abc import Callable

from hookgate.collect.appending import Answer, Incoming, append
from hookgate.collect.session import ContentError, Database, DatabaseError

#: Lines that are stored in one transaction, and their bytes, but for one larger batch.
_LINES, _BYTES = 5000, 8 << 20


class BusyError(Exception):
    """A batch is not taken now. `seconds`: when it is worth another try; `is_own`: because of the journal's own."""

    def __init__(self, why: str, seconds: float, *, is_own: bool) -> None:
        super().__init__(why)
        self.seconds = seconds
        self.is_own = is_own


class Batcher:
    """Stores what comes, in rounds. `run` does it until it is cancelled; `told` is given each batch's answer."""

    def __init__(
        self, database: Database, *, forwards: bool, told: Callable[[Incoming, Answer], None] = lambda _, __: None
    ) -> None:
        self._database = database
        self._forwards = forwards
        self._told = told
        #: Each journal's one batch, the oldest first.
        self._waiting: dict[str, tuple[Incoming, asyncio.Future[Answer]]] = {}
        self._stored: set[str] = set()
        self._come = asyncio.Event()
        self.fault = ""

    def has(self, instance: str) -> bool:
        """Whether a batch of a journal is under way."""
        return instance in self._waiting or instance in self._stored

    @property
    def waiting(self) -> int:
        """How many batches wait."""
        return len(self._waiting)

    async def take(self, batch: Incoming) -> Answer:
        """Gives what became of a batch once that is on the disk. Raises BusyError."""
        if self.has(batch.instance):
            raise BusyError("a batch of this journal is under way", 1.0, is_own=True)
        done: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[batch.instance] = (batch, done)
        self._come.set()
        return await done

    async def run(self) -> None:
        """Stores what comes."""
        while True:
            await self._come.wait()
            self._come.clear()
            while self._waiting:
                await self._round()

    async def _round(self) -> None:
        batches: list[tuple[Incoming, asyncio.Future[Answer]]] = []
        lines = size = 0
        for instance in list(self._waiting):
            more = self._waiting[instance][0].lines
            lines, size = lines + len(more), size + sum(len(one.raw) for one in more)
            if batches and (lines > _LINES or size > _BYTES):
                break
            batches.append(self._waiting.pop(instance))
        self._stored = {batch.instance for batch, _ in batches}
        try:
            await self._together(batches)
        finally:
            self._stored = set()
            for _, done in batches:
                if not done.done():
                    done.set_exception(BusyError("the collector ends", 1.0, is_own=False))

    async def _together(self, batches: list[tuple[Incoming, asyncio.Future[Answer]]]) -> None:
        now = time.time_ns() // 1000
        try:
            answers = await append(self._database, [batch for batch, _ in batches], now=now, forwards=self._forwards)
        except ContentError as error:
            if len(batches) > 1:
                # One journal's line is at fault: no other shall wait for it.
                for one in batches:
                    await self._together([one])
                return
            answers = [Answer(422, 0, error=str(error))]
        except DatabaseError as error:
            self.fault = str(error)
            for _, done in batches:
                if not done.done():
                    done.set_exception(BusyError("the store does not take it now", 5.0, is_own=False))
            return
        except Exception as error:  # noqa: BLE001 (raised where it is waited for; others are stored all the same)
            if len(batches) > 1:
                for one in batches:
                    await self._together([one])
            elif not batches[0][1].done():
                batches[0][1].set_exception(error)
            return
        self.fault = ""
        for (batch, done), answer in zip(batches, answers, strict=True):
            self._told(batch, answer)
            if not done.done():
                done.set_result(answer)
