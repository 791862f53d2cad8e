"""What is known of a value without having it: which fields a record has, whether a list is empty, a text that is always the same."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class Unknown:
    """Some value, there for sure."""


@dataclass(frozen=True, slots=True)
class Known:
    """This text, boolean, number or null."""

    value: str | float | bool | None


@dataclass(frozen=True, slots=True)
class Record:
    """An object with these fields and no other; `path` is how an expression names it."""

    fields: "Mapping[str, Shape]"
    path: str = ""


@dataclass(frozen=True, slots=True)
class Elements:
    """A list of such elements; of none, if `of` is None."""

    of: "Shape | None"


@dataclass(frozen=True, slots=True)
class Optional:
    """CEL's optional value: one, or none."""

    value: "Shape | None"


Shape: TypeAlias = Unknown | Known | Record | Elements | Optional

UNKNOWN = Unknown()


def shape_of(value: Any, path: str, *, known: Iterable[str] = ()) -> Shape:
    """Gives the shape of a JSON value. Of its scalars only those at the paths in `known` are taken for always the same."""
    if isinstance(value, Mapping):
        fields = {key: shape_of(item, f"{path}.{key}", known=known) for key, item in value.items()}
        return Record(fields, path)
    if isinstance(value, list | tuple):
        shapes = [shape_of(item, f"{path}[]", known=known) for item in value]
        return Elements(shapes[0] if shapes and all(shape == shapes[0] for shape in shapes) else UNKNOWN)
    return Known(value) if path in known else UNKNOWN
