"""Outputs that say something else than their rule's effect, or something that the event does not take."""

from collections.abc import Iterator
from typing import Any

from hookgate.hooks.catalog import EVENTS, EventSpec
from hookgate.hooks.opinion import Dropped, Opinion, read
from hookgate.pdp.decision import Output
from hookgate.policies.expression import Conditional, Listing, Literal, Mapping, Name, Node, Select
from hookgate.policies.finding import Finding, Kind
from hookgate.policies.model import DENY, Expression, Policy, Rule
from hookgate.policies.reading import tree

_MAX_WAYS = 16

_WHY = {
    "unknown_field": "{event} has no such field",
    "wrong_type": "it has the wrong type for {event}",
    "no_opinion": "that is none of the words for an opinion (allow, deny, ask, block, …)",
    "no_defer": "only PreToolUse takes defer; it counts as ask",
    "other_event": "it names another event than {event}",
    "no_effect": "it changes nothing",
    "not_an_object": "an answer is made of objects only",
    "without_allow_or_ask": "a changed input travels only beside an allow or ask of the same output",
    "contradicts_itself": "the output changes the input twice, differently",
}


class _Computed:
    """A value that is known only when it is asked."""


_COMPUTED = _Computed()


def misleading_outputs(policy: Policy) -> Iterator[Finding]:
    """Finds outputs that disagree with their effect, and parts of outputs that are left out of every answer."""
    spec = EVENTS.get(policy.kind)
    if spec is None:
        return
    for rule in policy.rules:
        found: dict[tuple[Kind, str], Finding] = {}
        for output in (*rule.outputs, *rule.outputs_unmet):
            for value in _values(output, policy):
                for finding in _judged(value, output, policy, rule, spec):
                    found.setdefault((finding.kind, finding.message), finding)
        yield from found.values()


def _judged(value: Any, output: Expression, policy: Policy, rule: Rule, spec: EventSpec) -> Iterator[Finding]:
    reading = read(Output(rule.title, value), spec)
    for dropped in reading.dropped:
        yield Finding(
            Kind.OUTPUT_NOT_ACCEPTED,
            policy.file,
            output.line,
            rule.title,
            f"{dropped.field or 'the output'} is left out of the answer: {_why(dropped, spec)}",
            f"leave it out, or write it as {spec.name} takes it",
        )
    contradiction = _contradiction(rule, reading.opinion) if output in rule.outputs else None
    if contradiction is not None:
        message, mend = contradiction
        yield Finding(Kind.OUTPUT_CONTRADICTS_EFFECT, policy.file, output.line, rule.title, message, mend)


def _contradiction(rule: Rule, opinion: Opinion) -> tuple[str, str] | None:
    if rule.effect == DENY and opinion in (Opinion.ALLOW, Opinion.DEFER, Opinion.ASK):
        word = opinion.name.lower()
        mend = "effect: EFFECT_ALLOW, if the person is to be asked" if opinion is Opinion.ASK else "let the output deny"
        return f"the rule denies and its output says {word}: the call is denied, the output dropped", mend
    if rule.effect != DENY and opinion is Opinion.DENY:
        return (
            "the rule allows and its output denies: the call is denied (outputs.stricter_than_effect: drop would allow it)",
            "effect: EFFECT_DENY",
        )
    return None


def _why(dropped: Dropped, spec: EventSpec) -> str:
    return _WHY.get(dropped.why, dropped.why).format(event=spec.name)


def _values(expression: Expression, policy: Policy) -> list[Any]:
    """Gives what an output can be, without the parts that are only known when it is asked."""
    root = tree(expression)
    if root is None:
        return []
    return [_known(value) for value in _ways(root, policy) if value is not _COMPUTED]


def _ways(node: Node, policy: Policy, depth: int = 0) -> list[Any]:
    """Gives the values that an expression can have, one for each way through its conditionals."""
    match node:
        case Literal(value=value):
            return [value]
        case Conditional(then=then, otherwise=otherwise):
            return (_ways(then, policy, depth) + _ways(otherwise, policy, depth))[:_MAX_WAYS]
        case Select(of=Name(name="C" | "constants"), field=name):
            return [policy.constants.get(name, _COMPUTED)]
        case Select(of=Name(name="V" | "variables"), field=name) if name in policy.variables and depth < _MAX_WAYS:
            root = tree(policy.variables[name])
            return _ways(root, policy, depth + 1) if root is not None else [_COMPUTED]
        case Mapping(entries=entries):
            ways: list[Any] = [{}]
            for key, item in entries:
                if isinstance(key, Literal):
                    some = _ways(item, policy, depth)
                    ways = [{**way, str(key.value): one} for way in ways for one in some][:_MAX_WAYS]
            return ways
        case Listing(items=items):
            ways = [[]]
            for item in items:
                ways = [[*way, one] for way in ways for one in _ways(item, policy, depth)][:_MAX_WAYS]
            return ways
    return [_COMPUTED]


def _known(value: Any) -> Any:
    """Leaves out what is computed: it may well be right."""
    if isinstance(value, dict):
        return {key: _known(item) for key, item in value.items() if not _is_computed(item)}
    return value


def _is_computed(value: Any) -> bool:
    if isinstance(value, list):
        return any(_is_computed(item) for item in value)
    return value is _COMPUTED
