"""Each short way through a decision gives what the long way gives."""

import json
import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from hookgate.app.endpoint import _is_coded
from hookgate.audit.record import OutputRecord, Record
from hookgate.audit.redact import CUT_CHARACTERS, SMALL_BYTES, Redactor
from hookgate.audit.scribe import Scribe
from hookgate.errors import GateError
from hookgate.hooks.decode import _IN_STRING, MAX_DEPTH, Reader, _Structure
from tests.unit.strategies import sent_values

VALUES = 60
REDACTOR = Redactor(bytes(32))

_levels = st.integers(1, 30) | st.integers(MAX_DEPTH - 3, MAX_DEPTH + 3)


def nested(levels: int, brackets: str, inner: Any) -> Any:
    """Gives a value so many levels deep, of lists and objects by turns as told."""
    for number in range(levels):
        inner = [inner] if brackets[number % len(brackets)] == "[" else {"k": inner}
    return inner


class TestReading:
    """Values and depth are bounded without looking at each bracket, where there can't be too many."""

    @staticmethod
    async def by_counting(body: bytes) -> str:
        """What comes of a body whose every bracket and comma is counted before it is parsed."""
        reader = Reader(values=VALUES, cut_bytes=1 << 20, whole_bytes=1 << 20)
        try:
            for _ in _Structure(VALUES).walk(body):
                pass
            return str(reader._parse(body, ()).value)
        except GateError as error:
            return error.kind.value

    @staticmethod
    async def by_reading(body: bytes) -> str:
        reader = Reader(values=VALUES, cut_bytes=1 << 20, whole_bytes=1 << 20)
        try:
            return str((await reader.read(body)).value)
        except GateError as error:
            return error.kind.value

    @given(
        value=sent_values,
        levels=_levels,
        brackets=st.text("[{", min_size=1, max_size=3),
        text=st.text('[]{},:"\\ü', max_size=300),
    )
    async def test_a_body_is_bounded_as_by_counting(self, value: Any, levels: int, brackets: str, text: str) -> None:
        body = json.dumps({"a": nested(levels, brackets, value), "b": text}).encode()
        assert await self.by_reading(body) == await self.by_counting(body)

    @given(st.text('[]{},:"\\ 1', max_size=200))
    async def test_what_is_no_json_is_refused_as_by_counting(self, text: str) -> None:
        body = text.encode()
        found, counted = await self.by_reading(body), await self.by_counting(body)
        assert found == counted or {found, counted} == {"payload_malformed", "payload_too_complex"}

    @given(st.text('"\\\\aü\n\0', max_size=60), st.integers(0, 20), st.integers(0, 60))
    async def test_the_inside_of_a_string_ends_where_backtracking_would_end_it(
        self, text: str, begin: int, stop: int
    ) -> None:
        body = bytearray(text.encode())
        pattern = re.compile(rb'[^"\\]*+(?:(?:\\.)++[^"\\]*+)*+', re.DOTALL)
        begin, stop = min(begin, len(body)), min(stop, len(body))
        expected, found = pattern.match(body, begin, stop), _IN_STRING.match(body, begin, stop)
        assert (found.end() if found else begin) == (expected.end() if expected else begin)

    @pytest.mark.parametrize("levels", [MAX_DEPTH - 2, MAX_DEPTH - 1, MAX_DEPTH, 990, 5_000, 30_000])
    async def test_depth_is_refused_beyond_its_bound_and_nowhere_else(self, levels: int) -> None:
        reader = Reader(values=200_000, cut_bytes=1 << 20, whole_bytes=1 << 20)
        body = b'{"a":' + b"[" * levels + b"]" * levels + b"}"
        if levels < MAX_DEPTH:
            assert (await reader.read(body)).value["a"] is not None
        else:
            with pytest.raises(GateError, match=f"nested deeper than {MAX_DEPTH} levels"):
                await reader.read(body)


#: A record that is not large keeps its texts whole, so these are none that would be cut.
_short = st.sampled_from(
    [
        "",
        "ls -la",
        "password=hunter2hunter2",
        "Authorization: Bearer abcdefghijklmnopqrstuvwxyz012345",
        "AKIAIOSFODNN7EXAMPLE",
        "x" * CUT_CHARACTERS,
        "\ud800 lone",
        "\ue0001\ue001",
    ]
)
_words = _short | st.sampled_from(
    ["ü" * (CUT_CHARACTERS + 1), "y" * 5000 + " token=0123456789abcdef0123456789abcdef", "z" * 20_000]
)
_inputs = st.dictionaries(
    st.sampled_from(["command", "content", "api_key", "name", "value", "z" * 3000]),
    st.recursive(
        _words | st.text(max_size=20) | st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(_words.filter(lambda key: "\ud800" not in key), inner, max_size=3)
        ),
        max_leaves=8,
    ),
    max_size=4,
)


@given(
    tool_input=_inputs,
    reason=_short,
    output=st.dictionaries(st.sampled_from(["reason", "token", "a"]), _short, max_size=2),
    cwd=_short,
    cut=st.sampled_from([(), ("labels",), ("input", "tool_response")]),
    body_bytes=st.sampled_from([SMALL_BYTES + 1, 1_000_000]),
)
def test_a_large_call_s_record_is_as_if_looked_through_member_by_member(
    tool_input: dict[str, Any], reason: str, output: dict[str, Any], cwd: str, cut: tuple[str, ...], body_bytes: int
) -> None:
    record = Record(
        id="i",
        time="t",
        outcome="deny",
        mode="enforce",
        input=tool_input,
        reason=reason,
        cwd=cwd,
        cut=cut,
        outputs=(OutputRecord("p#r", output),) if output else (),
        answer={"reason": reason},
        body_bytes=body_bytes,
    )
    found_cut: list[str] = []
    clean = REDACTOR.redacted(msgspec.to_builtins(record), found_cut)
    clean["cut"] = tuple(dict.fromkeys((*record.cut, *found_cut)))
    line, shown = Scribe(REDACTOR).decision(record)
    assert line == msgspec.json.encode(clean) + b"\n"
    assert shown == msgspec.convert(clean, Record)


_CODINGS = st.lists(
    st.sampled_from(["identity", " Identity ,", "chunked", "gzip", "", ",", "identity, gzip", "chunked,identity"]),
    max_size=3,
)


@given(fields=_CODINGS, known=st.sampled_from(["identity", "chunked"]))
def test_a_coding_that_is_not_known_is_seen_as_if_all_of_them_were_gathered(fields: list[str], known: str) -> None:
    headers = CIMultiDictProxy(CIMultiDict([("content-encoding", field) for field in fields]))
    gathered = {part.strip().lower() for field in fields for part in field.split(",")} - {""}
    assert _is_coded(headers, "Content-Encoding", known) == (not gathered <= {known})
