"""What comes to the gate and what leaves it, and whom it needs."""

import asyncio
from collections.abc import Mapping
from typing import Protocol

import msgspec

from hookgate.errors import GateError
from hookgate.identity.connection import UNKNOWN, Connection
from hookgate.pdp.decision import Decision
from hookgate.pdp.request import Question


class HookRequest(msgspec.Struct, frozen=True):
    """A request as it came in. `received` is a time of the loop's clock, by which deadlines go; `started` one of
    time.perf_counter(), which is finer. `fault` says why there is no whole body, and `body` then holds what there is of it.
    """

    received: float
    started: float
    headers: Mapping[str, str] = {}
    body: bytes | bytearray = b""
    remote: str = ""
    fault: GateError | None = None
    #: What the connection tells of who is at its other end.
    connection: Connection = UNKNOWN


class Pdp(Protocol):
    """Whom the gate asks: the PDP's client."""

    async def check(self, question: Question, deadline: float) -> Decision:
        """Gives the decision by a time of the loop's clock, or raises GateError."""


class Trail(Protocol):
    """Where records are written: the journal."""

    def append(self, line: bytes, kind: str = "decision", outcome: str = "") -> asyncio.Future[None]:
        """Queues a record of a type; the future is done when it is written. One that can't be written is counted as
        `outcome`, or where there is none as its type."""

    def lost(self, kind: str = "decision", outcome: str = "") -> None:
        """Counts a record that could not even be made, as `append` counts one that can't be written."""


class Reply(msgspec.Struct, frozen=True):
    """An answer's bytes, and the decision that they belong to. `told` is what the caller asked about itself."""

    data: bytes
    decision_id: str
    told: Mapping[str, str] = {}
