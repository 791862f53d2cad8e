"""Our own HTTP/2 connection: what goes out, what may come in, and how calls end. Nothing here needs a socket."""

import asyncio
from collections.abc import Callable

import pytest
from h2.settings import SettingCodes

from hookgate.errors import ErrorKind, GateError
from hookgate.pdp.http2 import connection as module
from hookgate.pdp.http2 import frames
from hookgate.pdp.http2.call import MAX_MESSAGE_BYTES, Call, UntakenError
from hookgate.pdp.http2.status import NAMES
from tests.unit.http2_peer import HEADERS, TRAILERS, Library, Opened, answer, data, fields, framed, headers
from tests.unit.http2_peer import REQUEST as BLOCK


def fault(call: Call) -> GateError:
    error = call.outcome.exception()
    assert isinstance(error, GateError)
    return error


class TestAgainstTheLibrary:
    """h2 as the server: it holds our side to HTTP/2."""

    @pytest.fixture(name="library")
    def library_with_small_windows(self) -> Library:
        return Library({SettingCodes.INITIAL_WINDOW_SIZE: 1000, SettingCodes.MAX_CONCURRENT_STREAMS: 2})

    @pytest.fixture(name="opened")
    async def opened_to_it(self, library: Library) -> Opened:
        opened = Opened(greeted=False)
        self.talk(opened, library)
        assert opened.connection.ready.done()
        return opened

    @staticmethod
    def talk(opened: Opened, library: Library) -> None:
        while written := opened.wire.taken():
            if back := library.take(written):
                opened.feed(back)

    async def test_calls_go_and_answers_come_back(self, opened: Opened, library: Library) -> None:
        call = opened.ask(b"abc")
        self.talk(opened, library)
        assert library.bodies == {1: framed(b"abc")}
        assert library.whole == [1]
        assert library.fields[1][":path"] == "/a"
        opened.feed(library.answer(1, b"cba"))
        assert call.outcome.result() == b"cba"

    @pytest.mark.parametrize("size", [0, 994, 995, 996, 16379, 16380, 70_000, 1_000_000])
    async def test_a_message_goes_whole_through_windows_of_any_size(
        self, opened: Opened, library: Library, size: int
    ) -> None:
        request = bytes(index % 251 for index in range(size))
        call = opened.ask(request)
        self.talk(opened, library)
        assert (library.bodies[1], library.whole) == (framed(request), [1])
        opened.feed(library.answer(1, request[:50_000]))
        assert call.outcome.result() == request[:50_000]

    async def test_no_more_calls_are_begun_than_the_server_takes(self, opened: Opened, library: Library) -> None:
        calls = [opened.ask(bytes([number])) for number in range(5)]
        self.talk(opened, library)
        assert library.whole == [1, 3]
        for number, call in enumerate(calls):
            opened.feed(library.answer(2 * number + 1, bytes([number])))
            self.talk(opened, library)
            assert call.outcome.result() == bytes([number])
        assert library.whole == [1, 3, 5, 7, 9]

    async def test_room_for_answers_is_made_again(self, opened: Opened, library: Library) -> None:
        part = bytes(4 * 1024 * 1024)
        for number in range(5):
            call = opened.ask()
            self.talk(opened, library)
            opened.feed(library.answer(2 * number + 1, part))
            assert call.outcome.result() == part
            self.talk(opened, library)
        # 20 MB have come, and the server may send nearly as much as at the beginning.
        assert library.server.outbound_flow_control_window > frames.MAX_WINDOW_BYTES - 16 * 1024 * 1024

    async def test_a_window_that_shrinks_below_nothing_is_waited_for(self) -> None:
        opened = Opened({frames.INITIAL_WINDOW_SIZE: 100})
        opened.ask(bytes(200))
        opened.feed(frames.settings({frames.INITIAL_WINDOW_SIZE: 10}), frames.window_update(1, 80))
        assert sum(len(payload) for kind, _, _, payload in opened.sent() if kind == frames.DATA) == 100
        opened.feed(frames.window_update(1, 11))
        assert [(kind, len(payload)) for kind, _, _, payload in opened.sent()] == [(frames.DATA, 1)]


