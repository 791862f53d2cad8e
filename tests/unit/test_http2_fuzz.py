"""Whatever bytes a server sends, and however they are split: nothing is raised, and no answer is made up."""

import asyncio
from itertools import pairwise

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hookgate.errors import GateError
from hookgate.pdp.http2 import call as call_module
from hookgate.pdp.http2 import frames
from hookgate.pdp.http2.call import Call
from hookgate.pdp.http2.fields import Fields
from tests.unit.http2_peer import HEADERS, TRAILERS, Opened, answer, data, fields, framed, headers

MESSAGE = b"answer"

_streams = st.sampled_from([0, 1, 1, 1, 3, 2, 5, 2**31 - 1])
_payloads = st.one_of(
    st.sampled_from(
        [
            b"",
            bytes(4),
            bytes(5),
            bytes(8),
            framed(MESSAGE),
            framed(MESSAGE)[:5],
            MESSAGE,
            framed(MESSAGE, 1),
            fields(HEADERS),
            fields(TRAILERS),
            fields([*HEADERS, ("grpc-status", "5")]),
        ]
    ),
    st.binary(max_size=40),
)
_any_frame = st.builds(
    frames.frame, st.integers(0, 12), st.sampled_from([0, 1, 4, 5, 8, 0x20, 0x2D, 255]), _streams, _payloads
)
_right_frame = st.one_of(
    st.sampled_from(
        [
            headers(1, HEADERS),
            data(1, framed(MESSAGE)),
            data(1, framed(MESSAGE)[:6]),
            data(1, framed(MESSAGE)[6:]),
            data(1, framed(MESSAGE), end=True),
            headers(1, TRAILERS, end=True),
            headers(1, TRAILERS),
            headers(1, [("grpc-status", "7")], end=True),
            headers(1, [(":status", "100")]),
            headers(1, [(":status", "500"), HEADERS[1]]),
            frames.window_update(1, 10),
            frames.reset(1, 8),
            frames.frame(frames.PING, 0, 0, bytes(8)),
            frames.frame(frames.GOAWAY, 0, 0, bytes(8)),
            frames.settings({}),
        ]
    )
)
_begun = st.sampled_from([b"", headers(1, HEADERS), headers(1, HEADERS) + data(1, framed(MESSAGE))])
_streams_of_bytes = st.one_of(
    st.binary(max_size=200),
    st.builds(lambda begun, rest: begun + b"".join(rest), _begun, st.lists(_any_frame | _right_frame, max_size=12)),
)


def split(whole: bytes, cuts: list[int]) -> list[bytes]:
    """Gives the bytes in the pieces that the cuts make."""
    ends = sorted({min(cut, len(whole)) for cut in cuts} | {0, len(whole)})
    return [whole[begin:end] for begin, end in pairwise(ends)]


async def outcome(pieces: list[bytes]) -> bytes | GateError | None:
    """Gives what a call comes to when these bytes come in and then the connection is lost."""
    opened = Opened()
    call = opened.ask()
    for piece in pieces:
        opened.feed(piece)
    before = call.outcome.done()
    opened.connection.connection_lost(None)
    assert call.outcome.done(), "a call must never be left waiting"
    error = call.outcome.exception()
    if error is None:
        return call.outcome.result()
    assert isinstance(error, GateError)
    return error if before else None


