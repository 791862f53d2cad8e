"""What becomes of the lines that a journal sends: which are new, which are known, and what is wrong with them.

Nothing that was acknowledged is ever replaced. Where a line comes with the number of another one, the chain forks: what comes from
there on is kept beside the first, as a branch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

import msgspec

from hookgate.audit.checkpoint import checkpoint_from
from hookgate.audit.rotation import is_announced
from hookgate.audit.signing import PublicKey
from hookgate.audit.store.fleet import FleetKind, Progress
from hookgate.collect.body import Sent
from hookgate.harmless import harmless

#: How far a machine's clock may be off, in microseconds.
CLOCK_MICROS = 300 * 1_000_000
#: A journal that forks more often is two journals with one name.
MOST_BRANCHES = 1000
#: Forks in one batch: a journal that is cut back while it is read has one. And how far apart its lines may stand.
_FORKS, _REACH = 4, 50_000
_MARK = 32
#: Characters of what records say of a machine.
_SHOWN = 200
_CLIENT_LABEL = "client-version"
#: What types of records begin with that collectors make, and no machine.
_COLLECTORS = "fleet_"
#: Records that are written when what they tell happens.
_TIMELY = frozenset({"decision", "checkpoint", "start"})


class Found(NamedTuple):
    """Something that is wrong. `mark` tells it from others of its kind at the same line."""

    kind: FleetKind
    seq: int
    mark: str
    detail: str


class RefusedError(Exception):
    """Nothing of a batch is taken. `status` is what is answered, `seq` the line at fault, or 0; `found` what is wrong with it,
    where it is more than a misunderstanding."""

    def __init__(self, status: int, why: str, seq: int = 0, found: Found | None = None) -> None:
        super().__init__(why)
        self.status = status
        self.seq = seq
        self.found = found


@dataclass(slots=True)
class Judged:
    """What became of a batch: how far the journal is now, the new lines with the branch that each is on, and findings."""

    progress: Progress
    taken: list[tuple[int, Sent]] = field(default_factory=list)
    known: int = 0
    found: list[Found] = field(default_factory=list)


def check_order(lines: Sequence[Sent]) -> None:
    """Raises RefusedError for lines that do not stand as a journal's do; in smaller batches they may. So the work that a batch
    makes is bounded by its lines."""
    for before, after in pairwise(lines):
        if after.line.seq <= before.line.seq:
            raise RefusedError(422, "lines are not in the order of their numbers", after.line.seq)
    if lines and lines[-1].line.seq - lines[0].line.seq > _REACH:
        raise RefusedError(422, "lines are too far apart for one batch", lines[-1].line.seq)


def asked_about(progress: Progress, lines: Sequence[Sent]) -> tuple[int, int] | None:
    """Gives from which to which number it must be known what is there before a batch can be judged; None where nothing must."""
    if progress.branch and lines:
        # What continues one branch may be there on another.
        return min(one.line.seq for one in lines), max(one.line.seq for one in lines)
    old = [one.line for one in lines if one.line.seq <= progress.seq]
    if not old:
        return None
    end = old[-1]
    linked = all(a.hash == b.prev and a.seq + 1 == b.seq and a.holds for a, b in pairwise(old))
    if linked and end.holds and (end.seq, end.hash.decode()) == (progress.seq, progress.hash):
        # The chain makes all of them what they were.
        return None
    return min(line.seq for line in old), max(line.seq for line in old)


def judge(
    progress: Progress,
    lines: Sequence[Sent],
    there: Mapping[int, frozenset[str]] | None,
    *,
    now: int,
    gap_known: bool = False,
) -> Judged:
    """Gives what becomes of a batch. `there` has the hashes of lines that are there by number, on all branches, as far as
    `asked_about` wants them; `now` is in microseconds. `gap_known`: lines before the first are gone for good.

    Raises RefusedError.
    """
    for one in lines:
        _own(progress.instance, one)
    if not lines:
        return Judged(progress)
    first = lines[0].line.seq
    if first > progress.seq + 1 and not gap_known:
        raise RefusedError(409, f"lines {progress.seq + 1} to {first - 1} are missing", progress.seq)
    judging = _Judging(progress, there, now)
    for one in lines:
        judging.take(one)
    return judging.judged


def _own(instance: str, one: Sent) -> None:
    """Raises RefusedError for a line that is another journal's, or was changed."""
    seq, head = one.line.seq, one.head
    named = head.said.get("instance", instance) if head.type in ("checkpoint", "chain_start") else instance
    if head.instance != instance or named != instance or head.type.startswith(_COLLECTORS):
        what = "the record is another journal's"
        raise RefusedError(403, what, seq, Found(FleetKind.FOREIGN_INSTANCE, seq, one.line.hash.decode()[:_MARK], what))
    if not one.line.holds and not head.reduced:
        what = "the line is not what its hash was made of"
        raise RefusedError(422, what, seq, Found(FleetKind.ALTERED, seq, one.line.hash.decode()[:_MARK], what))


