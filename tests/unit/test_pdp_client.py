"""Asking within the time that is left, and the channel's errors."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import grpc.aio
import pytest
from cerbos.response.v1.response_pb2 import CheckResourcesResponse
from google.protobuf.json_format import ParseDict
from grpc import StatusCode

from hookgate.config.tree import Pdp, PdpTransport
from hookgate.errors import ErrorKind, GateError, Side
from hookgate.pdp.client import PdpClient
from hookgate.pdp.decision import Effect
from hookgate.pdp.request import Question, encode
from hookgate.pdp.transport import METHOD, Channel, channel_for
from tests.support.wait import free_port

QUESTION = Question("r", "PreToolUse", "i", "Bash", {"tool_input": {"command": "ls"}}, "alex", ("eng",), {})
ANSWER = ParseDict(
    {
        "requestId": "r",
        "results": [{"resource": {"id": "i", "kind": "PreToolUse"}, "actions": {"Bash": "EFFECT_ALLOW"}}],
    },
    CheckResourcesResponse(),
).SerializeToString()
UNAVAILABLE = GateError(ErrorKind.PDP_UNAVAILABLE, "UNAVAILABLE: down")


class Scripted:
    """A transport that does one thing after another, the last one over and over; keeps the time it was given."""

    def __init__(self, *script: bytes | BaseException) -> None:
        self._script = list(script)
        self.timeouts: list[float] = []
        self.asked: list[bytes] = []

    async def __call__(self, request: bytes, timeout_seconds: float) -> bytes:
        self.asked.append(request)
        self.timeouts.append(timeout_seconds)
        does = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        if isinstance(does, BaseException):
            raise does
        return does


def client(transport: Callable[[bytes, float], Awaitable[bytes]], max_request_bytes: int = 4096) -> PdpClient:
    return PdpClient(transport, max_request_bytes=max_request_bytes)


def soon(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


async def failing(transport: Scripted, seconds: float, max_request_bytes: int = 4096) -> ErrorKind:
    with pytest.raises(GateError) as caught:
        await client(transport, max_request_bytes).check(QUESTION, soon(seconds))
    return caught.value.kind


async def test_the_pdp_is_asked_once_with_the_time_that_is_left() -> None:
    transport = Scripted(ANSWER)
    found = await client(transport).check(QUESTION, soon(5))
    assert found.effect is Effect.ALLOW
    assert found.seconds >= 0
    assert transport.asked == [encode(QUESTION)]
    assert 4 < transport.timeouts[0] <= 5


async def test_an_unavailable_pdp_is_asked_again_until_it_is_back() -> None:
    transport = Scripted(UNAVAILABLE, UNAVAILABLE, UNAVAILABLE, ANSWER)
    assert (await client(transport).check(QUESTION, soon(5))).effect is Effect.ALLOW
    assert len(transport.asked) == 4
    assert transport.timeouts == sorted(transport.timeouts, reverse=True)


async def test_a_pdp_that_stays_unavailable_is_given_up_within_the_deadline() -> None:
    transport = Scripted(UNAVAILABLE)
    loop = asyncio.get_running_loop()
    end = loop.time() + 0.3
    with pytest.raises(GateError) as caught:
        await client(transport).check(QUESTION, end)
    assert caught.value.kind is ErrorKind.PDP_UNAVAILABLE
    assert loop.time() <= end
    assert len(transport.asked) > 2
    assert all(timeout > 0 for timeout in transport.timeouts)


@pytest.mark.parametrize("kind", [kind for kind in ErrorKind if kind is not ErrorKind.PDP_UNAVAILABLE])
async def test_no_other_error_is_asked_about_again(kind: ErrorKind) -> None:
    transport = Scripted(GateError(kind))
    assert await failing(transport, 5) is kind
    assert len(transport.asked) == 1


async def test_an_error_of_another_kind_ends_the_asking_again() -> None:
    transport = Scripted(UNAVAILABLE, GateError(ErrorKind.PDP_TIMEOUT))
    assert await failing(transport, 5) is ErrorKind.PDP_TIMEOUT
    assert len(transport.asked) == 2
    transport = Scripted(UNAVAILABLE, b"\xff")
    assert await failing(transport, 5) is ErrorKind.PDP_NONSENSE


async def test_a_question_beyond_what_the_pdp_takes_is_not_sent() -> None:
    transport = Scripted(ANSWER)
    length = len(encode(QUESTION))
    assert await failing(transport, 5, length - 1) is ErrorKind.PDP_TOO_LARGE
    assert transport.asked == []
    assert (await client(transport, length).check(QUESTION, soon(5))).effect is Effect.ALLOW


async def test_without_time_left_nobody_is_asked() -> None:
    transport = Scripted(ANSWER)
    assert await failing(transport, -0.001) is ErrorKind.PDP_TIMEOUT
    assert transport.asked == []


async def test_an_answer_to_another_question_makes_no_sense() -> None:
    assert await failing(Scripted(b""), 5) is ErrorKind.PDP_NONSENSE


Served = Callable[..., Awaitable[Channel]]


@pytest.fixture(params=[PdpTransport.GRPCIO, PdpTransport.HTTP2], name="kind")
def kind_of_transport(request: pytest.FixtureRequest) -> PdpTransport:
    """Each transport in turn."""
    found: PdpTransport = request.param
    return found


@pytest.fixture
async def served(kind: PdpTransport) -> AsyncIterator[Served]:
    """Gives a transport to a real gRPC server on loopback that answers as told."""
    opened: list[tuple[grpc.aio.Server, Channel]] = []

    async def serve(
        behaviour: Callable[[bytes, Any], Awaitable[bytes]], *options: tuple[str, Any], **more: Any
    ) -> Channel:
        server = grpc.aio.server(options=options)
        service, method = METHOD.strip("/").split("/")
        handler: Any = grpc.unary_unary_rpc_method_handler(behaviour)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        opened.append((server, channel_for(Pdp(address=f"127.0.0.1:{port}", transport=kind), **more)))
        return opened[-1][1]

    yield serve
    for server, transport in opened:
        await transport.close()
        await server.stop(None)


async def test_bytes_go_to_the_pdps_method_and_come_back(served: Served) -> None:
    async def echo(request: bytes, context: Any) -> bytes:
        return request[::-1]

    transport = await served(echo)
    assert await transport(b"abc", 5.0) == b"cba"


@pytest.mark.parametrize("code", [code for code in StatusCode if code is not StatusCode.OK])
async def test_each_grpc_status_is_one_of_our_errors(served: Served, code: StatusCode) -> None:
    async def refuse(request: bytes, context: Any) -> bytes:
        await context.abort(code, "first line\nsecond line")
        raise AssertionError

    transport = await served(refuse)
    with pytest.raises(GateError) as caught:
        await transport(b"", 5.0)
    expected = {
        StatusCode.UNAVAILABLE: ErrorKind.PDP_UNAVAILABLE,
        StatusCode.DEADLINE_EXCEEDED: ErrorKind.PDP_TIMEOUT,
        StatusCode.CANCELLED: ErrorKind.PDP_TIMEOUT,
        StatusCode.RESOURCE_EXHAUSTED: ErrorKind.PDP_TOO_LARGE,
        StatusCode.INVALID_ARGUMENT: ErrorKind.PDP_INVALID,
        StatusCode.OUT_OF_RANGE: ErrorKind.PDP_INVALID,
    }
    assert caught.value.kind is expected.get(code, ErrorKind.PDP_REFUSED)
    assert caught.value.detail == f"{code.name}: first line"


async def test_a_pdp_that_hangs_times_out(served: Served) -> None:
    async def hang(request: bytes, context: Any) -> bytes:
        await asyncio.Event().wait()
        return b""

    transport = await served(hang)
    with pytest.raises(GateError) as caught:
        await transport(b"", 0.1)
    assert caught.value.kind is ErrorKind.PDP_TIMEOUT
    assert caught.value.kind.side is Side.LOAD


@pytest.mark.parametrize("address", ["127.0.0.1:{port}", "dns:///127.0.0.1:{port}", "unix:/nonexistent/pdp.sock"])
async def test_a_pdp_that_is_not_there_is_unavailable(address: str, kind: PdpTransport) -> None:
    transport = channel_for(Pdp(address=address.format(port=free_port()), transport=kind))
    with pytest.raises(GateError) as caught:
        await transport(b"", 5.0)
    assert caught.value.kind is ErrorKind.PDP_UNAVAILABLE
    await transport.close()


@pytest.mark.parametrize("size", [0, 5, 16_379, 16_380, 70_000, 3_000_000])
async def test_messages_of_any_size_go_and_come_back(served: Served, size: int) -> None:
    async def echo(request: bytes, context: Any) -> bytes:
        return request

    transport = await served(echo, ("grpc.max_receive_message_length", -1))
    message = bytes(index % 251 for index in range(size))
    found = await asyncio.gather(*(transport(message, 30.0) for _ in range(3)))
    assert set(found) == {message}


async def test_an_answer_that_is_too_large_is_refused(served: Served) -> None:
    async def much(request: bytes, context: Any) -> bytes:
        return bytes(17 * 1024 * 1024)

    transport = await served(much)
    with pytest.raises(GateError, match="Received message larger than max") as caught:
        await transport(b"", 30.0)
    assert caught.value.kind is ErrorKind.PDP_TOO_LARGE


async def test_connections_that_age_are_not_noticed(served: Served, kind: PdpTransport) -> None:
    async def slow(request: bytes, context: Any) -> bytes:
        await asyncio.sleep(0.005)
        return request

    transport = await served(slow, ("grpc.max_connection_age_ms", 100), ("grpc.max_connection_age_grace_ms", 2000))

    failed: list[GateError] = []

    async def ask(count: int) -> None:
        for number in range(count):
            try:
                assert await transport(bytes([number]), 5.0) == bytes([number])
            except GateError as error:
                failed.append(error)

    await asyncio.gather(*(ask(120) for _ in range(4)))
    # grpcio lets one through now and then; it is then asked again, as with any PDP that is unavailable.
    assert {error.kind for error in failed} <= {ErrorKind.PDP_UNAVAILABLE}
    assert kind is PdpTransport.GRPCIO or not failed


async def test_what_a_call_carries_beside_its_request_arrives(served: Served) -> None:
    async def tell(request: bytes, context: Any) -> bytes:
        found = dict(context.invocation_metadata())
        return f"{found.get('traceparent')} {context.time_remaining() < 6.0}".encode()

    transport = await served(tell, metadata=lambda: (("traceparent", "00-abc"),))
    assert await transport(b"", 5.0) == b"00-abc True"


async def test_a_call_that_is_cancelled_is_so_at_the_server(served: Served) -> None:
    begun, gone = asyncio.Event(), asyncio.Event()

    async def wait(request: bytes, context: Any) -> bytes:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            gone.set()
        return b""

    transport = await served(wait)
    asking = asyncio.ensure_future(transport(b"", 30.0))
    await asyncio.wait_for(begun.wait(), 10)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await asyncio.wait_for(gone.wait(), 10)


async def test_a_closed_channel_is_unavailable(served: Served) -> None:
    async def echo(request: bytes, context: Any) -> bytes:
        return request

    transport = await served(echo)
    await transport.close()
    with pytest.raises(GateError) as caught:
        await transport(b"", 5.0)
    assert caught.value.kind is ErrorKind.PDP_UNAVAILABLE