def by_library(whole: bytes) -> bytes | None:
    """Gives the answer as the library h2 reads it; None where it reads none."""
    client = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding=None, validate_inbound_headers=False))
    client.initiate_connection()
    client.receive_data(frames.settings({}) + frames.frame(frames.SETTINGS, frames.ACK, 0))
    client.send_headers(
        1, [(":method", "POST"), (":scheme", "http"), (":path", "/a"), (":authority", "b")], end_stream=True
    )
    body, status, good = b"", b"", False
    # One frame after the other: what comes before a broken one counts.
    try:
        found = list(frames.Splitter().frames(whole))
    except frames.ProtocolError:
        found = []
    # Priorities and frames of other kinds mean nothing (RFC 9113, 5.3.2 and 5.5); the library still looks into them.
    for piece in (frames.frame(*one) for one in found if one[0] <= frames.CONTINUATION and one[0] != frames.PRIORITY):
        try:
            events = client.receive_data(piece)
        except (h2.exceptions.ProtocolError, ValueError):
            break
        for event in events:
            if getattr(event, "stream_id", 1) != 1:
                continue
            if isinstance(event, h2.events.ResponseReceived):
                status = dict(event.headers)[b":status"]
            elif isinstance(event, h2.events.DataReceived):
                body += event.data
            elif isinstance(event, h2.events.TrailersReceived):
                good = dict(event.headers).get(b"grpc-status") == b"0"
            elif isinstance(event, h2.events.StreamEnded) and good and status == b"200":
                return body[5:] if body[:5] == framed(body[5:])[:5] else None
    return None


@settings(max_examples=400)
@given(whole=_streams_of_bytes, cuts=st.lists(st.integers(0, 300), max_size=6))
async def test_no_answer_is_made_up_and_splitting_changes_nothing(whole: bytes, cuts: list[int]) -> None:
    found = await outcome([whole])
    assert str(await outcome(split(whole, cuts))) == str(found)
    if isinstance(found, bytes):
        assert found == by_library(whole)


@given(prefix=st.lists(_right_frame.filter(lambda one: one[3] in (frames.PING, frames.SETTINGS)), max_size=3))
async def test_a_whole_answer_is_always_found(prefix: list[bytes]) -> None:
    whole = b"".join(prefix) + answer(1, MESSAGE)
    assert await outcome([whole]) == MESSAGE == by_library(whole)


@given(cut=st.integers(0, len(answer(1, MESSAGE)) - 1))
async def test_an_answer_that_breaks_off_is_none(cut: int) -> None:
    assert await outcome([answer(1, MESSAGE)[:cut]]) is None


@given(at=st.integers(0, len(answer(1, MESSAGE)) - 1), byte=st.integers(0, 255))
async def test_a_changed_byte_changes_the_answer_at_most_where_it_stands(at: int, byte: int) -> None:
    whole = bytearray(answer(1, MESSAGE))
    whole[at] = byte
    found = await outcome([bytes(whole)])
    if isinstance(found, bytes):
        assert found == by_library(bytes(whole))
    assert asyncio.get_running_loop().is_running()


_FIELDS = st.lists(
    st.sampled_from(
        [
            *((b":status", status) for status in (b"200", b"103", b"404")),
            *((b"content-type", media) for media in (b"application/grpc", b"application/grpc+proto", b"text/html")),
            *((b"grpc-status", number) for number in (b"0", b"14", b"x")),
            (b"grpc-message", b"why%20not"),
            (b"server", b"s"),
        ]
    ),
    max_size=5,
).map(tuple)


@given(blocks=st.lists(st.tuples(_FIELDS, st.booleans()), min_size=1, max_size=4), message=st.booleans())
def test_fields_that_are_known_to_be_well_are_taken_as_if_they_were_not(
    blocks: list[tuple[Fields, bool]], message: bool
) -> None:
    loop = asyncio.new_event_loop()

    def taken() -> list[object]:
        call, found = Call(b"", b"", loop.create_future()), list[object]()
        for sent, last in blocks:
            if call.begun and message:
                call.data(b"\0\0\0\0\x01x"[: 6 - len(call.answer)], last=False)
            fault = call.fields(sent, last=last)
            found.append((fault and (fault.kind, fault.detail), call.begun, call.whole))
        return found

    with pytest.MonkeyPatch.context() as unknown:
        for name in ("begins_well", "ends_well"):
            unknown.setattr(call_module, name, lambda fields: False)
        long = taken()
    assert taken() == long
    loop.close()
