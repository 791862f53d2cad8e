"""Identity as headers tell it. Anyone can send them, so nothing found here counts as verified."""

from collections.abc import Mapping, Sequence

from hookgate.config.tree import Identity
from hookgate.errors import ErrorKind, GateError
from hookgate.identity.principal import Principal, Source

USER = "X-Claude-User"
ROLES = "X-Claude-User-Roles"
SCOPE = "X-Cerbos-Scope"

_MAX_USER_CHARACTERS = 256
_MAX_ROLE_CHARACTERS = 256
_MAX_ROLES = 100


def principal_from(headers: Mapping[str, str], config: Identity) -> Principal:
    """Gives the principal that the headers name; a blank header counts as absent (`${USER}` arrives empty when the hook
    does not list it in `allowedEnvVars`).

    Raises GateError: identity_invalid, for names that are too long, or too many roles.
    """
    user = _text(headers, USER)
    roles = _roles(_text(headers, ROLES))
    if len(user) > _MAX_USER_CHARACTERS:
        raise GateError(ErrorKind.IDENTITY_INVALID, f"{USER} is longer than {_MAX_USER_CHARACTERS} characters")
    if len(roles) > _MAX_ROLES or any(len(role) > _MAX_ROLE_CHARACTERS for role in roles):
        raise GateError(ErrorKind.IDENTITY_INVALID, f"{ROLES} has too many roles, or too long ones")
    return Principal(
        id=user or config.default_user,
        roles=roles or (config.default_role,),
        source=Source.HEADER if user or roles else Source.DEFAULT,
    )


def scope_from(headers: Mapping[str, str], configured: str, allowed: Sequence[str]) -> str:
    """Gives the scope to ask in. Raises GateError: scope_unknown, so that an unknown scope never reads as NO_MATCH."""
    asked = _text(headers, SCOPE)
    if not asked or asked == configured:
        return configured
    if asked not in allowed:
        raise GateError(ErrorKind.SCOPE_UNKNOWN, f"scope {asked[:64]!r} is not in pdp.scopes")
    return asked


def _text(headers: Mapping[str, str], name: str) -> str:
    """Gives a header's text: UTF-8, else Latin-1, which is what the client makes of what fits into it. What is neither in
    the bytes that came would break the wire to the PDP and the record."""
    raw = headers.get(name, "").encode("utf-8", "surrogateescape")
    try:
        return raw.decode("utf-8").strip()
    except UnicodeDecodeError:
        return raw.decode("latin-1").strip()


def _roles(text: str) -> tuple[str, ...]:
    """Split at commas; trimmed; no blanks and no duplicates (the PDP refuses both); sorted, so that their order in the
    header can't change which rule fires first."""
    return tuple(sorted({role for part in text.split(",") if (role := part.strip())}))
