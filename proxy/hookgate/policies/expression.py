"""CEL expressions as trees: as much of the language as policies use."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from hookgate.policies.tokens import CelError, Kind, Token, tokens


@dataclass(frozen=True, slots=True)
class Literal:
    """A string, a number (as a double), a boolean or null."""

    value: str | float | bool | None


@dataclass(frozen=True, slots=True)
class Name:
    """A variable: R, P, V, the one of a macro."""

    name: str


@dataclass(frozen=True, slots=True)
class Select:
    """`of.field`, or `of.?field`."""

    of: "Node"
    field: str
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Index:
    """`of[key]`, or `of[?key]`."""

    of: "Node"
    key: "Node"
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """`name(arguments)`, or `of.name(arguments)`. Operators are calls of their sign."""

    name: str
    arguments: "tuple[Node, ...]"
    of: "Node | None" = None


@dataclass(frozen=True, slots=True)
class Conditional:
    """`test ? then : otherwise`."""

    test: "Node"
    then: "Node"
    otherwise: "Node"


@dataclass(frozen=True, slots=True)
class Listing:
    """`[a, b]`."""

    items: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class Mapping:
    """`{key: value}`; a message `Name{field: value}`, too."""

    entries: "tuple[tuple[Node, Node], ...]"


Node: TypeAlias = Literal | Name | Select | Index | Call | Conditional | Listing | Mapping

#: Binary operators by precedence, the loosest first.
_OPERATORS = (("||",), ("&&",), ("==", "!=", "<", "<=", ">", ">=", "in"), ("+", "-"), ("*", "/", "%"))
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None}
#: Far more than a person writes, far less than exhausts the stack: a + b + c is a tree, too.
_MAX_DEPTH, _MAX_TOKENS = 40, 1000


@lru_cache(maxsize=4096)
def parse(text: str) -> Node:
    """Gives the tree of an expression. Raises CelError."""
    found = tokens(text)
    if len(found) > _MAX_TOKENS:
        raise CelError(f"more than {_MAX_TOKENS} tokens")
    parser = _Parser(found)
    node = parser.expression()
    parser.expect_end()
    return node


def children(node: Node) -> Iterator[Node]:
    """Gives the nodes directly below one."""
    match node:
        case Select(of=of):
            yield of
        case Index(of=of, key=key):
            yield from (of, key)
        case Call(arguments=arguments, of=of):
            if of is not None:
                yield of
            yield from arguments
        case Conditional(test=test, then=then, otherwise=otherwise):
            yield from (test, then, otherwise)
        case Listing(items=items):
            yield from items
        case Mapping(entries=entries):
            for entry in entries:
                yield from entry


def walk(node: Node) -> Iterator[Node]:
    """Gives a node and all below it."""
    yield node
    for child in children(node):
        yield from walk(child)


class _Parser:
    def __init__(self, found: list[Token]) -> None:
        self._tokens = found
        self._at = 0
        self._depth = 0

    def expect_end(self) -> None:
        if self._token.kind is not Kind.END:
            raise self._unexpected()

    def expression(self) -> Node:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise CelError("the expression is nested too deeply")
        test = self._binary(0)
        if self._take("?"):
            then = self.expression()
            self._expect(":")
            test = Conditional(test, then, self.expression())
        self._depth -= 1
        return test

    def _binary(self, level: int) -> Node:
        if level == len(_OPERATORS):
            return self._unary()
        left = self._binary(level + 1)
        while operator := self._take(*_OPERATORS[level]):
            left = Call(operator, (left, self._binary(level + 1)))
        return left

    def _unary(self) -> Node:
        signs = []
        while sign := self._take("!", "-"):
            signs.append(sign)
        node = self._member(self._primary())
        for sign in reversed(signs):
            node = Call(sign, (node,))
        return node

    def _member(self, node: Node) -> Node:
        while True:
            if self._take("."):
                optional = bool(self._take("?"))
                name = self._name()
                if not optional and self._take("("):
                    node = Call(name, self._list(")"), node)
                else:
                    node = Select(node, name, optional)
            elif self._take("["):
                optional = bool(self._take("?"))
                node = Index(node, self.expression(), optional)
                self._expect("]")
            elif isinstance(node, Name | Select) and self._take("{"):
                node = self._mapping()
            else:
                return node

    def _primary(self) -> Node:
        token = self._token
        if token.kind in (Kind.STRING, Kind.NUMBER):
            self._at += 1
            return Literal(token.value)
        if self._take("("):
            node = self.expression()
            self._expect(")")
            return node
        if self._take("["):
            return Listing(self._list("]"))
        if self._take("{"):
            return self._mapping()
        self._take(".")
        name = self._name()
        if name in _WORDS:
            return Literal(_WORDS[name])
        return Call(name, self._list(")")) if self._take("(") else Name(name)

    def _list(self, end: str) -> tuple[Node, ...]:
        items = []
        while not self._take(end):
            self._take("?")
            items.append(self.expression())
            if not self._take(","):
                self._expect(end)
                break
        return tuple(items)

    def _mapping(self) -> Mapping:
        entries = []
        while not self._take("}"):
            self._take("?")
            key = self.expression()
            self._expect(":")
            entries.append((key, self.expression()))
            if not self._take(","):
                self._expect("}")
                break
        return Mapping(tuple(entries))

    @property
    def _token(self) -> Token:
        return self._tokens[self._at]

    def _take(self, *signs: str) -> str:
        """Takes the next token if it is one of these; gives it, or an empty string."""
        token = self._token
        if token.kind in (Kind.SIGN, Kind.NAME) and token.value in signs:
            self._at += 1
            return str(token.value)
        return ""

    def _expect(self, sign: str) -> None:
        if not self._take(sign):
            raise self._unexpected()

    def _name(self) -> str:
        token = self._token
        if token.kind is not Kind.NAME:
            raise self._unexpected()
        self._at += 1
        return str(token.value)

    def _unexpected(self) -> CelError:
        token = self._token
        what = "the end" if token.kind is Kind.END else repr(token.value)
        return CelError(f"character {token.at + 1}: {what} is unexpected")
