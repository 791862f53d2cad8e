"""From a period to a first policy: a survey, a trial of all dangers on a PDP of its own, and what is left of them."""

import asyncio
import tempfile
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from hookgate.audit.store.question import Entry, Filter, Store
from hookgate.audit.store.subject import subject_of
from hookgate.pdp.process import CerbosError
from hookgate.policies.compiling import compiled
from hookgate.suggest import draft
from hookgate.suggest.danger import Danger, dangers
from hookgate.suggest.draft import Occurrence, Suggestion
from hookgate.suggest.survey import EVENT, ORDINARY, Call, Survey
from hookgate.whatif.asked_again import Request, Why, asked_again
from hookgate.whatif.judge import Judge, Judged
from hookgate.whatif.reads import Reads

_WINDOW = 500
_MOST_PEOPLE = 1000
#: What a rule by programs reads; and why it may not be known, beside what is missing of a call's surroundings.
_PROGRAMS = Reads(resource=frozenset({("facts", "commands", "program")}))
_UNKNOWN = {Why.REDACTED, Why.CUT, Why.FACTS_VERSION}
POLICY, TESTS = "pre_tool_use.yaml", "tests/pre_tool_use_test.yaml"


class NothingSeenError(Exception):
    """There was no call that a policy could be made from; one line."""


async def suggestion(
    store: Store, wanted: Filter, cerbos: Path, period: str, progress: Callable[[int], None] = lambda _: None
) -> Suggestion:
    """Gives the policy. Raises StoreError, NothingSeenError, and CerbosError where the PDP can't be started."""
    wanted = msgspec.structs.replace(wanted, event=EVENT)
    survey, seen = Survey(), dict[str, Occurrence]()
    with tempfile.TemporaryDirectory(prefix="hookgate-suggest-") as folder:
        # Every danger is asked about first: what fires on an ordinary call is no rule to begin with.
        (Path(folder) / POLICY).write_text(draft.policy(Survey(too_many=True), dangers(), {}, period), encoding="utf-8")
        async with Judge(cerbos, Path(folder)) as judge:
            entries = store.entries(wanted)
            while window := await asyncio.to_thread(_next, entries):
                await _look(window, judge, survey, seen)
                progress(len(window))
    if not survey.ordinary:
        raise NothingSeenError(
            f"{survey.calls} calls are recorded {period}, and none that nobody held up: name a longer period"
        )
    text = draft.policy(survey, dangers(), seen, period)
    files = {POLICY: text, TESTS: draft.tests(survey, dangers(), seen)}
    left = tuple(one.name for one in dangers() if _is_ordinary(one, seen))
    active = tuple(one.name for one in dangers() if not _is_ordinary(one, seen))
    return Suggestion(files, active, left)


def write(found: Suggestion, directory: Path, cerbos: Path) -> None:
    """Writes the files and has Cerbos compile them. Raises OSError, and CerbosError where they don't pass."""
    for name, text in found.files.items():
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    told = compiled(cerbos, directory)
    if not told.passes:
        raise CerbosError(
            f"{directory}: what was written does not pass `cerbos compile`: {' '.join(told.text.split())[:600]}"
        )


async def _look(window: list[Entry], judge: Judge, survey: Survey, seen: dict[str, Occurrence]) -> None:
    asked: list[tuple[dict[str, Any], Call, Request]] = []
    for entry in window:
        record = entry.record
        found = asked_again(record, _PROGRAMS)
        if isinstance(found, Why) or not record.get("facts"):
            survey.saw(record, None)
            continue
        question = found.question
        call = Call(
            str(record.get("id", "")), question.principal_id, question.roles, question.action, dict(question.attributes)
        )
        survey.saw(record, None if record.get("cut") else call, whole=_UNKNOWN.isdisjoint(found.gaps))
        asked.append((record, call, found))
    answers = await judge.judge([request for _, _, request in asked])
    for (record, call, _), answer in zip(asked, answers, strict=True):
        if isinstance(answer, Judged):
            for source in answer.sources:
                _saw(seen.setdefault(source.rpartition("#")[2], Occurrence()), record, call)


def _saw(found: Occurrence, record: dict[str, Any], call: Call) -> None:
    if record.get("outcome") not in ORDINARY:
        found.held += 1
        found.call = found.call or call
        return
    found.ordinary += 1
    found.subject = found.subject or subject_of(record)
    if len(found.people) < _MOST_PEOPLE:
        found.people.add(call.user)


def _is_ordinary(danger: Danger, seen: dict[str, Occurrence]) -> bool:
    return danger.name in seen and seen[danger.name].ordinary > 0


def _next(entries: Iterator[Entry]) -> list[Entry]:
    return list(islice(entries, _WINDOW))
