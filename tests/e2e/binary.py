"""Which client the tests run, where it is, and what one version does and another does not."""

import os
from pathlib import Path

from hookgate.binaries import CLAUDE_VERSION, find_claude

NO_CLIENT = "no"

_LATER_EVENTS = {"StopFailure", "PreModelSwitch", "PostModelSwitch", "DirectoryAdded"}


def wanted_version() -> str:
    """The version in `HOOKGATE_CLIENT`; the pinned one by default; `no` where no client is wanted."""
    return os.environ.get("HOOKGATE_CLIENT") or CLAUDE_VERSION


def client_binary(version: str) -> Path:
    """The native client of this version, from the cache. BinaryError says what to do where it is missing."""
    return find_claude(version, fetch=False, say=print).path


class ClientVersion:
    """A version by what tests must know of it (docs/client-versions.md)."""

    def __init__(self, version: str) -> None:
        self.text = version
        self._numbers = tuple(int(part) for part in version.split("."))

    @property
    def obeys_on_failure(self) -> bool:
        """`onFailure: block` turns a failing hook into a denial; before, it was accepted and ignored."""
        return self._numbers >= (2, 1, 295)

    @property
    def asks_hooks_where_nobody_can_be_asked(self) -> bool:
        """PermissionRequest fires in plain `-p`, too. The versions between 2.1.197 and 2.1.295 were not run."""
        return self._numbers >= (2, 1, 295)

    def fires(self, event: str) -> bool:
        """Whether it sends the event at all. The versions between 2.1.197 and 2.1.295 were not run."""
        return event not in _LATER_EVENTS or self._numbers >= (2, 1, 295)
