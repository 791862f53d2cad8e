"""Values of a policy's output, brought to the types that the client demands."""

from typing import Any

import msgspec

from hookgate.hooks.catalog import Kind

_DESTINATIONS = {"userSettings", "projectSettings", "localSettings", "session", "cliArg"}
_MODES = {"default", "acceptEdits", "bypassPermissions", "plan", "dontAsk", "auto"}
_RULES, _DIRECTORIES = {"addRules", "replaceRules", "removeRules"}, {"addDirectories", "removeDirectories"}
_MAX_EXACT = 2**53


class WrongTypeError(Exception):
    """The value is not what the client takes there."""


def checked(value: Any, kind: Kind) -> Any:
    """Gives the value as the client takes it. Raises WrongTypeError.

    Every number in a PDP's output is a double; whole ones become integers again, as tools demand them.
    """
    match kind:
        case Kind.STRING if isinstance(value, str):
            return value
        case Kind.BOOLEAN if isinstance(value, bool):
            return value
        case Kind.OBJECT if isinstance(value, dict):
            return integral(value)
        case Kind.STRINGS if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return value
        case Kind.PERMISSIONS if isinstance(value, list) and all(_is_permission_update(item) for item in value):
            return integral(value)
        case Kind.ANY if value is not None:
            return integral(value)
    raise WrongTypeError(f"expected {kind.value}")


def integral(value: Any) -> Any:
    """Gives the value with whole doubles as integers. Raises WrongTypeError for numbers that JSON has not."""
    if isinstance(value, float):
        if value - value != 0.0:
            raise WrongTypeError("a number that JSON has not")
        return int(value) if value.is_integer() and abs(value) <= _MAX_EXACT else value
    if isinstance(value, dict):
        return {key: integral(item) for key, item in value.items()}
    if isinstance(value, list):
        return [integral(item) for item in value]
    return value


def alike(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON: for Python, true is 1."""
    return msgspec.json.encode(one, order="deterministic") == msgspec.json.encode(other, order="deterministic")


def _is_permission_update(value: Any) -> bool:
    """The client's PermissionUpdate; an entry of another shape would void the answer."""
    if not isinstance(value, dict) or not _is_one_of(value.get("destination"), _DESTINATIONS):
        return False
    kind = value.get("type")
    if kind == "setMode":
        return _is_one_of(value.get("mode"), _MODES)
    if _is_one_of(kind, _DIRECTORIES):
        directories = value.get("directories")
        return isinstance(directories, list) and all(isinstance(item, str) for item in directories)
    rules = value.get("rules")
    return (
        _is_one_of(kind, _RULES)
        and value.get("behavior") in ("allow", "deny", "ask")
        and isinstance(rules, list)
        and all(_is_rule(rule) for rule in rules)
    )


def _is_one_of(value: Any, words: set[str]) -> bool:
    return isinstance(value, str) and value in words


def _is_rule(rule: Any) -> bool:
    return (
        isinstance(rule, dict)
        and isinstance(rule.get("toolName"), str)
        and isinstance(rule.get("ruleContent", ""), str)
    )
