"""The policy and its tests as text. What callers have named stands in it as data, quoted, and in comments made harmless."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from hookgate.harmless import harmless
from hookgate.suggest.danger import Danger
from hookgate.suggest.survey import EVENT, Call, Survey

_REASONS = {
    "deny": "Not allowed: {what}. Ask a person.",
    "ask": "A person should look at this: {what}.",
}
_SHOWN, _CHARACTERS = 15, 100
_NAME_CHARACTERS = 60


@dataclass(slots=True)
class Occurrence:
    """How often a danger was seen: in calls that nobody held up, by how many people, and in others."""

    ordinary: int = 0
    held: int = 0
    people: set[str] = field(default_factory=set)
    #: What one of them was about.
    subject: str = ""
    #: One that was held up, to be a test.
    call: Call | None = None


@dataclass(frozen=True, slots=True)
class Suggestion:
    """The files, by name, and which dangers are forbidden or asked about, and which were seen and left as they are."""

    files: Mapping[str, str]
    active: tuple[str, ...]
    left: tuple[str, ...]


def policy(survey: Survey, dangers: Sequence[Danger], seen: Mapping[str, Occurrence], period: str) -> str:
    """Gives the policy's text. A danger that was seen in ordinary calls is a comment."""
    constants: dict[str, Any] = {"tools": {role: sorted(found) for role, found in sorted(survey.tools.items())}}
    if survey.knows_programs:
        constants["programs"] = {role: sorted(found) for role, found in sorted(survey.programs.items())}
    lines = [
        f"# A first policy, from {survey.ordinary:,} calls that nobody held up, of {survey.calls:,} in all ({period}).",
        f"# It changes none of them{_but(survey)}: what they did goes on without an opinion, so that the client's own rules and prompts count.",
        "# Dangers that did not occur are forbidden or asked about; those that did are comments, with how often: decide.",
        "#",
        *_comments(_in_use(survey)),
        "apiVersion: api.cerbos.dev/v1",
        "resourcePolicy:",
        f"  resource: {EVENT}",
        "  version: default",
        "  constants:",
        "    local:",
        *_indented(_yaml(constants), 6),
        "  rules:",
    ]
    for danger in dangers:
        found = seen.get(danger.name, Occurrence())
        lines += [f"    # {danger.what[0].upper()}{danger.what[1:]}. {_occurred(found)}"]
        rule = _rule(danger.name, danger.answer, danger.expr, _REASONS[danger.answer].format(what=danger.what))
        lines += [f"    # {line[4:]}" for line in rule] if found.ordinary else rule
    lines += [
        "    # A tool that nobody with these roles has used.",
        *_rule(
            "new-tool",
            "ask",
            "!P.roles.exists(r, r in C.tools && R.attr.tool_name in C.tools[r])",
            "Nobody of your role has used this tool until now.",
        ),
    ]
    if survey.knows_programs:
        lines += [
            "    # A program that nobody with these roles has run.",
            *_rule(
                "new-program",
                "ask",
                "R.attr.facts.commands.exists(c, !P.roles.exists(r, r in C.programs && c.program in C.programs[r]))",
                "Nobody of your role has run this program until now.",
            ),
        ]
    lines += [
        "    # All else goes on as the client's own rules have it.",
        "    - name: everything-else",
        '      actions: ["*"]',
        "      effect: EFFECT_ALLOW",
        '      roles: ["*"]',
    ]
    return "\n".join(lines) + "\n"


