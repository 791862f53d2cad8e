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
    """Run the command line. `serve`, which is to be up soon and to stay small, comes without the others."""
    if sys.argv[1:2] == ["serve"]:
        from hookgate.commands.program import alone
        from hookgate.commands.serve import serve

        alone(serve)()
    else:
        from hookgate.commands.every import app

        app()
