"""What a source found, before roles are made of it."""

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from hookgate.config.identity import Roles
from hookgate.identity.connection import Connection
from hookgate.identity.principal import Source

NO_ROLES = Roles()


class Found(msgspec.Struct, frozen=True):
    """Who asks, by one source. `user` may be empty where the source can't name one."""

    user: str
    source: Source
    #: How groups become roles.
    rules: Roles = NO_ROLES
    groups: tuple[str, ...] = ()
    #: Roles that the source itself gives.
    roles: tuple[str, ...] = ()
    claims: dict[str, Any] = {}
    token: str = ""
    key_set: str = ""

    def __repr__(self) -> str:
        # The token must not show.
        return f"Found({self.user!r}, {self.source})"

    def all_roles(self) -> set[str]:
        """Gives the roles that the source, its groups and the configuration make up."""
        roles = {*self.roles, *self.rules.static}
        for group in self.groups:
            if group in self.rules.map:
                roles.update(self.rules.map[group])
            elif self.rules.pass_unmapped:
                roles.add(group)
        return roles


class Finder(Protocol):
    """A source of identity."""

    async def find(self, headers: Mapping[str, str], connection: Connection) -> Found | None:
        """Gives who asks, or None where there is nothing to go by.

        Raises GateError: identity_invalid, for a credential that is there and not valid; identity_unavailable, for one that
        can't be checked.
        """

    async def run(self) -> None:
        """Does for as long as the service runs what the source needs."""
