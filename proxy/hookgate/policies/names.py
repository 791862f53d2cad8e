"""Names that mean nothing or less than they seem to: of events, of actions, with wildcards; and patterns that end with a line."""

import difflib
import re
from collections.abc import Iterator, Mapping

from hookgate.hooks.catalog import EVENTS, EventSpec
from hookgate.policies.actions import names_one, seems_wild
from hookgate.policies.attributes import calls
from hookgate.policies.expression import Call, Literal, Select
from hookgate.policies.finding import Finding, Kind
from hookgate.policies.model import DENY, Policy
from hookgate.policies.reading import conditions, line_in, nodes

#: Texts of several lines, by the last part of their name.
_TEXTS = {"command", "prompt", "content", "new_string", "new_source", "script"}
_DOT = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|(\.)", re.DOTALL)
_EDGES = re.compile(r"^(?:\(\?[a-z]+\))?\^?(?:\.\*\??)?(.*?)(?:\.\*\??)?\$?$", re.DOTALL)


def misnamed_events(policy: Policy) -> Iterator[Finding]:
    """Finds a resource that is nearly the name of an event: no call would ever ask about it."""
    if policy.kind in EVENTS or ":" in policy.kind:
        return
    by_case = {name.casefold(): name for name in EVENTS}
    near = difflib.get_close_matches(policy.kind.casefold(), by_case, n=1, cutoff=0.8)
    if near:
        yield Finding(
            Kind.UNKNOWN_EVENT,
            policy.file,
            policy.line,
            "",
            f"there is no event {policy.kind}: the policy is never asked, and calls go on without an opinion",
            f"resource: {by_case[near[0]]}",
        )


def misnamed_actions(policy: Policy) -> Iterator[Finding]:
    """Finds actions that never come up: what looks like a wildcard and is none, what the event does not have, the wrong case."""
    spec = EVENTS.get(policy.kind)
    if spec is None:
        return
    tools = {call.action.casefold(): call.action for call in calls(policy.kind, ["*"])}
    for rule in policy.rules:
        for action in rule.actions:
            told = _misnamed(action, spec, tools)
            if told is not None:
                why, mend = told
                message = f"the action {action} never comes up: {why}"
                yield Finding(Kind.UNKNOWN_ACTION, policy.file, rule.line, rule.title, message, mend)


def _misnamed(action: str, spec: EventSpec, tools: Mapping[str, str]) -> tuple[str, str] | None:
    if seems_wild(action):
        return "without a * Cerbos takes it as it stands", "write the names one by one"
    if not spec.tool:
        never = names_one(action) and action != "event"
        return (f"{spec.name} has no tool, its one action is event", "actions: [event]") if never else None
    if action == "event":
        return f"the actions of {spec.name} are the names of tools", 'write the tools\' names, or "*" for all'
    right = tools.get(action.casefold(), action)
    return (f"tools' names are told apart by case, this one is {right}", f"write {right}") if right != action else None


def narrow_wildcards(policy: Policy) -> Iterator[Finding]:
    """Finds denials of MCP tools that miss those with a colon in their name."""
    if policy.kind not in EVENTS:
        return
    for rule in policy.rules:
        for action in rule.actions:
            if rule.effect == DENY and action.startswith("mcp__") and action.endswith("*") and "**" not in action:
                yield Finding(
                    Kind.WILDCARD_STOPS_AT_COLON,
                    policy.file,
                    rule.line,
                    rule.title,
                    f"{action} does not match a tool with a colon in its name, so the rule does not deny it",
                    f"write {action}*",
                )


def line_bound_patterns(policy: Policy) -> Iterator[Finding]:
    """Finds denials by a pattern that a line break in the text slips through."""
    if policy.kind not in EVENTS:
        return
    for rule in policy.rules:
        if rule.effect != DENY:
            continue
        for expression in conditions(policy, rule):
            for node in nodes(policy, expression):
                match node:
                    case Call(name="matches", of=Select(field=field), arguments=(Literal(value=str(pattern)),)) if (
                        field in _TEXTS and stops_at_line(pattern)
                    ):
                        yield Finding(
                            Kind.PATTERN_STOPS_AT_LINE,
                            policy.file,
                            line_in(rule, expression),
                            rule.title,
                            f"in {pattern} the dot does not match a line break: a {field} that is broken there gets through",
                            f"begin the pattern with (?s): (?s){pattern}",
                        )


def stops_at_line(pattern: str) -> bool:
    """Whether a dot inside a pattern, not at its ends, keeps it from matching across lines."""
    if re.match(r"\(\?[a-zA-Z]*s", pattern):
        return False
    inside = _EDGES.match(pattern)
    return any(dot.group(1) for dot in _DOT.finditer(inside.group(1))) if inside else False