class TestAnswers:
    """What a server may do with one call."""

    @pytest.fixture(name="opened")
    async def opened_and_greeted(self) -> Opened:
        return Opened()

    @pytest.mark.parametrize(
        "sent",
        [
            answer(1),
            frames.frame(frames.PRIORITY, 0, 1, bytes(5)) + answer(1),
            frames.frame(0xEE, 0xFF, 77, b"?") + answer(1),
            headers(1, [(":status", "103")]) + answer(1),
            headers(1, HEADERS) + data(1, b"") + data(1, framed(b"answer")[:3]) + data(1, framed(b"answer")[3:])
            + headers(1, TRAILERS, end=True),
            frames.frame(frames.HEADERS, frames.END_HEADERS | frames.PADDED, 1, b"\x02" + fields(HEADERS) + b"\0\0")
            + frames.frame(frames.DATA, frames.PADDED, 1, b"\x03" + framed(b"answer") + b"\0\0\0")
            + headers(1, TRAILERS, end=True),
            frames.frame(frames.HEADERS, frames.END_HEADERS | frames.HAS_PRIORITY, 1, bytes(5) + fields(HEADERS))
            + data(1, framed(b"answer")) + headers(1, TRAILERS, end=True),
            frames.frame(frames.HEADERS, 0, 1, fields(HEADERS)[:4])
            + frames.frame(frames.CONTINUATION, 0, 1, fields(HEADERS)[4:7])
            + frames.frame(frames.CONTINUATION, frames.END_HEADERS, 1, fields(HEADERS)[7:])
            + data(1, framed(b"answer")) + headers(1, TRAILERS, end=True),
            headers(1, [*HEADERS, ("grpc-encoding", "identity")])
            + data(1, framed(b"answer"))
            + headers(1, [*TRAILERS, ("x-more", "1")], end=True),
        ],
        ids=[
            *("plain", "priority", "unknown frame", "interim answer", "in pieces", "padded", "with priority"),
            *("continued", "more fields"),
        ],
    )  # fmt: skip
    async def test_a_whole_answer_counts_however_it_is_framed_and_split(self, opened: Opened, sent: bytes) -> None:
        call = opened.ask()
        opened.feed(*(sent[index : index + 1] for index in range(len(sent))))
        assert call.outcome.result() == b"answer"
        again = opened.ask()
        opened.feed(answer(3, b"more"))
        assert again.outcome.result() == b"more"

    @pytest.mark.parametrize("name", NAMES[1:])
    async def test_a_status_alone_is_an_error(self, opened: Opened, name: str) -> None:
        call = opened.ask()
        number = str(NAMES.index(name))
        opened.feed(
            headers(1, [*HEADERS, ("grpc-status", number), ("grpc-message", "first%0Asecond %E2%82%AC")], end=True)
        )
        assert fault(call).detail == f"{name}: first"

    @pytest.mark.parametrize(
        ("sent", "detail"),
        [
            (headers(1, [*HEADERS, *TRAILERS], end=True), "INTERNAL: an answer without a message"),
            (headers(1, HEADERS, end=True), "INTERNAL: an answer without a message"),
            (headers(1, HEADERS) + data(1, framed(b"answer"), end=True), "UNKNOWN: an answer without a status"),
            (headers(1, HEADERS) + headers(1, TRAILERS, end=True), "INTERNAL: an answer without a whole message"),
            (headers(1, HEADERS) + data(1, framed(b"answer")[:-1]) + headers(1, TRAILERS, end=True), "INTERNAL: an answer without a whole message"),
            (headers(1, HEADERS) + data(1, framed(b"answer") + b"x"), "INTERNAL: more than one message"),
            (headers(1, HEADERS) + data(1, framed(b"answer")) + headers(1, [("grpc-status", "00")], end=True), "UNKNOWN: "),
            (headers(1, HEADERS) + data(1, framed(b"answer")) + headers(1, [*TRAILERS, *TRAILERS], end=True), "UNKNOWN: no status"),
            (headers(1, HEADERS) + data(1, framed(b"answer")) + headers(1, [("a", "b")], end=True), "UNKNOWN: no status"),
            (headers(1, HEADERS) + data(1, framed(b"answer")) + headers(1, [(":status", "200"), *TRAILERS], end=True), "INTERNAL: trailers that are none"),
            (headers(1, HEADERS) + data(1, framed(b"answer")) + headers(1, TRAILERS), "INTERNAL: header fields in the middle of an answer"),
            (data(1, framed(b"answer")), "INTERNAL: a message without header fields"),
            (headers(1, HEADERS) + data(1, b"\0" + (MAX_MESSAGE_BYTES + 1).to_bytes(4, "big")), f"RESOURCE_EXHAUSTED: Received message larger than max ({MAX_MESSAGE_BYTES + 1} vs. {MAX_MESSAGE_BYTES})"),
            (headers(1, [(":status", "503"), ("content-type", "text/html")]), "UNAVAILABLE: HTTP status 503"),
            (headers(1, [(":status", "404")], end=True), "UNIMPLEMENTED: HTTP status 404"),
            (headers(1, [(":status", "200"), ("content-type", "application/json")]), "UNKNOWN: an answer that is no gRPC"),
            (headers(1, [(":status", "200"), ("content-type", "application/grpcfoo")]), "UNKNOWN: an answer that is no gRPC"),
            (headers(1, [("content-type", "application/grpc")]), "UNKNOWN: HTTP status no status"),
            (frames.reset(1, frames.CANCEL), "CANCELLED: the PDP broke off the call (HTTP/2 error 8)"),
            (frames.reset(1, frames.ENHANCE_YOUR_CALM), "RESOURCE_EXHAUSTED: the PDP broke off the call (HTTP/2 error 11)"),
            (headers(1, HEADERS) + data(1, framed(b"answer")) + frames.reset(1, 0), "INTERNAL: the PDP broke off the call (HTTP/2 error 0)"),
            (frames.window_update(1, 0), "INTERNAL: a window that can't be"),
            (frames.window_update(1, frames.MAX_WINDOW_BYTES), "INTERNAL: a window that can't be"),
        ],
    )  # fmt: skip
    async def test_anything_less_than_a_whole_answer_is_an_error(
        self, opened: Opened, sent: bytes, detail: str
    ) -> None:
        call = opened.ask()
        opened.feed(sent)
        assert fault(call).detail == detail
        # The connection is still good.
        assert opened.unfamiliar == []
        again = opened.ask()
        opened.feed(answer(3))
        assert again.outcome.result() == b"answer"

    async def test_a_compressed_answer_is_left_to_another_transport(self, opened: Opened) -> None:
        call = opened.ask()
        opened.feed(headers(1, HEADERS) + data(1, framed(b"answer", compressed=1)))
        assert fault(call).kind is ErrorKind.PDP_UNAVAILABLE
        assert opened.unfamiliar == ["a compressed message"]

    async def test_a_stream_that_is_refused_was_not_taken(self, opened: Opened) -> None:
        call = opened.ask()
        opened.feed(frames.reset(1, frames.REFUSED_STREAM))
        assert isinstance(fault(call), UntakenError)

    async def test_an_answer_before_the_message_s_end_ends_the_sending(self, opened: Opened) -> None:
        call = opened.ask(bytes(100_000))
        opened.sent()
        opened.feed(headers(1, [*HEADERS, ("grpc-status", "8"), ("grpc-message", "too large")], end=True))
        assert fault(call).kind is ErrorKind.PDP_TOO_LARGE
        assert opened.sent() == [(frames.RST_STREAM, 0, 1, frames.CANCEL.to_bytes(4, "big"))]
        opened.feed(frames.window_update(0, 100_000))
        assert opened.sent() == []


