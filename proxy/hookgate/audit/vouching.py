"""What vouches for lines: the chain's keys, its checkpoints in time, and a checkpoint that was kept elsewhere."""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta

import msgspec

from hookgate.audit.chain import Line
from hookgate.audit.checkpoint import TYPE as CHECKPOINT
from hookgate.audit.checkpoint import CheckpointLine, checkpoint_from
from hookgate.audit.error import UNREADABLE
from hookgate.audit.finding import FindingKind, NoticeKind
from hookgate.audit.removal import TYPE as RETENTION
from hookgate.audit.removal import SignedRemoval
from hookgate.audit.rotation import is_announced
from hookgate.audit.sequence import Place, Report
from hookgate.audit.signing import PublicKey

#: Checkpoints are made every 10 s: without one for so long, lines should not have been written.
_UNSIGNED = timedelta(seconds=60)
_SILENCE = timedelta(seconds=30)
#: Clocks are corrected by less than this all the time.
_TOLERANCE = timedelta(seconds=1)
#: Records that the journal writes when it can write again, right before a checkpoint.
_OWN = {"chain_start", "key_changed", "journal_repair", "gap", RETENTION, CHECKPOINT}

Remark = Callable[[NoticeKind, int, str], None]


class _Head(msgspec.Struct, frozen=True):
    type: str = ""
    time: str = ""
    detail: msgspec.Raw = msgspec.Raw(b"{}")


class _KeyDetail(msgspec.Struct, frozen=True):
    key_id: str
    public_key: str
    instance: str = ""
    signature: str = ""


