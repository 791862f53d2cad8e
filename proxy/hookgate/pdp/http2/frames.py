"""HTTP/2 frames (RFC 9113, 4 and 6): to bytes, and out of them."""

import struct
from collections.abc import Iterator, Mapping

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)

#: Flags. ACK and END_STREAM are the same bit, of different frames.
ACK = END_STREAM = 0x1
END_HEADERS = 0x4
PADDED = 0x8
HAS_PRIORITY = 0x20

#: Settings (RFC 9113, 6.5.2).
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE = 1, 2, 3, 4, 5
MAX_HEADER_LIST_SIZE = 6

#: Error codes (RFC 9113, 7).
NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR = 0, 1, 2, 3
FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL, COMPRESSION_ERROR = 6, 7, 8, 9
ENHANCE_YOUR_CALM, INADEQUATE_SECURITY = 11, 12

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD_BYTES = 9
#: What both sides take without saying so; more is not asked for, and not sent.
FRAME_BYTES = 16384
#: What both sides may send before any WINDOW_UPDATE, and what no window may exceed.
FIRST_WINDOW_BYTES, MAX_WINDOW_BYTES = 65535, 2**31 - 1

_HEAD = struct.Struct(">HBBBL")

#: A frame: type, flags, stream, payload.
Frame = tuple[int, int, int, bytes]


class ProtocolError(Exception):
    """The other side does what HTTP/2 forbids, or what is not known here; `code` is what it is told."""

    def __init__(self, code: int, what: str) -> None:
        super().__init__(what)
        self.code = code


def head(kind: int, flags: int, stream: int, length: int) -> bytes:
    """Gives a frame's head."""
    return _HEAD.pack(length >> 8, length & 0xFF, kind, flags, stream)


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Gives a whole frame."""
    return head(kind, flags, stream, len(payload)) + payload


def settings(values: Mapping[int, int]) -> bytes:
    """Gives a SETTINGS frame."""
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HL", key, value) for key, value in values.items()))


def window_update(stream: int, size_bytes: int) -> bytes:
    """Gives a WINDOW_UPDATE frame."""
    return frame(WINDOW_UPDATE, 0, stream, size_bytes.to_bytes(4, "big"))


def reset(stream: int, code: int) -> bytes:
    """Gives a RST_STREAM frame."""
    return frame(RST_STREAM, 0, stream, code.to_bytes(4, "big"))


def goaway(code: int) -> bytes:
    """Gives a GOAWAY frame: no stream of the other side's was ever taken."""
    return frame(GOAWAY, 0, 0, bytes(4) + code.to_bytes(4, "big"))


class Splitter:
    """Cuts what comes in into frames, wherever it is split."""

    def __init__(self) -> None:
        self._rest = b""

    def frames(self, data: bytes) -> Iterator[Frame]:
        """Yields the frames that are whole. Raises ProtocolError for one that is too large."""
        if self._rest:
            data = self._rest + data
        at, end = 0, len(data)
        while end - at >= HEAD_BYTES:
            high, low, kind, flags, stream = _HEAD.unpack_from(data, at)
            length = high << 8 | low
            if length > FRAME_BYTES:
                self._rest = b""
                raise ProtocolError(FRAME_SIZE_ERROR, f"a frame of {length} bytes")
            begin = at + HEAD_BYTES
            if end - begin < length:
                break
            at = begin + length
            yield kind, flags, stream & 0x7FFFFFFF, data[begin:at]
        self._rest = data[at:]


def unpadded(flags: int, payload: bytes) -> bytes:
    """Takes the padding off the payload of DATA or HEADERS. Raises ProtocolError."""
    if not flags & PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise ProtocolError(PROTOCOL_ERROR, "padding longer than its frame")
    return payload[1 : len(payload) - payload[0]]


def fragment(flags: int, payload: bytes) -> bytes:
    """Gives the part of a header block that a HEADERS frame holds. Raises ProtocolError."""
    payload = unpadded(flags, payload)
    if not flags & HAS_PRIORITY:
        return payload
    if len(payload) < 5:
        raise ProtocolError(FRAME_SIZE_ERROR, "HEADERS without room for its priority")
    return payload[5:]


def settings_in(payload: bytes) -> list[tuple[int, int]]:
    """Gives the settings of a SETTINGS frame, in order. Raises ProtocolError."""
    if len(payload) % 6:
        raise ProtocolError(FRAME_SIZE_ERROR, f"SETTINGS of {len(payload)} bytes")
    return list(struct.iter_unpack(">HL", payload))
