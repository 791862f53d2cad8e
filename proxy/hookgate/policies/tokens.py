"""The tokens of a CEL expression (https://github.com/google/cel-spec/blob/master/doc/langdef.md#syntax)."""

import re
from dataclasses import dataclass
from enum import Enum

_SKIPPED = re.compile(r"(?:\s+|//[^\n]*)+")
_NUMBER = re.compile(r"(?:0[xX][0-9a-fA-F]+|(?:\d+\.\d+|\.\d+|\d+)(?:[eE][+-]?\d+)?)[uU]?")
_NAME = re.compile(r"[A-Za-z_]\w*|`[^`\n]+`")
_STRING = re.compile(
    r"(?P<prefix>[rRbB]{0,2})"
    r"(?P<quote>\"\"\"|'''|\"|')"
)
_SIGN = re.compile(r"\|\||&&|==|!=|<=|>=|\?|[-+*/%!<>:.,()\[\]{}]")
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2})|(.))", re.DOTALL)
_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


class CelError(Exception):
    """The expression is not one that can be read here; the message says where."""


class Kind(Enum):
    """What a token is."""

    NAME = "name"
    STRING = "string"
    NUMBER = "number"
    SIGN = "sign"
    END = "end"


@dataclass(frozen=True, slots=True)
class Token:
    """One token: a name or a sign as written, a string or a number as its value."""

    kind: Kind
    value: str | float
    at: int


def tokens(text: str) -> list[Token]:
    """Gives the tokens of an expression, END as the last. Raises CelError."""
    found: list[Token] = []
    at = 0
    while True:
        if skipped := _SKIPPED.match(text, at):
            at = skipped.end()
        if at >= len(text):
            found.append(Token(Kind.END, "", at))
            return found
        token, end = _token(text, at)
        found.append(token)
        at = end


def _token(text: str, at: int) -> tuple[Token, int]:
    if opening := _STRING.match(text, at):
        value, end = _string(text, opening)
        return Token(Kind.STRING, value, at), end
    if number := _NUMBER.match(text, at):
        return Token(Kind.NUMBER, _number(number.group().rstrip("uU")), at), number.end()
    if name := _NAME.match(text, at):
        return Token(Kind.NAME, name.group().strip("`"), at), name.end()
    if sign := _SIGN.match(text, at):
        return Token(Kind.SIGN, sign.group(), at), sign.end()
    raise CelError(f"character {at + 1}: {text[at]!r} is unexpected")


def _number(written: str) -> float:
    return float(int(written, 16)) if written[:2] in ("0x", "0X") else float(written)


def _string(text: str, opening: re.Match[str]) -> tuple[str, int]:
    quote, raw = opening["quote"], "r" in opening["prefix"].lower()
    at = opening.end()
    while not text.startswith(quote, at):
        if at >= len(text) or (text[at] == "\n" and len(quote) == 1):
            raise CelError(f"character {opening.start() + 1}: the string has no end")
        at += 2 if text[at] == "\\" and not raw else 1
    inside = text[opening.end() : at]
    return (inside if raw else _ESCAPE.sub(_unescaped, inside)), at + len(quote)


def _unescaped(match: re.Match[str]) -> str:
    two, four, eight, octal, char = match.groups()
    if code := two or four or eight:
        return chr(min(int(code, 16), 0x10FFFF))
    return chr(int(octal, 8)) if octal else _SIMPLE.get(char, char)
