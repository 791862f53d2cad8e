"""Cerbos's own compiler: whether the policies can be used, and whether their tests pass."""

import os
import subprocess
from pathlib import Path

import msgspec

from hookgate.pdp.process import TUNING

_SECONDS = 300
_TESTS_FAILED = 4


class Compilation(msgspec.Struct, frozen=True):
    """What the compiler said. `compiles` may be true where `passes` is not: then a test failed."""

    compiles: bool
    passes: bool
    text: str


def compiled(cerbos: Path, directory: Path) -> Compilation:
    """Compiles a directory and runs its tests, under strict evaluation."""
    arguments = [str(cerbos), "compile", "--strict-evaluation", "--color=never", str(directory)]
    try:
        told = subprocess.run(
            arguments, capture_output=True, text=True, timeout=_SECONDS, check=False, env={**os.environ, **TUNING}
        )
    except subprocess.TimeoutExpired:
        return Compilation(compiles=False, passes=False, text=f"cerbos compile did not end within {_SECONDS} s")
    except OSError as error:
        return Compilation(compiles=False, passes=False, text=f"{cerbos} can't be run: {error.strerror}")
    return Compilation(
        compiles=told.returncode in (0, _TESTS_FAILED),
        passes=told.returncode == 0,
        text=(told.stdout + told.stderr).strip(),
    )
