"""From the store to where a company keeps its records: in the order in which lines came, at least once, by one collector."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import structlog

from hookgate.audit.shipping.delivery import Delivery, GivenUpError, Outcome
from hookgate.audit.shipping.reduced import reduced
from hookgate.audit.shipping.shipment import Shipment
from hookgate.audit.shipping.status import ShipperStatus
from hookgate.audit.sinks.making import sink_for
from hookgate.collect.arrivals import Arrival, arrived, lines_of
from hookgate.collect.session import Database, DatabaseError
from hookgate.config.shippers import AnyShipper
from hookgate.ids import uuid7

_POLL_SECONDS, _AGAIN_SECONDS = 0.5, 5.0
#: How long a forwarder keeps its turn without saying so again; another collector may take it then.
_LEASE_SECONDS = 30.0
#: A target that no collector has forwarded to for so long is in no configuration any more, and nothing waits for it.
_FORGOTTEN_SECONDS = 7 * 86400.0
_ARRIVALS = 200
#: How long what is being delivered goes on once a collector ends.
_LAST_SECONDS = 2.0


class Forwarder:
    """Delivers what arrives to one sink. Of several collectors with the same store one does it at a time: it holds a lease in
    the store, by the store's own rows, and says so again with each batch, and while its sink takes none."""

    def __init__(self, shipper: AnyShipper, database: Database, log: structlog.typing.FilteringBoundLogger) -> None:
        self._shipper = shipper
        self._database = database
        self._log = log
        self.name = shipper.called
        self._holder = uuid7()
        self._delivery = Delivery(
            self.name,
            sink_for(shipper, Path()),
            log,
            timeout_seconds=shipper.timeout_seconds,
            patience_seconds=1.0,
        )
        self._number = 0
        #: Whether another one took the turn while something was being delivered.
        self._is_lost = False
        self._shipped = self._refused = self._dropped = self._behind = 0
        self._behind_since: float | None = None

    async def run(self) -> None:
        """Forwards until it is cancelled."""
        try:
            while True:
                pause = _AGAIN_SECONDS
                try:
                    pause = 0.0 if await self._step() else _POLL_SECONDS
                except DatabaseError as error:
                    self._log.error("collect_store_failed", detail=str(error))
                except ValueError as error:
                    self._log.error("collect_store_failed", detail=f"a line is damaged in the store: {error}")
                except GivenUpError:
                    raise
                except Exception as error:  # noqa: BLE001 (whatever happens, it goes on from the last arrival)
                    self._log.error("internal", exc_info=error)
                await asyncio.sleep(pause)
        except GivenUpError:
            pass
        finally:
            await self._delivery.close()

    def status(self) -> ShipperStatus:
        """Gives how it is doing."""
        last, behind = self._delivery.last_success, self._behind_since
        return ShipperStatus(
            name=self.name,
            shipped=self._shipped,
            failures=self._delivery.failures,
            refused=self._refused,
            dropped=self._dropped,
            lag_records=self._behind,
            lag_seconds=max(0.0, time.time() - behind) if behind is not None else 0.0,
            last_success_seconds=time.monotonic() - last if last is not None else -1.0,
            error=self._delivery.error,
        )

    async def _step(self) -> bool:
        """Forwards some; gives whether there may be more at once."""
        if not await self._has_turn():
            return False
        self._is_lost = False
        turn = asyncio.timeout(None)
        try:
            async with turn:
                keeping = asyncio.create_task(self._keep(turn))
                try:
                    return await self._advance()
                finally:
                    keeping.cancel()
        except TimeoutError:
            if not turn.expired():
                raise
            return False

    async def _keep(self, turn: asyncio.Timeout) -> None:
        """Says again and again whose turn it is, and has the work end once another one took it."""
        while True:
            await asyncio.sleep(_LEASE_SECONDS / 3)
            with suppress(DatabaseError):
                if not await self._said():
                    self._is_lost = True
                    turn.reschedule(asyncio.get_running_loop().time())
                    return

    async def _said(self) -> bool:
        async with self._database.transaction() as session:
            rows = await session.rows(
                "UPDATE forwarder SET moved = $1 WHERE name = $2 AND holder = $3 RETURNING number",
                *(_now(), self.name, self._holder),
            )
        return bool(rows)

    async def _advance(self) -> bool:
        arrivals = await arrived(self._database, self._number, _ARRIVALS)
        self._behind = sum(one.last - one.first + 1 for one in arrivals)
        if not arrivals:
            self._behind_since = None
            return False
        self._behind_since = self._behind_since or time.time()
        for one in arrivals:
            if not await self._forward(one):
                return False
            self._behind -= one.last - one.first + 1
        return True

    async def _forward(self, arrival: Arrival) -> bool:
        work = asyncio.ensure_future(self._forwarded(arrival))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            if not self._is_lost:
                # What is on its way may arrive yet: unless that is noted, it comes again.
                await asyncio.wait([work], timeout=_LAST_SECONDS)
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            raise

    async def _forwarded(self, arrival: Arrival) -> bool:
        lines = await lines_of(self._database, arrival)
        self._dropped += arrival.last - arrival.first + 1 - len(lines)
        most = self._shipper.batch_records
        for begin in range(0, len(lines), most):
            await self._deliver(lines[begin : begin + most])
        return await self._moved(arrival.number)

    async def _deliver(self, lines: Sequence[Shipment]) -> None:
        pieces = [list(lines)]
        while pieces:
            piece = pieces.pop()
            outcome = await self._delivery.send(piece)
            if outcome is Outcome.TAKEN:
                self._shipped += len(piece)
            elif len(piece) > 1:
                middle = len(piece) // 2
                pieces += [piece[middle:], piece[:middle]]
            elif await self._delivery.send([reduced(piece[0])]) is Outcome.TAKEN:
                self._refused += 1
                self._shipped += 1
            else:
                self._refused += 1
                self._dropped += 1
                self._log.warning(
                    "ship_refused", shipper=self.name, seq=piece[0].seq, shipped="nothing", detail=self._delivery.error
                )

    async def _has_turn(self) -> bool:
        """Takes or keeps the lease, and takes up where it was left."""
        now = _now()
        async with self._database.transaction() as session:
            await session.rows(
                "INSERT INTO forwarder (name, number, moved, holder)"
                " VALUES ($1, (SELECT COALESCE(MAX(number), 0) FROM arrival), 0, '') ON CONFLICT DO NOTHING",
                self.name,
            )
            rows = await session.rows(
                "UPDATE forwarder SET moved = $1, holder = $2 WHERE name = $3 AND (holder = $4 OR moved < $5) RETURNING number",
                *(now, self._holder, self.name, self._holder, now - int(_LEASE_SECONDS * 1_000_000)),
            )
        if rows:
            self._number = rows[0][0]
        return bool(rows)

    async def _moved(self, number: int) -> bool:
        """Notes how far it has come; false where another one has its turn meanwhile."""
        async with self._database.transaction() as session:
            rows = await session.rows(
                "UPDATE forwarder SET number = $1, moved = $2 WHERE name = $3 AND holder = $4 RETURNING number",
                *(number, _now(), self.name, self._holder),
            )
            # What all have is not asked for again.
            await session.rows("DELETE FROM arrival WHERE number <= (SELECT MIN(number) FROM forwarder)")
        if rows:
            self._number = number
        return bool(rows)

    async def release(self) -> None:
        """Lets another one have its turn at once."""
        with suppress(DatabaseError):
            async with self._database.transaction() as session:
                await session.rows(
                    "UPDATE forwarder SET moved = moved - $1 WHERE name = $2 AND holder = $3",
                    *(round(_LEASE_SECONDS * 1_000_000) * 2, self.name, self._holder),
                )


async def forget_targets(database: Database, names: Sequence[str]) -> None:
    """Lets what came be removed although targets have not got it that are in no configuration any more; `names` are in this
    one. Raises DatabaseError."""
    marks = ", ".join(f"${number}" for number in range(2, len(names) + 2)) or "''"
    async with database.transaction() as session:
        await session.rows(
            f"DELETE FROM forwarder WHERE moved < $1 AND name NOT IN ({marks})",  # noqa: S608 (values are bound)
            *(_now() - round(_FORGOTTEN_SECONDS * 1_000_000), *names),
        )


def _now() -> int:
    return time.time_ns() // 1000