class TestCallsThatEndEarly:
    """Deadlines, cancelling, a server that is silent or does not read."""

    @pytest.fixture(name="opened")
    async def opened_and_greeted(self) -> Opened:
        return Opened()

    async def test_an_expired_call_is_a_timeout_and_the_server_is_told(self, opened: Opened) -> None:
        call = opened.ask()
        opened.sent()
        opened.connection.expire(call)
        assert fault(call).kind is ErrorKind.PDP_TIMEOUT
        assert opened.sent()[0] == (frames.RST_STREAM, 0, 1, frames.CANCEL.to_bytes(4, "big"))
        # What comes all the same is ignored.
        opened.feed(answer(1), frames.window_update(1, 5), frames.reset(1, 0))
        assert opened.connection.usable

    async def test_silence_is_asked_about_once_and_then_ends_the_connection_as_a_timeout(
        self, opened: Opened, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "_SILENCE_SECONDS", 0.01)
        waiting, first, second = opened.ask(), opened.ask(), opened.ask()
        opened.connection.forget(first)
        opened.connection.forget(second)
        pings = [kind for kind, *_ in opened.sent() if kind == frames.PING]
        assert len(pings) == 1
        with pytest.raises(GateError) as caught:
            await asyncio.wait_for(waiting.outcome, 5)
        assert caught.value.kind is ErrorKind.PDP_TIMEOUT
        assert (opened.connection.usable, opened.wire.closed) == (False, True)

    async def test_a_server_that_is_heard_of_keeps_its_connection(
        self, opened: Opened, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "_SILENCE_SECONDS", 0.01)
        opened.connection.forget(opened.ask())
        opened.feed(frames.frame(frames.PING, frames.ACK, 0, bytes(8)))
        await asyncio.sleep(0.03)
        assert opened.connection.usable

    async def test_calls_wait_while_the_server_does_not_read(self, opened: Opened) -> None:
        opened.connection.pause_writing()
        first, second, third = opened.ask(), opened.ask(), opened.ask()
        opened.connection.forget(second)
        assert opened.sent() == []
        opened.connection.resume_writing()
        assert [stream for kind, _, stream, _ in opened.sent() if kind == frames.HEADERS] == [1, 3]
        opened.feed(answer(1, b"first"), answer(3, b"third"))
        assert (first.outcome.result(), third.outcome.result()) == (b"first", b"third")

    async def test_a_server_that_asks_and_does_not_read_is_left(self, opened: Opened) -> None:
        call = opened.ask()
        opened.connection.pause_writing()
        opened.feed(*[frames.frame(frames.PING, 0, 0, bytes(8))] * 2000)
        assert fault(call).kind is ErrorKind.PDP_UNAVAILABLE
        assert len(opened.wire.written) < 50_000

    async def test_a_lost_connection_ends_all_calls(self) -> None:
        opened = Opened({frames.MAX_CONCURRENT_STREAMS: 1})
        begun, waiting = opened.ask(), opened.ask()
        opened.connection.connection_lost(OSError(104, "Connection reset by peer"))
        assert fault(begun).detail == "UNAVAILABLE: connection lost: Connection reset by peer"
        assert isinstance(fault(waiting), UntakenError)
        assert opened.ended == 1


