"""Header values as the client fills them in (measured: upper-case names only, only those allowed, no default, no credentials)."""

import re
from collections.abc import Collection, Iterator, Mapping

from hookgate.client.finding import Kind

_VARIABLE = re.compile(r"\$\{([A-Z_][A-Z0-9_]*)\}|\$([A-Z_][A-Z0-9_]*)")
#: Whatever looks as if it were meant to be filled in.
_MEANT = re.compile(r"\$\{([^}]*)\}")
_NEVER = ("ANTHROPIC_", "CLAUDE_CODE_OAUTH")
_STRIPPED = str.maketrans("", "", "\r\n\0")


def filled(value: str, allowed: Collection[str], env: Mapping[str, str]) -> str:
    """Gives a header's value as it is sent; a variable that is not allowed or not set is empty."""

    def replaced(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        return env.get(name, "") if name in allowed and not name.startswith(_NEVER) else ""

    return _VARIABLE.sub(replaced, value).translate(_STRIPPED)


def faults(value: str, allowed: Collection[str], env: Mapping[str, str]) -> Iterator[tuple[Kind, str]]:
    """Gives what keeps a value's variables from being filled in, each with its name."""
    for match in _MEANT.finditer(value):
        if not _VARIABLE.fullmatch(match[0]):
            yield Kind.VARIABLE_UNFILLABLE, match[0]
    for match in _VARIABLE.finditer(value):
        name = match[1] or match[2]
        if name.startswith(_NEVER):
            yield Kind.VARIABLE_UNFILLABLE, match[0]
        elif name not in allowed:
            yield Kind.VARIABLE_NOT_ALLOWED, name
        elif not env.get(name):
            yield Kind.VARIABLE_UNSET, name
