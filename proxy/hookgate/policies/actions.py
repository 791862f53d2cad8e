"""Action names with wildcards, as Cerbos matches them.

`*` stops at a colon, `**` does not, `*` alone is everything. `?`, `[…]` and `{…}` are wildcards beside a `*` only: without
one the name is taken as it stands.
"""

import re
from functools import cache

_WILD = re.compile(r"\*\*|[*?]|\[(?:!|\^)?[^\]]+\]|\{[^}]*\}|\\.")


def names_one(pattern: str) -> bool:
    """Whether it is taken as it stands."""
    return "*" not in pattern


def seems_wild(pattern: str) -> bool:
    """Whether it is taken as it stands although it looks as if it had wildcards."""
    return names_one(pattern) and _WILD.search(pattern) is not None


def matches(pattern: str, action: str) -> bool:
    """Whether an action name with wildcards means that action."""
    if names_one(pattern):
        return pattern == action
    return pattern == "*" or _compiled(pattern).fullmatch(action) is not None


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    found, at = "", 0
    for wild in _WILD.finditer(pattern):
        found += re.escape(pattern[at : wild.start()]) + _meaning(wild.group())
        at = wild.end()
    return re.compile(found + re.escape(pattern[at:]))


def _meaning(wild: str) -> str:
    match wild[0]:
        case "*":
            return ".*" if wild == "**" else "[^:]*"
        case "?":
            return "[^:]"
        case "[":
            inside = wild[1:-1]
            negated = inside[0] in "!^"
            return "[" + ("^" if negated else "") + re.escape(inside[negated:]).replace(r"\-", "-") + "]"
        case "{":
            return "(?:" + "|".join(_compiled(part).pattern for part in wild[1:-1].split(",")) + ")"
    return re.escape(wild[1:])
