"""Each short way through a decision gives what the long way gives."""

import json
import re
from contextlib import nullcontext
from typing import Any
from unittest.mock import patch

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from hookgate.app.endpoint import _is_coded
from hookgate.audit.digest import canonical
from hookgate.audit.record import OutputRecord, Record
from hookgate.audit.redact import CUT_CHARACTERS, SMALL_BYTES, Redactor
from hookgate.audit.scribe import Scribe
from hookgate.errors import GateError
from hookgate.hooks import decode
from hookgate.hooks.compact import MAX_DEPTH, beside_texts, read_compact
from hookgate.hooks.decode import _IN_STRING, Reader, _Structure
from hookgate.hooks.turn import LIGHT_BYTES
from hookgate.recorded import Recorded
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


#: Where a long text may stand, and where one may not.
_places = st.sampled_from(["prompt", "last_assistant_message", "tool_input", "tool_response", "tool_name", "a"])
_parts = st.sampled_from(["content", "command", "new_string", "old_string", "prompt", "file_path", "tool_response"])
_texts = st.text('[]{},:"\\ü\n\0\x7f😀\u2028', max_size=40) | st.just("x" * 200)
_numbers = st.integers(-(2**54), 2**54) | st.floats(allow_nan=False, allow_infinity=False) | st.just(10**30)
_odd = st.sampled_from(
    ["\\ud800", "\\ud83d\\ude00", "\\u0061", "\\/", "\x01", " ", '"', '"a":1,', ",", "0", "1e3", "-0", "{}", "\udcff"]
)
_any = st.recursive(
    st.none() | st.booleans() | _numbers | _texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts | _parts, inner, max_size=3),
    max_leaves=6,
)


class TestCompactReading:
    """A body that is read in one go, as clients write it, comes out as by the standard library's parser, or not at all."""

    @staticmethod
    async def read(body: bytes, *, cut_bytes: int, shortly: bool) -> Any:
        reader = Reader(values=VALUES, cut_bytes=cut_bytes, whole_bytes=1 << 20)
        with nullcontext() if shortly else patch.object(decode, "read_compact", lambda body: None):
            try:
                found = await reader.read(body)
            except GateError as error:
                return error.kind, error.detail
        if found.written is not None:
            assert found.written.take() in (b"", canonical(found.value.get("tool_input")))
        # A double is told from an integer, and True from 1.
        return repr(found.value), found.altered, found.truncated

    @given(
        value=st.dictionaries(_places, _any | st.dictionaries(_parts, _texts, max_size=3), max_size=5),
        ascii_only=st.booleans(),
        cut_bytes=st.sampled_from([0, 30, 1 << 20]),
        odd=st.lists(st.tuples(st.integers(0, 400), _odd), max_size=2),
        heavy=st.booleans(),
    )
    async def test_a_body_comes_out_as_by_the_long_way(
        self, value: dict[str, Any], ascii_only: bool, cut_bytes: int, odd: list[tuple[int, str]], heavy: bool
    ) -> None:
        text = json.dumps(value, separators=(",", ":"), ensure_ascii=ascii_only)
        for at, piece in odd:
            text = text[:at] + piece + text[at:]
        body = text.encode("utf-8", "surrogateescape")
        with patch.object(decode, "LIGHT_BYTES", 20 if heavy else LIGHT_BYTES):
            short = await self.read(body, cut_bytes=cut_bytes, shortly=True)
            assert short == await self.read(body, cut_bytes=cut_bytes, shortly=False)

    @given(first=_texts, second=_any, third=_any)
    async def test_a_key_that_stands_twice_is_seen_wherever_it_stands(
        self, first: str, second: Any, third: Any
    ) -> None:
        pair = f"{json.dumps(first)}:{json.dumps(second)},{json.dumps(first)}:{json.dumps(third)}"
        for body in (f"{{{pair}}}", f'{{"tool_input":{{{pair}}}}}', f'{{"a":[{{{pair}}}]}}'):
            assert read_compact(body.replace(": ", ":").encode()) is None

    def test_what_the_client_sends_goes_the_short_way(self, recording: Recorded) -> None:
        body = json.dumps(recording.body, separators=(",", ":"), ensure_ascii=False).encode()
        assert beside_texts(body, 1 << 20) is not None
        found = read_compact(body)
        assert found is not None
        assert found[0] == recording.body

    def test_no_character_has_a_shorter_form_than_the_one_that_is_written(self) -> None:
        text = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x11000)]))
        assert msgspec.json.encode(text) == json.dumps(text, ensure_ascii=False).encode()

    @given(content=_texts, other=_any)
    def test_a_body_has_no_more_values_than_bytes_beside_its_texts(self, content: str, other: Any) -> None:
        body = json.dumps({"tool_input": {"content": content, "a": other}, "b": other}, separators=(",", ":")).encode()
        beside = beside_texts(body, 1 << 20)
        assert beside is not None
        counted = _Structure(1 << 20)
        assert list(counted.walk(body)) is not None
        assert counted._values <= beside <= len(body)


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
    scribe = Scribe(REDACTOR)
    assert scribe.decision(record, scribe.clean_input(tool_input)) == (line, shown)
    # One that was made of another input than the record's is not used.
    assert scribe.decision(record, scribe.clean_input({"content": "of another"})) == (line, shown)


_CODINGS = st.lists(
    st.sampled_from(["identity", " Identity ,", "chunked", "gzip", "", ",", "identity, gzip", "chunked,identity"]),
    max_size=3,
)


@given(fields=_CODINGS, known=st.sampled_from(["identity", "chunked"]))
def test_a_coding_that_is_not_known_is_seen_as_if_all_of_them_were_gathered(fields: list[str], known: str) -> None:
    headers = CIMultiDictProxy(CIMultiDict([("content-encoding", field) for field in fields]))
    gathered = {part.strip().lower() for field in fields for part in field.split(",")} - {""}
    assert _is_coded(headers, "Content-Encoding", known) == (not gathered <= {known})
