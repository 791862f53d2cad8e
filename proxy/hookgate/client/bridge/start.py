"""The bridge's start: apart from what the environment says of Python."""

import os
import sys
from typing import NoReturn

_PROGRAM = "import sys; sys.path.insert(0, sys.argv.pop(1)); from hookgate.client.bridge.start import start; start(sys.argv[1:])"


def start(arguments: list[str]) -> NoReturn:
    """Runs the bridge, and ends. Where Python was not started isolated (`python -I`), starts it once more so, without an environment.

    Code that PYTHONPATH and the like lead to has run by then: in settings, write `python -I`, as `hookgate settings` does.
    """
    try:
        if not sys.flags.isolated:
            root = os.path.realpath(os.path.join(os.path.dirname(__file__), *[os.pardir] * 3))
            os.execve(sys.executable, [sys.executable, "-I", "-c", _PROGRAM, root, *arguments], {})  # noqa: S606
        from hookgate.client.bridge.run import main

        main(arguments)
    except BaseException as error:  # noqa: BLE001 (any other exit code than 2 would let the call run)
        try:
            os.write(2, f"[hookgate hook] failed: {type(error).__name__}. Blocked.\n".encode())
        finally:
            os._exit(2)
