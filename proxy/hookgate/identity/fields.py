"""Header fields that say who asks."""

from collections.abc import Mapping, Sequence

from multidict import CIMultiDict, CIMultiDictProxy

from hookgate.errors import ErrorKind, GateError

#: A token with many groups takes some kilobytes.
MAX_TOKEN_CHARACTERS = 16 * 1024
_SCHEME = "bearer"
#: What headers come in, which finds fields in any case by itself.
_MULTIPLE = (CIMultiDict, CIMultiDictProxy)


def field(headers: Mapping[str, str], name: str) -> str | None:
    """Gives a field's text, or None where there is none.

    Raises GateError: identity_invalid, for a field that is there twice, for then it says two things.
    """
    found: Sequence[str]
    if isinstance(headers, _MULTIPLE):
        found = headers.getall(name, ())
    else:
        wanted = name.lower()
        found = [value for key, value in headers.items() if key.lower() == wanted]
    if not found:
        return None
    if len(found) > 1:
        raise GateError(ErrorKind.IDENTITY_INVALID, f"{name} is there {len(found)} times")
    return text_of(found[0])


def text_of(value: str) -> str:
    """Gives a field's text: UTF-8, else Latin-1, which is what the client makes of what fits into it. What is neither in the
    bytes that came would break the wire to the PDP and the record."""
    raw = value.encode("utf-8", "surrogateescape")
    try:
        return raw.decode("utf-8").strip()
    except UnicodeDecodeError:
        return raw.decode("latin-1").strip()


def is_unfilled(text: str | None) -> bool:
    """Whether a field is there whose variable the client has not filled in: it then is empty, or holds the variable's name."""
    return text is not None and (not text or text.startswith("${") or text.lower() in (_SCHEME, f"{_SCHEME} ${{"))


def bearer(headers: Mapping[str, str], name: str) -> str | None:
    """Gives the token of `Bearer TOKEN`, or None where there is no field, or an empty one.

    Raises GateError: identity_invalid, for anything else.
    """
    text = field(headers, name)
    if not text or text.lower() == _SCHEME:
        return None
    scheme, _, token = text.partition(" ")
    token = token.strip(" ")
    if scheme.lower() != _SCHEME:
        raise GateError(ErrorKind.IDENTITY_INVALID, f"{name} holds no bearer token")
    if len(token) > MAX_TOKEN_CHARACTERS:
        raise GateError(ErrorKind.IDENTITY_INVALID, f"the token in {name} is longer than {MAX_TOKEN_CHARACTERS} bytes")
    if not token.isascii() or not token.isprintable() or " " in token:
        raise GateError(ErrorKind.IDENTITY_INVALID, f"the token in {name} holds what no token does")
    return token