class TestGoingAway:
    """Connections that age, and stream numbers that end."""

    async def test_calls_beyond_the_last_one_were_not_taken_and_the_others_end_well(self) -> None:
        opened = Opened()
        taken, untaken = opened.ask(), opened.ask()
        opened.feed(frames.frame(frames.GOAWAY, 0, 0, (2**31 - 1).to_bytes(4, "big") + bytes(4)))
        assert (opened.connection.usable, opened.ended) == (False, 1)
        opened.feed(frames.frame(frames.GOAWAY, 0, 0, (1).to_bytes(4, "big") + bytes(4) + b"max_age"))
        assert isinstance(fault(untaken), UntakenError)
        before = opened.wire.closed
        opened.feed(answer(1))
        assert taken.outcome.result() == b"answer"
        assert (before, opened.wire.closed, opened.unfamiliar) == (False, True, [])

    async def test_the_last_stream_number_is_the_last_call(self) -> None:
        opened = Opened()
        opened.connection._next = 2**31 - 1
        last = opened.ask()
        assert (opened.connection.usable, opened.ended) == (False, 1)
        opened.feed(answer(2**31 - 1))
        assert last.outcome.result() == b"answer"
        assert opened.wire.closed

    async def test_nothing_is_asked_on_a_connection_that_has_ended(self) -> None:
        opened = Opened()
        opened.connection.connection_lost(None)
        assert isinstance(fault(opened.ask()), UntakenError)

    async def test_closing_ends_what_is_under_way(self) -> None:
        opened = Opened()
        call = opened.ask()
        opened.connection.close()
        assert fault(call).kind is ErrorKind.PDP_UNAVAILABLE
        assert opened.sent()[-1][0] == frames.GOAWAY


