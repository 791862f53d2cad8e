"""Reading bodies: the same values as the standard library's reader, but strictly, within bounds, and window by window."""

import asyncio
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hookgate.errors import ErrorKind, GateError
from hookgate.hooks import decode
from hookgate.hooks.compact import MAX_DEPTH
from hookgate.hooks.decode import SMALL_BYTES, Read, Reader
from hookgate.recorded import Recorded

#: Text made of what a reader of JSON may stumble over.
tricky = st.text(alphabet=st.sampled_from('"\\{}[],:/ \n\tué😀x'), max_size=12) | st.sampled_from(
    ["tool_response", "facts"]
)
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | tricky,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(tricky, inner, max_size=4),
    max_leaves=15,
)
objects = st.dictionaries(tricky, values, max_size=5)
styles = st.sampled_from(
    [
        {"separators": (",", ":")},
        {"separators": (" ,\n", " : "), "ensure_ascii": False},
        {"indent": 2},
        {"ensure_ascii": False},
    ]
)
windows = st.sampled_from([4, 5, 7, 16, 64])


def read(
    body: bytes | bytearray, *, limit: int = 20_000, cut_bytes: int = 64 * 1024, whole_bytes: int = 4 * 1024 * 1024
) -> Read:
    return asyncio.run(Reader(values=limit, cut_bytes=cut_bytes, whole_bytes=whole_bytes).read(body))


@contextmanager
def read_by_windows(size_bytes: int) -> Iterator[None]:
    """Has all larger bodies go the long way."""
    with patch.object(decode, "SMALL_BYTES", size_bytes), patch.object(decode, "read_compact", lambda body: None):
        yield


def refused(body: bytes, **bounds: int) -> ErrorKind:
    with pytest.raises(GateError) as caught:
        read(body, **bounds)
    return caught.value.kind


