"""The answer in the form that an event's client obeys: never one that it rejects, never one weaker than the verdict."""

from collections.abc import Sequence
from typing import Any

import msgspec

from hookgate.errors import ErrorKind, Side
from hookgate.hooks.catalog import EventSpec, Form
from hookgate.hooks.opinion import Opinion, Reading
from hookgate.hooks.verdict import Verdict
from hookgate.outcome import Fallback, Outcome

_CUT = " … (cut)"


class Answer(msgspec.Struct, frozen=True):
    """What the client is sent. `opinion` is what it amounts to for the client; `unenforceable`: it was to be denied, and
    the client obeys no denial of this event."""

    body: dict[str, Any]
    opinion: Opinion = Opinion.NONE
    unenforceable: bool = False

    def encode(self) -> bytes:
        """Gives the body as JSON bytes."""
        return msgspec.json.encode(self.body)


#: No opinion: the client's own rules go on.
EMPTY = Answer({})


def render(
    verdict: Verdict,
    spec: EventSpec,
    decision_id: str,
    *,
    reason_characters: int = 4000,
    stop_hook_active: bool = False,
) -> Answer:
    """Gives a verdict the form of its event."""
    opinion = _effective(verdict.opinion, spec)
    reason = signed(verdict.reason, decision_id, reason_characters)
    body: dict[str, Any] = {}
    specific: dict[str, Any] = {}
    _extras(verdict.readings, body, specific)
    unenforceable = False
    if opinion is Opinion.DENY:
        if spec.form is Form.NONE:
            unenforceable = True
        elif spec.form is Form.CONTINUE:
            unenforceable = not verdict.explicit or stop_hook_active
            if not unenforceable:
                body.update(decision="block", reason=reason)
        else:
            _deny(spec, verdict.readings, reason, body, specific)
            _stop(verdict.readings, body)
    elif opinion in (Opinion.ASK, Opinion.DEFER):
        specific.update(permissionDecision=opinion.name.lower(), permissionDecisionReason=reason)
    elif opinion is Opinion.ALLOW:
        _allow(spec, verdict, reason, specific)
    if verdict.updated_input is not None and opinion in (Opinion.ALLOW, Opinion.ASK):
        if spec.form is Form.BEHAVIOR:
            specific["decision"]["updatedInput"] = verdict.updated_input
        else:
            specific["updatedInput"] = verdict.updated_input
    if spec.form is Form.CONTINUE and "decision" not in body:
        # Any context makes the agent go on: it goes with a block that an output asked for, or not at all.
        specific.clear()
    if specific and spec.specific and (spec.form is not Form.BEHAVIOR or "decision" in specific):
        body["hookSpecificOutput"] = {"hookEventName": spec.name, **specific}
    return Answer(body, Opinion.NONE if unenforceable else opinion, unenforceable)


def render_error(
    kind: ErrorKind,
    spec: EventSpec | None,
    decision_id: str,
    *,
    on_error: Fallback,
    governed: Sequence[str] = (),
    hint: str = "",
) -> Answer:
    """Gives the answer where no decision could be made. `spec` is None where not even the event is known.

    `governed` names the further events for which `on_error` holds.
    """
    fallback = _floor(kind, on_error)
    unheard = spec is not None and (
        spec.form is Form.CONTINUE or (kind.side is not Side.CALLER and not is_governed(spec, governed))
    )
    if unheard or fallback is Fallback.PASS:
        return EMPTY
    reason = f"Hookgate could not decide ({kind.value}): {kind.meaning}" + (f" {hint}" if hint else "")
    if spec is None:
        return Answer({"decision": "block", "reason": signed(reason, decision_id, 4000)}, Opinion.DENY)
    opinion = Opinion.DENY if fallback is Fallback.DENY else Opinion.ASK
    return render(Verdict(Outcome.ERROR, opinion, reason=reason, explicit=True), spec, decision_id)


