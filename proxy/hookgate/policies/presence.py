"""Evaluates an expression with shapes for values, to find the attributes that it reads and that are not there.

It follows CEL's own rules of what absorbs an error: `false && …`, `true || …`, the branch that a condition does not take, has(),
`in`, optional access. Where the outcome depends on a value, both ways are looked at.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from hookgate.policies.expression import (
    Call,
    Conditional,
    Index,
    Listing,
    Literal,
    Name,
    Node,
    Select,
)
from hookgate.policies.expression import Mapping as MapNode
from hookgate.policies.shape import UNKNOWN, Elements, Known, Optional, Record, Shape

_NONE: frozenset[str] = frozenset()
_ROOTS = {"R": "request.resource", "P": "request.principal"}
_MACROS = {"all", "exists", "exists_one", "existsOne", "map", "filter", "transformList", "transformMap", "sortBy"}
_MAX_VARIABLES = 30


class Read(NamedTuple):
    """A shape, and the paths whose absence makes the expression fail."""

    shape: Shape
    missing: frozenset[str] = _NONE

    def also(self, *others: "Read") -> "Read":
        """Gives the same shape with what the others miss besides."""
        return Read(self.shape, self.missing.union(*(other.missing for other in others)))


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What names stand for: `names` the variables of macros and the roots (request), `variable` gives a policy's own.

    `read` keeps what was found of a policy's variables, and `outside` is what holds outside of all macros: there a variable
    means the same wherever it is used, and is looked at once.
    """

    names: Mapping[str, Shape]
    constants: Mapping[str, object] = field(default_factory=dict)
    variable: Callable[[str], Node | None] = lambda _: None
    depth: int = 0
    read: dict[str, Read] = field(default_factory=dict)
    outside: "Surroundings | None" = None

    def within(self, **names: Shape) -> "Surroundings":
        """Gives the same with further names."""
        return replace(self, names={**self.names, **names}, outside=self.outside or self)


def evaluate(node: Node, around: Surroundings) -> Read:
    """Gives the shape of an expression's value, and what it misses."""
    match node:
        case Literal(value=value):
            return Read(Known(value))
        case Name(name=name):
            return Read(_named(name, around))
        case Select():
            return _select(node, around)
        case Index():
            return _index(node, around)
        case Conditional(test=test, then=then, otherwise=otherwise):
            return _branch(test, then, otherwise, around)
        case Listing(items=items):
            read = [evaluate(item, around) for item in items]
            same = bool(read) and all(item.shape == read[0].shape for item in read)
            return Read(Elements(read[0].shape if same else UNKNOWN if read else None)).also(*read)
        case MapNode(entries=entries):
            return Read(UNKNOWN).also(*(evaluate(part, around) for entry in entries for part in entry))
    return _call(node, around)


def _named(name: str, around: Surroundings) -> Shape:
    if name in around.names:
        return around.names[name]
    if name in _ROOTS and isinstance(request := around.names.get("request"), Record):
        return request.fields.get(_ROOTS[name].rpartition(".")[2], UNKNOWN)
    return UNKNOWN


def _select(node: Select, around: Surroundings) -> Read:
    if isinstance(node.of, Name) and node.of.name not in around.names:
        if node.of.name in ("V", "variables"):
            return _variable(node.field, around)
        if node.of.name in ("C", "constants"):
            value = around.constants.get(node.field)
            return Read(Known(value) if isinstance(value, str | bool | int | float) else UNKNOWN)
    return _field(evaluate(node.of, around), node.field, optional=node.optional)


def _variable(name: str, around: Surroundings) -> Read:
    if name in around.read:
        return around.read[name]
    node = around.variable(name)
    if node is None or around.depth > _MAX_VARIABLES:
        return Read(UNKNOWN)
    outside = around.outside or around
    found = around.read[name] = evaluate(node, replace(outside, depth=around.depth + 1))
    return found


def _field(of: Read, name: str, *, optional: bool = False) -> Read:
    """Reads a field. Behind an optional access every further one is optional, too."""
    shape, optional = (of.shape.value, True) if isinstance(of.shape, Optional) else (of.shape, optional)
    if shape is None:
        return Read(Optional(None), of.missing)
    if not isinstance(shape, Record):
        return Read(Optional(UNKNOWN) if optional else UNKNOWN, of.missing)
    found = shape.fields.get(name)
    if optional:
        return Read(Optional(found), of.missing)
    return Read(found, of.missing) if found is not None else Read(UNKNOWN, of.missing | {f"{shape.path}.{name}"})


def _index(node: Index, around: Surroundings) -> Read:
    of, at = evaluate(node.of, around), evaluate(node.key, around)
    if isinstance(at.shape, Known) and isinstance(at.shape.value, str):
        return _field(of.also(at), at.shape.value, optional=node.optional)
    element = of.shape.of if isinstance(of.shape, Elements) else None
    return Read(element or UNKNOWN).also(of, at)


