"""What a setting expects, in words: for faults and for the documentation."""

import json
from typing import Any

from msgspec import inspect


def expected(kind: Any) -> str:
    """Gives e.g. `a number above 0` for an annotated type."""
    return _words(inspect.type_info(kind))


def shown(value: Any) -> str:
    """Gives the value as it would stand in the file, short."""
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."


def got(kind: Any, value: Any) -> str:
    """Gives `, got VALUE` for a fault; nothing where a setting of that kind is a secret, or holds one."""
    return "" if _is_secret(inspect.type_info(kind)) else f", got {shown(value)}"


def _is_secret(info: inspect.Type) -> bool:
    match info:
        case inspect.Metadata(type=inner, extra=extra):
            return bool((extra or {}).get("secret")) or _is_secret(inner)
        case inspect.VarTupleType(item_type=inner) | inspect.DictType(value_type=inner):
            return _is_secret(inner)
        case inspect.UnionType(types=types):
            return any(_is_secret(one) for one in types)
        case inspect.StructType(fields=fields):
            return any(_is_secret(field.type) for field in fields)
        case _:
            return False


def _words(info: inspect.Type) -> str:
    match info:
        case inspect.Metadata(type=inner):
            return _words(inner)
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType():
            return "a whole number" + _bounds(info)
        case inspect.FloatType():
            return "a number" + _bounds(info)
        case inspect.EnumType(cls=cls):
            return "one of " + ", ".join(member.value for member in cls)
        case inspect.StrType(pattern=pattern, min_length=least):
            if pattern and pattern.startswith("^(") and pattern.endswith(")$"):
                return "one of " + ", ".join(pattern[2:-2].split("|"))
            if pattern == "^/":
                return "a path that begins with /"
            if pattern:
                return f"text that matches {pattern}"
            return "text that is not empty" if least else "text"
        case inspect.VarTupleType(item_type=item):
            return f"a list of {_plural(item)}"
        case inspect.UnionType(types=types):
            return " or ".join(_words(one) for one in types if not isinstance(one, inspect.NoneType))
        case inspect.StructType() | inspect.DictType():
            return "a mapping"
        case _:
            return "another value"


def _plural(item: inspect.Type) -> str:
    match item:
        case inspect.Metadata(type=inner):
            return _plural(inner)
        case inspect.StrType():
            return "texts"
        case inspect.StructType() | inspect.DictType():
            return "mappings"
        case _:
            return "values"


def _bounds(info: inspect.IntType | inspect.FloatType) -> str:
    words = [
        f"{word} {bound:.15g}"
        for word, bound in (("above", info.gt), ("below", info.lt), ("of at least", info.ge), ("of at most", info.le))
        if bound is not None
    ]
    return " " + " and ".join(words) if words else ""
