"""The short way to read a body: JSON as clients write it, without a space between its parts.

The parser here takes a fourth of the standard library's time, but lets the last of several equal keys count and keeps
integers that no double holds. Neither is looked for in the text: a value written again, as short as JSON can be, is as long
as the body only if the body holds nothing else, no key twice and no space. Whatever is not plainly so goes the long way, which
finds the fault or takes the value.
"""

from typing import Any

import msgspec

#: Larger bodies are read slice by slice: one piece of work takes no longer here than there.
COMPACT_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 100
#: Integers beyond this are not exact in a double, which is what the PDP and the client compute with (RFC 8259, 6).
MAX_EXACT = 2**53
_NOTHING = msgspec.Raw()
_NULL_BYTES = 4
_QUOTE = b'"'[0]


class _Input(msgspec.Struct):
    """The parts of a tool's input that hold long texts."""

    command: msgspec.Raw = _NOTHING
    content: msgspec.Raw = _NOTHING
    new_source: msgspec.Raw = _NOTHING
    new_string: msgspec.Raw = _NOTHING
    old_string: msgspec.Raw = _NOTHING
    prompt: msgspec.Raw = _NOTHING


class _Shape(msgspec.Struct):
    """The parts of a body that may be long; of the others nothing is made."""

    last_assistant_message: msgspec.Raw = _NOTHING
    prompt: msgspec.Raw = _NOTHING
    tool_input: _Input | None = None
    tool_response: msgspec.Raw = _NOTHING


_ANY = msgspec.json.Decoder()
_SHAPE = msgspec.json.Decoder(_Shape)
_FAULTS = (msgspec.MsgspecError, UnicodeError, RecursionError)


class Written:
    """A tool's input as JSON with the members of each object in the order of their names. It may be long, and is needed once."""

    __slots__ = ("_json",)

    def __init__(self, json: bytes) -> None:
        self._json = json

    def take(self) -> bytes:
        """Gives it, and keeps it no longer: empty from then on."""
        json, self._json = self._json, b""
        return json


def beside_texts(body: bytes | bytearray, cut_bytes: int) -> int | None:
    """Gives how many bytes of a body stand beside its long texts, or some more: it can't hold more values. None where it is too
    large, no JSON, or with a `tool_response` of more than `cut_bytes`."""
    if len(body) > COMPACT_BYTES:
        return None
    try:
        shape = _SHAPE.decode(body)
    except msgspec.ValidationError:
        # A tool's input that is no object, or no object at all: it may hold anything.
        return len(body) if len(body) <= cut_bytes else None
    except _FAULTS:
        return None
    if memoryview(shape.tool_response).nbytes > cut_bytes:
        return None
    texts = [shape.last_assistant_message, shape.prompt]
    if shape.tool_input is not None:
        given = shape.tool_input
        texts += (given.command, given.content, given.new_source, given.new_string, given.old_string, given.prompt)
    return len(body) - sum(map(_text_bytes, texts))


def read_compact(body: bytes | bytearray) -> tuple[dict[str, Any], Written] | None:
    """Gives a body's value, and its tool's input as it was written on the way; None where the long way is to be gone. Values are
    to be bounded before."""
    try:
        value = _ANY.decode(body)
        if type(value) is not dict:
            return None
        exact = _is_exact(value)
        if exact is None:
            return None
        given = value.get("tool_input")
        written = msgspec.json.encode(given, order="deterministic") if type(given) is dict else b""
        if exact:
            # Only the order of its keys may be another than in the body.
            rest = msgspec.json.encode({**value, "tool_input": None}) if written else msgspec.json.encode(value)
            size = len(rest) + (len(written) - _NULL_BYTES if written else 0)
            return (value, Written(written)) if size == len(body) else None
        # A number with a point or an exponent has shorter forms than the one that is written here.
        return (value, Written(written)) if msgspec.json.encode(value) == body else None
    except _FAULTS:
        return None


def _is_exact(value: dict[str, Any]) -> bool | None:
    """Whether all numbers are integers; None where one is beyond a double's reach, or the value too deep."""
    exact = True
    layer: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        inner: list[Any] = []
        for outer in layer:
            for item in outer.values() if type(outer) is dict else outer:
                kind = type(item)
                if kind is str:
                    continue
                if kind is dict or kind is list:
                    inner.append(item)
                elif kind is float:
                    exact = False
                elif kind is int and not -MAX_EXACT <= item <= MAX_EXACT:
                    return None
        if not inner:
            return exact
        layer = inner
    return None


def _text_bytes(raw: msgspec.Raw) -> int:
    """How long it is, where it is one text."""
    view = memoryview(raw)
    return view.nbytes if view.nbytes and view[0] == _QUOTE else 0