def _branch(test: Node, then: Node, otherwise: Node, around: Surroundings) -> Read:
    decided = evaluate(test, around)
    if isinstance(decided.shape, Known):
        return evaluate(then if decided.shape.value else otherwise, around).also(decided)
    one, other = evaluate(then, around), evaluate(otherwise, around)
    return Read(one.shape if one.shape == other.shape else UNKNOWN).also(decided, one, other)


def _call(node: Call, around: Surroundings) -> Read:
    match node:
        case Call(name="has", arguments=(Select(of=of, field=name),), of=None):
            holder = evaluate(of, around)
            return Read(Known(name in holder.shape.fields) if isinstance(holder.shape, Record) else UNKNOWN).also(
                holder
            )
        case Call(name="&&" | "||", arguments=(left, right), of=None):
            return junction(node.name == "||", [evaluate(left, around), evaluate(right, around)])
        case Call(name="in", arguments=(left, Listing(items=items)), of=None):
            return _is_one_of(evaluate(left, around), [evaluate(item, around) for item in items])
        case Call(name="bind", of=Name(name="cel"), arguments=(Name(name=name), value, body)):
            bound = evaluate(value, around)
            return evaluate(body, around.within(**{name: bound.shape})).also(bound)
        case Call(of=of, arguments=(Name(), _, *_)) if of is not None and node.name in _MACROS:
            return _macro(node, evaluate(of, around), around)
    target = evaluate(node.of, around) if node.of is not None else Read(UNKNOWN)
    arguments = [evaluate(argument, around) for argument in node.arguments]
    return _applied(node.name, target, arguments).also(target, *arguments)


def junction(either: bool, reads: list[Read]) -> Read:
    """Joins by || (`either`) or &&: one operand that settles it absorbs the failures of the others."""
    if any(isinstance(read.shape, Known) and read.shape.value is either for read in reads):
        return Read(Known(either))
    settled = all(isinstance(read.shape, Known) and read.shape.value is not either for read in reads)
    return Read(Known(not either) if settled else UNKNOWN).also(*reads)


def _is_one_of(value: Read, items: list[Read]) -> Read:
    known = [item.shape.value for item in items if isinstance(item.shape, Known)]
    if isinstance(value.shape, Known) and (value.shape.value in known or len(known) == len(items)):
        return Read(Known(value.shape.value in known)).also(value, *items)
    return Read(UNKNOWN).also(value, *items)


def _macro(node: Call, target: Read, around: Surroundings) -> Read:
    shape = target.shape
    if isinstance(shape, Elements) and shape.of is None:
        return Read(Known(node.name == "all") if node.name in ("all", "exists") else Elements(None), target.missing)
    element = shape.of if isinstance(shape, Elements) and shape.of is not None else UNKNOWN
    names = [argument.name for argument in node.arguments[:-1] if isinstance(argument, Name)]
    # With two names the first is the index or key.
    bound = {names[0]: element} if len(names) == 1 else {names[0]: UNKNOWN, names[1]: element}
    inner = around.within(**bound)
    bodies = [evaluate(body, inner) for body in node.arguments[len(names) :]]
    if node.name == "filter":
        return Read(shape).also(target, *bodies)
    if node.name == "map":
        return Read(Elements(bodies[-1].shape)).also(target, *bodies)
    return Read(UNKNOWN).also(target, *bodies)


def _applied(name: str, target: Read, arguments: list[Read]) -> Read:
    """Gives the outcome of functions and operators whose operands tell it."""
    shapes = [argument.shape for argument in arguments]
    if isinstance(target.shape, Optional):
        return Read(_unwrapped(name, target.shape, shapes))
    match name, target.shape, shapes:
        case "!", _, [Known(value=bool(value))]:
            return Read(Known(not value))
        case "==" | "!=", _, [Known(value=left), Known(value=right)]:
            return Read(Known((left == right) is (name == "==")))
        case "in", _, [Known(value=str(key)), Record(fields=fields)]:
            return Read(Known(key in fields))
        case _, Known(value=str(text)), [Known(value=str(part))]:
            return Read(_told(name, text, part))
        case "+", _, [Elements(of=left), Elements(of=right)]:
            return Read(Elements(left if right is None else right if left is None or left == right else UNKNOWN))
        case "flatten", Elements(of=inner), []:
            return Read(inner if isinstance(inner, Elements) else Elements(None if inner is None else UNKNOWN))
    return Read(UNKNOWN)


def _told(function: str, text: str, argument: str) -> Shape:
    """Gives the outcome of a function of two texts, the tool's name and a part of it, say."""
    match function:
        case "startsWith":
            return Known(text.startswith(argument))
        case "endsWith":
            return Known(text.endswith(argument))
        case "contains":
            return Known(argument in text)
        case "matches":
            try:
                return Known(re.search(argument, text) is not None)
            except re.error:  # RE2 and Python's patterns differ in some things
                return UNKNOWN
    return UNKNOWN


def _unwrapped(function: str, optional: Optional, arguments: list[Shape]) -> Shape:
    match function, arguments:
        case "orValue", [other]:
            return other if optional.value is None else optional.value
        case "or", [other]:
            return other if optional.value is None else optional
        case "hasValue", []:
            return Known(optional.value is not None)
    return UNKNOWN