@pytest.mark.parametrize(
    "sent",
    [
        frames.head(frames.DATA, 0, 1, frames.FRAME_BYTES + 1),
        data(0, b"x"),
        data(2, b"x"),
        data(3, b"x"),
        frames.frame(frames.DATA, frames.PADDED, 1, b""),
        frames.frame(frames.DATA, frames.PADDED, 1, b"\x05abc"),
        frames.frame(frames.HEADERS, frames.END_HEADERS, 0, fields(HEADERS)),
        frames.frame(frames.HEADERS, frames.END_HEADERS | frames.HAS_PRIORITY, 1, b"abc"),
        frames.frame(frames.HEADERS, frames.END_HEADERS, 1, b"\xbe"),
        frames.frame(frames.HEADERS, frames.END_HEADERS, 1, b"\x3f\xe1\x1f" + fields(HEADERS)),
        frames.frame(frames.HEADERS, frames.END_HEADERS, 1, b"\0\x7f\xff\xff\xff\xff\xff\xff"),
        frames.frame(frames.HEADERS, 0, 1, fields(HEADERS)) + data(1, b"x"),
        frames.frame(frames.HEADERS, 0, 1, fields(HEADERS)) + frames.frame(frames.CONTINUATION, 4, 3, b""),
        frames.frame(frames.HEADERS, 0, 1, b"") + frames.frame(frames.CONTINUATION, 0, 1, bytes(16000)) * 5,
        frames.frame(frames.HEADERS, 0, 1, b"") + frames.frame(frames.CONTINUATION, 0, 1, b""),
        frames.frame(frames.CONTINUATION, 4, 1, b""),
        frames.frame(frames.PUSH_PROMISE, 4, 1, bytes(4)),
        frames.frame(frames.RST_STREAM, 0, 1, b"abc"),
        frames.reset(0, 0),
        frames.reset(9, 0),
        frames.frame(frames.SETTINGS, 0, 1),
        frames.frame(frames.SETTINGS, 0, 0, bytes(5)),
        frames.frame(frames.SETTINGS, frames.ACK, 0, bytes(6)),
        frames.settings({frames.INITIAL_WINDOW_SIZE: 2**31}),
        frames.settings({frames.MAX_FRAME_SIZE: 100}),
        frames.settings({frames.ENABLE_PUSH: 1}),
        frames.window_update(0, 2**31 - 1) + frames.settings({frames.INITIAL_WINDOW_SIZE: 2**31 - 1}),
        frames.frame(frames.PING, 0, 1, bytes(8)),
        frames.frame(frames.PING, 0, 0, bytes(7)),
        frames.frame(frames.GOAWAY, 0, 0, bytes(7)),
        frames.frame(frames.GOAWAY, 0, 1, bytes(8)),
        frames.window_update(0, 0),
        frames.window_update(0, 2**31 - 1),
        frames.window_update(5, 1),
        frames.frame(frames.WINDOW_UPDATE, 0, 0, bytes(3)),
    ],
)
async def test_what_http2_forbids_ends_the_connection_and_is_left_to_another_transport(sent: bytes) -> None:
    opened = Opened()
    call = opened.ask()
    opened.feed(sent)
    assert fault(call).kind is ErrorKind.PDP_UNAVAILABLE
    assert len(opened.unfamiliar) == 1
    assert (opened.connection.usable, opened.wire.closed, opened.ended) == (False, True, 1)
    assert opened.sent()[-1][0] == frames.GOAWAY
    # Whatever comes after that is not even looked at.
    opened.feed(answer(1), sent)
    assert len(opened.unfamiliar) == 1


