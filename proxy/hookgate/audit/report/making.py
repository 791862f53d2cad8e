"""Making a report: one walk through the journal and one through the store's rows, in bounded memory."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from hookgate import __version__
from hookgate.audit.checkpoint import TYPE as CHECKPOINT
from hookgate.audit.checkpoint import CheckpointLine
from hookgate.audit.finding import Verification
from hookgate.audit.report.columns import Columns
from hookgate.audit.report.coverage import Coverage, when
from hookgate.audit.report.index import JournalIndex
from hookgate.audit.report.matching import Matching
from hookgate.audit.report.model import VERSION, Access, Report, RowCheck, ViolationRecord
from hookgate.audit.report.rows import Rows
from hookgate.audit.report.scratch import Scratch
from hookgate.audit.report.stretches import Stretches
from hookgate.audit.report.totals import Counting
from hookgate.audit.report.unseen import UNSEEN
from hookgate.audit.store.question import Entry, Filter, Store
from hookgate.audit.store.subject import subject_of
from hookgate.audit.verify import verify

#: A call that was decided at the end of the period ends after it.
_ENDS_WITHIN = timedelta(hours=1)
_UNENFORCED_TOLERANCE = timedelta(hours=1)
_ERROR_TOLERANCE = timedelta(minutes=5)
_SUBJECT_CHARACTERS = 2000
#: Calls that do not add up and are named; more are not listed either.
_MOST_CALLS = 1000
#: What a report lists where nothing in particular is asked for.
_HELD_BACK = frozenset(("deny", "ask", "defer"))
_ENDS = {"PostToolUse": "ran", "PostToolUseFailure": "failed"}


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What a report is about, and what is believed."""

    since: datetime
    until: datetime
    matching: Matching
    #: Where the journal is; None where none is to be looked for.
    directory: Path | None = None
    against: CheckpointLine | None = None
    trusted: tuple[str, ...] = ()


#: Told what is being done, and how many records or bytes of it are done.
Progress = Callable[[str, int], None]


def made(store: Store, scope: Scope, scratch: Scratch, progress: Progress = lambda what, done: None) -> Report:
    """Makes the report; the accesses are in `scratch` then. Raises JournalError and StoreError."""
    with ExitStack() as stack:
        now = datetime.now(UTC)
        journal, index = _journal(scope, min(scope.until, now), stack, progress)
        maker = _Maker(store, scope, scratch, Rows(index), progress)
        return maker.run(now, journal, index)


def _journal(
    scope: Scope, until: datetime, stack: ExitStack, progress: Progress
) -> tuple[Verification | None, JournalIndex | None]:
    if scope.directory is None:
        return None, None
    found = verify(
        scope.directory,
        against=scope.against,
        trusted=frozenset(scope.trusted),
        progress=lambda size_bytes: progress("verifying the journal", size_bytes),
    )
    progress("indexing the journal", 0)
    index = stack.enter_context(JournalIndex(scope.directory, _stamp(scope.since), _stamp(until)))
    return found, index


