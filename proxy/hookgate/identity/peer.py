"""Identity of the operating system's user at the other end of a connection on this machine: verified without a secret."""

import asyncio
import grp
import os
import pwd
import time
from collections.abc import Mapping
from dataclasses import dataclass

from hookgate.config.identity import PeerSource
from hookgate.errors import ErrorKind, GateError
from hookgate.identity.connection import Connection
from hookgate.identity.found import Found
from hookgate.identity.principal import Source

#: A user's name and groups may come from a directory service, which is asked once in a while and never on the event loop.
_KEEP_SECONDS = 300.0
_MOST_USERS = 1024


@dataclass(frozen=True, slots=True)
class Account:
    """A user of this machine."""

    name: str
    groups: tuple[str, ...]


class Peer:
    """The owner of the client's socket."""

    def __init__(self, config: PeerSource) -> None:
        self._config = config
        self._accounts: dict[int, tuple[float, Account]] = {}

    async def find(self, headers: Mapping[str, str], connection: Connection) -> Found | None:
        """Gives the user at the other end, or None for a connection from another machine."""
        if not connection.is_local:
            return None
        uid = connection.uid
        if uid is None:
            # Not left to the next source: whoever hides would be believed what a header says.
            raise GateError(ErrorKind.IDENTITY_INVALID, "the system does not tell whose the connection is")
        account = await self._account(uid)
        users = self._config.users
        user = users.get(account.name) or users.get(str(uid), "")
        if not user and self._config.mapped_only:
            raise GateError(
                ErrorKind.IDENTITY_INVALID,
                f"user {uid} of this machine is not in the peer source's users",
                hint="This user of the machine is not known to Hookgate (identity.sources, peer, users).",
            )
        return Found(user or account.name, Source.PEER, self._config.roles, account.groups)

    async def run(self) -> None:
        """Needs nothing."""
        await asyncio.Event().wait()

    async def _account(self, uid: int) -> Account:
        until, account = self._accounts.get(uid, (0.0, None))
        if account is None or until < time.monotonic():
            account = await asyncio.to_thread(_account, uid)
            if len(self._accounts) >= _MOST_USERS:
                self._accounts.clear()
            self._accounts[uid] = (time.monotonic() + _KEEP_SECONDS, account)
        return account


def _account(uid: int) -> Account:
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        # A container knows few of its machine's users.
        return Account(str(uid), ())
    names = []
    for group in os.getgrouplist(entry.pw_name, entry.pw_gid):
        try:
            names.append(grp.getgrgid(group).gr_name)
        except KeyError:
            names.append(str(group))
    return Account(entry.pw_name, tuple(sorted(names)))