@pytest.mark.parametrize(
    "sent",
    [
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46" + bytes(20),
        frames.frame(frames.PING, 0, 0, bytes(8)),
        frames.frame(frames.SETTINGS, frames.ACK, 0),
        frames.settings({}) + frames.frame(frames.GOAWAY, 0, 0, bytes(8)),
    ],
)
async def test_somebody_who_does_not_greet_is_unavailable(sent: bytes) -> None:
    opened = Opened(greeted=False)
    opened.feed(sent)
    error = opened.connection.ready.exception()
    assert isinstance(error, GateError)
    assert error.kind is ErrorKind.PDP_UNAVAILABLE
    # Another transport would fare no better.
    assert opened.unfamiliar == []
    assert opened.wire.closed


async def test_nothing_is_asked_before_the_server_keeps_no_table() -> None:
    opened = Opened(greeted=False)
    opened.feed(frames.settings({}))
    assert (opened.connection.ready.done(), opened.connection.usable) == (False, False)
    opened.feed(frames.frame(frames.SETTINGS, frames.ACK, 0))
    assert opened.connection.ready.done()


async def test_each_ping_and_each_setting_is_acknowledged() -> None:
    opened = Opened()
    opened.feed(frames.frame(frames.PING, 0, 0, b"12345678"), frames.settings({frames.MAX_CONCURRENT_STREAMS: 7}))
    assert opened.sent() == [
        (frames.PING, frames.ACK, 0, b"12345678"),
        (frames.SETTINGS, frames.ACK, 0, b""),
    ]


class TestPings:
    """A server that measures the way sends one with each call, as soon as it may."""

    @staticmethod
    def pings(*numbers: int) -> bytes:
        return b"".join(frames.frame(frames.PING, 0, 0, number.to_bytes(8, "big")) for number in numbers)

    @staticmethod
    def acknowledged(opened: Opened) -> list[int]:
        return [int.from_bytes(payload, "big") for kind, flags, _, payload in opened.sent() if (kind, flags) == (6, 1)]

    async def test_the_first_is_acknowledged_at_once_and_the_next_a_little_later(self) -> None:
        opened = Opened()
        opened.feed(self.pings(1), self.pings(2, 3))
        assert self.acknowledged(opened) == [1]
        # As its timer does, twice.
        opened.connection._acknowledge()
        assert self.acknowledged(opened) == [2, 3]
        opened.connection._acknowledge()
        opened.feed(self.pings(4))
        assert self.acknowledged(opened) == [4]

    async def test_those_that_wait_do_not_wait_for_another(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "_PING_SECONDS", 0.0)
        opened = Opened()
        opened.feed(self.pings(1, 2))
        await asyncio.sleep(0.01)
        assert self.acknowledged(opened) == [1, 2]

    async def test_none_waits_where_a_message_does_or_many_come(self) -> None:
        opened = Opened({frames.INITIAL_WINDOW_SIZE: 10})
        opened.feed(self.pings(1))
        opened.feed(self.pings(*range(2, 100)))
        assert len(self.acknowledged(opened)) == 100 - 1 - module._MAX_PINGS
        opened.ask(b"longer than ten bytes")
        opened.feed(self.pings(100))
        assert self.acknowledged(opened) == [100]

    async def test_those_that_wait_end_with_the_connection(self) -> None:
        opened = Opened()
        opened.feed(self.pings(1, 2))
        opened.connection.close()
        timer = opened.connection._calm
        assert timer is not None
        assert timer.cancelled()


@pytest.mark.parametrize("make", [lambda: Opened().connection, lambda: Opened(greeted=False).connection])
async def test_closing_twice_is_closing(make: Callable[[], module.Connection]) -> None:
    connection = make()
    connection.close()
    connection.close()
    connection.connection_lost(None)
    assert connection.is_over
    assert BLOCK