class _Maker:
    def __init__(self, store: Store, scope: Scope, scratch: Scratch, rows: Rows, progress: Progress) -> None:
        self._store, self._scope, self._scratch, self._rows, self._progress = store, scope, scratch, rows, progress
        self._counting = Counting(scope.since, scope.until)
        self._coverage = Coverage()
        self._unenforced = Stretches(_UNENFORCED_TOLERANCE)
        self._errors = Stretches(_ERROR_TOLERANCE)
        self._until = _stamp(scope.until)
        self._may_have_reached = 0
        #: Calls that do not add up, by the id of their decision: whose they are, and what they are about.
        self._calls: dict[str, tuple[str, str] | None] = {}

    def run(self, now: datetime, journal: Verification | None, index: JournalIndex | None) -> Report:
        scope = self._scope
        # Rows that come while the report is made have no line in the index.
        until = min(scope.until, now)
        later = min(scope.until + _ENDS_WITHIN, now)
        for entry in self._service_entries(scope.since, until):
            self._happened(entry.instance, self._rows.taken(entry))
        wanted = Filter(since=scope.since, until=later)
        columns = Columns(self._store, wanted)
        for number, entry in enumerate(self._store.entries(wanted), 1):
            self._decision(entry.instance, entry.seq, self._rows.taken(entry))
            if differing := columns.differing(entry):
                self._rows.misleads(entry, differing)
            if number % 1000 == 0:
                self._progress("reading the store", 1000)
        columns.end()
        self._rows.without_record(columns.without_record)
        oldest = self._store.search(Filter(), limit=1, oldest_first=True).rows
        for entry in self._rows.lacking(self._store.spans(), oldest[0].time if oldest else ""):
            if entry.record.get("type") == "decision":
                self._decision(entry.instance, entry.seq, entry.record)
            else:
                self._happened(entry.instance, entry.record)
        return self._report(now, journal, index)

    def _service_entries(self, since: datetime, until: datetime) -> Iterator[Entry]:
        yield from self._store.service_entries(since, until)
        yield from self._store.service_entries(since, until, (CHECKPOINT,))

    def _decision(self, instance: str, seq: int, record: dict[str, Any]) -> None:
        time = _text(record, "time")
        at = when(time)
        if at is None:
            return
        inside = time < self._until
        matching = self._scope.matching
        matched = matching.matches(record) if inside else ()
        ended = self._ended(record, time)
        if not inside:
            return
        if (name := _text(record, "id")) in self._calls:
            self._calls[name] = _call(record)
        self._counting.taken(record, at)
        self._coverage.decided(instance, time, _text(record, "host"))
        self._stretches(instance, time, at, record)
        if matching.is_empty:
            listed = _text(record, "outcome") in _HELD_BACK
        else:
            # The end of a call that is listed belongs to it; one whose beginning is not there stands for itself.
            listed = bool(matched) and not ended
            self._may_have_reached += not matched and matching.may_reach(record)
        if listed:
            self._scratch.add(_access(instance, seq, record, matched))

    def _happened(self, instance: str, record: dict[str, Any]) -> None:
        violation = self._coverage.happened(instance, record)
        if violation is not None:
            self._scratch.violated(violation.decision, violation.type)
            if len(self._calls) < _MOST_CALLS:
                self._calls.setdefault(violation.decision or violation.found_by, None)

    def _ended(self, record: dict[str, Any], time: str) -> bool:
        """Tells whether the record says how a call that is listed has ended, and takes note of that."""
        event, session = _text(record, "event"), _text(record, "session_id")
        if how := _ENDS.get(event):
            how = "failed" if record.get("failed") is True else how
            how = "interrupted" if record.get("interrupted") is True else how
            seconds = record.get("ran_seconds")
            seconds = float(seconds) if isinstance(seconds, int | float) else None
            return self._scratch.ended(session, _text(record, "tool_use_id"), how, time, seconds)
        calls = record.get("calls")
        if event == "PostToolBatch" and isinstance(calls, list):
            for call in calls:
                if isinstance(call, dict):
                    self._scratch.ended(session, _text(call, "tool_use_id"), "ran", time, None, weak=True)
        return False

    def _stretches(self, instance: str, time: str, at: datetime, record: dict[str, Any]) -> None:
        outcome = _text(record, "outcome")
        self._unenforced.taken(
            instance,
            time,
            at,
            of_kind=record.get("mode") == "observe",
            held_back=outcome in _HELD_BACK,
            name=_text(record, "user"),
        )
        self._errors.taken(instance, time, at, of_kind=outcome == "error", held_back=False, name=_text(record, "error"))

    def _report(self, now: datetime, journal: Verification | None, index: JournalIndex | None) -> Report:
        scope, check, coverage = self._scope, self._rows.check(), self._coverage
        unenforced, errors = self._unenforced.all(), self._errors.all()
        totals = self._counting.totals()
        return Report(
            version=VERSION,
            made=_stamp(now),
            hookgate=__version__,
            since=_stamp(scope.since),
            until=_stamp(scope.until),
            paths=scope.matching.paths,
            commands=scope.matching.commands,
            findings=tuple(_findings(journal, check)),
            notices=tuple(_notices(scope, journal, check, now, coverage)),
            journal=journal,
            against=scope.against is not None,
            trusted=scope.trusted,
            rows=check,
            instances=coverage.instances(index.instance if index is not None else ""),
            gaps=coverage.gaps(),
            totals=totals,
            accesses=self._scratch.count(),
            accesses_by_outcome=self._scratch.outcomes(),
            may_have_reached=self._may_have_reached,
            violation_counts=coverage.violation_counts.top(),
            violations=tuple(self._named(coverage.violations())),
            unenforced=unenforced,
            unenforced_decisions=self._unenforced.count,
            error_stretches=errors,
            error_decisions=self._errors.count,
            events=coverage.events(),
            unseen=UNSEEN,
        )

    def _named(self, violations: tuple[ViolationRecord, ...]) -> Iterator[ViolationRecord]:
        """Adds whose call it was, and what it was about; that of a decision before the period is what the store says."""
        for violation in violations:
            name = violation.decision or violation.found_by
            call = self._calls.get(name)
            if call is None and name and (entries := self._store.show(name)):
                call = _call(entries[0].record)
            user, subject = call or ("", "")
            yield msgspec.structs.replace(violation, user=user, subject=subject)


