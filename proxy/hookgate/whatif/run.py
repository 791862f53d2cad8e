"""A period's requests, asked again from the oldest to the newest."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from hookgate import __version__
from hookgate.audit.evidence import is_reduced
from hookgate.audit.store.moment import micros_of, moment_of
from hookgate.audit.store.question import Entry, Filter, Store
from hookgate.audit.store.subject import subject_of
from hookgate.errors import GateError
from hookgate.hooks.catalog import spec_of
from hookgate.outcome import Outcome
from hookgate.whatif.asked_again import Request, Why, asked_again
from hookgate.whatif.change import Change, change_of, recorded_rules
from hookgate.whatif.judge import Judge, Judged
from hookgate.whatif.model import Example, Result
from hookgate.whatif.reads import Reads
from hookgate.whatif.state import State

#: Records that are asked about together: those of one principal among them share requests.
_WINDOW = 500
_KEPT_SECONDS = 0.5
_SUBJECT_CHARACTERS, _REASON_CHARACTERS = 300, 400
#: What is asked although it tells nothing for sure.
_HINTS = {Why.REDACTED, Why.CUT}


class _Case(NamedTuple):
    entry: Entry
    request: Request | None
    whys: tuple[Why, ...]


class WhatIf:
    """One run. `state` grows with it; `keep` is given it now and then, `progress` how many have been asked since."""

    def __init__(
        self,
        state: State,
        candidate: Judge,
        against: Judge | None = None,
        *,
        keep: Callable[[State], None] = lambda _: None,
        progress: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._state = state
        self._candidate = candidate
        self._against = against
        self._keep = keep
        self._progress = progress
        self._reads: dict[str, Reads] = {}

    async def run(self, store: Store, wanted: Filter) -> None:
        """Asks all that has not been asked. Raises StoreError, CerbosError; what has been asked stays in the state."""
        entries = self._left(store, wanted)
        begun, kept = time.monotonic(), time.monotonic()
        before = self._state.seconds
        following = asyncio.ensure_future(asyncio.to_thread(_next, entries))
        try:
            while window := await following:
                following = asyncio.ensure_future(asyncio.to_thread(_next, entries))
                await self._ask(window)
                self._state.seconds = before + time.monotonic() - begun
                self._progress(len(window))
                if time.monotonic() - kept > _KEPT_SECONDS:
                    self._keep(self._state)
                    kept = time.monotonic()
        finally:
            # The store must not be closed while it is being read.
            await asyncio.shield(asyncio.gather(following, return_exceptions=True))

    def _left(self, store: Store, wanted: Filter) -> Iterator[Entry]:
        state = self._state
        since, done = state.since, frozenset(state.lines)
        if state.at:
            since = moment_of(micros_of(state.at))
        at = state.at
        for entry in store.entries(msgspec.structs.replace(wanted, since=since, until=state.until)):
            if entry.record.get("time") != at or (entry.instance, entry.seq) not in done:
                yield entry

    async def _ask(self, window: Sequence[Entry]) -> None:
        cases = [self._case(entry) for entry in window]
        asked = [case for case in cases if case.request is not None]
        requests = [case.request for case in asked if case.request is not None]
        after = dict(zip(map(id, asked), await self._candidate.judge(requests), strict=True))
        before: dict[int, Judged | GateError] = {}
        if self._against is not None:
            before = dict(zip(map(id, asked), await self._against.judge(requests), strict=True))
        for case in cases:
            self._count(case, before.get(id(case)), after.get(id(case)))
            self._state.passed(case.entry)

    def _case(self, entry: Entry) -> _Case:
        if is_reduced(entry):
            return _Case(entry, None, (Why.CUT,))
        found = asked_again(entry.record, self._read_of(str(entry.record.get("event", ""))))
        if isinstance(found, Why):
            return _Case(entry, None, (found,))
        is_asked = not found.gaps or _HINTS.issuperset(found.gaps)
        return _Case(entry, found if is_asked else None, found.gaps)

    def _read_of(self, event: str) -> Reads:
        """What either of the policies reads matters."""
        found = self._reads.get(event)
        if found is None:
            found = self._candidate.reads.of(event)
            if self._against is not None:
                found |= self._against.reads.of(event)
            if len(self._reads) < 1000:
                self._reads[event] = found
        return found

    def _count(self, case: _Case, before: Judged | GateError | None, after: Judged | GateError | None) -> None:
        tally, record, whys = self._state.tally, case.entry.record, case.whys
        tally.total += 1
        if isinstance(before, GateError) or isinstance(after, GateError):
            whys = (*whys, Why.NO_ANSWER)
        was = _recorded(record) if before is None else before
        if after is None or isinstance(after, GateError) or isinstance(was, GateError) or was is None:
            tally.untold(whys or (Why.NO_REQUEST,))
            return
        if was.outcome is Outcome.ERROR:
            if whys:
                tally.untold(whys)
            else:
                tally.failed(after.outcome)
            return
        change = change_of(was.outcome, after.outcome)
        rules = was.rules if change is Change.NEWLY_ALLOWED else after.rules
        rule = rules[0] if rules else ""
        if whys:
            tally.untold(whys)
            tally.apparent[change] = tally.apparent.get(change, 0) + 1
        else:
            names = {
                "rule": rule,
                "user": str(record.get("user", "")),
                "tool": str(record.get("tool", "")) or str(record.get("event", "")),
                "event": str(record.get("event", "")),
            }
            tally.compared(change, was.outcome, after.outcome, names)
        if change is not Change.UNCHANGED and tally.wants_example(change, rule, unsure=bool(whys)):
            tally.examples.append(_example(record, change, (was, after), rule=rule, whys=whys))


def _next(entries: Iterator[Entry]) -> list[Entry]:
    return list(islice(entries, _WINDOW))


def _recorded(record: dict[str, Any]) -> Judged | None:
    try:
        outcome = Outcome(record["outcome"])
        rules = recorded_rules(record, spec_of(str(record["event"])))
    except (KeyError, ValueError, TypeError, AttributeError):
        return None
    return Judged(outcome, rules, str(record.get("reason", "")))


def _example(
    record: dict[str, Any], change: Change, judged: tuple[Judged, Judged], *, rule: str, whys: tuple[Why, ...]
) -> Example:
    was, after = judged
    reason = after.reason or was.reason
    return Example(
        id=str(record.get("id", "")),
        time=str(record.get("time", "")),
        user=str(record.get("user", "")),
        event=str(record.get("event", "")),
        tool=str(record.get("tool", "")),
        subject=subject_of(record)[:_SUBJECT_CHARACTERS],
        change=change,
        before=was.outcome,
        after=after.outcome,
        rule=rule,
        reason=reason[:_REASON_CHARACTERS],
        unsure=tuple(whys),
    )


def result_of(
    state: State, wanted: Filter, *, policies: str, digest: str, against: str = "", against_digest: str = ""
) -> Result:
    """Gives what a run has found."""
    tally = state.tally
    filters = {
        name: str(value)
        for name, value in msgspec.structs.asdict(wanted).items()
        if value is not None and name not in ("since", "until")
    }
    return Result(
        hookgate=__version__,
        made=_written(datetime.now(UTC)),
        policies=policies,
        policies_digest=digest,
        against=against,
        against_digest=against_digest,
        since=_written(state.since) if state.since is not None else "",
        until=_written(state.until),
        filters=filters,
        total=tally.total,
        told=tally.told,
        changes={change.value: tally.changes.get(change.value, 0) for change in Change},
        transitions=_sorted(tally.transitions),
        unsure=tally.unsure,
        unsure_why=_sorted(tally.unsure_why),
        apparent=_sorted(tally.apparent),
        errors=tally.errors,
        error_outcomes=_sorted(tally.error_outcomes),
        by_rule=tally.counts("rule"),
        by_user=tally.counts("user"),
        by_tool=tally.counts("tool"),
        by_event=tally.counts("event"),
        people=tally.people(),
        examples=tuple(tally.examples),
        seconds=round(state.seconds, 3),
    )


def _sorted(counts: dict[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda one: (-one[1], one[0])))


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
