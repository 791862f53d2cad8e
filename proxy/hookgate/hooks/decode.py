"""Bytes to JSON values, strictly and within bounds.

What a lenient reader would pass on is a way around a policy: a duplicate key that the client and we resolve differently,
a NaN, a surrogate that breaks the wire to the PDP, a million small values that hold the event loop. Sizes and counts are
bounded before parsing, and no single step works on more than a window of a large body, so that other requests go on.
"""

import json
import re
import time
from collections.abc import Iterator
from typing import Any

import re2

from hookgate.errors import ErrorKind, GateError
from hookgate.hooks.compact import MAX_DEPTH, MAX_EXACT, Written, beside_texts, read_compact
from hookgate.hooks.turn import LIGHT_BYTES, Turn

#: Bodies up to this size are read in one go; larger ones window by window, other requests getting their turn between.
SMALL_BYTES = 64 * 1024
_SLICE_SECONDS = 0.004
_TOO_DEEP = f"nested deeper than {MAX_DEPTH} levels"

#: Bytes are bytes: no character is longer.
_BYTES = re2.Options()
_BYTES.encoding = re2.Options.Encoding.LATIN1

_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_TOKEN = re.compile(rb'["\[\]{},]')
_IN_STRING = re2.compile(rb'(?s)[^"\\]*(?:\\.[^"\\]*)*', _BYTES)
_SPACE_COLON = re.compile(rb"[ \t\r\n]*+:")
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89abAB-Fc-f]")
_SURROGATE = re.compile("[\ud800-\udfff]")


class Reader:
    """Reads bodies; keeps no state between them. Those that are not light take turns, slice by slice; other heavy work may
    share `turn`.

    `values` bounds the number of JSON values, `cut_bytes` the size up to which a top-level `tool_response` is parsed:
    a larger one is read as null, and `truncated` names it. `whole_bytes` bounds what is parsed in all.
    """

    def __init__(self, *, values: int, cut_bytes: int, whole_bytes: int, turn: Turn | None = None) -> None:
        self._turn = turn or Turn()
        self._values = values
        self._cut_bytes = cut_bytes
        self._whole_bytes = whole_bytes
        self._altered = False
        self._decoder = json.JSONDecoder(
            object_pairs_hook=_unique,
            parse_int=self._integer,
            parse_float=_real,
            parse_constant=_no_constant,
        )

    async def read(self, body: bytes | bytearray) -> "Read":
        """Gives the JSON object.

        Raises GateError: payload_too_complex, payload_malformed, pdp_too_large (larger than the PDP takes, even without
        the tool's response).
        """
        beside = len(body) if len(body) <= min(LIGHT_BYTES, self._cut_bytes) else beside_texts(body, self._cut_bytes)
        if len(body) <= SMALL_BYTES and beside is not None and beside <= LIGHT_BYTES:
            read = self._read_at_once(body, beside)
            if read is not None:
                return read
        async with self._turn:
            read = self._read_at_once(body, beside)
            if read is not None:
                return read
        truncated: tuple[str, ...] = ()
        response = await self._scan(body)
        if response is not None and response[1] - response[0] > self._cut_bytes:
            body = body[: response[0]] + b"null" + body[response[1] :]
            truncated = ("tool_response",)
        if len(body) > self._whole_bytes:
            raise GateError(ErrorKind.PDP_TOO_LARGE, f"{len(body)} bytes without the tool's response")
        async with self._turn:
            read = self._parse(body, truncated, is_bounded=True)
            read.response = response
            return read

    def _read_at_once(self, body: bytes | bytearray, beside: int | None) -> "Read | None":
        """None where a body may hold more values than may be, or a response that is to be left out, or where it is large and not
        written as clients do. `beside` is how many of its bytes stand beside its long texts, if that is known."""
        if (
            beside is not None
            and len(body) <= self._whole_bytes
            and (beside <= self._values or _most_values(body) <= self._values)
            and (found := read_compact(body)) is not None
        ):
            return Read(found[0], False, (), found[1])
        if len(body) <= SMALL_BYTES and self._has_few_values(body):
            return self._parse(body, ())
        return None

    def _has_few_values(self, body: bytes | bytearray) -> bool:
        """Whether a body is sure to hold no more values than may be, and no response that is to be left out. Brackets and commas
        inside strings count as well, which is soon done; only where that is too many are the strings left out."""
        if len(body) > self._cut_bytes and b'"tool_response"' in body:
            return False
        if _most_values(body) <= self._values:
            return True
        return _most_values(_STRING.sub(b"", body)) <= self._values

    async def _scan(self, body: bytes | bytearray) -> tuple[int, int] | None:
        """Counts values and depth; gives where the top-level `tool_response` begins and ends."""
        structure = _Structure(self._values)
        walk = structure.walk(body)
        unfinished = True
        while unfinished:
            async with self._turn:
                # Not the loop's clock: uvloop's stands still while we work.
                end = time.perf_counter() + _SLICE_SECONDS
                unfinished = any(time.perf_counter() > end for _ in walk)
        return structure.response

    def _parse(self, body: bytes | bytearray, truncated: tuple[str, ...], *, is_bounded: bool = False) -> "Read":
        """`is_bounded`: its brackets are counted already."""
        self._altered = False
        try:
            text = body.decode("utf-8")
            value = self._decoder.decode(text)
        except UnicodeDecodeError as error:
            raise GateError(ErrorKind.PAYLOAD_MALFORMED, f"invalid UTF-8 at byte {error.start}") from None
        except json.JSONDecodeError as error:
            raise GateError(
                ErrorKind.PAYLOAD_MALFORMED, f"invalid JSON at character {error.pos}: {error.msg}"
            ) from None
        except RecursionError:
            raise GateError(ErrorKind.PAYLOAD_MALFORMED, _TOO_DEEP) from None
        except ValueError as error:
            raise GateError(ErrorKind.PAYLOAD_MALFORMED, str(error)[:200]) from None
        if not isinstance(value, dict):
            raise GateError(ErrorKind.PAYLOAD_MALFORMED, "not a JSON object")
        # Not more brackets than levels: then there is nothing to count, as in nearly every body.
        if not is_bounded and body.count(b"[") + body.count(b"{") > MAX_DEPTH and _is_too_deep(value):
            raise GateError(ErrorKind.PAYLOAD_MALFORMED, _TOO_DEEP)
        if "\\u" in text and _SURROGATE_ESCAPE.search(text):
            value = self._without_surrogates(value)
        return Read(value, self._altered, truncated)

    def _integer(self, digits: str) -> int | float:
        if len(digits) < 16:
            return int(digits)
        exact = int(digits)
        if -MAX_EXACT <= exact <= MAX_EXACT:
            return exact
        try:
            nearest = float(exact)
        except OverflowError:
            raise ValueError("number beyond a double") from None
        self._altered = True
        return nearest

    def _without_surrogates(self, value: Any) -> Any:
        if isinstance(value, str):
            clean = _SURROGATE.sub("\ufffd", value)
            self._altered = self._altered or clean != value
            return clean
        if isinstance(value, list):
            return [self._without_surrogates(item) for item in value]
        if isinstance(value, dict):
            clean_pairs = [
                (self._without_surrogates(key), self._without_surrogates(item)) for key, item in value.items()
            ]
            try:
                return _unique(clean_pairs)
            except ValueError as error:
                raise GateError(ErrorKind.PAYLOAD_MALFORMED, str(error)) from None
        return value


