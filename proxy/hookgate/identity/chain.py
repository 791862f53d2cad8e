"""The sources of identity, tried in order; and the principal that is made of what the first of them finds."""

import asyncio
import copy
from collections.abc import Mapping

from hookgate.config.identity import (
    AnySource,
    HeadersSource,
    Identity,
    JwtSource,
    MtlsSource,
    PeerSource,
    TokenSource,
    is_verified,
)
from hookgate.errors import ErrorKind, GateError
from hookgate.identity.certificate import Certificates, Revocations
from hookgate.identity.connection import Connection
from hookgate.identity.directory import UNKNOWN, directory_parser
from hookgate.identity.found import Finder, Found
from hookgate.identity.headers import Headers, roles_in, user_in
from hookgate.identity.jwt import Jwts
from hookgate.identity.names import name_fault
from hookgate.identity.peer import Peer
from hookgate.identity.principal import Principal, Source
from hookgate.identity.tokens import Tokens
from hookgate.identity.watched import Unwatched, Watch, WatchedFile

_MOST_ROLES = 100


class Chain:
    """Finds out who asks. `run` is to go on for as long as the service does.

    Raises IdentityError where a source's file can't be read.
    """

    def __init__(self, config: Identity, *, watch: Watch | None = None, revocations: Revocations | None = None) -> None:
        self._config = config
        self._watch = watch or Unwatched()
        self._revocations = revocations
        self._sources = [finder for source in config.sources if (finder := self._finder(source)) is not None]
        self._has_default = any(source.__struct_config__.tag == Source.DEFAULT for source in config.sources)
        self._verifies = any(is_verified(source) for source in config.sources)
        file = config.directory.file
        self._directory = WatchedFile(file, directory_parser(file), self._watch) if file else None

    def _finder(self, source: AnySource) -> Finder | None:
        match source:
            case PeerSource():
                return Peer(source)
            case MtlsSource():
                return Certificates(source, self._revocations or Revocations())
            case JwtSource():
                return Jwts(source, self._watch, leaves_static=self._is_last(TokenSource, source))
            case TokenSource():
                return Tokens(source, self._watch, leaves_others=self._is_last(JwtSource, source))
            case HeadersSource():
                return Headers(source, self._watch)
            case _:
                return None

    def _is_last(self, kind: type[TokenSource | JwtSource], than: TokenSource | JwtSource) -> bool:
        """Whether a source of that kind comes later and reads the same header: what is meant for it is left to it, and the
        last one answers for all that the header may hold."""
        later = self._config.sources[self._config.sources.index(than) + 1 :]
        return any(isinstance(one, kind) and one.header.lower() == than.header.lower() for one in later)

    def successor(self, config: Identity) -> "Chain":
        """Gives a chain over the same sources, in which the other settings are `config`'s."""
        new = copy.copy(self)
        new._config = config  # noqa: SLF001 (a copy of our own)
        return new

    async def run(self) -> None:
        """Keeps files and keys fresh."""
        runs = [source.run() for source in self._sources]
        await asyncio.gather(*runs, *([self._directory.run()] if self._directory else []))

    def suspects(self, principal: Principal) -> bool:
        """Whether it is nobody in particular although somebody could have been verified: not whom a rule for some holds."""
        return principal.source is Source.DEFAULT and self._verifies

    async def principal(self, headers: Mapping[str, str], connection: Connection) -> Principal:
        """Gives who asks. Raises GateError: identity_invalid, identity_unavailable; identity_required, where nothing names
        anybody and no default is among the sources."""
        for source in self._sources:
            found = await source.find(headers, connection)
            if found is not None:
                return self._principal(found, headers)
        if not self._has_default:
            raise self.required()
        return self._principal(Found("", Source.DEFAULT), headers)

    def demand(self, principal: Principal) -> None:
        """Raises GateError: identity_required, where only verified users may ask, and this one is not."""
        if self._config.require_verified and not principal.verified:
            raise self.required()

    def required(self) -> GateError:
        """Gives the error, with what to set up."""
        ways = [_WAYS[type(source)] for source in self._config.sources if type(source) in _WAYS]
        return GateError(
            ErrorKind.IDENTITY_REQUIRED,
            hint=f"Nothing proves who you are: {', or '.join(ways)}." if ways else "Nothing says who you are.",
        )

    def _principal(self, found: Found, headers: Mapping[str, str]) -> Principal:
        verified = found.source.is_verified
        user, roles = found.user or self._config.default_user, found.all_roles()
        entry = UNKNOWN
        if self._directory is not None and (verified or self._config.directory.allow_unverified):
            entry = self._directory.value.get(user, UNKNOWN)
            roles.update(entry.roles)
        claimed = ""
        if verified:
            claimed = _contradiction(user_in(headers), user)
            if found.rules.from_header:
                roles.update(roles_in(headers))
        _check(user, roles)
        return Principal(
            id=user,
            roles=tuple(sorted(roles)) or (self._config.default_role,),
            source=found.source,
            verified=verified,
            groups=tuple(sorted({*found.groups, *entry.groups})),
            claims=found.claims,
            known=entry.attributes,
            claimed_user=claimed,
            token=found.token,
            key_set=found.key_set,
        )


#: What a client can do to be verified, by source.
_WAYS: dict[type[AnySource], str] = {
    PeerSource: "reach Hookgate on this machine's loopback",
    MtlsSource: "present a client certificate (CLAUDE_CODE_CLIENT_CERT, CLAUDE_CODE_CLIENT_KEY)",
    JwtSource: "send your identity provider's token in the hook's headers, with its variable in allowedEnvVars",
    TokenSource: "send the token that you were given in the hook's headers, with its variable in allowedEnvVars",
}


def _contradiction(claimed: str, user: str) -> str:
    """Gives the user that a header names beside the verified one; a login name agrees with the mail address that begins so."""
    return claimed[:256] if claimed and claimed not in (user, user.partition("@")[0]) else ""


def _check(user: str, roles: set[str]) -> None:
    if fault := name_fault(user):
        raise GateError(ErrorKind.IDENTITY_INVALID, f"the user's name {fault}")
    if len(roles) > _MOST_ROLES:
        raise GateError(ErrorKind.IDENTITY_INVALID, f"more than {_MOST_ROLES} roles")
    for role in roles:
        if fault := name_fault(role):
            raise GateError(ErrorKind.IDENTITY_INVALID, f"the name of a role {fault}")
