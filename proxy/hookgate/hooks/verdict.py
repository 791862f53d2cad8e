"""What the PDP's answer amounts to: the strictest of its effect and all its outputs."""

from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from hookgate.hooks.catalog import EventSpec, Form
from hookgate.hooks.fields import alike
from hookgate.hooks.opinion import Dropped, Opinion, Reading, read
from hookgate.outcome import Fallback, Outcome
from hookgate.pdp.decision import Decision, Effect

_OUTCOMES = {
    Opinion.NONE: Outcome.ALLOW,
    Opinion.ALLOW: Outcome.ALLOW,
    Opinion.DEFER: Outcome.DEFER,
    Opinion.ASK: Outcome.ASK,
    Opinion.DENY: Outcome.DENY,
}


class Verdict(Struct, frozen=True):
    """What is to be answered, before it takes an event's form.

    `opinion` NONE leaves the call to the client's own rules. `readings` are the outputs whose further fields may travel
    with the answer. `explicit` says that an output asked for the denial, not the effect alone. `contradictions` names the
    sources of outputs that disagree with the effect.
    """

    outcome: Outcome
    opinion: Opinion
    reason: str = ""
    readings: tuple[Reading, ...] = ()
    explicit: bool = False
    updated_input: dict[str, Any] | None = None
    contradictions: tuple[str, ...] = ()
    dropped: tuple[Dropped, ...] = ()


#: What nearly every call gets.
_ALLOWED = Verdict(Outcome.ALLOW, Opinion.NONE)


def verdict_of(decision: Decision, spec: EventSpec, *, stricter_than_effect: str = "deny") -> Verdict:
    """Judges one answer of the PDP (not a NO_MATCH). An output can make it stricter than the effect, never weaker."""
    if decision.effect is Effect.ALLOW and not decision.outputs:
        return _ALLOWED
    return _judged(decision, spec, stricter_than_effect)


def _judged(decision: Decision, spec: EventSpec, stricter_than_effect: str) -> Verdict:
    readings = [read(output, spec) for output in decision.outputs]
    dropped = tuple(drop for reading in readings for drop in reading.dropped)
    if decision.effect is Effect.DENY:
        against = [r for r in readings if r.opinion not in (Opinion.NONE, Opinion.DENY)]
        denying = [r for r in readings if r.opinion is Opinion.DENY]
        return Verdict(
            Outcome.DENY,
            Opinion.DENY,
            reason=_reasons(denying) or _by_policy("denied", decision),
            readings=tuple(r for r in readings if r.opinion in (Opinion.NONE, Opinion.DENY)),
            explicit=bool(denying),
            contradictions=tuple(r.source for r in against),
            dropped=dropped,
        )
    denying = [r for r in readings if r.opinion is Opinion.DENY]
    contradictions = tuple(r.source for r in denying)
    if denying and stricter_than_effect == "drop":
        readings = [r for r in readings if r.opinion is not Opinion.DENY or r.ambiguous]
        denying = [r for r in denying if r.ambiguous]
    opinion = max((r.opinion for r in readings), default=Opinion.NONE)
    verdict = Verdict(
        _OUTCOMES[opinion],
        opinion,
        reason=_reasons([r for r in readings if r.opinion is opinion and opinion is not Opinion.NONE])
        or (_by_policy("wants a person to look", decision) if opinion is Opinion.ASK else "")
        or (_by_policy("denied", decision) if opinion is Opinion.DENY else ""),
        readings=tuple(r for r in readings if r.opinion in (Opinion.NONE, opinion)),
        explicit=bool(denying),
        contradictions=contradictions,
        dropped=dropped,
    )
    return _with_updated_input(verdict, readings, spec)


def no_match_verdict(fallback: Fallback) -> Verdict:
    """What is to be answered where no policy speaks about an event for which `no_match` holds."""
    opinion = {Fallback.PASS: Opinion.NONE, Fallback.ASK: Opinion.ASK, Fallback.DENY: Opinion.DENY}[fallback]
    return Verdict(Outcome.NO_MATCH, opinion, reason="No policy speaks about this kind of event.", explicit=True)


def stricter(first: Verdict, second: Verdict) -> Verdict:
    """Joins the verdicts on a call and on the call as a policy changed it; the change holds unless one of them denies."""
    if second.opinion is Opinion.DENY or second.opinion > first.opinion:
        base, other = second, first
    else:
        base, other = first, second
    holds = base.opinion in (Opinion.ALLOW, Opinion.ASK)
    return replace(
        base,
        updated_input=first.updated_input if holds else None,
        contradictions=base.contradictions + other.contradictions,
        dropped=base.dropped + other.dropped,
    )


def rejudged(first: Verdict, second: Verdict, changed: dict[str, Any]) -> Verdict:
    """Joins the verdict on a call with the one on the input that it puts in the client's place: that is a call like any other,
    and must itself be let through, and stay as it is."""
    if second.updated_input is not None and not alike(second.updated_input, changed):
        return unstable(second)
    return stricter(first, second)


def unstable(verdict: Verdict) -> Verdict:
    """Gives the denial for a call that policies rewrite in more than one way."""
    return replace(
        verdict,
        outcome=Outcome.DENY,
        opinion=Opinion.DENY,
        reason="Policies rewrite this call's input in different ways.",
        readings=(),
        explicit=True,
        updated_input=None,
        contradictions=verdict.contradictions
        + tuple(r.source for r in verdict.readings if r.updated_input is not None),
    )


def _with_updated_input(verdict: Verdict, readings: list[Reading], spec: EventSpec) -> Verdict:
    """An input that a policy rewrote travels only beside an allow or ask; the prompt of a PermissionRequest can't carry one."""
    rewriting = [r for r in readings if r.updated_input is not None]
    holds = verdict.opinion is Opinion.ALLOW or (verdict.opinion is Opinion.ASK and spec.form is not Form.BEHAVIOR)
    if not rewriting or verdict.opinion is Opinion.DENY:
        return verdict
    if not holds:
        lost = tuple(Dropped(r.source, "updatedInput", "without_allow_or_ask") for r in rewriting)
        return replace(verdict, dropped=verdict.dropped + lost)
    if not all(alike(r.updated_input, rewriting[0].updated_input) for r in rewriting):
        return unstable(verdict)
    return replace(verdict, updated_input=rewriting[0].updated_input)


def _reasons(readings: list[Reading]) -> str:
    return "\n".join(dict.fromkeys(r.reason.strip() for r in readings if r.reason.strip()))


def _by_policy(what: str, decision: Decision) -> str:
    subject = f"Policy {decision.policy}" if decision.policy else "The policy"
    return f"{subject} {what} this call." if what == "denied" else f"{subject} {what}."