class _Judging:
    def __init__(self, progress: Progress, there: Mapping[int, frozenset[str]] | None, now: int) -> None:
        self._there = there
        self._now = now
        self._facts: dict[str, Any] = {}
        self._progress = progress
        self._seq, self._hash, self._branch = progress.seq, progress.hash, progress.branch
        self._signed_seq = progress.signed_seq
        self._key = PublicKey(bytes.fromhex(progress.public_key))
        #: A journal may be older than its enrolment, and so have had other keys: until the enrolled one signs, they are no
        #: fault, and nothing is verified.
        self._is_used = progress.key_id == self._key.id
        self._records, self._bytes, self._unasked = progress.records, progress.bytes, progress.unasked
        self._sent: dict[int, set[str]] = {}
        self._is_ahead = self._is_back = False
        self._last_time, self._forks = progress.last_time, 0
        #: The hash of the last line that was there already.
        self._passed = ""
        self._judged = Judged(progress)

    @property
    def judged(self) -> Judged:
        """What was made of the lines."""
        self._judged.progress = msgspec.structs.replace(
            self._progress,
            branch=self._branch,
            seq=self._seq,
            hash=self._hash,
            key_id=self._key.id if self._is_used else "",
            public_key=self._key.raw.hex(),
            signed_seq=self._signed_seq,
            records=self._records,
            bytes=self._bytes,
            unasked=self._unasked,
            **self._facts,
        )
        return self._judged

    def take(self, one: Sent) -> None:
        """Takes the next line."""
        line = one.line
        own, seq = line.hash.decode(), line.seq
        if self._is_known(seq, own, one.micros):
            self._judged.known += 1
            self._passed = own
            return
        follows = line.prev.decode()
        if (
            seq <= self._seq
            or (seq == self._seq + 1 and follows != self._hash)
            or self._passed == follows != self._hash
        ):
            self._fork(one)
        elif seq > self._seq + 1:
            what = f"lines {self._seq + 1} to {seq - 1} are missing"
            self._tell(FleetKind.GAP, seq, own, what)
        self._append(one)

    def _is_known(self, seq: int, own: str, at: int) -> bool:
        if self._there is None and seq <= self._progress.seq:
            return True
        hashes = (self._there or {}).get(seq, frozenset()) | self._sent.get(seq, set())
        # Of a line that is not there any more (or never was) nobody can tell; nothing comes in its place. It can't be newer than
        # those behind it: a journal that goes on in the place of lines that are not kept any more would say nothing new for ever.
        return own in hashes or (not hashes and seq <= self._seq and at <= self._progress.last_time)

    def _fork(self, one: Sent) -> None:
        seq = one.line.seq
        end = min(seq, self._seq)
        kind = FleetKind.REWIND if end <= self._signed_seq and self._signed_seq else FleetKind.FORK
        self._branch += 1
        self._forks += 1
        if self._branch > MOST_BRANCHES:
            raise RefusedError(403, "the journal has forked too often: enrol it anew", seq)
        if self._forks > _FORKS:
            raise RefusedError(422, "too many lines do not continue the one before", seq)
        what = f"line {seq} continues another chain than the one here, which ended at line {self._seq}"
        self._tell(kind, seq, one.line.hash.decode(), f"{what}; from there on it is kept as branch {self._branch}")
        self._signed_seq = min(self._signed_seq, seq - 1)
        self._last_time = 0

    def _append(self, one: Sent) -> None:
        line, head = one.line, one.head
        own = line.hash.decode()
        self._judged.taken.append((self._branch, one))
        self._sent.setdefault(line.seq, set()).add(own)
        self._seq, self._hash = line.seq, own
        self._records += 1
        self._bytes += len(one.raw) + 1
        self._facts |= {"last_time": one.micros, "host": harmless(head.host, _SHOWN)}
        if one.micros > self._now + CLOCK_MICROS and not self._is_ahead:
            self._is_ahead = True
            ahead = (one.micros - self._now) // 1_000_000
            self._tell(FleetKind.CLOCK, 0, "ahead", f"a record is {ahead} s ahead of the collector's clock")
        if head.type in _TIMELY and one.micros < self._last_time - CLOCK_MICROS and not self._is_back:
            self._is_back = True
            back = (self._last_time - one.micros) // 1_000_000
            self._tell(FleetKind.CLOCK, line.seq, "back", f"line {line.seq} is {back} s older than the one before it")
        self._last_time = one.micros
        if head.reduced:
            self._tell(FleetKind.REDUCED, line.seq, own, "the whole line was too large to be sent")
            return
        match head.type:
            case "chain_start":
                self._begins(one)
            case "key_changed":
                self._key_changed(one)
            case "checkpoint":
                self._checkpoint(one)
            case "start" | "config_changed" | "canary":
                self._started(one)
            case "decision":
                self._decided(one)
            case "unasked":
                self._unasked += 1

    def _begins(self, one: Sent) -> None:
        if one.head.said.get("public_key") == self._key.raw.hex():
            self._is_used = True
        elif self._is_used:
            self._wrong_key(one, "the chain begins with another key than the enrolled one")

    def _key_changed(self, one: Sent) -> None:
        """The key that counted until now must have signed the new one; a power cut may have the same announced again."""
        detail = one.head.said
        try:
            key = PublicKey(bytes.fromhex(str(detail.get("public_key"))))
        except ValueError:
            self._wrong_key(one, "the record names no key")
            return
        signature = str(detail.get("signature", ""))
        if key.id == self._key.id or is_announced(self._progress.instance, self._key, key, signature):
            self._key, self._is_used = key, True
        elif self._is_used:
            self._wrong_key(one, f"the key {key.id} was not announced by the one before, {self._key.id}")

    def _checkpoint(self, one: Sent) -> None:
        line, seq = one.line, one.line.seq
        checkpoint = checkpoint_from(one.raw)
        if checkpoint is None:
            self._tell(FleetKind.BAD_SIGNATURE, seq, "", "the checkpoint lacks what one has")
            return
        detail = checkpoint.detail
        if detail.key_id != self._key.id:
            if self._is_used:
                self._wrong_key(one, f"a checkpoint signed by another key than {self._key.id}", detail.key_id)
        elif not checkpoint.signed_by(self._key):
            self._tell(FleetKind.BAD_SIGNATURE, seq, "", "a checkpoint's signature does not hold")
        elif (detail.covers_seq, detail.covers_hash) != (seq - 1, line.prev.decode()):
            self._tell(FleetKind.BAD_SIGNATURE, seq, "", "a checkpoint vouches for other lines than those before it")
        else:
            self._signed_seq, self._is_used = seq, True
            self._facts["signed_time"] = one.micros

    def _started(self, one: Sent) -> None:
        detail = one.head.said
        said = {name: detail.get(name) for name in ("version", "mode", "config_digest", "policies")}
        self._facts |= {name: harmless(value, _SHOWN) for name, value in said.items() if isinstance(value, str)}
        if one.head.type == "start":
            self._facts["started"] = one.micros

    def _decided(self, one: Sent) -> None:
        head = one.head
        self._facts |= {"decided": one.micros, "principal": harmless(head.user, _SHOWN)}
        if isinstance(client := head.labelled.get(_CLIENT_LABEL), str) and client:
            self._facts["client"] = harmless(client, _SHOWN)

    def _wrong_key(self, one: Sent, what: str, key_id: str = "") -> None:
        """Each key is told once: where it is used, there is no end of it."""
        self._tell(FleetKind.WRONG_KEY, 0 if key_id else one.line.seq, key_id, what)

    def _tell(self, kind: FleetKind, seq: int, mark: str, detail: str) -> None:
        self._judged.found.append(Found(kind, seq, harmless(mark, _MARK), detail))


def chain_name(instance: str, branch: int) -> str:
    """Gives what a branch of a journal is called in the store."""
    return f"{instance}~{branch}" if branch else instance