def is_governed(spec: EventSpec, further: Sequence[str]) -> bool:
    """Whether `on_error` and `no_match` hold for the event."""
    return (spec.governed or spec.name in further) and spec.form is not Form.CONTINUE


def signed(reason: str, decision_id: str, characters: int) -> str:
    """Gives the reason, cut at a bound, with the decision id that leads to its record."""
    mark = f" [hookgate {decision_id}]"
    reason = reason.strip() or "No reason given."
    room = characters - len(mark)
    if len(reason) > room:
        reason = reason[: room - len(_CUT)] + _CUT
    return reason + mark


def _floor(kind: ErrorKind, on_error: Fallback) -> Fallback:
    if kind.side is Side.CALLER:
        return Fallback.DENY
    if kind.side is Side.LOAD and on_error is Fallback.PASS:
        return Fallback.ASK
    return on_error


def _effective(opinion: Opinion, spec: EventSpec) -> Opinion:
    """`ask` leaves a permission prompt alone; other events that can't ask deny; to ask a session not to stop means nothing."""
    if opinion not in (Opinion.ASK, Opinion.DEFER) or spec.can_ask:
        return opinion
    return Opinion.NONE if spec.form in (Form.BEHAVIOR, Form.CONTINUE) else Opinion.DENY


def _extras(readings: Sequence[Reading], body: dict[str, Any], specific: dict[str, Any]) -> None:
    """Further fields: texts for the model or the person are joined, of others the first stands."""
    for reading in readings:
        for source, into in ((reading.top, body), (reading.specific, specific)):
            for key, value in source.items():
                if key in ("additionalContext", "systemMessage") and key in into and value not in into[key]:
                    into[key] = f"{into[key]}\n{value}"
                elif key not in into and key != "content":
                    into[key] = value


def _deny(
    spec: EventSpec, readings: Sequence[Reading], reason: str, body: dict[str, Any], specific: dict[str, Any]
) -> None:
    if spec.form is Form.PERMISSION:
        specific.update(permissionDecision="deny", permissionDecisionReason=reason)
    elif spec.form is Form.BEHAVIOR:
        decision: dict[str, Any] = {"behavior": "deny", "message": reason}
        if any(reading.behavior.get("interrupt") for reading in readings):
            decision["interrupt"] = True
        specific["decision"] = decision
    elif spec.form is Form.ACTION:
        specific["action"] = "cancel" if any(reading.action == "cancel" for reading in readings) else "decline"
        body["systemMessage"] = "\n".join(filter(None, (body.get("systemMessage"), reason)))
    else:
        body.update(decision="block", reason=reason)


def _allow(spec: EventSpec, verdict: Verdict, reason: str, specific: dict[str, Any]) -> None:
    if spec.form is Form.PERMISSION:
        specific["permissionDecision"] = "allow"
        if verdict.reason:
            specific["permissionDecisionReason"] = reason
    elif spec.form is Form.BEHAVIOR:
        decision: dict[str, Any] = {"behavior": "allow"}
        updates = next(
            (r.behavior["updatedPermissions"] for r in verdict.readings if "updatedPermissions" in r.behavior), None
        )
        if updates is not None:
            decision["updatedPermissions"] = updates
        specific["decision"] = decision
    elif spec.form is Form.ACTION:
        # Answering in the person's stead: only where an output says so, in the event's own word.
        accepting = next((r for r in verdict.readings if r.action == "accept"), None)
        if accepting is not None:
            specific["action"] = "accept"
            if "content" in accepting.specific:
                specific["content"] = accepting.specific["content"]


def _stop(readings: Sequence[Reading], body: dict[str, Any]) -> None:
    """`continue: false` ends the turn but stops no call: only beside a denial that stands on its own."""
    stopping = next((r for r in readings if r.stops and r.opinion is Opinion.DENY), None)
    if stopping is not None:
        body["continue"] = False
        if stopping.stop_reason:
            body["stopReason"] = stopping.stop_reason
