"""Requests that are no proper HTTP, or none that a hook would send: refused by the parser or by us, but always answered."""

import asyncio
import gzip
import json
import os
import random
import signal
import zlib
from dataclasses import dataclass

import pytest

from hookgate.errors import ErrorKind, Side
from tests.faults.guard import Guard, assert_valid
from tests.faults.wire import (
    HOST,
    JSON,
    SMALL,
    Piece,
    answer,
    chunked,
    close,
    ended,
    exchange,
    exchanges,
    leave,
    request,
)
from tests.support.wait import until

CHUNKED = b"Transfer-Encoding: chunked"
WEBSOCKET = (b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Key: eA==", b"Sec-WebSocket-Version: 13")
IN_CHUNKS = request(b"", CHUNKED, length=False)
FIRST_CHUNK = chunked(SMALL)[: -len(b"0\r\n\r\n")]


@dataclass(frozen=True)
class Case:
    """What is sent, and the error that it is, if any."""

    name: str
    kind: ErrorKind | None
    pieces: tuple[Piece, ...]


def malformed(name: str, *pieces: Piece) -> Case:
    return Case(name, ErrorKind.REQUEST_MALFORMED, pieces)


def field(name: str, line: bytes) -> Case:
    return malformed(name, request(SMALL, line))


def targeted(name: str, target: bytes) -> Case:
    return malformed(name, request(target=target))


#: aiohttp by itself answers these with 400, drops the connection, or leaves it hanging.
UNREADABLE = [
    field("a field of 70,000 bytes", b"X-Note: " + b"a" * 70_000),
    field("a user of 70,000 bytes", b"X-Claude-User: " + b"a" * 70_000),
    field("a name of 70,000 bytes", b"X-" + b"a" * 70_000 + b": b"),
    malformed("129 fields", request(SMALL, *(b"X-%d: a" % number for number in range(126)))),
    malformed("1,000 fields", request(SMALL, *(b"X-%d: a" % number for number in range(1000)))),
    field("a control byte in a value", b"X-Claude-User: a\x01b"),
    field("a NUL in a value", b"X-Claude-User: a\x00b"),
    field("a DEL in a value", b"X-Claude-User: a\x7fb"),
    field("a bare CR in a value", b"X-Claude-User: a\rb"),
    field("a bare LF in a value", b"X-Claude-User: a\nb"),
    field("a folded value", b"X-Note: a\r\n b"),
    field("a blank in a name", b"X Note: a"),
    field("a blank behind a name", b"X-Note : a"),
    field("an empty name", b": a"),
    field("no colon", b"X-Note"),
    field("a byte beyond ASCII in a name", b"X-N\xfcte: a"),
    malformed("a first field that is folded", request(host=b" " + HOST)),
    malformed("no Host", request(host=None)),
    malformed("two Hosts", request(SMALL, HOST)),
    malformed("two content types", request(SMALL, b"Content-Type: text/plain")),
    malformed("two equal lengths", request(SMALL, b"Content-Length: %d" % len(SMALL))),
    malformed("two lengths", request(SMALL, b"Content-Length: 3")),
    malformed("a length with a sign", request(SMALL, b"Content-Length: +%d" % len(SMALL), length=False)),
    malformed("a negative length", request(SMALL, b"Content-Length: -1", length=False)),
    malformed("a hexadecimal length", request(SMALL, b"Content-Length: 0x10", length=False)),
    malformed("an empty length", request(SMALL, b"Content-Length: ", length=False)),
    malformed("a list of lengths", request(SMALL, b"Content-Length: 5, 5", length=False)),
    malformed("a length beyond 64 bits", request(SMALL, b"Content-Length: 99999999999999999999999", length=False)),
    malformed("a length beside chunks", request(SMALL, CHUNKED)),
    malformed("two transfer codings", request(chunked(SMALL), CHUNKED, CHUNKED, length=False)),
    malformed("chunks that are not last", request(chunked(SMALL), CHUNKED + b", gzip", length=False)),
    malformed("an unknown transfer coding", request(SMALL, b"Transfer-Encoding: cow", length=False)),
    malformed("the old websocket key", request(SMALL, *WEBSOCKET, b"Sec-WebSocket-Key1: x")),
    malformed("a size of a chunk that is no number", IN_CHUNKS + b"zz\r\nabc\r\n0\r\n\r\n"),
    malformed("a negative size of a chunk", IN_CHUNKS + b"-1\r\nabc\r\n0\r\n\r\n"),
    malformed("a size of a chunk beyond 64 bits", IN_CHUNKS + b"f" * 18 + b"\r\nabc\r\n0\r\n\r\n"),
    malformed("a chunk longer than its size", IN_CHUNKS + b"3\r\nabcd\r\n0\r\n\r\n"),
    malformed("too many trailers", IN_CHUNKS + FIRST_CHUNK + b"0\r\n" + b"X-T: a\r\n" * 200 + b"\r\n"),
    malformed("a control byte in a trailer", IN_CHUNKS + FIRST_CHUNK + b"0\r\nX-T: \x01\r\n\r\n"),
    targeted("no target", b""),
    targeted("a relative target", b"ext/claude"),
    targeted("an asterisk", b"*"),
    targeted("a control byte in the target", b"/ext/\x01claude"),
    targeted("bytes beyond ASCII in the target", b"/ext/\xff\xfe"),
    targeted("bytes beyond ASCII in the query", b"/ext/claude?\xff"),
    targeted("a surrogate in the target", b"/ext/\xed\xa0\x80"),
    targeted("a target of 200,000 bytes", b"/" + b"a" * 200_000),
    targeted("a port that is none", b"http://127.0.0.1:99999/ext/claude"),
    targeted("a port that is no number", b"http://127.0.0.1:abc/ext/claude"),
    targeted("an open bracket", b"http://[::1/ext/claude"),
    targeted("an address that is none", b"http://[zz]/ext/claude"),
    targeted("no host in an absolute target", b"http:///ext/claude"),
    targeted("another scheme without a host", b"mailto:x"),
    malformed("HTTP/2.0", request(version=b"HTTP/2.0")),
    malformed("HTTP/0.9", request(version=b"HTTP/0.9")),
    malformed("HTTP/0.9 without a version", b"POST /ext/claude\r\n\r\n"),
    malformed("HTTP/1.2", request(version=b"HTTP/1.2")),
    malformed("HTTP/11", request(version=b"HTTP/11")),
    malformed("a version in lower case", request(version=b"http/1.1")),
    malformed("something behind the version", request(version=b"HTTP/1.1 x")),
    malformed("HTTP/2 at once", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"),
    malformed("a method in lower case", request(method=b"post")),
    malformed("a method that is none", request(method=b"POST\xff")),
    malformed("lines that end in LF", request().replace(b"\r\n", b"\n")),
    malformed("lines that end in CR", request().replace(b"\r\n", b"\r")),
    malformed("blanks before the request", b"  " + request()),
    malformed("a NUL before the request", b"\0" + request()),
    malformed("a TLS hello", bytes.fromhex("16030100a5010000a1") + b"\7" * 160),
    malformed("a SOCKS hello", b"\5\1\0"),
    malformed("random bytes", b"\xfe" + os.urandom(3000)),
    malformed("a body without a length", request(length=False)),
]


def fault(name: str, kind: ErrorKind, *pieces: Piece) -> Case:
    return Case(name, kind, pieces)


PATH, METHOD = ErrorKind.PATH_UNKNOWN, ErrorKind.METHOD_UNKNOWN
CODING, TYPE = ErrorKind.ENCODING_UNSUPPORTED, ErrorKind.CONTENT_TYPE_UNSUPPORTED
FOREIGN, PLAIN = ErrorKind.REQUEST_FOREIGN, b"Content-Type: text/plain"
IDENTITY, CUT = ErrorKind.IDENTITY_INVALID, ErrorKind.BODY_INCOMPLETE

#: These reach the handler, and the event can be told from the body.
READABLE = [
    fault("another path", PATH, request(target=b"/ext/claud")),
    fault("the root", PATH, request(target=b"/")),
    fault("a path below", PATH, request(target=b"/ext/claude/x")),
    fault("a doubled slash", PATH, request(target=b"//ext/claude")),
    fault("a path in upper case", PATH, request(target=b"/EXT/CLAUDE")),
    fault("a path by way of dots", PATH, request(target=b"/x/../ext/claude")),
    fault("a path with an escaped blank", PATH, request(target=b"/ext/claude%20")),
    fault("a path with a broken escape", PATH, request(target=b"/ext/claude%")),
    fault("a path with an escape that is none", PATH, request(target=b"/ext/%zz")),
    fault("a path whose escapes are no UTF-8", PATH, request(target=b"/ext/%ff%fe")),
    fault("a path with an escaped surrogate", PATH, request(target=b"/ext/%ed%a0%80")),
    fault("a path of 60,000 bytes", PATH, request(target=b"/" + b"a" * 60_000)),
    fault("an absolute target with another path", PATH, request(target=b"http://127.0.0.1/x")),
    fault("PUT", METHOD, request(method=b"PUT")),
    fault("PATCH", METHOD, request(method=b"PATCH")),
    fault("DELETE", METHOD, request(method=b"DELETE")),
    fault("OPTIONS", METHOD, request(method=b"OPTIONS")),
    fault("OPTIONS of everything", METHOD, request(method=b"OPTIONS", target=b"*")),
    fault("TRACE", METHOD, request(method=b"TRACE")),
    fault("PROPFIND", METHOD, request(method=b"PROPFIND")),
    fault("gzip", CODING, request(gzip.compress(SMALL), b"Content-Encoding: gzip")),
    fault("gzip that is none", CODING, request(SMALL, b"Content-Encoding: gzip")),
    fault("gzip that is cut", CODING, request(gzip.compress(SMALL)[:-9], b"Content-Encoding: gzip")),
    fault("deflate", CODING, request(zlib.compress(SMALL), b"Content-Encoding: deflate")),
    fault("br", CODING, request(SMALL, b"Content-Encoding: br")),
    fault("zstd", CODING, request(SMALL, b"Content-Encoding: zstd")),
    fault("a coding in upper case", CODING, request(SMALL, b"Content-Encoding: GZIP")),
    fault("a coding beyond ASCII", CODING, request(SMALL, b"Content-Encoding: \xff")),
    fault("a user with a sign that nobody sees", IDENTITY, request(SMALL, "X-Claude-User: Jürgen\u202e".encode())),
    fault("two users", IDENTITY, request(SMALL, b"X-Claude-User: alex", b"x-claude-user: alex")),
    fault("two codings", CODING, request(SMALL, b"Content-Encoding: identity, gzip")),
    fault(
        "a second field of codings", CODING, request(SMALL, b"Content-Encoding: identity", b"Content-Encoding: gzip")
    ),
    fault(
        "gzip as a transfer coding", CODING, request(chunked(SMALL), b"Transfer-Encoding: gzip, chunked", length=False)
    ),
    fault("no content type", TYPE, request(content_type=None)),
    fault("an empty content type", TYPE, request(content_type=b"Content-Type: ")),
    fault("text/plain", TYPE, request(content_type=b"Content-Type: text/plain")),
    fault("a form", TYPE, request(content_type=b"Content-Type: application/x-www-form-urlencoded")),
    fault("a type that looks like JSON", TYPE, request(content_type=b"Content-Type: application/jsonp")),
    fault("a type beyond ASCII", TYPE, request(content_type=b"Content-Type: applic\xffation/json")),
    fault("a user of 9,000 bytes", IDENTITY, request(SMALL, b"X-Claude-User: " + b"a" * 9000)),
    fault("roles of 60,000 bytes", IDENTITY, request(SMALL, b"X-Claude-User-Roles: " + b"a," * 1000 + b"b" * 58_000)),
    fault(
        "1,000 roles", IDENTITY, request(SMALL, b"X-Claude-User-Roles: " + b",".join(b"r%d" % n for n in range(1000)))
    ),
    fault("a page's request", FOREIGN, request(SMALL, b"Origin: https://evil.example")),
    fault("a page without an origin of its own", FOREIGN, request(SMALL, b"Origin: null")),
    fault("an empty Origin", FOREIGN, request(SMALL, b"Origin:")),
    fault("a page that looks like ours", FOREIGN, request(SMALL, b"Origin: http://127.0.0.1:3594")),
    fault("a fetch from another site", FOREIGN, request(SMALL, b"Sec-Fetch-Site: cross-site")),
    fault("a fetch from the same site", FOREIGN, request(SMALL, b"Sec-Fetch-Site: same-origin")),
    fault("a fetch of no-cors", FOREIGN, request(SMALL, b"Origin: https://evil.example", content_type=PLAIN)),
    fault("a preflight", FOREIGN, request(SMALL, b"Origin: https://evil.example", method=b"OPTIONS")),
    fault("a rebound name", FOREIGN, request(host=b"Host: evil.example:3594")),
    fault("another address", FOREIGN, request(host=b"Host: 192.0.2.1:3594")),
    fault("a name that begins as ours", FOREIGN, request(host=b"Host: localhost.evil.example")),
    fault("a name behind ours", FOREIGN, request(host=b"Host: 127.0.0.1:3594@evil.example")),
    fault("a Host that is none", FOREIGN, request(host=b"Host: a b:99999/[")),
    fault("a Host beyond ASCII", FOREIGN, request(host=b"Host: loc\xe4lhost")),
    fault("an empty Host", FOREIGN, request(host=b"Host: ")),
    fault("an unknown scope", ErrorKind.SCOPE_UNKNOWN, request(SMALL, b"X-Cerbos-Scope: elsewhere")),
    fault("a scope beyond ASCII", ErrorKind.SCOPE_UNKNOWN, request(SMALL, b"X-Cerbos-Scope: \xff\xfe")),
    fault("a broken chunk behind good ones", CUT, IN_CHUNKS + FIRST_CHUNK, 0.1, b"zz\r\n"),
    fault("a broken trailer behind good chunks", CUT, IN_CHUNKS + FIRST_CHUNK, 0.1, b"0\r\nX-T: \x01\r\n\r\n"),
    fault("a wrong path and a broken chunk", PATH, IN_CHUNKS.replace(b"claude", b"x") + FIRST_CHUNK, 0.1, b"zz\r\n"),
]


def sound(name: str, *pieces: Piece) -> Case:
    return Case(name, None, pieces)


#: Unusual, but the decision can be made.
SOUND = [
    sound("a plain request", request()),
    sound("a trailing slash", request(target=b"/ext/claude/")),
    sound("an escaped letter in the path", request(target=b"/ext/%63laude")),
    sound("a query", request(target=b"/ext/claude?a=%zz&b")),
    sound("a fragment", request(target=b"/ext/claude#a")),
    sound("an absolute target", request(target=b"http://127.0.0.1:3594/ext/claude")),
    sound("an absolute target of another host", request(target=b"https://u:p@example.org/ext/claude")),
    sound("a host that is no punycode", request(target=b"http://xn--a/ext/claude")),
    sound("a host of too long a label", request(target=b"http://xn--" + b"a" * 300 + b"/ext/claude")),
    sound("a host of escapes", request(target=b"http://%ff/ext/claude")),
    sound("a Host on another port", request(host=b"Host: 127.0.0.1:80")),
    sound("the Host localhost", request(host=b"Host: LocalHost.")),
    sound("the Host of loopback in IPv6", request(host=b"Host: [::1]:3594")),
    sound("a fetch of a person's own", request(SMALL, b"Sec-Fetch-Site: none")),
    sound("HTTP/1.0", request(version=b"HTTP/1.0")),
    sound("HTTP/1.0 without a Host", request(version=b"HTTP/1.0", host=None)),
    sound("a content type with parameters", request(content_type=JSON.upper() + b" ; charset=utf-16")),
    sound("the coding that is none", request(SMALL, b"Content-Encoding: identity")),
    sound("an empty coding", request(SMALL, b"Content-Encoding: ")),
    sound("a field of 60,000 bytes", request(SMALL, b"X-Note: " + b"a" * 60_000)),
    sound("a field of 9,000 bytes", request(SMALL, b"X-Note: " + b"a" * 9000)),
    sound("125 further fields", request(SMALL, *(b"X-%d: a" % n for n in range(125)))),
    sound("a field beyond ASCII", request(SMALL, b"X-Note: \xff\xfe")),
    sound("an empty field", request(SMALL, b"X-Claude-User: ", b"X-Note:")),
    sound("a user in Latin-1", request(SMALL, b"X-Claude-User: J\xfcrgen")),
    sound("roles in Latin-1", request(SMALL, b"X-Claude-User-Roles: p\xe4dagogin,\xff")),
    sound("a user in UTF-8", request(SMALL, "X-Claude-User: Jürgen😀".encode())),
    sound("a length with blanks", request(SMALL, b"Content-Length:   %d  " % len(SMALL), length=False)),
    sound("chunks", request(chunked(SMALL), CHUNKED, length=False)),
    sound("chunks of one byte", request(chunked(SMALL, 1), CHUNKED, length=False)),
    sound("chunks that come one by one", IN_CHUNKS, 0.05, FIRST_CHUNK[:40], 0.05, FIRST_CHUNK[40:] + b"0\r\n\r\n"),
    sound("chunks with trailers", IN_CHUNKS + FIRST_CHUNK + b"0\r\nX-T: a\r\n\r\n"),
    sound("chunks with an extension", IN_CHUNKS + b"%x;a=%b\r\n%b\r\n0\r\n\r\n" % (len(SMALL), b"b" * 9000, SMALL)),
    sound("chunks in HTTP/1.0", request(chunked(SMALL), CHUNKED, version=b"HTTP/1.0", length=False)),
    sound("a websocket handshake", request(SMALL, *WEBSOCKET)),
    sound("a websocket handshake in chunks", request(chunked(SMALL), *WEBSOCKET, CHUNKED, length=False)),
    sound(
        "an upgrade to HTTP/2",
        request(SMALL, b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk"),
    ),
    sound("an upgrade to what is no word", request(SMALL, b"Connection: Upgrade", b"Upgrade: w\xffs")),
    sound("a connection field that is none", request(SMALL, b"Connection: \xff, foo,,,close, keep-alive")),
    sound("an expectation", request(SMALL, b"Expect: 100-continue")),
    sound("an expectation of HTTP/1.0", request(SMALL, b"Expect: 100-continue", version=b"HTTP/1.0")),
    sound("an unknown expectation", request(SMALL, b"Expect: tea")),
    sound("blank lines before it", b"\r\n\r\n" + request()),
    sound("a head byte by byte", *(p for byte in request() for p in (bytes([byte]), 0.0))),
]


def named(cases: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=[case.name for case in cases])


@named(UNREADABLE)
async def test_what_is_no_request_is_blocked(guard: Guard, case: Case) -> None:
    assert case.kind is not None
    found = await guard.send(*case.pieces)
    guard.assert_unknown(found, case.kind)
    guard.assert_nothing_internal()


@named(READABLE)
async def test_a_request_that_no_hook_would_send_is_denied(guard: Guard, case: Case) -> None:
    assert case.kind is not None
    found = await guard.send(*case.pieces)
    guard.assert_denied(found, case.kind)
    guard.assert_nothing_internal()


@named(SOUND)
async def test_an_unusual_request_is_decided_like_any_other(guard: Guard, case: Case) -> None:
    found = await guard.send(*case.pieces)
    guard.assert_passed(found)
    guard.assert_nothing_internal()


#: In time to be answered by their deadline.
SLOW = [
    fault("a body that is cut", CUT, request()[:-5]),
    fault("a body of which nothing comes", CUT, request()[: -len(SMALL)] + SMALL[:80]),
    fault(
        "a body that drips",
        CUT,
        request()[: -len(SMALL)] + SMALL[:90],
        *(p for n in range(90, 110) for p in (SMALL[n : n + 1], 0.1)),
    ),
    fault("chunks that do not end", CUT, IN_CHUNKS + FIRST_CHUNK),
    fault(
        "a length of 2^63",
        ErrorKind.PAYLOAD_TOO_LARGE,
        request(SMALL, b"Content-Length: 9223372036854775808", length=False),
    ),
    fault("a wrong path whose body is cut", PATH, request(target=b"/x")[:-5]),
]


@named(SLOW)
async def test_a_body_that_does_not_come_is_denied_within_the_deadline(hasty: Guard, case: Case) -> None:
    assert case.kind is not None
    found = await hasty.send(*case.pieces)
    hasty.assert_denied(found, case.kind)
    hasty.assert_nothing_internal()


@pytest.mark.parametrize(
    "sent", [b"P", b"POST /ext/claude HTTP/1.1\r\nHost: x\r\n", request()[:70]], ids=["a byte", "a line", "half"]
)
async def test_a_head_that_does_not_end_is_blocked(hasty: Guard, sent: bytes) -> None:
    found = await hasty.send(sent)
    hasty.assert_unknown(found, ErrorKind.REQUEST_MALFORMED)


async def test_a_head_that_does_not_end_is_blocked_on_a_connection_in_use_too(hasty: Guard) -> None:
    hasty.mark()
    first, second = await exchanges(hasty.port, 2, request(), 0.2, request()[:70])
    assert first.value() == {}
    assert second.value()["decision"] == "block"
    assert [record["error"] for record in hasty.records()] == ["", "request_malformed"]


async def test_fields_that_fill_megabytes_together_are_blocked_while_they_come(guard: Guard) -> None:
    fields = [b"X-%d: %b\r\n" % (number, b"a" * 60_000) for number in range(100)]
    found = await guard.send(b"POST /ext/claude HTTP/1.1\r\nHost: x\r\n", *fields)
    guard.assert_unknown(found, ErrorKind.REQUEST_MALFORMED)


async def test_a_silent_connection_is_closed_and_leaves_no_record(hasty: Guard) -> None:
    hasty.mark()
    reader, writer = await asyncio.open_connection("127.0.0.1", hasty.port)
    assert await ended(reader) == b""
    await close(writer)
    assert hasty.records() == []


async def test_a_client_that_goes_on_sending_still_hears_that_its_request_was_refused(guard: Guard) -> None:
    """Closing on unread data resets the connection, and the answer is lost with it."""
    body = b"x" * 30_000_000
    found = await guard.send(request(body, b"X-Note: " + b"a" * 70_000))
    guard.assert_unknown(found, ErrorKind.REQUEST_MALFORMED)


async def test_after_a_refusal_the_connection_ends_and_what_follows_is_not_taken_for_a_request(guard: Guard) -> None:
    guard.mark()
    reader, writer = await asyncio.open_connection("127.0.0.1", guard.port)
    writer.write(request(SMALL, b"X-Note: \x01"))
    found = await answer(reader)
    writer.write(request())
    assert await ended(reader) == b""
    await close(writer)
    guard.assert_unknown(found, ErrorKind.REQUEST_MALFORMED)


async def test_a_connection_goes_on_after_a_request_that_was_denied(guard: Guard) -> None:
    guard.mark()
    pieces = (request(target=b"/x"), request(b"{"), request())
    found = [one.value() for one in await exchanges(guard.port, 3, *(p for piece in pieces for p in (piece, 0.05)))]
    assert ["path_unknown" in str(found[0]), "payload_malformed" in str(found[1]), found[2]] == [True, True, {}]
    assert [record["error"] for record in guard.records()] == ["path_unknown", "payload_malformed", ""]


async def test_requests_in_one_packet_are_answered_in_their_order(guard: Guard) -> None:
    guard.mark()
    bodies = [SMALL, b"{", SMALL.replace(b"PreToolUse", b"Stop"), SMALL] * 20
    found = await exchanges(guard.port, len(bodies), b"".join(request(body) for body in bodies))
    assert [bool(one.value()) for one in found] == [False, True, False, False] * 20
    assert [record["event"] for record in guard.records()] == ["PreToolUse", "", "Stop", "PreToolUse"] * 20


async def test_what_follows_a_request_in_its_packet_is_blocked_and_takes_nothing_with_it(guard: Guard) -> None:
    guard.mark()
    first, second = await exchanges(guard.port, 2, request(), 0.1, b"\0garbage\r\n\r\n")
    assert first.value() == {}
    assert second.value()["decision"] == "block"
    assert [record["error"] for record in guard.records()] == ["", "request_malformed"]


async def test_a_body_longer_than_its_length_is_judged_by_its_length(guard: Guard) -> None:
    found = await guard.send(request(SMALL + b'"}', b"Content-Length: 20", length=False))
    assert found.value()["decision"] == "block"
    assert guard.records()[0]["error"] in ("payload_malformed", "request_malformed")


async def test_connect_opens_no_tunnel_to_elsewhere(guard: Guard) -> None:
    """A client that takes us for its proxy still hears our decision."""
    guard.mark()
    connect = b"CONNECT elsewhere.example:443 HTTP/1.1\r\nHost: elsewhere.example:443\r\n\r\n"
    first, second = await exchanges(guard.port, 2, connect, 0.1, request(b"{"))
    assert first.status == b"HTTP/1.1 200 OK"
    assert first.body == b""
    assert second.value()["decision"] == "block"
    assert [record["error"] for record in guard.records()] == ["request_foreign", "payload_malformed"]


@pytest.mark.parametrize("target", [b"[::1:443", b"a b:443", b"xn--a:443", b""])
async def test_a_connect_that_names_nothing_ends_in_a_record_too(guard: Guard, target: bytes) -> None:
    guard.mark()
    found = await exchange(guard.port, request(b"", method=b"CONNECT", target=target, content_type=None, length=False))
    assert found.status.endswith(b" 200 OK")
    assert len(guard.records()) == 1


async def test_a_page_is_told_nothing_by_get_either(guard: Guard) -> None:
    for refused in (
        request(b"", method=b"GET", target=b"/", host=b"Host: evil.example"),
        request(b"", b"Origin: null", method=b"GET"),
    ):
        found = await exchange(guard.port, refused)
        assert b" 403 " in found.status
        assert b"version" not in found.body
        assert b"access-control-allow-origin" not in found.fields


async def test_get_alone_is_no_hook(guard: Guard) -> None:
    guard.mark()
    root = await exchange(guard.port, request(b"", method=b"GET", target=b"/"))
    assert json.loads(root.body)["service"] == "hookgate"
    other = await exchange(guard.port, request(b"", method=b"GET"))
    assert b" 404 " in other.status
    assert b"POST" in other.body
    assert guard.records() == []


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        (request(), ""),
        (request()[:-5], "body_incomplete"),
        (request(SMALL, b"Expect: 100-continue")[: -len(SMALL)], "body_incomplete"),
        (request(SMALL, b"X-Note: \x01"), "request_malformed"),
        (request(target=b"/x"), "path_unknown"),
        (IN_CHUNKS + FIRST_CHUNK, "body_incomplete"),
    ],
    ids=["whole", "cut", "expecting", "malformed", "elsewhere", "chunks"],
)
def test_a_client_that_goes_away_leaves_one_record_and_a_note_that_it_heard_nothing(
    guard: Guard, sent: bytes, error: str
) -> None:
    guard.mark()
    # Stopped for the moment, so that the client has gone before it could be answered.
    guard.service.send(signal.SIGSTOP)
    leave(guard.port, sent)
    guard.service.send(signal.SIGCONT)
    until(lambda: guard.records("undelivered"), what="the note")
    record = guard.assert_recorded(error)
    assert [note["detail"]["decision"] for note in guard.records("undelivered")] == [record["id"]]
    guard.assert_nothing_internal()


SECRET = b"sk-live-0123456789abcdef"


@pytest.mark.parametrize(
    "sent",
    [
        request(SMALL, b"Authorization: Bearer " + SECRET),
        request(SMALL, b"Authorization: Bearer \x01" + SECRET),
        request(SMALL, b"Authorization: Bearer " + SECRET + b"\x00"),
        request(SMALL, b"Authorization Bearer " + SECRET),
        request(SMALL, b"Authorization: Bearer\r\n " + SECRET),
        request(SMALL, b"Authorization: Bearer " + SECRET * 4000),
        request(SMALL, b"Authorization\xff: " + SECRET),
        request(SMALL, b"Content-Encoding: " + SECRET),
        request(SMALL, b"Expect: " + SECRET),
        request(target=b"http://user:" + SECRET + b"@[/ext/claude"),
        request(target=b"/ext/" + SECRET),
        request(target=b"/\xff" + SECRET),
        request(method=SECRET),
        request(host=b"Host: " + SECRET + b"\x01"),
        request(SMALL, b"Authorization: Bearer " + SECRET, content_type=b"Content-Type: " + SECRET),
        IN_CHUNKS + SECRET + b"\r\n",
        request(SMALL, b"Content-Length: " + SECRET, length=False),
        b"Authorization: Bearer " + SECRET + b"\r\n\r\n",
    ],
)
async def test_no_part_of_a_request_that_may_hold_a_credential_is_repeated(guard: Guard, sent: bytes) -> None:
    found = await guard.send(sent)
    found.value()
    assert len(guard.records()) == 1
    secret = SECRET.decode()
    assert SECRET not in b"".join((found.status, *found.fields.values(), found.body))
    assert secret not in json.dumps(guard.records())
    assert secret not in guard.service.log()
    assert secret not in guard.service.get("/metrics")[1]


def mutated(number: int) -> bytes:
    """Gives a request with some of its bytes replaced, removed, doubled, or words of HTTP put between them."""
    chance = random.Random(number)
    found = bytearray(
        chance.choice([request(), request(SMALL, *WEBSOCKET), request(chunked(SMALL), CHUNKED, length=False)])
    )
    for _ in range(chance.randint(1, 5)):
        place = chance.randrange(len(found))
        match chance.randrange(4):
            case 0:
                found[place] = chance.randrange(256)
            case 1:
                del found[place : place + chance.choice([1, 2, 5, 20])]
            case 2:
                found[place:place] = found[chance.randrange(len(found)) :][: chance.choice([3, 10, 60])]
            case _:
                found[place:place] = chance.choice(WORDS)
    return bytes(found)


WORDS = [
    b"\r\n",
    b"\r\n\r\n",
    b"\0",
    b"\xff",
    b":",
    b" ",
    b"%",
    b"[",
    b"@",
    b"//xn--",
    b"HTTP/2.0",
    b"Content-Length: 5\r\n",
    CHUNKED,
]


async def assert_each_mutation_is_answered(guard: Guard, numbers: range) -> None:
    guard.mark()
    at_once = asyncio.Semaphore(50)

    async def sent(number: int) -> None:
        data = mutated(number)
        async with at_once:
            try:
                value = (await exchange(guard.port, data)).value()
            except BaseException as error:
                error.add_note(f"mutation {number}: {data!r}")
                raise
        assert_valid("PreToolUse", value)

    await asyncio.gather(*(sent(number) for number in numbers))
    guard.assert_nothing_internal()
    until(lambda: len(guard.records()) >= len(numbers), what="a record each")
    assert {record["error"] for record in guard.records()} < CALLERS | {""}


CALLERS = {kind.value for kind in ErrorKind if kind.side is Side.CALLER}


async def test_whatever_a_request_is_turned_into_it_is_answered(hasty: Guard) -> None:
    await assert_each_mutation_is_answered(hasty, range(400))


@pytest.mark.soak
async def test_at_length_whatever_a_request_is_turned_into_it_is_answered(hasty: Guard) -> None:
    for begin in range(400, 40_400, 1000):
        await assert_each_mutation_is_answered(hasty, range(begin, begin + 1000))
