"""Dangers that facts tell of: `dangers.yaml` beside this module."""

from functools import cache
from importlib.resources import files

import msgspec


class Danger(msgspec.Struct, frozen=True):
    """One of them. `answer` is `deny` or `ask`, `expr` a CEL expression."""

    name: str
    what: str
    answer: str
    expr: str


@cache
def dangers() -> tuple[Danger, ...]:
    """Gives all of them."""
    content = files(__package__).joinpath("dangers.yaml").read_bytes()
    return msgspec.yaml.decode(content, type=tuple[Danger, ...])
