"""Identity as headers tell it. Anyone can send them, so nothing found here counts as verified."""

import asyncio
from collections.abc import Mapping, Sequence
from ipaddress import ip_address, ip_network

import msgspec

from hookgate.config.identity import HeadersSource
from hookgate.errors import ErrorKind, GateError
from hookgate.identity.connection import Connection
from hookgate.identity.fields import field, is_unfilled, text_of
from hookgate.identity.found import Found
from hookgate.identity.principal import Source
from hookgate.identity.watched import Watch

USER = "X-Claude-User"
ROLES = "X-Claude-User-Roles"
SCOPE = "X-Cerbos-Scope"
#: What follows is the label's name.
LABEL = "X-Claude-Label-"
_LABEL = LABEL.lower()

_MAX_LABELS, _MAX_LABEL_NAME_CHARACTERS, _MAX_LABEL_CHARACTERS = 16, 64, 256


class Labels(msgspec.Struct, frozen=True):
    """What a client says of itself, for records only; nothing vouches for it. Names are in lower case."""

    values: dict[str, str] = {}
    #: Whether there were more, or longer ones, than are kept.
    cut: bool = False


class Headers:
    """X-Claude-User and X-Claude-User-Roles; a blank one counts as absent (`${USER}` arrives empty when the hook does not
    list it in `allowedEnvVars`)."""

    def __init__(self, config: HeadersSource, watch: Watch) -> None:
        self._networks = [ip_network(network) for network in config.trusted_networks]
        self._watch = watch

    async def find(self, headers: Mapping[str, str], connection: Connection) -> Found | None:
        """Gives what the headers name, or None where they name nothing, or come from elsewhere."""
        if self._networks and not self._trusts(connection.remote):
            return None
        user, roles = user_in(headers), roles_in(headers)
        if not user and is_unfilled(field(headers, USER)):
            self._watch.unfilled(USER)
        return Found(user, Source.HEADER, roles=roles) if user or roles else None

    async def run(self) -> None:
        """Needs nothing."""
        await asyncio.Event().wait()

    def _trusts(self, remote: str) -> bool:
        try:
            address = ip_address(remote.partition("%")[0])
        except ValueError:
            return False
        return any(address in network for network in self._networks)


def user_in(headers: Mapping[str, str]) -> str:
    """Gives the user that the header names; empty for none."""
    text = field(headers, USER)
    return "" if text is None or is_unfilled(text) else text


def roles_in(headers: Mapping[str, str]) -> tuple[str, ...]:
    """Gives the roles that the header names: split at commas; trimmed; no blanks and no duplicates (the PDP refuses both);
    sorted, so that their order in the header can't change which rule fires first."""
    text = field(headers, ROLES)
    if text is None or is_unfilled(text):
        return ()
    return tuple(sorted({role for part in text.split(",") if (role := part.strip())}))


def scope_from(headers: Mapping[str, str], configured: str, allowed: Sequence[str]) -> str:
    """Gives the scope to ask in. Raises GateError: scope_unknown, so that an unknown scope never reads as NO_MATCH."""
    asked = field(headers, SCOPE)
    if not asked or asked == configured:
        return configured
    if asked not in allowed:
        raise GateError(ErrorKind.SCOPE_UNKNOWN, f"scope {asked[:64]!r} is not in pdp.scopes")
    return asked


def labels_from(headers: Mapping[str, str]) -> Labels:
    """Gives the labels. One that is too long is left out whole, with a mark: half a secret would not be known as one."""
    values: dict[str, str] = {}
    cut = False
    for header, value in headers.items():
        if header[: len(LABEL)].lower() != _LABEL:
            continue
        name, text = header[len(LABEL) :].lower(), text_of(value)
        if not name or name in values or not text:
            continue
        if len(name) > _MAX_LABEL_NAME_CHARACTERS or len(values) == _MAX_LABELS:
            cut = True
        elif len(text) > _MAX_LABEL_CHARACTERS:
            values[name], cut = f"(left out, {len(text)} characters)", True
        else:
            values[name] = text
    return Labels(values, cut)
