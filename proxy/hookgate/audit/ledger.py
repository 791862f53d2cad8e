"""The chain on the disk: batches of lines, checkpoints, gaps, and the change from one segment to the next."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hookgate.audit.chain import BEGINNING, linked
from hookgate.audit.checkpoint import TYPE as CHECKPOINT
from hookgate.audit.checkpoint import Signer, service_line
from hookgate.audit.error import JournalError
from hookgate.audit.gap import Entry, Gap
from hookgate.audit.observer import Observer
from hookgate.audit.recovery import Found, recover
from hookgate.audit.removal import TYPE as RETENTION
from hookgate.audit.removal import Removal, removal_line
from hookgate.audit.rotation import announcement, chains_key, changed_line, put_in_place, waiting_key
from hookgate.audit.segments import DIRECTORY, Segment, flush, segment_path, sync_directory, usage
from hookgate.audit.syncer import Syncer
from hookgate.ids import uuid7

#: How often it is tried again while nothing can be written and nobody writes.
_RETRY_SECONDS = 1.0
#: What its place in the chain adds to a line, at most.
_LINK_BYTES = 180

Batch = Sequence[tuple[bytes, Entry]]


@dataclass(frozen=True, slots=True)
class Options:
    """How the journal writes."""

    #: Each batch is on the disk before anybody is told that it is written.
    sync: bool = False
    sync_seconds: float = 0.1
    checkpoint_seconds: float = 10.0
    segment_bytes: int = 64 * 1024 * 1024
    segment_seconds: float = 86400.0
    #: Most room that segments may take; beyond it nothing is written. None for no bound.
    disk_bytes: int | None = None


class Ledger:
    """Writes one chain. Used by one thread at a time; `open` comes first."""

    def __init__(
        self,
        directory: Path,
        options: Options,
        gap: Gap,
        observer: Observer,
        prepare: Callable[[], None] = lambda: None,
    ) -> None:
        """`prepare` makes the directory and what else must be in it; it may be called again. Raises as `open` does."""
        self._directory = directory
        self._prepare = prepare
        self._is_open = False
        self._options = options
        self._gap = gap
        self._observer = observer
        self._syncer = Syncer(options.sync_seconds, observer.synced)
        #: The chain's own id; before it is open, that of the one that begins unless there is one.
        self.instance = uuid7()
        self._end = BEGINNING
        self._sealed = False
        #: Why nothing can be written; empty while it can.
        self._fault = ""
        #: Size of the segments before the one that is written.
        self._before_bytes = 0
        self._measured_at = 0.0
        #: Called, on the journal's thread, when another segment was begun, and every so often while there is no room.
        self.wanting: Callable[[], None] = lambda: None
        #: What this run has to say first, until it is written.
        self._own: Batch = ()
        self._checkpoint_at = self._checkpoint_wall = 0.0
        #: What was written and not told yet: own lines and those of others, whether there was a checkpoint, and the size.
        self._wrote: list[tuple[Batch, Batch, bool, int]] = []

    def open(self) -> None:
        """Takes up the chain where it ends, or begins one. Raises OSError or JournalError; then it may be tried again, and is
        with each write."""
        self._prepare()
        (self._directory / DIRECTORY).mkdir(mode=0o700, exist_ok=True)
        found = recover(self._directory)
        key = chains_key(self._directory, found.key_id)
        self.instance = found.instance or self.instance
        self._signer = Signer(self.instance, key)
        self._end = found.end
        if found.segment is None:
            self._begin_segment()
        else:
            self._segment = Segment(found.segment, new=False)
            self._began = found.began or time.time()
            if found.cut_bytes:
                self._segment.cut(found.segment_end)
        self._own = self._first(found)
        with suppress(OSError):
            self._measure()
        self._syncer.start()
        self._is_open = True
        # A disk that is full now must not keep the service down: it denies, and writes this once there is room.
        try:
            self._append([], checkpoint=True)
        except OSError as error:
            self.failed(f"{self._where}: {error.strerror}")

    def wait_seconds(self) -> float:
        """Gives how long nothing needs to be done if nobody writes."""
        if self._fault:
            return _RETRY_SECONDS
        return max(0.01, self._checkpoint_at + self._options.checkpoint_seconds - time.monotonic())

    @property
    def last_seq(self) -> int:
        """The number of the last line."""
        return self._end.seq

    def write(self, batch: Batch) -> JournalError | None:
        """Writes all lines of a batch or none, with what is due besides; gives what went wrong. Lost lines are counted."""
        try:
            if not self._is_open:
                self.open()
            now = time.time()
            due = self._due(now)
            if self._segment.is_gone:
                self._take_up_again()
                due = True
            if self._is_full(now):
                self._seal()
            if self._options.disk_bytes is not None:
                self._mind_the_bound(batch, self._options.disk_bytes)
            self._append(batch, checkpoint=due)
            if due:
                self._mind_the_next_key()
        except JournalError as error:
            fault = error
        except OSError as error:
            fault = JournalError(f"{self._where}: {error.strerror}")
        except Exception as error:  # noqa: BLE001 (whatever happens, those who wait are told, and the thread goes on)
            fault = JournalError(f"{self._where}: {type(error).__name__}")
        else:
            if self._fault:
                self.failed("")
            return None
        self.failed(str(fault))
        self.lose(batch)
        return fault

    def tell(self) -> None:
        """Has the observer told what was written; apart from `write`, so that nobody waits for it."""
        wrote, self._wrote = self._wrote, []
        for own, batch, checkpoint, size_bytes in wrote:
            kinds = {CHECKPOINT: 1} if checkpoint else {}
            for _, entry in (*own, *batch):
                kinds[entry.kind] = kinds.get(entry.kind, 0) + 1
            self._observer.wrote(kinds, size_bytes)

    def lose(self, batch: Batch) -> None:
        """Counts lines that can't be written."""
        for _, entry in batch:
            self._gap.lost(entry)
            self._observer.lost(entry.kind)

    def remove(self, removal: Removal) -> JournalError | None:
        """Puts on record that segments go, signed and on the disk, also where there is no room for anything else; gives what
        went wrong."""
        if not self._is_open:
            return JournalError(f"{self._where}: {self._fault}")
        own = self._own
        self._own = [*own, (removal_line(removal, self._signer), Entry(RETENTION))]
        try:
            self._append([], checkpoint=True)
            flush(self._segment.file)
        except OSError as error:
            self._own = own if self._own else ()
            return JournalError(f"{self._where}: {error.strerror}")
        return None

    def rotate(self) -> str:
        """Goes on with the key that waits for its turn, if one does: the one before announces it, and is gone. Gives its id, or
        nothing. Raises OSError, JournalError; then it may be tried again."""
        following = waiting_key(self._directory)
        if following is None:
            return ""
        if following.public.id != self._signer.key.public.id:
            before, own = self._signer, self._own
            self._own = [*own, (announcement(before, following.public), Entry("key_changed"))]
            self._signer = Signer(self.instance, following)
            try:
                self._append([], checkpoint=True)
            except OSError:
                self._signer, self._own = before, own
                raise
        # The chain must not lose it: from here on nobody has the key that could announce it again.
        flush(self._segment.file)
        put_in_place(self._directory, following)
        return following.public.id

    def freed(self) -> None:
        """Segments are gone: there is room again."""
        self._measured_at = 0.0

    def close(self, timeout_seconds: float) -> None:
        """Ends with a checkpoint, and puts all on the disk, at most so long."""
        if not self._is_open:
            return
        try:
            self._append([], checkpoint=True)
        except OSError as error:
            self.failed(f"{self._where}: {error.strerror}")
        self._syncer.retire(self._segment.file)
        self._syncer.close(timeout_seconds)

    def failed(self, fault: str) -> None:
        """Takes note that nothing can be written, and why; or with no text that it can."""
        if bool(fault) != bool(self._fault):
            self._observer.held_up(fault)
        self._fault = fault

    @property
    def _where(self) -> Path:
        return self._segment.path if self._is_open else self._directory

    def _mind_the_bound(self, batch: Batch, bound: int) -> None:
        """Raises JournalError where a batch does not fit into the room that segments may take."""
        size = sum(len(line) + _LINK_BYTES for line, _ in batch)
        if self._before_bytes + self._segment.end + size < bound:
            return
        if time.monotonic() - self._measured_at >= _RETRY_SECONDS:
            self._measure()
            self.wanting()
        if self._before_bytes + self._segment.end + size >= bound:
            if not self._segment.end:
                # What is before it can only be removed if something tells where the chain goes on.
                self._append([], checkpoint=True)
            raise JournalError(
                f"{self._directory}: audit.disk_bytes ({bound}) is reached, and no segment may be removed yet: give it "
                "more room, or see why a shipper lags"
            )

    def _measure(self) -> tuple[int, int]:
        """Gives how many segments there are, and their size in bytes. Raises OSError."""
        segments, size = usage(self._directory)
        self._before_bytes, self._measured_at = max(0, size - self._segment.end), time.monotonic()
        return segments, size

    def _mind_the_next_key(self) -> None:
        """What keeps a key from its turn keeps no record from being written."""
        with suppress(OSError, JournalError):
            self.rotate()

    def _first(self, found: Found) -> Batch:
        """What a start has to say of the chain and of its key."""
        public = self._signer.key.public
        made: list[tuple[bytes, Entry]] = []
        if found.is_new:
            start = service_line(
                "chain_start",
                {"instance": self.instance, "key_id": public.id, "public_key": public.raw.hex()},
                instance=self.instance,
            )
            made.append((start, Entry("chain_start")))
        elif found.key_id != public.id:
            made.append((changed_line(self.instance, found.key_id, public), Entry("key_changed")))
        if found.cut_bytes or found.damaged_lines:
            repair = service_line(
                "journal_repair",
                {"cut_bytes": found.cut_bytes, "damaged_lines": found.damaged_lines},
                instance=self.instance,
            )
            made.append((repair, Entry("journal_repair")))
        return made

    def _due(self, now: float) -> bool:
        """By both clocks: one stands still while the machine sleeps, the other may be set."""
        seconds = self._options.checkpoint_seconds
        return time.monotonic() - self._checkpoint_at >= seconds or abs(now - self._checkpoint_wall) >= seconds

    def _is_full(self, now: float) -> bool:
        return self._segment.end >= self._options.segment_bytes or now - self._began >= self._options.segment_seconds

    def _append(self, batch: Batch, *, checkpoint: bool) -> None:
        """A gap comes first of all, but for the line that a chain begins with; a checkpoint comes behind the journal's own
        records and before those of others."""
        loss, own = self._gap.so_far(), self._own
        if loss is not None:
            gap = service_line(
                "gap",
                {"since": loss.since, "until": loss.until, "answers": loss.answers, "records": loss.records},
                instance=self.instance,
            )
            at = 0 if self._end.seq else len(own)
            own = [*own[:at], (gap, Entry("gap")), *own[at:]]
        checkpoint = checkpoint or bool(own)
        lines: list[bytes] = []
        end = self._end
        for record, _ in own:
            line, end = linked(end, record)
            lines.append(line)
        if checkpoint:
            line, end = linked(end, self._signer.checkpoint(end))
            lines.append(line)
        for record, _ in batch:
            line, end = linked(end, record)
            lines.append(line)
        if not lines:
            return
        data = b"".join(lines)
        begun = time.perf_counter()
        self._segment.write(data, sync=self._options.sync)
        # Written: nothing that follows may tell otherwise.
        self._end, self._sealed, self._own = end, not batch, ()
        if loss is not None:
            self._gap.recorded(loss)
            self._observer.gap(loss)
        if self._options.sync:
            self._observer.synced(time.perf_counter() - begun, None)
        else:
            self._syncer.written(self._segment.file)
        self._wrote.append((own, batch, checkpoint, len(data)))
        if checkpoint:
            self._checkpoint_at, self._checkpoint_wall = time.monotonic(), time.time()
            with suppress(OSError):
                self._observer.checkpointed(*self._measure())

    def _seal(self) -> None:
        """Ends a full segment with a checkpoint. Where no other can be begun, it goes on all the same."""
        if not self._sealed:
            self._append([], checkpoint=True)
        with suppress(OSError):
            self._next_segment()

    def _next_segment(self) -> None:
        full = self._segment
        self._begin_segment()
        self._syncer.retire(full.file)
        with suppress(OSError):
            self._measure()
        self.wanting()

    def _take_up_again(self) -> None:
        """Somebody has removed the segment that is written, perhaps with the whole directory: what follows must not go where
        nobody finds it. Raises OSError or JournalError."""
        self._prepare()
        (self._directory / DIRECTORY).mkdir(mode=0o700, exist_ok=True)
        self._signer.key.keep(self._directory)
        self._next_segment()

    def _begin_segment(self) -> None:
        self._segment = Segment(segment_path(self._directory, self._end.seq + 1), new=True)
        self._began = time.time()
        sync_directory(self._segment.path.parent)
