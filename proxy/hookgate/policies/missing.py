"""Rules that read what some of their actions lack.

Under strict evaluation a condition that fails denies, so that a rule about `file_path` on every action denies every Bash
call; without it the rule is passed over, so that a DENY fails open. Neither is what was meant.
"""

from collections import defaultdict
from collections.abc import Iterator

from hookgate.hooks.catalog import EVENTS
from hookgate.policies.attributes import UNHEARD, UNHEARD_MCP, Call, calls
from hookgate.policies.finding import Finding, Kind
from hookgate.policies.model import Expression, Policy, Rule
from hookgate.policies.presence import Surroundings, evaluate
from hookgate.policies.reading import judged, surroundings, tree
from hookgate.policies.shape import Known

_SHOWN = 4


def missing_attributes(policy: Policy) -> Iterator[Finding]:
    """Finds the attributes that a rule reads and that calls with its actions lack."""
    if policy.kind not in EVENTS:
        return
    seen: dict[Call, Surroundings] = {}
    for rule in policy.rules:
        in_condition: dict[str, set[str]] = defaultdict(set)
        in_output: dict[str, set[str]] = defaultdict(set)
        for call in calls(policy.kind, rule.actions):
            if call not in seen:
                seen[call] = surroundings(policy, call.request)
            around = seen[call]
            met = judged(rule.condition, around)
            for name in rule.derived_roles:
                role = policy.derived_roles.get(name)
                met = met.also(judged(role.condition, around)) if role is not None else met
            for path in met.missing:
                in_condition[path].add(call.action)
            if not met.missing and not (isinstance(met.shape, Known) and met.shape.value is False):
                for path in _missed_by_outputs(rule, around):
                    in_output[path].add(call.action)
        for path, actions in sorted(in_condition.items()):
            yield _in_condition(policy, rule, path, sorted(actions))
        for path, actions in sorted(in_output.items()):
            yield _in_output(policy, rule, path, sorted(actions))


def _missed_by_outputs(rule: Rule, around: Surroundings) -> Iterator[str]:
    for output in rule.outputs:
        root = tree(output)
        if root is not None:
            yield from evaluate(root, around).missing


def _in_condition(policy: Policy, rule: Rule, path: str, actions: list[str]) -> Finding:
    skipped = "fails open" if rule.effect.endswith("DENY") else "does not apply"
    return Finding(
        Kind.MISSING_ATTRIBUTE,
        policy.file,
        _line(rule, path),
        rule.title,
        f"reads {path}, which {_lacking(path, actions)}: strict evaluation denies those calls,"
        f" without it the rule {skipped} there",
        _mend(path),
    )


def _in_output(policy: Policy, rule: Rule, path: str, actions: list[str]) -> Finding:
    return Finding(
        Kind.MISSING_ATTRIBUTE,
        policy.file,
        rule.outputs[0].line,
        rule.title,
        f"its output reads {path}, which {_lacking(path, actions)}: the output fails there, and what it says is lost",
        _mend(path),
    )


def _lacking(path: str, actions: list[str]) -> str:
    """Says who lacks it."""
    if path.startswith("P.attr.claims."):
        return "a principal without that claim lacks (there are none with identities from headers)"
    if path.startswith("P."):
        return "Hookgate does not send (P.attr has verified, source and claims)"
    names = [action for action in actions if action not in (UNHEARD, UNHEARD_MCP, "event")]
    # MCP tools are named as one: what the recorded ones have says nothing of others.
    told = [name for name in names if not name.startswith("mcp__")]
    if any(action.startswith("mcp__") for action in actions):
        told.append("MCP tools")
    if len(told) > _SHOWN + 1:
        told = [*told[:_SHOWN], f"{len(told) - _SHOWN} more tools"]
    if UNHEARD in actions:
        told.append("tools yet unknown")
    if not told:
        return "the event may come without"
    return f"{', '.join(told[:-1])} and {told[-1]} lack" if len(told) > 1 else f"{told[0]} may come without"


def _mend(path: str) -> str:
    guard = f"guard it: has({path}) && …" if "[]" not in path else f"use what is there: {path} is not"
    if path.startswith("R.attr.tool_input."):
        return f"name under actions only the tools that have it, or {guard}"
    if path.startswith("P.attr.") and not path.startswith("P.attr.claims"):
        return f"read it from the identity's claims, guarded: has(P.attr.claims.{path.rpartition('.')[2]}) && …"
    return guard


def _line(rule: Rule, path: str) -> int:
    """Gives the line of the rule's expression that names the attribute; the rule's, where it comes by way of another file."""
    written = list(rule.condition.expressions()) if rule.condition is not None else []
    name = path.rpartition(".")[2]
    named = [expression for expression in written if name in expression.text]
    return (named or written or [Expression("", rule.line)])[0].line
