"""A file whose content counts, read again when it changes."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")
_Look = tuple[int, ...] | None

_LOOK_SECONDS = 1.0


class IdentityError(Exception):
    """A source of identity can't work; one line that names the place and what to do."""


class Watch(Protocol):
    """Who is told what becomes of the sources' files and keys."""

    def file_taken(self, path: str) -> None:
        """A changed file counts."""

    def file_refused(self, path: str, why: str) -> None:
        """A changed file is broken; what it held before still counts."""

    def keys_fetched(self, issuer: str, count: int) -> None:
        """An issuer's keys were fetched."""

    def keys_failed(self, issuer: str, why: str) -> None:
        """An issuer's keys could not be fetched."""

    def unfilled(self, header: str) -> None:
        """A header came whose variable the client had not filled in."""


class Unwatched:
    """Nobody is told."""

    def file_taken(self, path: str) -> None:
        """Nothing."""

    def file_refused(self, path: str, why: str) -> None:
        """Nothing."""

    def keys_fetched(self, issuer: str, count: int) -> None:
        """Nothing."""

    def keys_failed(self, issuer: str, why: str) -> None:
        """Nothing."""

    def unfilled(self, header: str) -> None:
        """Nothing."""


class WatchedFile(Generic[T]):
    """A file as `parse` reads it; `parse` raises ValueError, with why, for one that is broken."""

    def __init__(self, path: str, parse: Callable[[bytes], T], watch: Watch) -> None:
        self._path = Path(path)
        self._parse = parse
        self._watch = watch
        self._seen = self._look()
        try:
            self.value = self._read()
        except ValueError as error:
            raise IdentityError(f"{path}: {error}") from None
        #: Grows with each content that is taken.
        self.generation = 0

    async def run(self) -> None:
        """Looks again and again, off the event loop: a disk that hangs holds up nobody."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            seen = await asyncio.to_thread(self._look)
            if seen == self._seen:
                continue
            try:
                value = await asyncio.to_thread(self._read)
            except ValueError as error:
                self._watch.file_refused(str(self._path), str(error))
            except Exception as error:  # noqa: BLE001 (what it held before still counts, and the next change is looked at)
                self._watch.file_refused(str(self._path), type(error).__name__)
            else:
                self.value = value
                self.generation += 1
                self._watch.file_taken(str(self._path))
            self._seen = seen

    def _read(self) -> T:
        try:
            return self._parse(self._path.read_bytes())
        except OSError as error:
            raise ValueError(f"can't be read: {error.strerror}") from None

    def _look(self) -> _Look:
        """What the name leads to in the end: a ConfigMap is changed by exchanging a link in the middle of its path."""
        try:
            found = self._path.stat()
        except OSError:
            return None
        return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
