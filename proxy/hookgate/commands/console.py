"""`hookgate console`: the link that opens the pages over the audit trail."""

from pathlib import Path
from typing import Annotated

import typer

from hookgate.commands.fault import stop_with
from hookgate.console.link import link_path


def console(
    directory: Annotated[
        Path, typer.Option(help="The journal's directory (audit.directory).", envvar="HOOKGATE__AUDIT__DIRECTORY")
    ] = Path("/var/lib/hookgate/audit"),
) -> None:
    """Print the address at which the pages over the audit trail open, with a token that is good for once.

    For a console on loopback without another login; it must be running (`console.enabled`), and only its user can read the link.
    """
    path = link_path(directory)
    try:
        typer.echo(path.read_text(encoding="ascii").strip())
    except FileNotFoundError:
        stop_with(
            f"{path}: no link there: the console does not run (console.enabled, and the log event console_listening), or has"
            " another login (console.oidc, console.tokens)"
        )
    except (OSError, ValueError) as error:
        stop_with(f"{path}: {getattr(error, 'strerror', None) or 'is no link'}")
