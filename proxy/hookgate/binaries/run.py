"""Asks a program for its version, which also shows that it runs on this machine."""

import os
import re
import subprocess
import tempfile
from pathlib import Path

from hookgate.binaries.error import BinaryError

_PATIENCE_SECONDS = 60.0


def version_of(program: Path, *, name: str) -> str:
    """Give the first version number that `--version` prints; BinaryError, beginning with `name`, if there is none."""
    with tempfile.TemporaryDirectory(prefix="hookgate-") as home:
        try:
            done = subprocess.run(
                [str(program), "--version"],
                env={**os.environ, "HOME": home},  # asking for a version leaves nothing in the user's own folders
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_PATIENCE_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as fault:
            raise BinaryError(
                f"{name}: `{program} --version` did not end in {_PATIENCE_SECONDS:.0f} seconds"
            ) from fault
        except OSError as fault:
            raise BinaryError(f"{name}: {program} does not run here: {fault.strerror or fault}") from fault
    version = re.search(r"\b\d+\.\d+(?:\.\d+)?[-+.\w]*", done.stdout)
    if done.returncode != 0 or version is None:
        raise BinaryError(f"{name}: `{program} --version` ended with {done.returncode} and printed no version")
    return version[0]
