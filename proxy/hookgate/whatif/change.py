"""What becomes of a request when policies change."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

from hookgate.hooks.catalog import EventSpec
from hookgate.hooks.opinion import read
from hookgate.hooks.verdict import Verdict
from hookgate.outcome import Outcome
from hookgate.pdp.decision import Decision, Output


class Change(StrEnum):
    """How a request would be answered otherwise. `defer` counts as `ask`, and `no_match` as let through."""

    NEWLY_DENIED = "newly_denied"
    #: Also what was denied until now, and a person would be asked about.
    NEWLY_ASKED = "newly_asked"
    #: Nothing would stop it any more.
    NEWLY_ALLOWED = "newly_allowed"
    #: A policy would speak of it where none did, and let it through, too.
    NEWLY_MATCHED = "newly_matched"
    #: No policy would speak of it any more.
    NEWLY_UNMATCHED = "newly_unmatched"
    UNCHANGED = "unchanged"


#: What a person looks at first.
TOLD = (Change.NEWLY_DENIED, Change.NEWLY_ASKED, Change.NEWLY_ALLOWED, Change.NEWLY_MATCHED, Change.NEWLY_UNMATCHED)

_ASKS = {Outcome.ASK, Outcome.DEFER}


def change_of(before: Outcome, after: Outcome) -> Change:
    """Gives the change; neither may be an error."""
    if after is Outcome.DENY:
        return Change.UNCHANGED if before is Outcome.DENY else Change.NEWLY_DENIED
    if after in _ASKS:
        return Change.UNCHANGED if before in _ASKS else Change.NEWLY_ASKED
    if before is Outcome.DENY or before in _ASKS:
        return Change.NEWLY_ALLOWED
    if before is after:
        return Change.UNCHANGED
    return Change.NEWLY_UNMATCHED if after is Outcome.NO_MATCH else Change.NEWLY_MATCHED


def rules_of(verdict: Verdict, decision: Decision) -> tuple[str, ...]:
    """Gives the rules whose outputs made an answer what it is; the policy, where none did."""
    found = tuple(dict.fromkeys(one.source for one in verdict.readings if one.opinion is verdict.opinion))
    return (found if verdict.opinion else ()) or (decision.policy,)


def recorded_rules(record: Mapping[str, Any], spec: EventSpec) -> tuple[str, ...]:
    """Gives the same of what was recorded."""
    outputs = _outputs(record.get("outputs") or ())
    readings = [read(output, spec) for output in outputs]
    strictest = max((one.opinion for one in readings), default=0)
    found = tuple(dict.fromkeys(one.source for one in readings if strictest and one.opinion == strictest))
    return found or (str(record.get("policy", "")),)


def _outputs(found: Iterable[Mapping[str, Any]]) -> Iterable[Output]:
    for one in found:
        yield Output(str(one.get("source", "")), one.get("value"), str(one.get("error", "")))
