"""`hookgate hook`: what a command hook runs where a client has no http hooks."""

from pathlib import Path
from typing import Annotated

import typer

from hookgate.client.bridge.config import DEFAULT_PATH
from hookgate.client.bridge.start import start


def hook(
    *,
    config: Annotated[Path, typer.Option(help="Absolute path of the configuration, which only root may write.")] = Path(
        DEFAULT_PATH
    ),
) -> None:
    """Ask Hookgate about the payload on standard input, and print its answer; where there is none, exit with 2 and the reason.

    For SessionStart and Setup, and for clients before 2.1.295. `hookgate settings` writes the hooks and the configuration.
    """
    start(["--config", str(config)])
