"""Verification: walks the whole journal, and tells what is wrong with it and where."""

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from pathlib import Path

from hookgate.audit.chain import Line, taken_apart
from hookgate.audit.checkpoint import CheckpointLine
from hookgate.audit.error import JournalError
from hookgate.audit.finding import Finding, FindingKind, Notice, NoticeKind, Verification
from hookgate.audit.segments import first_seq, segment_paths
from hookgate.audit.sequence import Place, Sequence
from hookgate.audit.signing import former_keys, public_key
from hookgate.audit.vouching import Vouching

#: Findings that are kept; further ones are counted only.
_MAX_FINDINGS = 500
_PROGRESS_LINES = 500
#: A service may be writing the last line at this moment.
_TORN_SECONDS = 0.2
#: It may also be removing old segments, and then it is looked at anew.
_TRIES = 5

_Item = tuple[Line | None, Place]


def verify(
    directory: Path,
    *,
    against: CheckpointLine | None = None,
    trusted: Collection[str] = (),
    progress: Callable[[int], None] = lambda size_bytes: None,
) -> Verification:
    """Verifies a journal. `against` is a checkpoint that was kept elsewhere, `trusted` the ids of the keys that count (all
    that the chain names, where it is empty); `progress` is told how many bytes were looked through since it was told last.

    Raises JournalError where it can't be read.
    """
    try:
        for _ in range(_TRIES):
            with suppress(FileNotFoundError):
                return _Verifier(directory, against, trusted, progress).run()
        return _Verifier(directory, against, trusted, progress).run()
    except OSError as error:
        raise JournalError(f"{error.filename or directory}: {error.strerror}") from None


class _Verifier:
    def __init__(
        self,
        directory: Path,
        against: CheckpointLine | None,
        trusted: Collection[str],
        progress: Callable[[int], None],
    ) -> None:
        self._paths = segment_paths(directory)
        if not self._paths:
            raise JournalError(f"{directory}: no journal there")
        self._against = against
        self._progress = progress
        self._findings: list[Finding] = []
        self._notices: list[Notice] = []
        self._found = self._lines = self._size_bytes = self._first_seq = 0
        self._torn: Place | None = None
        self._sequence = Sequence(self._report)
        self._vouching = Vouching(
            self._report,
            self._remark,
            fallback=public_key(directory),
            former={key.id: key for key in former_keys(directory)},
            trusted=trusted,
        )

    def run(self) -> Verification:
        items = self._items()
        item = next(items, None)
        begin, before = self._beginning(item)
        segment, sealed = "", True
        while item is not None:
            following = next(items, None)
            line, place = item
            opens = place.segment != segment
            if opens:
                segment, sealed = place.segment, self._vouching.last_is_checkpoint
            if line is None:
                self._sequence.spoilt(place)
            else:
                after = following[0].seq if following is not None and following[0] is not None else None
                self._take(line, place, after, opens=opens, sealed=sealed)
            item = following
        self._sequence.end()
        if self._torn is not None:
            self._report(FindingKind.CUT_TAIL, self._sequence.expected, self._torn, "the last line is torn")
        last_seq = self._sequence.expected - 1
        vouching = self._vouching
        vouching.begun(begin, before, Place(self._paths[0].name, 0))
        vouching.end(last_seq)
        if self._against is not None:
            self._end_against(self._against, last_seq)
        if last_seq > vouching.signed_seq:
            what = f"the last {last_seq - vouching.signed_seq} lines have no checkpoint behind them yet"
            self._remark(NoticeKind.UNSIGNED_TAIL, vouching.signed_seq + 1, what)
        return Verification(
            intact=not self._found,
            found=self._found,
            findings=tuple(sorted(self._findings, key=lambda finding: finding.seq)),
            notices=tuple(self._notices),
            segments=len(self._paths),
            lines=self._lines,
            size_bytes=self._size_bytes,
            first_seq=self._first_seq,
            last_seq=last_seq,
            first_time=vouching.first_time,
            last_time=vouching.last_time,
            checkpoints=vouching.checkpoints,
            signed_seq=vouching.signed_seq,
            signed_time=vouching.signed_time,
            keys=tuple(vouching.keys),
        )

    def _beginning(self, first: _Item | None) -> tuple[int, bytes | None]:
        """Gives the number that the chain begins with as far as it is there, and the hash before it where that is known."""
        named = first_seq(self._paths[0])
        line = first[0] if first is not None else None
        begin, before = named, None
        if line is not None and line.seq <= named:
            begin, before = line.seq, line.prev
        if begin > 1:
            self._sequence.begin(begin, before)
        return max(begin, 1), before

    def _take(self, line: Line, place: Place, following: int | None, *, opens: bool, sealed: bool) -> None:
        expected = self._sequence.expected
        named = first_seq(Path(place.segment))
        continues = self._sequence.taken(
            line, place, following, opens_segment=opens and named == line.seq, sealed=sealed
        )
        self._first_seq = self._first_seq or line.seq
        if opens and named != line.seq == expected:
            self._report(FindingKind.WRONG_NAME, line.seq, place, f"its first line is {line.seq}")
        if continues:
            self._vouching.taken(line, place)
        if self._against is not None:
            self._compare(line, place, self._against)

    def _compare(self, line: Line, place: Place, kept: CheckpointLine) -> None:
        vouched = {kept.seq: kept.hash, kept.detail.covers_seq: kept.detail.covers_hash}.get(line.seq)
        if vouched is not None and vouched != line.hash.decode():
            what = (
                f"line {line.seq} is not what the kept checkpoint vouches for: it, or lines before it, were rewritten"
            )
            self._report(FindingKind.CHANGED, line.seq, place, what)

    def _end_against(self, kept: CheckpointLine, last_seq: int) -> None:
        end = Place(self._paths[-1].name, 0)
        self._vouching.kept(kept, end)
        if kept.seq > last_seq:
            what = f"the journal ends at line {last_seq}; the kept checkpoint is line {kept.seq}"
            self._report(FindingKind.CUT_TAIL, last_seq + 1, end, what)

    def _items(self) -> Iterator[_Item]:
        """Gives every line with its place; None for one that is none, or whose hash does not hold."""
        for path in self._paths:
            is_last = path is self._paths[-1]
            pending = 0
            for number, raw in enumerate(_lines(path, wait=is_last), 1):
                place = Place(path.name, number)
                self._lines += 1
                self._size_bytes += len(raw)
                pending += len(raw)
                if number % _PROGRESS_LINES == 0:
                    self._progress(pending)
                    pending = 0
                if not raw.endswith(b"\n") and is_last:
                    self._torn = place
                    continue
                line = taken_apart(raw) if raw.endswith(b"\n") else None
                yield (line if line is not None and line.holds else None), place
            self._progress(pending)

    def _report(self, kind: FindingKind, seq: int, place: Place, detail: str) -> None:
        self._found += 1
        if len(self._findings) < _MAX_FINDINGS:
            self._findings.append(Finding(kind=kind, seq=seq, segment=place.segment, line=place.line, detail=detail))

    def _remark(self, kind: NoticeKind, seq: int, detail: str) -> None:
        if len(self._notices) < _MAX_FINDINGS:
            self._notices.append(Notice(kind=kind, seq=seq, detail=detail))


def _lines(path: Path, *, wait: bool) -> Iterator[bytes]:
    with path.open("rb", buffering=1 << 20) as stream:
        for raw in stream:
            if raw.endswith(b"\n") or not wait:
                yield raw
                continue
            begin = stream.tell() - len(raw)
            time.sleep(_TORN_SECONDS)
            stream.seek(begin)
            yield stream.readline()
            return
