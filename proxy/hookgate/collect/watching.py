"""How the fleet stands, counted now and then for metrics."""

import asyncio
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog

from hookgate.audit.fleet.expected import ExpectedError, Inventory
from hookgate.audit.fleet.standing import counted
from hookgate.audit.fleet.survey import survey
from hookgate.audit.sinks.making import store_path
from hookgate.audit.store.opening import open_store
from hookgate.audit.store.question import StoreError
from hookgate.config import Config
from hookgate.config.shippers import PostgresShipper, SqliteShipper
from hookgate.telemetry.collecting import CollectMetrics

_SECONDS = 30.0
_QUESTION_SECONDS = 20.0
#: For so long a finding counts.
_FINDINGS = timedelta(days=7)


async def watch(
    config: Config,
    store: SqliteShipper | PostgresShipper,
    metrics: CollectMetrics,
    log: structlog.typing.FilteringBoundLogger,
) -> None:
    """Counts until it is cancelled. What can't be counted is not told: its absence is."""
    inventory = Inventory(Path(config.collect.expected) if config.collect.expected else None)
    while True:
        fault = ""
        try:
            metrics.fleet(*await asyncio.to_thread(_counts, config, store, inventory))
        except (StoreError, ExpectedError) as error:
            fault = f"collect.expected: {error}" if isinstance(error, ExpectedError) else str(error)
        if fault:
            metrics.fleet_unknown()
            log.error("collect_store_failed", detail=fault)
        await asyncio.sleep(_SECONDS)


def _counts(config: Config, store: SqliteShipper | PostgresShipper, inventory: Inventory) -> tuple[int, dict[str, int]]:
    expected = inventory.machines()
    if isinstance(store, PostgresShipper):
        opened = open_store(store.url, schema=store.schema, limit_seconds=_QUESTION_SECONDS)
    else:
        opened = open_store(store_path(store, Path(config.audit.directory)), limit_seconds=_QUESTION_SECONDS)
    with closing(opened) as found:
        rows = survey(found, expected, since=datetime.now(UTC) - _FINDINGS, now=time.time_ns() // 1000)
    return len(rows), counted(rows)
