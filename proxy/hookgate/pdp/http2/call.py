"""One unary call: what is still to be sent of it, and what has come of its answer."""

import asyncio
from collections import deque

from hookgate.errors import ErrorKind, GateError
from hookgate.pdp.http2.fields import Fields
from hookgate.pdp.http2.status import begins_well, ends_well, failure, fault_in_headers, fault_in_trailers, has_status

#: Largest answer that is taken, as with grpcio.
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
#: Before a message: whether it is compressed, and how long it is.
PREFIX_BYTES = 5


class UntakenError(GateError):
    """The server has not begun with the call: it may be asked again at once, elsewhere."""

    def __init__(self, why: str) -> None:
        super().__init__(ErrorKind.PDP_UNAVAILABLE, f"UNAVAILABLE: {why}")


class UnfamiliarError(Exception):
    """The answer is made in a way that is not known here."""


class Call:
    """A call on a connection. `outcome` is the answer's bytes or a GateError; nobody but the connection sets it."""

    __slots__ = (
        *("answer", "begun", "block", "end", "heard", "id", "outcome", "received_bytes", "request", "unsent", "whole"),
        "window",
    )

    def __init__(self, block: bytes, request: bytes, outcome: "asyncio.Future[bytes]") -> None:
        self.block = block
        self.request = request
        self.outcome = outcome
        self.id = 0
        #: How often anything had come from the server when the call was sent.
        self.heard = 0
        #: How much more of the message the server takes, and what is still to be sent.
        self.window = 0
        self.unsent: deque[memoryview] = deque()
        #: All payload of the stream, padding and all.
        self.received_bytes = 0
        self.begun = False
        self.answer: bytes | bytearray = b""
        #: Where the answer ends, once its length is known.
        self.end = -1
        #: Whether it has come to its end, and the server says that all went well.
        self.whole = False

    @property
    def prefix(self) -> bytes:
        """What goes before the message: not compressed, and its length."""
        return b"\0" + len(self.request).to_bytes(4, "big")

    def take_from_unsent(self, most_bytes: int) -> list[memoryview]:
        """Takes as much as may be sent now, in order."""
        taken: list[memoryview] = []
        while most_bytes and self.unsent:
            first = self.unsent.popleft()
            part = first[:most_bytes]
            taken.append(part)
            most_bytes -= len(part)
            if len(part) < len(first):
                self.unsent.appendleft(first[len(part) :])
        return taken

    def fields(self, fields: Fields, *, last: bool) -> GateError | None:
        """Takes a block of header fields. Gives an error where there will be no answer."""
        if not self.begun:
            if not last and begins_well(fields):
                self.begun = True
                return None
            if not last and any(name == b":status" and value[:1] == b"1" for name, value in fields):
                # An interim answer (RFC 9113, 8.1).
                return None
            self.begun = True
            if not last:
                return fault_in_headers(fields)
            fault = fault_in_trailers(fields) if has_status(fields) else fault_in_headers(fields)
            return fault or failure("INTERNAL", "an answer without a message")
        if not last:
            return failure("INTERNAL", "header fields in the middle of an answer")
        fault = None
        if not ends_well(fields):
            if any(name.startswith(b":") for name, _ in fields):
                return failure("INTERNAL", "trailers that are none")
            fault = fault_in_trailers(fields)
        if fault is None and len(self.answer) != self.end:
            return failure("INTERNAL", "an answer without a whole message")
        self.whole = fault is None
        return fault

    def data(self, payload: bytes, *, last: bool) -> GateError | None:
        """Takes a part of the message. Gives an error where there will be no answer. Raises UnfamiliarError."""
        if not self.begun:
            return failure("INTERNAL", "a message without header fields")
        if self.answer:
            if isinstance(self.answer, bytes):
                self.answer = bytearray(self.answer)
            self.answer += payload
        else:
            self.answer = payload
        if self.end < 0 and len(self.answer) >= PREFIX_BYTES:
            if self.answer[0]:
                raise UnfamiliarError("a compressed message")
            length = int.from_bytes(self.answer[1:PREFIX_BYTES], "big")
            if length > MAX_MESSAGE_BYTES:
                return failure(
                    "RESOURCE_EXHAUSTED", f"Received message larger than max ({length} vs. {MAX_MESSAGE_BYTES})"
                )
            self.end = PREFIX_BYTES + length
        if self.end >= 0 and len(self.answer) > self.end:
            return failure("INTERNAL", "more than one message")
        return failure("UNKNOWN", "an answer without a status") if last else None

    def message(self) -> bytes:
        """Gives the message of a whole answer."""
        return bytes(memoryview(self.answer)[PREFIX_BYTES:])
