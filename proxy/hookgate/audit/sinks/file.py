"""A file as a sink: one line a record, flushed to the disk, rotated by size."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from hookgate.audit.recovery import last_line_end
from hookgate.audit.segments import flush
from hookgate.audit.shipping.shipment import Shipment, SinkError
from hookgate.audit.sinks.messages import as_lines
from hookgate.audit.worker import Worker
from hookgate.config.shippers import FileShipper


class FileSink:
    """Writes to a file that only its owner may read. A batch is there when it is on the disk."""

    def __init__(self, shipper: FileShipper) -> None:
        self._path = Path(shipper.path)
        self._max_bytes = shipper.max_bytes
        self._keep_files = shipper.keep_files
        self._format = shipper.format
        self._worker = Worker("ship-file")
        self._file = -1

    async def open(self) -> None:
        """Opens the file, and makes it if it is missing. Raises SinkError."""
        await self._do(self._open)

    async def send(self, batch: Sequence[Shipment]) -> None:
        """Writes a batch. Raises SinkError."""
        await self._do(self._write, as_lines(batch, self._format))

    async def close(self) -> None:
        """Lets the file go."""
        self._worker.close(self._close)

    async def _do(self, step: Callable[..., None], *arguments: bytes) -> None:
        try:
            await self._worker(step, *arguments)
        except OSError as error:
            raise SinkError(f"{error.filename or self._path}: {error.strerror}") from None

    def _open(self) -> None:
        self._close()
        self._file = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        size = os.fstat(self._file).st_size
        if (end := last_line_end(self._file, size)) != size:
            # Half a line, from a process that was killed: its record comes again.
            os.ftruncate(self._file, end)

    def _write(self, data: bytes) -> None:
        if not data:
            return
        if self._file < 0 or self._is_elsewhere():
            self._open()
        size = os.fstat(self._file).st_size
        if size and size + len(data) > self._max_bytes:
            self._rotate()
            size = 0
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._file, view) :]
            flush(self._file)
        except OSError:
            os.ftruncate(self._file, size)
            raise

    def _is_elsewhere(self) -> bool:
        """Whether somebody has moved the file away, as other programs that rotate files do."""
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return True
        here = os.fstat(self._file)
        return (there.st_dev, there.st_ino) != (here.st_dev, here.st_ino)

    def _rotate(self) -> None:
        """The file becomes .1, .1 becomes .2, and so on; the oldest goes."""
        self._close()
        for number in range(self._keep_files - 1, 0, -1):
            older = self._older(number)
            if older.exists():
                older.replace(self._older(number + 1))
        self._path.replace(self._older(1))
        self._open()

    def _older(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")

    def _close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
