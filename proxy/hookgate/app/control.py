"""What the service and its shipping process say to each other, over a socket that only the two of them have.

The service sends one line, the settings: secrets stand in no argument and no variable. The shipping process sends a line a
second, how it is doing. When the service's end is closed, whatever has become of it, nothing more comes into the journal: what
is there is delivered, and the process ends.
"""

import asyncio
import socket

import msgspec

from hookgate.audit.shipping.status import Status
from hookgate.config.audit import Audit
from hookgate.config.console import Console
from hookgate.config.tree import Log

#: Largest line.
LINE_BYTES = 16 * 1024 * 1024
#: Reports that nobody reads are not kept.
_UNREAD_BYTES = 65536


class Handover(msgspec.Struct, frozen=True, kw_only=True):
    """The settings that shipping needs."""

    audit: Audit
    log: Log
    console: Console = Console()
    #: Where the service tells how it is doing, `host:port`; empty where it does not.
    admin: str = ""


class ControlError(Exception):
    """The other end says nothing that can be understood."""


class Control:
    """The shipping process's end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def taken(cls, descriptor: int) -> "Control":
        """Takes over the inherited descriptor. Raises OSError."""
        own = socket.socket(fileno=descriptor)
        own.set_inheritable(False)
        return cls(*await asyncio.open_unix_connection(sock=own, limit=LINE_BYTES))

    async def settings(self) -> Handover:
        """Gives what the service hands over. Raises ControlError."""
        try:
            return msgspec.json.decode(await self._reader.readuntil(b"\n"), type=Handover)
        except (msgspec.DecodeError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError) as error:
            raise ControlError(type(error).__name__) from None

    def report(self, status: Status) -> None:
        """Tells the service how the shippers are doing; never waits for it."""
        if self._writer.transport.get_write_buffer_size() < _UNREAD_BYTES:
            self._writer.write(msgspec.json.encode(status) + b"\n")

    async def closed(self) -> None:
        """Returns when the service has ended, or wants this process to end."""
        try:
            while await self._reader.read(65536):
                pass
        except OSError:
            return
