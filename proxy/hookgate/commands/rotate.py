"""`hookgate audit rotate-key`: has a journal go on with another signing key, which the one before announces."""

import os
import time
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from hookgate.audit.error import JournalError
from hookgate.audit.gap import Gap
from hookgate.audit.ledger import Ledger, Options
from hookgate.audit.lock import lock
from hookgate.audit.observer import Nobody
from hookgate.audit.rotation import NEXT_NAME, ask_for
from hookgate.audit.segments import segment_paths
from hookgate.audit.signing import PRIVATE_NAME, public_key
from hookgate.commands.fault import stop_with

_AGAIN_SECONDS = 0.2
_CLOSE_SECONDS = 5.0


def rotate_key(
    directory: Annotated[
        Path, typer.Argument(help="The journal's directory (audit.directory).", envvar="HOOKGATE__AUDIT__DIRECTORY")
    ] = Path("/var/lib/hookgate/audit"),
    *,
    key: Annotated[
        Path | None, typer.Option(help="An Ed25519 key of your own (PEM, private); without it one is made.")
    ] = None,
    wait: Annotated[
        float, typer.Option(min=1, help="Seconds that a running Hookgate may take until it goes on with the key.")
    ] = 60.0,
) -> None:
    """Have the journal go on with another signing key. The key before signs the announcement of the new one, so that
    verification and a collector know that it was meant; then it is removed, and its public half stays.

    Run it as the user that Hookgate runs as. Where Hookgate runs, it takes the key up with its next checkpoint, within 10 s.
    """
    try:
        before, owner = public_key(directory), _owner(directory)
        if before is None or not (directory / PRIVATE_NAME).is_file() or not segment_paths(directory):
            stop_with(f"{directory}: no journal there")
        if owner != os.geteuid():
            stop_with(f"{directory}: belongs to the user {owner}: run this as that user, as Hookgate does")
        following = ask_for(directory, key).public
        if following.id == before.id:
            (directory / NEXT_NAME).unlink()
            stop_with(f"the key {before.id} is the journal's already")
        end = time.monotonic() + wait
        while _current(directory) != following.id:
            if not _rotated(directory):
                if time.monotonic() > end:
                    stop_with(
                        f"the running Hookgate has not taken up {directory / NEXT_NAME} yet: it does with a checkpoint, or "
                        "when it is started again"
                    )
                time.sleep(_AGAIN_SECONDS)
    except JournalError as error:
        stop_with(str(error))
    except OSError as error:
        stop_with(f"{error.filename or directory}: {error.strerror}")
    typer.echo(f"hookgate: the key {before.id} has announced {following.id}, which signs from here on")


def _owner(directory: Path) -> int:
    return directory.stat().st_uid


def _current(directory: Path) -> str:
    found = public_key(directory)
    return found.id if found is not None else ""


def _rotated(directory: Path) -> bool:
    """Rotates where nobody writes the journal; false where somebody does. Raises OSError, JournalError."""
    try:
        held = os.fdopen(lock(directory), "rb")
    except JournalError:
        return False
    with closing(held):
        ledger = Ledger(directory, Options(), Gap(), Nobody())
        ledger.open()
        try:
            ledger.rotate()
        finally:
            ledger.close(_CLOSE_SECONDS)
    return True