class Vouching:
    """Looks at what the lines of a chain say, one after another."""

    def __init__(
        self,
        report: Report,
        remark: Remark,
        *,
        fallback: PublicKey | None,
        former: Mapping[str, PublicKey] | None = None,
        trusted: Collection[str] = (),
    ) -> None:
        """`fallback` is the key that lies beside the journal, `former` those before it by their ids: a chain whose beginning
        was removed does not tell which key it began with."""
        self._report = report
        self._remark = remark
        self._fallback = fallback
        self._former = former or {}
        self._trusted = trusted
        self._key: PublicKey | None = None
        self._known: dict[str, PublicKey] = {}
        self._refused: set[str] = set()
        #: Keys that one which counts has announced.
        self._announced: set[str] = set()
        self._instance = ""
        self._stopped = False
        self._overdue = False
        #: Records of removed segments, each with its place and time.
        self._removals: list[tuple[SignedRemoval, int, Place, str]] = []
        #: The first line that the journal has not written of its own accord.
        self._uncovered = 0
        #: Checkpoints since a run's `stop`: the first ends the run, the second begins the next one.
        self._ended: int | None = None
        self._checkpoint_time: datetime | None = None
        self.keys: list[str] = []
        self.checkpoints = 0
        #: The last line that a signature vouches for, and the checkpoint's time.
        self.signed_seq, self.signed_time = 0, ""
        self.first_time = self.last_time = ""
        self.last_is_checkpoint = True

    def taken(self, line: Line, place: Place) -> None:
        """Takes a line that continues the chain."""
        try:
            head = msgspec.json.decode(line.body, type=_Head)
            time = datetime.fromisoformat(head.time)
        except (msgspec.DecodeError, UnicodeDecodeError, ValueError):
            self._report(FindingKind.CHANGED, line.seq, place, "the line is no record")
            return
        self.first_time = self.first_time or head.time
        self.last_time = head.time
        self.last_is_checkpoint = head.type == CHECKPOINT
        match head.type:
            case "chain_start" | "key_changed":
                self._key_told(head, line, place)
            case "checkpoint":
                self._checkpoint(line, place, time)
            case "retention":
                self._removal(head, line, place)
            case "gap":
                self._remark(NoticeKind.GAP, line.seq, f"the journal could not be written: {_plain(head.detail)}")
            case "journal_repair":
                self._remark(NoticeKind.REPAIR, line.seq, f"repaired at a start: {_plain(head.detail)}")
            case "stop" | "start":
                self._stopped = head.type == "stop"
        if head.type not in _OWN:
            self._covered(line.seq, place, time)
            # A run that died between its `stop` and the checkpoint behind it is followed by the next one's `start`.
            if self._ended == 1 and head.type != "start":
                what = "a line behind the end of a run, before the next one has begun"
                self._report(FindingKind.INSERTED, line.seq, place, what)
            self._ended = 0 if head.type == "stop" else None

    def begun(self, seq: int, before: bytes | None, place: Place) -> None:
        """Looks whether all before the first line that is there, with the hash before it if that is known, was removed by
        the journal itself, and says what was. Called when all lines are taken."""
        accounted, is_accounted = 0, seq == 1
        for removal, at, where, time in self._removals:
            key = self._known.get(removal.key_id)
            if key is None or not removal.signed_by(key, self._instance, time):
                self._report(FindingKind.FORGED_RETENTION, at, where, "no key of the chain has signed the removal")
                continue
            what = f"lines {removal.first_seq} to {removal.last_seq} were removed at {time}, by {removal.why}"
            missed = ", ".join(f"{name} {count}" for name, count in sorted(removal.missed.items()))
            self._remark(NoticeKind.RETENTION, at, f"{what}; not shipped: {missed}" if missed else what)
            if at > self.signed_seq:
                continue
            # Where the files were not all removed yet, the lines that are left lead to the record by themselves.
            is_accounted |= removal.first_seq <= seq - 1 < removal.last_seq
            is_accounted |= removal.last_seq == seq - 1 and before in (None, removal.last_hash.encode())
            accounted = max(accounted, removal.last_seq)
        if not is_accounted:
            first = accounted + 1 if accounted < seq - 1 else 1
            what = f"lines {first} to {seq - 1} are missing, and no signed record says that they were removed"
            self._report(FindingKind.REMOVED_SEGMENT, first, place, what)

    def end(self, last_seq: int) -> None:
        """Says what is only known at the end: that nobody signed at all, or that another key lies beside the chain."""
        if self._uncovered and not self.checkpoints:
            self._report(
                FindingKind.MISSING_CHECKPOINT,
                self._uncovered,
                Place("", 0),
                "no checkpoint: nobody vouches for any line",
            )
        if self._key is not None and self._fallback is not None and self._fallback.id != self._key.id:
            what = f"signing.pub is the key {self._fallback.id}, the chain's is {self._key.id}"
            self._report(FindingKind.WRONG_KEY, last_seq, Place("", 0), what)

    def kept(self, checkpoint: CheckpointLine, place: Place) -> None:
        """Looks at a checkpoint that was kept elsewhere; where its lines are is for others to say."""
        key = self._known.get(checkpoint.detail.key_id) or self._former.get(checkpoint.detail.key_id)
        if checkpoint.detail.instance != self._instance or key is None:
            self._report(
                FindingKind.OTHER_JOURNAL,
                checkpoint.seq,
                place,
                f"the kept checkpoint is of the chain {checkpoint.detail.instance} and the key "
                f"{checkpoint.detail.key_id}; this chain is {self._instance or 'unknown'}",
            )
        elif not checkpoint.signed_by(key):
            self._report(
                FindingKind.FORGED_CHECKPOINT, checkpoint.seq, place, "the kept checkpoint's signature does not hold"
            )

    def _key_told(self, head: _Head, line: Line, place: Place) -> None:
        try:
            detail = msgspec.json.decode(head.detail, type=_KeyDetail)
            key = PublicKey(bytes.fromhex(detail.public_key))
        except (msgspec.DecodeError, ValueError):
            self._report(FindingKind.WRONG_KEY, line.seq, place, "the record names no key")
            return
        if key.id != detail.key_id:
            self._report(FindingKind.WRONG_KEY, line.seq, place, "the key is not the one that its id names")
        if head.type == "chain_start":
            self._instance = detail.instance
            self._remark(NoticeKind.NEW_CHAIN, line.seq, f"the chain begins at {head.time} with the key {key.id}")
        elif self._key is not None and self._key.id != key.id:
            self._follows(self._key, key, detail.signature, line.seq, place)
        self._use(key, line.seq, place)

    def _follows(self, before: PublicKey, key: PublicKey, signature: str, seq: int, place: Place) -> None:
        """Whoever is trusted may say who follows: with the key before, all that it signed could be forged anyway."""
        if is_announced(self._instance, before, key, signature):
            if before.id not in self._refused:
                self._announced.add(key.id)
            self._remark(NoticeKind.KEY_CHANGED, seq, f"the key {before.id} announces the key {key.id}")
        elif key.id not in self._trusted:
            what = f"from here on the key is {key.id}; if you changed it, name all keys with --trust"
            self._report(FindingKind.NEW_KEY, seq, place, what)

    def _use(self, key: PublicKey, seq: int, place: Place) -> None:
        is_trusted = not self._trusted or key.id in self._trusted or key.id in self._announced
        if not is_trusted and key.id not in self._refused:
            self._refused.add(key.id)
            self._report(FindingKind.WRONG_KEY, seq, place, f"the key {key.id} is none of those that are trusted")
        self._key = self._known[key.id] = key
        if key.id not in self.keys:
            self.keys.append(key.id)

    def _checkpoint(self, line: Line, place: Place, time: datetime) -> None:
        checkpoint = checkpoint_from(b'{"seq":%d,"hash":"%b",%b' % (line.seq, line.hash, line.body[1:]))
        if checkpoint is None:
            self._report(FindingKind.FORGED_CHECKPOINT, line.seq, place, "the checkpoint lacks what one has")
            return
        self.checkpoints += 1
        self._ended = None if self._ended is None else self._ended + 1
        detail = checkpoint.detail
        if self._key is None and (first := self._former.get(detail.key_id, self._fallback)) is not None:
            self._instance = self._instance or detail.instance
            self._use(first, line.seq, place)
        if self._key is None or detail.key_id != self._key.id:
            if detail.key_id not in self._refused:
                self._refused.add(detail.key_id)
                self._report(FindingKind.WRONG_KEY, line.seq, place, f"signed by the key {detail.key_id}")
        elif not checkpoint.signed_by(self._key) or (self._instance and detail.instance != self._instance):
            self._report(FindingKind.FORGED_CHECKPOINT, line.seq, place, "the signature does not hold")
        elif (detail.covers_seq, detail.covers_hash) != (line.seq - 1, line.prev.decode()):
            what = f"lines {self.signed_seq + 1} to {line.seq - 1} are not those that were signed"
            self._report(FindingKind.CHANGED, self.signed_seq + 1, place, what)
        else:
            self.signed_seq, self.signed_time = line.seq, checkpoint.time
        self._follow(line.seq, place, time)

    def _removal(self, head: _Head, line: Line, place: Place) -> None:
        try:
            removal = msgspec.json.decode(head.detail, type=SignedRemoval)
        except UNREADABLE:
            self._report(FindingKind.FORGED_RETENTION, line.seq, place, "the record lacks what one has")
            return
        self._removals.append((removal, line.seq, place, head.time))

    def _follow(self, seq: int, place: Place, time: datetime) -> None:
        """Compares a checkpoint's time with that of the one before."""
        before, self._checkpoint_time, self._overdue = self._checkpoint_time, time, False
        if before is None:
            return
        if time < before - _TOLERANCE:
            what = f"the clock went back by {(before - time).total_seconds():.1f} s"
            self._report(FindingKind.CLOCK_BACKWARDS, seq, place, what)
        elif time - before > _SILENCE and not self._stopped:
            self._remark(NoticeKind.SILENCE, seq, f"no sign of life from {before.isoformat()} to {time.isoformat()}")

    def _covered(self, seq: int, place: Place, time: datetime) -> None:
        self._uncovered = self._uncovered or seq
        if self._checkpoint_time is not None and time - self._checkpoint_time > _UNSIGNED and not self._overdue:
            self._overdue = True
            what = f"no checkpoint since {self._checkpoint_time.isoformat()}: nobody vouches for what follows it"
            self._report(FindingKind.MISSING_CHECKPOINT, seq, place, what)


def _plain(detail: msgspec.Raw) -> str:
    return bytes(detail).decode(errors="replace")
