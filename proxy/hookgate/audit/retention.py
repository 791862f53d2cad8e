"""Retention: removes whole segments from the beginning of the journal, once they are shipped and old enough.

First a signed record of what goes, on the disk, then the files. It has a thread of its own: no decision waits for it.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYetError
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import msgspec

from hookgate.audit.age import Ages, Clocks, Intent, load_ages, save_ages
from hookgate.audit.chain import taken_apart
from hookgate.audit.error import UNREADABLE, JournalError
from hookgate.audit.observer import Nobody, Observer
from hookgate.audit.recovery import lines_from_end
from hookgate.audit.removal import TYPE, Removal
from hookgate.audit.segments import first_line, first_seq, segment_paths, size_of, sync_directory
from hookgate.audit.shipping.cursor import CursorError, load_cursor

_LOOK_SECONDS = 10.0
#: How often the ages are kept although nothing has changed: what is older counts for a bounded time only.
_SAVE_SECONDS = 600.0
_HINT = f'"type":"{TYPE}"'.encode()


class Chain(Protocol):
    """The journal, as far as retention needs it."""

    @property
    def instance(self) -> str:
        """The chain's own id."""

    @property
    def last_seq(self) -> int:
        """The number of the last line that is written."""

    def remove(self, removal: Removal) -> Future[None]:
        """Queues the record of a removal; done when it is signed and on the disk."""

    def freed(self) -> None:
        """Takes note that segments are gone."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What may go, and when."""

    #: Names of those who must have a segment; without any, it only has to be ended.
    shippers: tuple[str, ...] = ()
    #: How long a segment stays after all of them have it; None for ever.
    keep_seconds: float | None = None
    #: Room beyond which the oldest segments go whoever has them; None where they never do.
    drop_beyond_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class _Closed:
    """A segment that nothing is written to any more."""

    path: Path
    following: Path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def last_seq(self) -> int:
        return first_seq(self.following) - 1


