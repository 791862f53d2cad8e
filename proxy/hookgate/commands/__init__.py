"""The command line: one module a sub-command. `app` is all of it."""

import sys
from typing import Any


def __getattr__(name: str) -> Any:
    """What is there only when it is asked for: all sub-commands together take twice the time and a fifth more memory."""
    if name == "app":
        from hookgate.commands.every import app

        return app
    raise AttributeError(name)


def main() -> None:
    """Run the command line. A sub-command comes without the others: `serve` and what it starts are to be up soon and to stay
    small, and nobody who asks a question waits for what answers another."""
    from hookgate.commands.program import NAMES, alone

    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name in NAMES:
        alone(name)()
    else:
        from hookgate.commands.every import app

        app()
