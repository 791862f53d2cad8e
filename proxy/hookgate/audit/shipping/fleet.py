"""All shippers of one journal, in one process."""

import asyncio
import os
from pathlib import Path

import structlog

from hookgate.audit.chain import taken_apart
from hookgate.audit.recovery import lines_from_end
from hookgate.audit.segments import first_seq, segment_paths
from hookgate.audit.shipping.courier import Courier
from hookgate.audit.shipping.exclusive import only_shipper
from hookgate.audit.shipping.status import ShipperStatus, Status
from hookgate.audit.sinks.making import sink_for
from hookgate.audit.worker import Worker
from hookgate.config.audit import Audit

#: How old an undelivered record is when the log is told.
_LAG_SECONDS = 60.0


class Fleet:
    """Runs the shippers, each by itself. `open` first, then `run`; `end` lets it return when all is delivered."""

    def __init__(
        self, audit: Audit, log: structlog.typing.FilteringBoundLogger, *, patience_seconds: float = 1.0
    ) -> None:
        self._directory = Path(audit.directory)
        self._shippers = audit.shippers
        self._log = log
        self._patience_seconds = patience_seconds
        self._couriers: list[Courier] = []
        self._worker = Worker("ship-status")
        self._lock = -1
        self._end_seq = 0
        self._lagging: set[str] = set()

    def open(self) -> None:
        """Takes the journal for this process, and makes the sinks; connects to none: what fails with one of them
        concerns no other. Raises OSError, TakenError where another process ships it."""
        if self._lock < 0:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = only_shipper(self._directory)
        self._couriers = [
            Courier(
                shipper,
                self._directory,
                sink_for(shipper, self._directory),
                self._log,
                patience_seconds=self._patience_seconds,
            )
            for shipper in self._shippers
        ]

    async def run(self) -> None:
        """Ships until it is told to end and all is delivered, or given up."""
        await asyncio.gather(*(courier.run() for courier in self._couriers))

    def end(self, *, is_closed: bool) -> None:
        """Has it end when all is delivered. `is_closed`: nothing more is written to the journal, so that all of it counts."""
        for courier in self._couriers:
            courier.end(is_closed=is_closed)

    async def status(self) -> Status:
        """Gives how the shippers are doing; tells the log of those that are far behind."""
        try:
            self._end_seq = await self._worker(last_seq, self._directory)
        except OSError as error:
            self._log.warning("journal_not_read", detail=error.strerror)
        found = tuple(courier.status(self._end_seq) for courier in self._couriers)
        for one in found:
            self._tell_lag(one)
        return Status(shippers=found)

    def close(self) -> None:
        """Lets the journal go."""
        self._worker.close()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _tell_lag(self, one: ShipperStatus) -> None:
        if one.lag_seconds < _LAG_SECONDS:
            self._lagging.discard(one.name)
        elif one.name not in self._lagging:
            self._lagging.add(one.name)
            self._log.warning(
                "ship_lagging", shipper=one.name, records=one.lag_records, seconds=one.lag_seconds, detail=one.error
            )


def last_seq(directory: Path) -> int:
    """Gives the number of a journal's last line; 0 where there is none. Raises OSError."""
    paths = segment_paths(directory)
    for line in lines_from_end(paths[-1:]):
        parts = taken_apart(line)
        if parts is not None:
            return parts.seq
    return first_seq(paths[-1]) - 1 if paths else 0
