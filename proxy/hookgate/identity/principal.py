"""Who a hook call is made for."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Source(StrEnum):
    """Where an identity comes from."""

    HEADER = "header"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Principal:
    """The principal that Cerbos is asked about. `roles` is never empty, sorted and without duplicates."""

    id: str
    roles: tuple[str, ...]
    source: Source
    verified: bool = False
    groups: tuple[str, ...] = ()
    claims: dict[str, Any] = field(default_factory=dict)

    def attributes(self) -> dict[str, Any]:
        """Gives `principal.attr`."""
        return {"verified": self.verified, "source": self.source.value, "claims": self.claims}
