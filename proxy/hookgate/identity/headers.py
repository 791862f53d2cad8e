"""Identity as headers tell it. Anyone can send them, so nothing found here counts as verified."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hookgate.config.tree import Identity
from hookgate.errors import ErrorKind, GateError
from hookgate.identity.principal import Principal, Source

USER = "X-Claude-User"
ROLES = "X-Claude-User-Roles"
SCOPE = "X-Cerbos-Scope"
#: What follows is the label's name.
LABEL = "X-Claude-Label-"

_MAX_USER_CHARACTERS = 256
_MAX_ROLE_CHARACTERS = 256
_MAX_ROLES = 100
_MAX_LABELS, _MAX_LABEL_NAME_CHARACTERS, _MAX_LABEL_CHARACTERS = 16, 64, 256


@dataclass(frozen=True, slots=True)
class Labels:
    """What a client says of itself, for records only; nothing vouches for it. Names are in lower case."""

    values: dict[str, str] = field(default_factory=dict)
    #: Whether there were more, or longer ones, than are kept.
    cut: bool = False


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


def labels_from(headers: Mapping[str, str]) -> Labels:
    """Gives the labels. One that is too long is left out whole, with a mark: half a secret would not be known as one."""
    values: dict[str, str] = {}
    cut = False
    for header in headers:
        if header[: len(LABEL)].lower() != LABEL.lower():
            continue
        name, text = header[len(LABEL) :].lower(), _text(headers, header)
        if not name or name in values or not text:
            continue
        if len(name) > _MAX_LABEL_NAME_CHARACTERS or len(values) == _MAX_LABELS:
            cut = True
        elif len(text) > _MAX_LABEL_CHARACTERS:
            values[name], cut = f"(left out, {len(text)} characters)", True
        else:
            values[name] = text
    return Labels(values, cut)


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
