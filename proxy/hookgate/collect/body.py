"""The body of a request: unpacked within bounds, and taken apart into lines."""

import json
import re
import zlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from hookgate.audit.chain import Line, taken_apart
from hookgate.audit.error import UNREADABLE
from hookgate.audit.store.moment import micros

#: Of a body as it comes, and unpacked; of a line; and how many lines. A shipper sends a mebibyte at a time, or one larger line.
BODY_BYTES, UNPACKED_BYTES, LINE_BYTES, MOST_LINES = 6 << 20, 6 << 20, 4 << 20, 10_000
_WINDOWS = {"gzip": 31, "deflate": 15}
#: As Hookgate writes times: of any other form another reader may make another time, or none.
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?Z")
#: Nothing is dated after 9999, and before 1970 nothing was recorded.
_MAX_MICROS = 253_402_300_799_000_000
#: The store has room for smaller numbers.
_NO_SEQ = 1 << 44
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])


#: Of a `detail` that is looked at; and what records with one that must be looked at are.
_DETAIL_BYTES = 64 * 1024
_LOOKED_AT = frozenset({"chain_start", "checkpoint", "key_changed"})
_NOTHING = msgspec.Raw(b"{}")


class BodyError(Exception):
    """A body can't be taken. `status` is what is answered, `seq` the line at fault, or 0."""

    def __init__(self, status: int, why: str, seq: int = 0) -> None:
        super().__init__(why)
        self.status = status
        self.seq = seq


class Head(msgspec.Struct, frozen=True):
    """What is looked at of a record; what may be large is read where it is wanted, and not held: as objects it takes thirty times
    the memory."""

    type: str
    time: str
    instance: str = ""
    host: str = ""
    mode: str = ""
    user: str = ""
    labels: msgspec.Raw = _NOTHING
    reduced: bool = False
    detail: msgspec.Raw = _NOTHING

    @property
    def said(self) -> dict[str, Any]:
        """The members of `detail`; none where it is larger than any that is looked at."""
        return _object(self.detail)

    @property
    def labelled(self) -> dict[str, Any]:
        """The labels, likewise."""
        return _object(self.labels)


@dataclass(frozen=True, slots=True)
class Sent:
    """A line that was sent. `raw` is all of it without its line end; `micros` its time since 1970."""

    raw: bytes
    line: Line
    head: Head
    micros: int


def unpacked(body: bytes, encoding: str) -> bytes:
    """Gives a body without its `Content-Encoding`. Raises BodyError, also where it would be larger than the bound."""
    if encoding in ("", "identity"):
        return body
    window = _WINDOWS.get(encoding)
    if window is None:
        raise BodyError(415, "Content-Encoding: expected gzip, deflate or none")
    opener = zlib.decompressobj(window)
    try:
        found = opener.decompress(body, UNPACKED_BYTES + 1)
    except zlib.error:
        raise BodyError(400, f"the body is no {encoding}") from None
    if len(found) > UNPACKED_BYTES:
        raise BodyError(413, f"the body is larger than {UNPACKED_BYTES} bytes once it is unpacked")
    if not opener.eof or opener.unused_data:
        raise BodyError(400, f"the body is no whole {encoding}")
    return found


def lines_of(body: bytes) -> tuple[Sent, ...]:
    """Gives the lines of a body, of which each is well formed; whether it holds is another question. Raises BodyError."""
    if body.count(b"\n") > MOST_LINES:
        raise BodyError(413, f"more than {MOST_LINES} lines")
    if body and not body.endswith(b"\n"):
        raise BodyError(400, "the last line has no end")
    return tuple(_sent(raw) for raw in body.split(b"\n")[:-1])


def _sent(raw: bytes) -> Sent:
    line = taken_apart(raw)
    if line is None:
        raise BodyError(422, "a line has not the form of a journal's")
    if len(raw) > LINE_BYTES:
        raise BodyError(422, f"line {line.seq} is larger than {LINE_BYTES} bytes", line.seq)
    if line.seq >= _NO_SEQ:
        raise BodyError(422, f"line {line.seq}: there is no such number", line.seq)
    try:
        if is_ambiguous(raw):
            raise BodyError(422, f"line {line.seq} has a member twice", line.seq)
        head = msgspec.json.decode(raw, type=Head)
        if not _TIME.fullmatch(head.time):
            raise BodyError(422, f"line {line.seq} has no time as a journal's", line.seq)
        at = micros(datetime.fromisoformat(head.time))
    except (*UNREADABLE, ValueError, OverflowError):
        raise BodyError(422, f"line {line.seq} is no record", line.seq) from None
    if head.type in _LOOKED_AT and len(head.detail) > _DETAIL_BYTES:
        raise BodyError(422, f"line {line.seq}: its detail is larger than {_DETAIL_BYTES} bytes", line.seq)
    if not 0 <= at <= _MAX_MICROS:
        raise BodyError(422, f"line {line.seq} has no time that can be", line.seq)
    return Sent(raw, line, head, at)


def _object(raw: msgspec.Raw) -> dict[str, Any]:
    if len(raw) > _DETAIL_BYTES:
        return {}
    try:
        found = msgspec.json.decode(raw)
    except UNREADABLE:
        return {}
    return found if isinstance(found, dict) else {}


def is_ambiguous(raw: bytes) -> bool:
    """Whether a record, or its `detail`, has a member twice: of those readers downstream may take another one than is judged here.
    Raises what decoding raises."""
    found = _members.decode(raw)
    if len({*map(str.lower, found)}) < len(found):
        # To some readers it is one name.
        return True
    # A record as Hookgate writes it is its members and what stands between them.
    if sum(map(len, found)) + sum(map(len, found.values())) + 4 * len(found) + 1 == len(raw):
        detail = found.get("detail")
        return detail is not None and bytes(detail).startswith(b"{") and is_ambiguous(bytes(detail))
    return _has_twice(raw)


def _has_twice(raw: bytes) -> bool:
    def once(members: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(found := dict(members)) < len(members):
            raise _TwiceError
        return found

    try:
        json.loads(raw, object_pairs_hook=once, parse_int=str, parse_float=str)
    except _TwiceError:
        return True
    return False


class _TwiceError(Exception):
    """A member is there twice."""