def tests(survey: Survey, dangers: Sequence[Danger], seen: Mapping[str, Occurrence]) -> str:
    """Gives the tests: of each role and tool a call that was ordinary, of each danger one that was held up."""
    calls = [(call, "EFFECT_ALLOW", f"{role} uses {tool}") for (role, tool), call in sorted(survey.examples.items())]
    for danger in dangers:
        found = seen.get(danger.name)
        if found is not None and found.call is not None and not found.ordinary and danger.answer == "deny":
            calls.append((found.call, "EFFECT_DENY", f"{danger.name} is denied"))
    suite: dict[str, Any] = {"name": "Calls that were seen", "principals": {}, "resources": {}, "tests": []}
    for number, (call, effect, name) in enumerate(calls, start=1):
        who, what = f"caller{number}", f"call{number}"
        suite["principals"][who] = {"id": call.user, "roles": list(call.roles)}
        suite["resources"][what] = {"kind": EVENT, "id": call.id, "attr": call.attributes}
        suite["tests"].append(
            {
                "name": f"{number}: {harmless(name, 160)}",
                "input": {"principals": [who], "resources": [what], "actions": [call.tool]},
                "expected": [{"principal": who, "resource": what, "actions": {call.tool: effect}}],
            }
        )
    return "# Calls as they were recorded, secrets taken out: what was ordinary stays allowed.\n" + _yaml(suite)


def _but(survey: Survey) -> str:
    unknown = survey.bare + survey.partial
    return f" that is recorded whole ({unknown:,} are not, and can't be told)" if unknown else ""


def _in_use(survey: Survey) -> Iterable[str]:
    for role, found in sorted(survey.tools.items()):
        people = len(survey.people.get(role, ()))
        yield f"{_name(role)}: {people:,} {'person' if people == 1 else 'people'}"
        yield f"  tools: {_counted(found.most_common())}"
        if programs := survey.programs.get(role):
            yield f"  programs: {_counted(programs.most_common())}"
    if survey.subcommands:
        yield f"Command classes in use: {_counted(survey.subcommands.most_common())}"
    if survey.bare:
        yield f"Of {survey.bare:,} calls only metadata was recorded: which programs they ran, and what they touched, is not known."
        yield "So no rule goes by programs, and a danger that was not seen may have been there: try it with `hookgate whatif`."
    if survey.partial:
        yield f"Of {survey.partial:,} calls a part of the facts was redacted or cut."
    if survey.too_many:
        yield "There are too many roles, tools or programs for a rule that knows all of them."


def _counted(found: Sequence[tuple[str, int]]) -> str:
    told = ", ".join(f"{_name(name)} {count:,}" for name, count in found[:_SHOWN])
    return told + (f", and {len(found) - _SHOWN} more" if len(found) > _SHOWN else "")


def _occurred(found: Occurrence) -> str:
    if not found.ordinary:
        return f"Held up {found.held:,} times, never let through." if found.held else "Not seen."
    people = f"{len(found.people):,} {'person' if len(found.people) == 1 else 'people'}"
    return (
        f"Let through {found.ordinary:,} times, of {people}, such as: {harmless(found.subject, _CHARACTERS)}"
        f" (held up {found.held:,} times)"
    )


def _rule(name: str, answer: str, expr: str, reason: str) -> list[str]:
    output = json.dumps({"hookSpecificOutput": {"permissionDecision": answer, "permissionDecisionReason": reason}})
    return [
        f"    - name: {name}",
        '      actions: ["*"]',
        f"      effect: EFFECT_{'DENY' if answer == 'deny' else 'ALLOW'}",
        '      roles: ["*"]',
        "      condition:",
        "        match:",
        "          expr: >-",
        *_indented(expr, 12),
        "      output:",
        "        when:",
        "          ruleActivated: |-",
        f"            {output}",
    ]


def _comments(lines: Iterable[str]) -> list[str]:
    return [f"# {line}" for line in lines]


def _indented(text: str, by: int) -> list[str]:
    return [" " * by + line for line in text.splitlines()]


def _yaml(value: Any) -> str:
    # ASCII only, so that nothing hides in it; no anchors.
    return yaml.dump(value, Dumper=_Plain, sort_keys=False, allow_unicode=False, width=160, default_flow_style=None)


class _Plain(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True

    def check_simple_key(self) -> bool:
        # Long and odd keys stand in quotes on one line: Cerbos's reader takes no `? key`.
        return isinstance(self.event, yaml.ScalarEvent) or super().check_simple_key()


def _name(text: str) -> str:
    return harmless(text, _NAME_CHARACTERS) or "(none)"
