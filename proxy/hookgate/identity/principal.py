"""Who a hook call is made for."""

from enum import StrEnum
from typing import Any

import msgspec


class Source(StrEnum):
    """Where an identity comes from."""

    PEER = "peer"
    MTLS = "mtls"
    JWT = "jwt"
    TOKEN = "token"  # noqa: S105 (no token)
    HEADER = "header"
    DEFAULT = "default"

    @property
    def is_verified(self) -> bool:
        """Whether somebody vouches for it."""
        return self not in (Source.HEADER, Source.DEFAULT)


class Principal(msgspec.Struct, frozen=True):
    """The principal that Cerbos is asked about. `roles` is never empty, sorted and without duplicates."""

    id: str
    roles: tuple[str, ...]
    source: Source
    verified: bool = False
    groups: tuple[str, ...] = ()
    claims: dict[str, Any] = {}
    #: What the directory knows of the user.
    known: dict[str, Any] = {}
    #: Whom X-Claude-User named, where that is somebody else than the verified user.
    claimed_user: str = ""
    #: The caller's own token, where the PDP is to be handed it, and the key set that it is to use.
    token: str = ""
    key_set: str = ""

    def __repr__(self) -> str:
        # The token must not show.
        return f"Principal({self.id!r}, {self.roles!r}, {self.source})"

    def attributes(self) -> dict[str, Any]:
        """Gives `principal.attr`."""
        return {
            "verified": self.verified,
            "source": self.source.value,
            "claims": self.claims,
            "groups": list(self.groups),
            "attributes": self.known,
        }