class Read:
    """A body's JSON object, whether a value had to be replaced, and which attributes were left out for their size. `response`
    is where `tool_response` stands in the body, of a body that was searched for it; `written` the tool's input in canonical
    form, where it was written already."""

    __slots__ = ("altered", "response", "truncated", "value", "written")

    def __init__(
        self, value: dict[str, Any], altered: bool, truncated: tuple[str, ...], written: Written | None = None
    ) -> None:
        self.value = value
        self.altered = altered
        self.truncated = truncated
        self.written = written
        self.response: tuple[int, int] | None = None


class _Structure:
    """The commas, brackets and strings of a body, without its values."""

    def __init__(self, values: int) -> None:
        self._limit = values
        self._depth = self._values = self._strings = 0
        self.response: tuple[int, int] | None = None

    def walk(self, body: bytes | bytearray) -> Iterator[None]:
        """Yields after each window of work. Raises GateError past a bound; other faults are left to the parser."""
        end, pos, steps = len(body), 0, 0
        begun: int | None = None
        while pos < end:
            steps += 1
            if steps % 512 == 0:
                yield
            stop = min(pos + SMALL_BYTES, end)
            token = _TOKEN.search(body, pos, stop)
            if token is None:
                pos = stop
                yield
                continue
            at, char = token.start(), token.group()
            pos = at + 1
            if self._depth == 1 and char in b",}" and begun is not None and self.response is None:
                self.response = (begun, at)
            self._count(char)
            if char == b'"':
                for inside in _string_ends(body, pos, end):
                    pos = inside
                    yield
                if self._depth == 1 and begun is None and body[at + 1 : pos - 1] == b"tool_response":
                    colon = _SPACE_COLON.match(body, pos, min(pos + SMALL_BYTES, end))
                    if colon is not None:
                        begun = pos = colon.end()

    def _count(self, char: bytes) -> None:
        if char == b'"':
            self._strings += 1
        elif char in b"[{":
            self._depth += 1
            self._values += 1
        elif char == b",":
            self._values += 1
        else:
            self._depth -= 1
        if self._depth > MAX_DEPTH:
            raise GateError(ErrorKind.PAYLOAD_MALFORMED, _TOO_DEEP)
        if self._depth < 0:
            raise GateError(ErrorKind.PAYLOAD_MALFORMED, "a bracket closes that was never opened")
        # Each value is one string at the most, and has one more for its key.
        if self._values > self._limit or self._strings > 2 * (self._limit + 1):
            raise GateError(ErrorKind.PAYLOAD_TOO_COMPLEX, f"more than {self._limit} JSON values")


def _string_ends(body: bytes | bytearray, pos: int, end: int) -> Iterator[int]:
    """Yields positions further inside the string that begins at `pos`, the last one just behind its closing quote."""
    while pos < end:
        stop = min(pos + SMALL_BYTES, end)
        match = _IN_STRING.match(body, pos, stop)
        reached = match.end() if match else pos
        if reached < stop and body[reached : reached + 1] == b'"':
            yield reached + 1
            return
        if reached < stop:  # a backslash whose partner lies behind the window, or the body's last byte
            reached = min(reached + 2, end)
        pos = reached
        if pos < end:
            yield pos
    yield end


def _most_values(body: bytes | bytearray) -> int:
    return body.count(b"[") + body.count(b"{") + body.count(b",")


def _is_too_deep(value: dict[str, Any]) -> bool:
    layer: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        layer = [
            inner
            for outer in layer
            for inner in (outer.values() if type(outer) is dict else outer)
            if type(inner) is dict or type(inner) is list
        ]
        if not layer:
            return False
    return True


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object has the same key twice")
    return found


def _real(digits: str) -> float:
    number = float(digits)
    if number - number != 0.0:
        raise ValueError("number beyond a double")
    return number


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")
