"""What a start remembers of the run before it, and what it and a changed configuration put on record."""

import asyncio
from pathlib import Path

import structlog

from hookgate import __version__
from hookgate.audit.config_change import changed, kept, settings_of
from hookgate.audit.digest import Digests
from hookgate.audit.recall import recall
from hookgate.audit.reconcile import Calls
from hookgate.config import Config
from hookgate.config.change import Change
from hookgate.gate import Gate


async def recalled(config: Config, log: structlog.typing.FilteringBoundLogger) -> Calls:
    """Gives the calls that were judged before: what has run while nobody was here is compared with that."""
    calls = Calls(detect_unasked=config.audit.detect_unasked)
    try:
        await asyncio.to_thread(recall, Path(config.audit.directory), calls)
    except Exception as error:  # noqa: BLE001 (a journal that can't be read must not keep the service down)
        log.warning("calls_forgotten", detail=getattr(error, "strerror", None) or type(error).__name__)
    return calls


async def note_start(config: Config, key: bytes, gate: Gate, log: structlog.typing.FilteringBoundLogger) -> None:
    """Puts the start on record, and which settings have changed since the one before."""
    directory, settings = Path(config.audit.directory), settings_of(config, Digests(key))
    before = await asyncio.to_thread(kept, directory)
    gate.note("start", {"version": __version__, "mode": config.mode.value, "config_digest": settings.digest})
    if before is not None and before.digest == settings.digest:
        return
    if before is not None:
        gate.note(
            "config_changed",
            {
                "changed": changed(before, settings),
                "waits_for_restart": [],
                "mode": config.mode.value,
                "config_digest": settings.digest,
                "previous_digest": before.digest,
            },
        )
    await asyncio.to_thread(keep_settings, config, key, log)


def note_change(before: Config, found: Change, key: bytes, gate: Gate) -> None:
    """Puts on record which settings have changed under the running service."""
    digests = Digests(key)
    gate.note(
        "config_changed",
        {
            "changed": list(found.live),
            "waits_for_restart": list(found.pending),
            "mode": found.config.mode.value,
            "config_digest": settings_of(found.config, digests).digest,
            "previous_digest": settings_of(before, digests).digest,
        },
    )


def keep_settings(config: Config, key: bytes, log: structlog.typing.FilteringBoundLogger) -> None:
    """Keeps what the next start compares its settings with. It waits for the disk."""
    try:
        settings_of(config, Digests(key)).keep(Path(config.audit.directory))
    except OSError as error:
        log.warning("settings_not_kept", detail=error.strerror)
