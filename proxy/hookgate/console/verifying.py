"""`python -m hookgate.console.verifying DIRECTORY`: verification of a journal, with a line of JSON now and then that says how
far it is, and the result in the last one."""

import json
import sys
import time
from pathlib import Path

import msgspec

from hookgate.audit.error import JournalError
from hookgate.audit.segments import usage
from hookgate.audit.verify import verify

_EVERY_SECONDS = 0.2
_NOT_INTACT = 5


def main(directory: Path) -> int:
    """Verifies; gives the exit code."""
    done, told = 0, 0.0
    _, total = usage(directory)

    def progress(more: int) -> None:
        nonlocal done, told
        done += more
        if time.monotonic() - told >= _EVERY_SECONDS:
            told = time.monotonic()
            _say({"done": done, "total": total})

    try:
        found = verify(directory, progress=progress)
    except (JournalError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    _say({"done": total, "total": total, "result": msgspec.to_builtins(found)})
    return 0 if found.intact else _NOT_INTACT


def _say(what: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
