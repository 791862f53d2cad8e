"""Who is told what the journal does: the metrics and the log. Called on the journal's own threads."""

from collections.abc import Mapping
from typing import Protocol

from hookgate.audit.gap import Loss
from hookgate.audit.removal import Removal


class Observer(Protocol):
    """Takes note of what happens to the journal; must return at once and never raise."""

    def wrote(self, kinds: Mapping[str, int], size_bytes: int) -> None:
        """Lines were written, so many of each type."""

    def lost(self, kind: str) -> None:
        """A line could not be written."""

    def gap(self, loss: Loss) -> None:
        """What could not be written is now on record."""

    def synced(self, seconds: float, fault: OSError | None) -> None:
        """A file was flushed to the disk, or could not be."""

    def checkpointed(self, segments: int, disk_bytes: int) -> None:
        """A signed checkpoint was written; the journal now has so many segments and bytes."""

    def locked(self) -> None:
        """Another process has the journal; it is waited for."""

    def held_up(self, why: str) -> None:
        """Nothing more is written for now, and why; empty when it is again. Called when it changes."""

    def removed(self, removal: Removal) -> None:
        """Segments were removed."""

    def kept(self, why: str) -> None:
        """Segments that were to be removed could not be, and why; empty when all is well."""


class Nobody:
    """Takes note of nothing."""

    def wrote(self, kinds: Mapping[str, int], size_bytes: int) -> None:
        """Nothing."""

    def lost(self, kind: str) -> None:
        """Nothing."""

    def gap(self, loss: Loss) -> None:
        """Nothing."""

    def synced(self, seconds: float, fault: OSError | None) -> None:
        """Nothing."""

    def checkpointed(self, segments: int, disk_bytes: int) -> None:
        """Nothing."""

    def locked(self) -> None:
        """Nothing."""

    def held_up(self, why: str) -> None:
        """Nothing."""

    def removed(self, removal: Removal) -> None:
        """Nothing."""

    def kept(self, why: str) -> None:
        """Nothing."""
