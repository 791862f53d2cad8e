"""Whether lines stand in the order of their numbers, and what was done to them where they do not."""

from collections.abc import Callable
from dataclasses import dataclass

from hookgate.audit.chain import ZEROS, Line
from hookgate.audit.finding import FindingKind


@dataclass(frozen=True, slots=True)
class Place:
    """Where a line stands."""

    segment: str
    #: From 1.
    line: int


#: Told of each finding: kind, the number that the line has or should have, where, and a sentence.
Report = Callable[[FindingKind, int, Place, str], None]


class Sequence:
    """Follows the numbers and hashes of lines. `taken` is called for each good line, `spoilt` for each that is none."""

    def __init__(self, report: Report) -> None:
        self._report = report
        #: The number that comes next.
        self.expected = 1
        #: The hash of the line before; None where that line is not known.
        self._hash: bytes | None = ZEROS
        #: Lines that are none, since the last good one.
        self._spoilt: list[Place] = []
        #: Numbers that were left out, as ranges, and good lines that came too early.
        self._missing: list[tuple[int, int, Place, FindingKind]] = []
        self._early: dict[int, Place] = {}

    def begin(self, seq: int, before: bytes | None) -> None:
        """Has the chain begin with another line than the first; `before` is the hash of the one that came before it, None
        where that is not known."""
        self.expected, self._hash = seq, before

    def spoilt(self, place: Place) -> None:
        """Takes note of a line that has no line's form, or whose hash does not hold."""
        self._spoilt.append(place)

    def taken(self, line: Line, place: Place, following: int | None, *, opens_segment: bool, sealed: bool) -> bool:
        """Takes a good line; `following` is the number of the one behind it. Tells whether it continues the chain.

        `opens_segment`: it is the first of a segment that bears its number. `sealed`: the segment before was ended whole.
        """
        self._settle(line.seq)
        seq, expected = line.seq, self.expected
        if seq < expected:
            self._out_of_place(seq, place)
            return False
        if seq > expected and following is not None and following in (expected, expected + 1) and following != seq + 1:
            # The next line is the one that was to come: this one is the stranger.
            self._early[seq] = place
            if following == expected + 1:
                self._leave_out(expected, expected, place, FindingKind.REMOVED)
                self.expected = expected + 1
            self._hash = None
            return False
        if seq > expected:
            kind = FindingKind.REMOVED_SEGMENT if opens_segment and sealed else FindingKind.REMOVED
            self._leave_out(expected, seq - 1, place, kind)
        elif self._hash is not None and line.prev != self._hash:
            self._report(
                FindingKind.CHANGED, seq - 1, place, f"line {seq - 1} is not the one that line {seq} was written behind"
            )
        if seq in self._early:
            self._report(FindingKind.INSERTED, seq, self._early.pop(seq), f"line {seq} stands here a second time")
        self.expected, self._hash = seq + 1, line.hash
        return True

    def end(self) -> None:
        """Reports what is still open when all lines are read."""
        for at, place in enumerate(self._spoilt):
            self._report(FindingKind.CHANGED, self.expected + at, place, "the line's hash does not hold")
        self._spoilt = []
        for seq, place in self._early.items():
            self._report(FindingKind.INSERTED, seq, place, f"line {seq} does not belong here")
        for first, last, place, kind in self._missing:
            which = f"line {first} is" if first == last else f"lines {first} to {last} are"
            self._report(kind, first, place, f"{which} missing")

    def _settle(self, seq: int) -> None:
        """Now that a good line has come, the number of spoilt ones before it tells what they were."""
        for place in self._spoilt:
            if seq > self.expected:
                self._report(FindingKind.CHANGED, self.expected, place, "the line's hash does not hold")
                self.expected += 1
                self._hash = None
            else:
                self._report(FindingKind.INSERTED, self.expected, place, "a line that is not of the chain")
        self._spoilt = []

    def _leave_out(self, first: int, last: int, place: Place, kind: FindingKind) -> None:
        """Numbers that came early are not missing but moved."""
        at = first
        for seq in sorted(seq for seq in self._early if first <= seq <= last):
            self._report(FindingKind.SWAPPED, seq, self._early.pop(seq), f"line {seq} stands too early")
            if at < seq:
                self._missing.append((at, seq - 1, place, kind))
            at = seq + 1
        if at <= last:
            self._missing.append((at, last, place, kind))
        self._hash = None

    def _out_of_place(self, seq: int, place: Place) -> None:
        for index, (first, last, where, kind) in enumerate(self._missing):
            if first <= seq <= last:
                self._report(FindingKind.SWAPPED, seq, place, f"line {seq} stands too late")
                rest = [(first, seq - 1, where, kind), (seq + 1, last, where, kind)]
                self._missing[index : index + 1] = [part for part in rest if part[0] <= part[1]]
                return
        self._report(FindingKind.INSERTED, seq, place, f"line {seq} stands here a second time")
