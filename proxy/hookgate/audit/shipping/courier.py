"""One shipper at work: from the journal to its sink, at least once, with a cursor that moves only behind what the sink has."""

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import structlog

from hookgate.audit.segments import first_seq, segment_paths
from hookgate.audit.shipping.cursor import Cursor, CursorError, load_cursor, remove_cursor, save_cursor
from hookgate.audit.shipping.delivery import Delivery, GivenUpError, Outcome, SinkEmptyError
from hookgate.audit.shipping.notes import TYPES, NoteWriter
from hookgate.audit.shipping.reader import Oddity, Read, Reader
from hookgate.audit.shipping.reduced import reduced, type_and_id
from hookgate.audit.shipping.shipment import Shipment, Sink
from hookgate.audit.shipping.status import ShipperStatus
from hookgate.audit.worker import Worker
from hookgate.config.shippers import Shipper

#: Most bytes of records that are held at once, but for a single larger one.
BATCH_BYTES = 1024 * 1024
_POLL_SECONDS = 0.25
#: A sink that refuses more records than that, even their metadata, and takes none in between, refuses not the records: it is
#: set up wrongly, and what comes to it waits.
_MOST_DROPPED_IN_A_ROW = 10


class Courier:
    """Ships one journal to one sink, until it is told to end and all is delivered. `patience_seconds`: how long it then still
    tries a sink that fails."""

    def __init__(
        self,
        shipper: Shipper,
        directory: Path,
        sink: Sink,
        log: structlog.typing.FilteringBoundLogger,
        *,
        patience_seconds: float = 1.0,
    ) -> None:
        self._shipper = shipper
        self._directory = directory
        self._log = log
        self.name = shipper.called
        self._delivery = Delivery(
            self.name, sink, log, timeout_seconds=shipper.timeout_seconds, patience_seconds=patience_seconds
        )
        self._worker = Worker(f"ship-{self.name}")
        self._notes = NoteWriter(directory)
        self._reader: Reader | None = None
        self._cursor: Cursor | None = None
        self._is_saved = True
        #: Most records that the sink is given at once: fewer where it was too slow for more.
        self._most = shipper.batch_records
        self._ending = self._is_closed = False
        #: Begun again for an empty sink, which has taken nothing yet: it is not asked again until it has.
        self._is_begun_again = False
        #: The time of the oldest record that is not delivered yet; None where there is none.
        self._behind_since: float | None = None
        self._shipped = self._refused = self._dropped = self._dropped_in_a_row = 0

    def end(self, *, is_closed: bool) -> None:
        """Has it end when all is delivered. `is_closed`: nothing more is written to the journal, so that all of it counts."""
        self._ending, self._is_closed = True, is_closed
        self._delivery.end()

    async def run(self) -> None:
        """Ships until the end; raises nothing but what cancels it."""
        try:
            while await self._guarded(self._step):
                pass
        except GivenUpError:
            pass
        finally:
            # The worker may still be reading.
            self._worker.close(self._reader.close if self._reader is not None else None)
            await self._delivery.close()

    def status(self, end_seq: int) -> ShipperStatus:
        """Gives how it is doing, with the number of the journal's last line."""
        last = self._delivery.last_success
        behind = self._behind_since
        return ShipperStatus(
            name=self.name,
            shipped=self._shipped,
            failures=self._delivery.failures,
            refused=self._refused,
            dropped=self._dropped,
            lag_records=max(0, end_seq - (self._cursor.seq if self._cursor is not None else 0)),
            lag_seconds=round(max(0.0, time.time() - behind), 3) if behind is not None else 0.0,
            last_success_seconds=round(time.monotonic() - last, 3) if last is not None else -1.0,
            error=self._delivery.error,
        )

    async def _guarded(self, step: Callable[[], Any]) -> bool:
        """A fault that is not the sink's stops nothing for good: it is tried again, from the last line that was delivered."""
        try:
            return bool(await step())
        except GivenUpError:
            raise
        except OSError as error:
            fault = f"{error.filename or self._directory}: {error.strerror or type(error).__name__}"
        except Exception as error:  # noqa: BLE001 (whatever happens, the shipper goes on)
            self._log.error("internal", shipper=self.name, exc_info=error)
            fault = type(error).__name__
        if self._reader is not None:
            with suppress(OSError):
                self._reader.close()
            self._reader = Reader(self._directory, self._cursor)
        await self._delivery.failed(fault)
        return True

    async def _step(self) -> bool:
        try:
            return await self._round()
        except SinkEmptyError:
            await self._begin_again()
            return True

    async def _begin_again(self) -> None:
        """The sink has lost what it had: it gets all that the journal still has. The cursor goes first, so that retention
        leaves that alone, and the same is done again if this process ends meanwhile."""
        had = self._cursor.seq if self._cursor is not None else 0
        first = await self._worker(self._forget)
        self._cursor, self._reader, self._is_begun_again = None, Reader(self._directory, None), True
        await self._odd(Oddity("sink_empty", first, had))

    def _forget(self) -> int:
        """Lets the cursor and the journal go; gives the number of the journal's first line."""
        remove_cursor(self._directory, self.name)
        if self._reader is not None:
            self._reader.close()
        paths = segment_paths(self._directory)
        return first_seq(paths[0]) if paths else 0

    def _expected(self) -> str | None:
        """Gives the chain that the sink should have something of."""
        return self._cursor.instance if self._cursor is not None and not self._is_begun_again else None

    async def _round(self) -> bool:
        """Ships what is there; False at the end."""
        if self._reader is None:
            self._reader = await self._begun()
        ending, is_closed = self._ending, self._is_closed
        read = await self._worker(self._reader.read, self._most, BATCH_BYTES, settled=is_closed)
        for oddity in read.oddities:
            await self._odd(oddity)
        if read.end is None:
            self._behind_since = None
            if not self._is_saved and self._cursor is not None:
                await self._arrived(self._cursor)
            if self._expected() is not None and self._delivery.is_to_be_asked:
                await self._delivery.send((), self._expected())
            if ending:
                return False
            await self._delivery.pause(_POLL_SECONDS)
            return True
        if read.shipments:
            self._behind_since = _time_of(read.shipments[0])
            await self._deliver(read)
        if self._cursor is None or read.end.offset != self._cursor.offset or read.end.segment != self._cursor.segment:
            await self._arrived(read.end)
        return True

    async def _begun(self) -> Reader:
        try:
            self._cursor = await self._worker(load_cursor, self._directory, self.name)
        except CursorError:
            self._cursor = None
            await self._odd(Oddity("cursor_damaged", 0, 0))
        return Reader(self._directory, self._cursor)

    async def _deliver(self, read: Read) -> None:
        """Delivers what was read, in pieces where it must be."""
        pieces = [(0, len(read.shipments))]
        while pieces:
            begin, end = pieces.pop()
            outcome = await self._delivery.send(read.shipments[begin:end], self._expected())
            if outcome is Outcome.TAKEN:
                self._most = min(self._shipper.batch_records, self._most * 2)
                self._shipped += end - begin
                self._dropped_in_a_row, self._is_begun_again = 0, False
            elif end - begin > 1:
                middle = (begin + end) // 2
                pieces += [(middle, end), (begin, middle)]
                if outcome is Outcome.TOO_MUCH:
                    self._most = max(1, middle - begin)
                continue
            elif not await self._without(read.shipments[begin]):
                pieces.append((begin, end))
                continue
            await self._arrived(read.cursors[end - 1])

    async def _without(self, shipment: Shipment) -> bool:
        """Ships a record's metadata and digest in its place; False where it is not known whether the record is at fault."""
        error = self._delivery.error
        second = await self._delivery.send([reduced(shipment)], self._expected())
        is_taken = second is Outcome.TAKEN
        if second is Outcome.TOO_MUCH:
            # It stumbles over anything, so that nothing speaks against this record.
            return False
        if not is_taken and self._dropped_in_a_row >= _MOST_DROPPED_IN_A_ROW:
            await self._delivery.failed(f"refuses everything: {error}")
            return False
        self._dropped_in_a_row = 0 if is_taken else self._dropped_in_a_row + 1
        self._is_begun_again = self._is_begun_again and not is_taken
        self._refused += 1
        self._shipped += is_taken
        self._dropped += not is_taken
        kind, record = type_and_id(shipment)
        shipped = "reduced" if is_taken else "nothing"
        self._log.warning(
            "ship_refused", shipper=self.name, record=record, seq=shipment.seq, shipped=shipped, detail=error
        )
        if kind not in TYPES:
            # A note that is refused would else lead to another.
            await self._noted(
                lambda: self._notes.note(
                    "shipper_refused",
                    {
                        "shipper": self.name,
                        "record": record,
                        "seq": shipment.seq,
                        "hash": shipment.hash,
                        "shipped": shipped,
                        "error": error,
                    },
                )
            )
        return True

    async def _odd(self, odd: Oddity) -> None:
        name, why, first, last = self.name, odd.why, odd.first_seq, odd.last_seq
        self._dropped += odd.left_out
        if odd.left_out:
            self._log.error("ship_skipped", shipper=name, why=why, first_seq=first, last_seq=last)
            await self._noted(
                lambda: self._notes.note(
                    "shipper_skipped", {"shipper": name, "why": why, "first_seq": first, "last_seq": last}
                )
            )
        else:
            self._log.error("ship_restarted", shipper=name, why=why, first_seq=first, last_seq=last)
            await self._noted(
                lambda: self._notes.note(
                    "shipper_restarted", {"shipper": name, "why": why, "first_seq": first, "last_seq": last}
                )
            )

    async def _arrived(self, cursor: Cursor) -> None:
        """What can't be noted is still shipped: at worst it is shipped again after a restart."""
        self._cursor = cursor
        try:
            await self._worker(save_cursor, self._directory, self.name, cursor)
        except OSError as error:
            if self._is_saved:
                self._log.error("cursor_not_saved", shipper=self.name, detail=error.strerror)
            self._is_saved = False
        else:
            self._is_saved = True

    async def _noted(self, leave: Callable[[], object]) -> None:
        try:
            await self._worker(leave)
        except OSError as error:
            self._log.error("note_not_left", shipper=self.name, detail=error.strerror)


class _Timed(msgspec.Struct, frozen=True):
    time: str


def _time_of(shipment: Shipment) -> float:
    """In seconds since the epoch."""
    try:
        return datetime.fromisoformat(msgspec.json.decode(shipment.line, type=_Timed).time).timestamp()
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, RecursionError):
        return time.time()
