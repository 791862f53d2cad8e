"""`hookgate policies follow`: tells a PDP to read its policies again when their directory has changed."""

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import aiohttp
import structlog
import typer

from hookgate.commands.fault import stop_with
from hookgate.commands.stopping import stop_on
from hookgate.config.tree import Log
from hookgate.harmless import harmless
from hookgate.telemetry.log import make_logger
from hookgate.telemetry.writer import LineWriter

_USER, _PASSWORD = "CERBOS_ADMIN_USERNAME", "CERBOS_ADMIN_PASSWORD"
#: The host is none: the request goes to a unix socket.
_RELOAD = "http://pdp/admin/store/reload?wait=true"
_TIMEOUT_SECONDS = 10
_SHOWN_CHARACTERS = 300

#: What a directory holds, cheaply: each file's name, the file that the name leads to in the end, its size and time of change.
_State = frozenset[tuple[str, str, int, int]]


def follow(
    directory: Annotated[Path, typer.Argument(help="The directory that the PDP has its policies from.")],
    admin: Annotated[Path, typer.Option(help="The unix socket of the PDP's HTTP listener, with its Admin API.")],
    interval: Annotated[float, typer.Option(min=0.1, help="How often the directory is looked at, in seconds.")] = 2.0,
) -> None:
    """Have a PDP read its policies again whenever their directory changes, until SIGTERM or Ctrl-C.

    For the PDP beside it in a pod, which does not notice the swap of a ConfigMap. CERBOS_ADMIN_USERNAME and
    CERBOS_ADMIN_PASSWORD are the Admin API's. The first time is at once: the PDP may have read before the last change.
    """
    credentials = [os.environ.get(name, "") for name in (_USER, _PASSWORD)]
    if not all(credentials):
        stop_with(f"{_USER} and {_PASSWORD} are not both set in the environment: the PDP's Admin API asks for them")
    if not directory.is_dir():
        stop_with(f"{directory}: no such directory of policies")
    writer = LineWriter(sys.stderr)
    log = make_logger(Log(), writer)
    try:
        asyncio.run(_follow(directory, admin, interval, aiohttp.BasicAuth(*credentials), log))
    finally:
        writer.close()


async def _follow(
    directory: Path,
    admin: Path,
    interval_seconds: float,
    credentials: aiohttp.BasicAuth,
    log: structlog.typing.FilteringBoundLogger,
) -> None:
    stop = stop_on(signal.SIGTERM, signal.SIGINT)
    told: _State | None = None
    complaint = ""
    while not stop.is_set():
        state = _state_of(directory)
        if state != told:
            refused = await _reload(admin, credentials)
            if not refused:
                told, complaint = state, ""
                log.info("policies_reloaded", files=len(state))
            elif refused != complaint:
                complaint = refused
                log.warning("policies_reload_failed", error=refused)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), interval_seconds)


async def _reload(admin: Path, credentials: aiohttp.BasicAuth) -> str:
    """Gives why the PDP has not taken the policies; empty when it says that it has."""
    connector = aiohttp.UnixConnector(str(admin))
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout, auth=credentials) as session,
            session.get(_RELOAD) as answer,
        ):
            if answer.status == 200:
                return ""
            return harmless(f"{answer.status} {await answer.text(errors='replace')}", _SHOWN_CHARACTERS)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        return f"no answer ({type(error).__name__})"


def _state_of(directory: Path) -> _State:
    """A file that goes while it is looked at is left out: the next look is soon."""
    found = set()
    for folder, folders, names in os.walk(directory):
        # The PDP reads no hidden ones. A linked one is not entered: the swap of a ConfigMap shows in where the link leads.
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in [*folders, *(name for name in names if not name.startswith("."))]:
            path = Path(folder, name)
            with contextlib.suppress(OSError):
                real = path.resolve(strict=True)
                status = real.stat()
                found.add((str(path), str(real), status.st_size, status.st_mtime_ns))
    return frozenset(found)