def _call(record: dict[str, Any]) -> tuple[str, str]:
    return _text(record, "user"), subject_of(record)[:_SUBJECT_CHARACTERS]


def _access(instance: str, seq: int, record: dict[str, Any], matched: tuple[str, ...]) -> Access:
    return Access(
        time=_text(record, "time"),
        id=_text(record, "id"),
        instance=instance,
        seq=seq,
        user=_text(record, "user"),
        verified=record.get("verified") is True,
        event=_text(record, "event"),
        tool=_text(record, "tool"),
        subject=subject_of(record)[:_SUBJECT_CHARACTERS],
        matched=tuple(one[:_SUBJECT_CHARACTERS] for one in matched),
        outcome=_text(record, "outcome"),
        mode=_text(record, "mode"),
        policy=_text(record, "policy"),
        reason=_text(record, "reason"),
        error=_text(record, "error"),
        session_id=_text(record, "session_id"),
        agent_id=_text(record, "agent_id"),
        tool_use_id=_text(record, "tool_use_id"),
    )


def _findings(journal: Verification | None, check: RowCheck) -> Iterator[str]:
    if journal is not None and not journal.intact:
        yield f"The journal does not verify: {journal.found} findings."
    if check.edited:
        yield f"{check.edited} rows of the store are not what was recorded. Where the journal has the record, the report goes by it."
    if check.misleading:
        yield f"{check.misleading} rows of the store are found by something else than their records say. The report goes by the records."
    if check.unknown:
        yield f"{check.unknown} rows of the store have no record, or no line in the journal that holds."
    if check.missing:
        yield f"{check.missing} records of the journal are missing in the store. The report has them from the journal."


def _notices(
    scope: Scope, journal: Verification | None, check: RowCheck, now: datetime, coverage: Coverage
) -> Iterator[str]:
    if scope.until > now:
        yield "The period is not over yet."
    if journal is None:
        yield "There was no journal to verify: rows were held against their own hashes only, which whoever edits a row can make anew."
    elif scope.against is None:
        yield "The journal was not compared with a checkpoint that was kept elsewhere: whoever holds its key may have rewritten it."
    if check.without_journal and journal is not None:
        yield f"{check.without_journal} rows are of instances whose journals are not here, and were held against their own hashes only."
    if check.removed:
        yield f"The journal's lines of {check.removed} rows were removed by retention; those were held against their own hashes only."
    if check.expired:
        yield (
            f"{check.expired} records are older than all that the store still has: its retention removed them, or somebody did. "
            "The report has them from the journal."
        )
    if check.not_delivered:
        yield (
            f"{check.not_delivered} of the newest records had not reached the store, or were removed from its end. "
            "The report has them from the journal."
        )
    if coverage.left_out:
        yield f"{coverage.left_out} further gaps, violations or events are counted but not listed."


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _text(record: dict[str, Any], key: str) -> str:
    value = record.get(key)
    return value if isinstance(value, str) else ""