class Retention:
    """Looks after one journal's segments, from `start` to `stop`. `look` does it once."""

    def __init__(
        self,
        directory: Path,
        chain: Chain,
        terms: Terms,
        observer: Observer | None = None,
        clocks: Callable[[], Clocks] = Clocks,
    ) -> None:
        self._directory = directory
        self._chain = chain
        self._terms = terms
        self._observer = observer or Nobody()
        self._clocks = clocks
        self._ages: Ages | None = None
        self._saved_at = 0.0
        self._again = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="retention", daemon=True)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def wake(self) -> None:
        """Has it look at once, from any thread."""
        self._again.set()

    def stop(self, timeout_seconds: float) -> None:
        """Ends it, waiting at most so long; what is under way is completed at the next start."""
        self._stopping = True
        self._again.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_seconds)

    def look(self) -> None:
        """Removes what may go. Raises OSError or JournalError."""
        if self._ages is None:
            self._ages = load_ages(self._directory, self._chain.instance)
        ages = self._ages
        ages.advance(self._clocks())
        if ages.intent is not None:
            self._complete(ages, ages.intent)
        closed = [_Closed(path, following) for path, following in pairwise(segment_paths(self._directory))]
        delivered = {name: self._delivered(name) for name in self._terms.shippers}
        since = {
            one.name: ages.since.get(one.name, ages.age_seconds)
            for one in closed
            if all(seq >= one.last_seq for seq in delivered.values())
        }
        has_changed, ages.since = since != ages.since, since
        if has_changed or ages.age_seconds - self._saved_at >= _SAVE_SECONDS:
            self._save(ages)
        if closed and not size_of(closed[-1].following):
            # It was begun just now; only its first line tells where the chain goes on.
            closed.pop()
        old = _while(closed, lambda one: self._is_old(ages, one))
        if old:
            self._remove(ages, old, "age", delivered)
        if self._terms.drop_beyond_bytes is not None:
            rest = closed[len(old) :]
            if surplus := self._surplus(rest, self._terms.drop_beyond_bytes):
                self._remove(ages, surplus, "disk", delivered)

    def _run(self) -> None:
        while not self._stopping:
            try:
                self.look()
            except OSError as error:
                self._observer.kept(f"{error.filename or self._directory}: {error.strerror}")
            except JournalError as error:
                self._observer.kept(str(error))
            except Exception as error:  # noqa: BLE001 (whatever happens, it is told, and tried again)
                self._observer.kept(type(error).__name__)
            else:
                self._observer.kept("")
            self._again.wait(_LOOK_SECONDS)
            self._again.clear()

    def _delivered(self, shipper: str) -> int:
        """A cursor that is missing, damaged or of another chain tells of no delivery."""
        try:
            cursor = load_cursor(self._directory, shipper)
        except CursorError:
            return 0
        return cursor.seq if cursor is not None and cursor.instance == self._chain.instance else 0

    def _is_old(self, ages: Ages, one: _Closed) -> bool:
        keep_seconds, since = self._terms.keep_seconds, ages.since.get(one.name)
        return keep_seconds is not None and since is not None and ages.age_seconds - since >= keep_seconds

    def _surplus(self, closed: Sequence[_Closed], bound: int) -> list[_Closed]:
        """Gives the oldest segments that have to go so that the rest takes no more than the bound."""
        paths = segment_paths(self._directory)
        size = sum(size_of(path) or 0 for path in paths)
        surplus: list[_Closed] = []
        for one in closed:
            if size <= bound:
                break
            surplus.append(one)
            size -= size_of(one.path) or 0
        return surplus

    def _remove(self, ages: Ages, segments: Sequence[_Closed], why: str, delivered: dict[str, int]) -> None:
        first, last = segments[0], segments[-1]
        following = taken_apart(first_line(last.following))
        if following is None or following.seq != last.last_seq + 1:
            raise JournalError(f"{last.following}: its first line does not hold; nothing before it is removed")
        removal = Removal(
            first_seq=first_seq(first.path),
            last_seq=last.last_seq,
            last_hash=following.prev.decode(),
            segments=len(segments),
            bytes=sum(size_of(one.path) or 0 for one in segments),
            why=why,
            missed={
                name: missed
                for name, seq in sorted(delivered.items())
                if (missed := last.last_seq - max(seq, first_seq(first.path) - 1)) > 0
            },
        )
        ages.intent = Intent(last_seq=removal.last_seq, behind_seq=self._chain.last_seq)
        self._save(ages)
        self._recorded(self._chain.remove(removal))
        self._unlink(removal.last_seq)
        self._observer.removed(removal)
        ages.intent = None
        self._save(ages)

    def _recorded(self, recorded: Future[None]) -> None:
        """Raises JournalError where it could not be, or is not before the end."""
        while True:
            try:
                return recorded.result(timeout=0.2)
            except NotYetError:
                if self._stopping:
                    raise JournalError(f"{self._directory}: segments stay, for the service ends") from None

    def _complete(self, ages: Ages, intent: Intent) -> None:
        """Ends what a run before has begun: the record is there, the files may be, too."""
        if self._is_recorded(intent):
            self._unlink(intent.last_seq)
        ages.intent = None
        self._save(ages)

    def _is_recorded(self, intent: Intent) -> bool:
        for raw in lines_from_end(segment_paths(self._directory)):
            line = taken_apart(raw)
            if line is None:
                continue
            if line.seq <= intent.behind_seq:
                return False
            if _HINT in raw and _removed_up_to(raw) == intent.last_seq:
                return True
        return False

    def _unlink(self, last_seq: int) -> None:
        """Oldest first, so that what is left is always the end of the chain."""
        paths = segment_paths(self._directory)
        for path in paths:
            if first_seq(path) <= last_seq and path != paths[-1]:
                path.unlink(missing_ok=True)
        sync_directory(paths[0].parent)
        self._chain.freed()

    def _save(self, ages: Ages) -> None:
        """Where there is no room for it, the removal that makes some must go on all the same."""
        with suppress(OSError):
            save_ages(self._directory, ages)
            self._saved_at = ages.age_seconds


def _while(closed: Sequence[_Closed], may_go: Callable[[_Closed], bool]) -> list[_Closed]:
    """Only the beginning of a chain can go."""
    found: list[_Closed] = []
    for one in closed:
        if not may_go(one):
            break
        found.append(one)
    return found


class _Detail(msgspec.Struct, frozen=True):
    last_seq: int


class _Line(msgspec.Struct, frozen=True):
    type: str
    detail: _Detail


def _removed_up_to(raw: bytes) -> int:
    try:
        found = msgspec.json.decode(raw, type=_Line)
    except UNREADABLE:
        return 0
    return found.detail.last_seq if found.type == TYPE else 0
