"""The configuration taken over while the service runs: whole and checked, or not at all."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from hookgate.app.watch import Watch
from hookgate.config import Config, ConfigError, load
from hookgate.config.change import Change, change
from hookgate.config.check import cross_check
from hookgate.pdp.canary import Probe
from hookgate.probes import expectation_probes
from hookgate.telemetry.metrics import Metrics

#: How long the file's thread waits for what it has read to be taken over.
_TAKEN_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Read:
    """What the file holds now: what would change, and the canary's questions; or what is wrong with it."""

    change: Change | None = None
    probes: Sequence[Probe] = ()
    faults: tuple[str, ...] = ()


class Reload:
    """Reads the file again when it has changed, and when `ask` is called (SIGHUP).

    On the event loop, `take` puts a configuration into force, all at once, `record` puts on record what has changed, and `note`
    that a file was refused; `keep` is called on the file's thread, and may wait for the disk.
    """

    def __init__(
        self,
        config: Config,
        path: Path,
        *,
        take: Callable[[Config, Sequence[Probe]], None],
        record: Callable[[Config, Change], None],
        keep: Callable[[Config], None],
        note: Callable[[str, dict[str, object]], None],
        metrics: Metrics,
        log: structlog.typing.FilteringBoundLogger,
    ) -> None:
        self._config = config
        self._path = path
        self._take = take
        self._record = record
        self._keep = keep
        self.note = note
        self._metrics = metrics
        self._log = log
        self._faults: tuple[str, ...] = ()
        self._pending: tuple[str, ...] = ()
        self._begun = False
        self._loop = asyncio.get_running_loop()
        self._watch = Watch(path, self._look)
        self.ask = self._watch.ask

    def start(self) -> None:
        """Begins to look."""
        self._watch.start()

    def stop(self) -> None:
        """Looks no longer."""
        self._watch.stop()

    def status(self) -> dict[str, Any]:
        """Gives the faults of a file that could not be taken, and the settings that wait for a restart."""
        return {"faults": list(self._faults), "waits_for_restart": list(self._pending)}

    def _look(self) -> None:
        """Reads and checks, on the file's thread, and waits until the outcome counts: the next is compared with it."""
        found, done = self._read(), threading.Event()

        def deliver() -> None:
            try:
                self._deliver(found)
            except Exception as error:  # noqa: BLE001 (what is in force stays so)
                self._log.error("internal", exc_info=error)
            finally:
                done.set()

        try:
            self._loop.call_soon_threadsafe(deliver)
        except RuntimeError:  # the loop has ended
            return
        if done.wait(_TAKEN_SECONDS) and found.change is not None and found.change.live:
            self._keep(found.change.config)

    def _read(self) -> Read:
        try:
            found = change(self._config, load(self._path))
            # What waits for a restart stays as it was, and need not fit to what counts now.
            if faults := cross_check(found.config):
                return Read(faults=tuple(faults))
            return Read(found, expectation_probes(found.config))
        except ConfigError as error:
            return Read(faults=tuple(error.faults))
        except Exception as error:  # noqa: BLE001 (the thread must go on)
            return Read(faults=(f"can't be read: {type(error).__name__}",))

    def _deliver(self, found: Read) -> None:
        first, self._begun = not self._begun, True
        self._faults = found.faults
        self._metrics.config_faults.set(len(found.faults))
        if found.change is None:
            self._metrics.config_reloads.labels("refused").inc()
            self._log.error("config_refused", path=str(self._path), faults=list(found.faults))
            # Only where the faults are: a setting's value may be a secret in the wrong place.
            self.note("config_refused", {"settings": [fault.partition(":")[0] for fault in found.faults]})
            return
        before, pending_before, self._pending = self._config, self._pending, found.change.pending
        self._metrics.config_pending.set(len(self._pending))
        if found.change.live:
            self._take(found.change.config, found.probes)
            self._config = found.change.config
        elif self._pending == pending_before:
            if first:
                return
            self._metrics.config_reloads.labels("unchanged").inc()
            self._log.info("config_unchanged", path=str(self._path))
            return
        self._metrics.config_reloads.labels("taken").inc()
        self._log.warning(
            "config_changed",
            path=str(self._path),
            changed=list(found.change.live),
            waits_for_restart=list(self._pending),
        )
        self._record(before, found.change)
