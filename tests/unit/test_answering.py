"""The answer that is put together by hand is the one that aiohttp would make."""

from typing import Any

import pytest
from aiohttp import HttpVersion10, HttpVersion11, web
from aiohttp.http_writer import StreamWriter
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from hookgate.app import answering
from hookgate.app.answering import HookResponse


class _Sent:
    """What a connection was given."""

    def __init__(self) -> None:
        self.data = b""
        self.writes = 0
        self.closing = False
        self.transport = self
        self._paused = False

    def write(self, data: bytes) -> None:
        """Takes it."""
        self.data += data
        self.writes += 1

    def writelines(self, parts: list[bytes]) -> None:
        """Takes them."""
        self.write(b"".join(parts))

    def is_closing(self) -> bool:
        """Whether it is being closed."""
        return self.closing


def _asked(sent: _Sent, **options: Any) -> web.BaseRequest:
    writer = StreamWriter(sent, None)  # type: ignore[arg-type]
    headers = CIMultiDict({"Connection": "close"}) if options.pop("close", False) else CIMultiDict()
    return make_mocked_request(options.pop("method", "POST"), "/ext/claude", headers, writer=writer, **options)


async def _sent(response: web.StreamResponse, **options: Any) -> tuple[bytes, bool | None]:
    sent = _Sent()
    await response.prepare(_asked(sent, **options))
    await response.write_eof()
    return sent.data, response.keep_alive


def _by_aiohttp(data: bytes, keep_alive: str, told: dict[str, str]) -> web.Response:
    response = web.Response(body=data, content_type="application/json")
    if keep_alive:
        response.headers["Keep-Alive"] = keep_alive
    else:
        response.force_close()
    response.headers.update(told)
    return response


def _moment() -> str:
    return "Mon, 23 Nov 2026 04:00:00 GMT"


@given(
    data=st.binary(max_size=9000),
    keep_alive=st.sampled_from(["", "timeout=1", "timeout=3"]),
    told=st.sampled_from([{}, {"X-Hookgate-User": "alex"}]),
    version=st.sampled_from([HttpVersion10, HttpVersion11]),
    method=st.sampled_from(["POST", "PUT", "CONNECT"]),
    close=st.booleans(),
)
async def test_the_bytes_are_those_of_aiohttp(
    data: bytes, keep_alive: str, told: dict[str, str], version: Any, method: str, close: bool
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(answering, "rfc822_formatted_time", _moment)
        patch.setattr(f"{web.StreamResponse.__module__}.rfc822_formatted_time", _moment)
        options = {"version": version, "method": method, "close": close}
        ours = await _sent(HookResponse(data, "id", keep_alive=keep_alive, told=told), **options)
        theirs = await _sent(_by_aiohttp(data, keep_alive, told), **options)
    assert ours == theirs


async def test_an_answer_as_most_are_is_one_write_and_says_that_it_is_sent() -> None:
    sent = _Sent()
    request = _asked(sent)
    response = HookResponse(b"{}", "id", keep_alive="timeout=3")
    await response.prepare(request)
    await response.write_eof()
    assert sent.writes == 1
    assert sent.data.endswith(b"\r\n\r\n{}")
    assert request.writer.output_size == len(sent.data)
    assert response.prepared
    assert response.keep_alive is True


async def test_a_client_that_has_gone_is_told_of_as_aiohttp_does() -> None:
    sent = _Sent()
    sent.closing = True
    with pytest.raises(ConnectionError):
        await HookResponse(b"{}", "id", keep_alive="timeout=3").prepare(_asked(sent))
    assert sent.data == b""
