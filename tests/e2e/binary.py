"""Which client the tests run, and where it is."""

import os
from pathlib import Path

from hookgate.binaries import CLAUDE_VERSION, find_claude

NO_CLIENT = "no"


def wanted_version() -> str:
    """The version in `HOOKGATE_CLIENT`; the pinned one by default; `no` where no client is wanted."""
    return os.environ.get("HOOKGATE_CLIENT") or CLAUDE_VERSION


def client_binary(version: str) -> Path:
    """The native client of this version, from the cache. BinaryError says what to do where it is missing."""
    return find_claude(version, fetch=False, say=print).path