def exact(value: Any) -> Any:
    """The value as doubles can hold it."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 2**53:
        return float(value)
    if isinstance(value, dict):
        return {key: exact(item) for key, item in value.items()}
    return [exact(item) for item in value] if isinstance(value, list) else value


def same(one: Any, other: Any) -> bool:
    """Equal, also in type: True is not 1, and 1 is not 1.0."""
    return repr(one) == repr(other)


def size(value: Any) -> int:
    """How many commas and opening brackets the value is written with."""
    if isinstance(value, dict):
        return max(len(value), 1) + sum(size(item) for item in value.values())
    return max(len(value), 1) + sum(map(size, value)) if isinstance(value, list) else 0


def test_each_recorded_body_is_read_as_the_standard_library_reads_it(recording: Recorded) -> None:
    body = json.dumps(recording.body).encode()
    found = read(body)
    assert same(found.value, json.loads(body))
    assert not found.altered
    assert found.truncated == ()


@given(value=objects, style=styles)
def test_any_object_is_read_as_the_standard_library_reads_it(value: dict[str, Any], style: dict[str, Any]) -> None:
    body = json.dumps(value, **style).encode()
    found = read(body)
    assert same(found.value, exact(value))
    assert found.altered == (not same(exact(value), value))


cut_anywhere = given(value=objects, style=styles, window=windows, cut_bytes=st.integers(0, 40))


@settings(max_examples=250)
@cut_anywhere
def test_a_large_body_is_read_window_by_window_and_its_tool_response_cut_exactly(
    value: dict[str, Any], style: dict[str, Any], window: int, cut_bytes: int
) -> None:
    check_cut(value, style, window, cut_bytes)


@pytest.mark.soak
@settings(max_examples=10_000)
@cut_anywhere
def test_at_length_a_large_body_is_read_window_by_window_and_its_tool_response_cut_exactly(
    value: dict[str, Any], style: dict[str, Any], window: int, cut_bytes: int
) -> None:
    check_cut(value, style, window, cut_bytes)


def check_cut(value: dict[str, Any], style: dict[str, Any], window: int, cut_bytes: int) -> None:
    body = json.dumps(value, **style).encode()
    assume(len(body) > window)
    with read_by_windows(window):
        found = read(body, cut_bytes=cut_bytes)
    expected = exact(value)
    if found.truncated:
        assert found.truncated == ("tool_response",)
        raw = json.dumps(value["tool_response"], **style).encode()
        # An indented value stands deeper in its object than alone.
        assert len(raw) + 2 * raw.count(b"\n") + 2 > cut_bytes
        expected = {**expected, "tool_response": None}
    elif "tool_response" in value:
        assert len(json.dumps(value["tool_response"], **style).encode()) <= cut_bytes
    assert same(found.value, expected)


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_a_tool_response_is_cut_from_the_first_byte_beyond_the_bound(over: int) -> None:
    response = json.dumps("x" * 98)
    pad = "y" * SMALL_BYTES
    body = f'{{"pad":"{pad}","tool_response":{response},"tool_name":"Bash"}}'.encode()
    found = read(body, cut_bytes=len(response) + over)
    assert found.value == {"pad": pad, "tool_response": None if over < 0 else "x" * 98, "tool_name": "Bash"}
    assert found.truncated == (("tool_response",) if over < 0 else ())


@pytest.mark.parametrize("response", [{"stdout": "x" * 200}, "x" * 200, [1] * 100, {"tool_response": "x" * 200}])
@pytest.mark.parametrize("last", [False, True])
def test_the_bound_on_a_tool_response_holds_in_a_small_body_too(response: Any, last: bool) -> None:
    body = {"tool_response": response, "tool_name": "Bash"}
    if last:
        body = dict(reversed(body.items()))
    found = read(json.dumps(body).encode(), cut_bytes=100)
    assert found.value == {"tool_name": "Bash", "tool_response": None}
    assert found.truncated == ("tool_response",)


def test_only_the_top_level_tool_response_is_cut() -> None:
    body = {
        "tool_input": {"tool_response": "x" * 200},
        "tool_calls": [{"tool_response": "y" * 200}],
        "z": "tool_response",
    }
    found = read(json.dumps(body).encode(), cut_bytes=10)
    assert found.value == body
    assert found.truncated == ()


@pytest.mark.parametrize("piece", ["\\\\", '\\"', "\\u005c", "\\ud83d\\ude00", "é", "]}", "x"])
def test_escapes_and_strings_may_straddle_the_edge_of_a_window(piece: str) -> None:
    for shift in range(12):
        text = (
            '{"a":"'
            + "x" * (SMALL_BYTES - 12 + shift)
            + piece * 20
            + '","tool_response":["'
            + piece
            + '"],"b":[1,"'
            + piece
            + '"]}'
        )
        found = read(text.encode(), cut_bytes=0)
        expected = json.loads(text) | {"tool_response": None}
        assert found.value == expected
        assert found.truncated == ("tool_response",)


@settings(max_examples=300)
@given(body=st.text(alphabet='"\\{}[],:01e. tn-', max_size=40).map(str.encode), window=windows)
def test_what_is_no_json_is_refused_in_windows_as_it_is_in_one_piece(body: bytes, window: int) -> None:
    def outcome(windowed: int) -> Any:
        with read_by_windows(windowed):
            try:
                return read(body, cut_bytes=10**6).value
            except GateError as error:
                return error.kind

    assert same(outcome(window), outcome(10**6))


@settings(max_examples=200)
@given(
    body=st.binary(max_size=60) | st.binary(max_size=20).map(lambda middle: b'{"a":"' + middle + b'"}'), window=windows
)
def test_bytes_of_any_kind_are_read_or_refused_as_malformed(body: bytes, window: int) -> None:
    try:
        reference = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        reference = None
    with read_by_windows(window):
        try:
            found = read(bytearray(body), cut_bytes=10**6)
        except GateError as error:
            assert error.kind is ErrorKind.PAYLOAD_MALFORMED  # noqa: PT017
        else:
            assert isinstance(reference, dict)
            assert found.altered or same(found.value, reference)


@given(value=objects, limit=st.integers(1, 30), window=windows)
def test_values_are_counted_before_parsing_and_bounded_exactly(value: dict[str, Any], limit: int, window: int) -> None:
    body = json.dumps(value).encode()
    with read_by_windows(window):
        if size(value) > limit:
            assert refused(body, limit=limit) is ErrorKind.PAYLOAD_TOO_COMPLEX
        else:
            assert same(read(body, limit=limit).value, exact(value))


def test_commas_and_brackets_in_strings_count_for_nothing() -> None:
    body = {"command": "[{," * 1000}
    assert read(json.dumps(body).encode(), limit=100).value == body


@pytest.mark.parametrize("size_bytes", [10, SMALL_BYTES * 2])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_a_hundred_levels_are_read_and_one_more_refused(opening: str, closing: str, size_bytes: int) -> None:
    def nested(levels: int) -> bytes:
        pad = "x" * size_bytes
        inner = levels - 1
        return f'{{"pad":"{pad}","deep":{opening * inner}1{closing * inner}}}'.encode()

    assert "deep" in read(nested(MAX_DEPTH)).value
    assert refused(nested(MAX_DEPTH + 1)) is ErrorKind.PAYLOAD_MALFORMED
    assert refused(nested(100_000)) is ErrorKind.PAYLOAD_MALFORMED


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":1,"a":2}',
        b'{"a":{"b":1,"\\u0062":2}}',
        b'[{"a":1,"a":1}]',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":-Infinity}',
        b'{"a":1e999}',
        b'{"a":-1e999}',
        b'{"a":' + b"9" * 400 + b"}",
        b'{"a":' + b"9" * 5000 + b"}",
        b'{"a":01}',
        b'{"a":.5}',
        b'{"a":+1}',
        b'{"a":0x10}',
        b'{"a":1}x',
        b'{"a":1,}',
        b"{'a':1}",
        b'{"a":"\n"}',
        b'{"a":"\x00"}',
        b'{"a":"\\x41"}',
        b'{"a":"\xff"}',
        b'{"a":"\xed\xa0\x80"}',
        b'{"a":"\xc0\x80"}',
        b"\xef\xbb\xbf{}",
        '{"a":1}'.encode("utf-16"),
        '{"a":1}'.encode("utf-16-le"),
        b"",
        b" ",
        b"null",
        b"[]",
        b'"x"',
        b"5",
        b"{",
        b'{"a":"',
        b'{"a":"\\',
    ],
)
def test_what_readers_disagree_about_is_refused(body: bytes) -> None:
    assert refused(body) is ErrorKind.PAYLOAD_MALFORMED
    # The same in a body so large that it is read window by window.
    assert refused(body + b" " * SMALL_BYTES) is ErrorKind.PAYLOAD_MALFORMED


@given(value=st.dictionaries(tricky, st.text(alphabet=st.characters(categories=["Cs", "Lu", "Po"]), max_size=6)))
def test_lone_surrogates_become_replacement_characters_and_the_body_counts_as_altered(value: dict[str, str]) -> None:
    body = json.dumps(value).encode()
    reference = json.loads(body)
    clean = {key: re.sub("[\ud800-\udfff]", "\ufffd", item) for key, item in reference.items()}
    found = read(body)
    assert found.value == clean
    assert found.altered == (clean != reference)
    json.dumps(found.value, ensure_ascii=False).encode("utf-8")


def test_surrogate_pairs_are_characters_and_nothing_is_altered() -> None:
    found = read(b'{"a":"\\ud83d\\ude00","b":"\\\\ud800"}')
    assert found.value == {"a": "😀", "b": "\\ud800"}
    assert not found.altered


def test_keys_that_become_the_same_by_replacing_surrogates_are_refused() -> None:
    assert refused(b'{"\\ud800":1,"\\udc00":2}') is ErrorKind.PAYLOAD_MALFORMED
    assert read(b'{"a":{"\\ud800":1}}').value == {"a": {"\ufffd": 1}}


@pytest.mark.parametrize(
    ("written", "value", "altered"),
    [
        ("9007199254740992", 2**53, False),
        ("-9007199254740992", -(2**53), False),
        ("9007199254740993", 9007199254740992.0, True),
        ("-9007199254740994", -9007199254740994.0, True),
        ("999999999999999", 999999999999999, False),
        ("1e3", 1000.0, False),
        ("-0", 0, False),
    ],
)
def test_integers_beyond_a_doubles_reach_become_the_nearest_double_and_the_body_counts_as_altered(
    written: str, value: float, altered: bool
) -> None:
    found = read(f'{{"a":{written}}}'.encode())
    assert same(found.value, {"a": value})
    assert found.altered == altered


def test_one_readers_bodies_do_not_touch_each_other() -> None:
    reader = Reader(values=100, cut_bytes=100, whole_bytes=10_000)

    async def both() -> tuple[Read, Read]:
        return await reader.read(b'{"a":99999999999999999999}'), await reader.read(b'{"a":1}')

    first, second = asyncio.run(both())
    assert first.altered
    assert not second.altered


def test_a_body_that_the_pdp_would_refuse_for_its_size_is_not_even_parsed() -> None:
    pad = b'{"pad":"' + b"x" * 200_000 + b'","tool_response":"' + b"y" * 200_000 + b'"}'
    assert refused(pad, whole_bytes=100_000) is ErrorKind.PDP_TOO_LARGE
    # Without the tool's response, which is not sent, it fits.
    assert read(pad, whole_bytes=201_000).truncated == ("tool_response",)


async def test_reading_a_huge_body_lets_others_have_their_turn() -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    body = b'{"tool_response":"' + b"x" * (16 * 1024 * 1024) + b'"}'
    found = await Reader(values=100, cut_bytes=1000, whole_bytes=10_000).read(body)
    task.cancel()
    assert found.value == {"tool_response": None}
    assert turns > 2
