"""What an expression misses, about a Read call and a Bash call as the client sends them."""

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from hookgate.config.tree import Pdp
from hookgate.facts import facts_of
from hookgate.hooks.decode import Read
from hookgate.hooks.event import event_from
from hookgate.identity.principal import Principal, Source
from hookgate.pdp.decision import Effect
from hookgate.pdp.question import question_for
from hookgate.pdp.request import Question
from hookgate.policies.attributes import calls
from hookgate.policies.expression import Node, parse
from hookgate.policies.presence import Surroundings, evaluate
from hookgate.policies.shape import Known
from tests.policies.pdp import running

PATH = "R.attr.tool_input.file_path"


def missed(text: str, action: str, variables: dict[str, str] | None = None) -> set[str]:
    def variable(name: str) -> Node | None:
        return parse(variables[name]) if variables and name in variables else None

    found: set[str] = set()
    for call in calls("PreToolUse", [action]):
        found |= evaluate(parse(text), Surroundings({"request": call.request}, {"tool": "Read"}, variable)).missing
    return found


MISSED = [
    f'{PATH} == "x"',
    'request.resource.attr.tool_input.file_path == "x"',
    'R.attr["tool_input"]["file_path"] == "x"',
    f'{PATH}.matches(".*")',
    f'P.id == "x" && {PATH} == "x"',
    f'P.id == "x" || {PATH} == "x"',
    f'P.id == "x" ? {PATH} == "x" : false',
    f"R.attr.facts.paths.exists(p, p.path == {PATH})",
    f"!has({PATH}) && {PATH} == 'x'",
    f"[{PATH}, 'x'].exists(p, p == 'x')",
    f'{{"reason": {PATH}}}',
    "V.path == 'x'",
    "variables.path == 'x'",
    f"cel.bind(p, {PATH}, p == 'x')",
    f"R.attr.tool_name != 'Read' && {PATH} == 'x'",
    f"R.attr.tool_name in ['Bash', 'Read'] && {PATH} == 'x'",
    f"R.attr.tool_name.matches('^B') && {PATH} == 'x'",
]

GUARDED = [
    f'has({PATH}) && {PATH} == "x"',
    f'{PATH} == "x" && has({PATH})',
    f'!has({PATH}) || {PATH} == "x"',
    f'has({PATH}) ? {PATH} == "x" : false',
    f'"file_path" in R.attr.tool_input && {PATH} == "x"',
    f'R.attr.tool_name == "Read" && {PATH} == "x"',
    f'R.attr.tool_name in ["Read", "Write"] && {PATH} == "x"',
    f'R.attr.tool_name.startsWith("R") && {PATH} == "x"',
    f'R.attr.tool_name == C.tool && {PATH} == "x"',
    'R.attr.tool_input.?file_path.orValue("") == "x"',
    'R.attr.tool_input[?"file_path"].orValue("") == "x"',
    'R.attr.?nothing.there.at.all.orValue("") == "x"',
    "R.attr.tool_input.exists(key, R.attr.tool_input[key] == 'x')",
    "R.attr.facts.paths.exists(p, p.folded == 'x' && p.inside_project)",
    "R.attr.facts.hosts.exists(h, h.name == 'x')",
    "has(R.attr.tool_input.command) && V.command == 'x'",
    f"false && {PATH} == 'x'",
    "P.attr.verified && 'x' in P.roles && P.attr.source == 'header'",
    "has(P.attr.claims.team) && P.attr.claims.team == 'x'",
    "request.aux_data.jwt.sub == 'x'",
]


@pytest.mark.parametrize("text", MISSED)
def test_reading_what_is_not_there_is_missed(text: str) -> None:
    assert missed(text, "Bash", VARIABLES) == {PATH}


@pytest.mark.parametrize("text", GUARDED)
@pytest.mark.parametrize("action", ["Read", "Bash"])
def test_what_is_guarded_or_there_is_not_missed(text: str, action: str) -> None:
    assert missed(text, action, VARIABLES) == set()


def test_what_the_tool_has_is_not_missed() -> None:
    assert missed(f'{PATH} == "x"', "Read") == set()
    assert missed("R.attr.tool_input.command == 'x'", "Bash") == set()


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("R.attr.tool_input.limit > 5", "R.attr.tool_input.limit"),
        ("R.attr.agent_id == 'x'", "R.attr.agent_id"),
        ("R.attr.effort.level == 'high'", "R.attr.effort"),
        ("has(R.attr.nothing.there)", "R.attr.nothing"),
        ("R.attr.facts.paths.exists(p, p.name == 'x')", "R.attr.facts.paths[].name"),
        ("P.attr.department == 'x'", "P.attr.department"),
        ("P.attr.claims.team == 'x'", "P.attr.claims.team"),
    ],
)
def test_what_only_some_requests_have_is_missed(text: str, path: str) -> None:
    assert missed(text, "Read") == {path}


def test_the_pdp_fails_where_it_is_said_to_and_nowhere_else(tmp_path: Path, cerbos: Path) -> None:
    """Each expression as the condition of a DENY beside an ALLOW: a failure denies strictly and allows leniently."""
    texts = [text for text in MISSED + GUARDED if "request.aux_data" not in text]
    (tmp_path / "policy.json").write_text(json.dumps(_policy(texts)))
    with running(cerbos, tmp_path) as strict, running(cerbos, tmp_path, strict=False) as lenient:
        for number, text in enumerate(texts):
            for tool in ("Read", "Bash"):
                answers = [pdp.ask(_question(tool, f"a{number}")).effect for pdp in (strict, lenient)]
                failed = answers == [Effect.DENY, Effect.ALLOW]
                said = bool(missed(text, tool, VARIABLES))
                # What depends on a value may go well with this one.
                assert failed <= said, f"{text} fails for {tool}, which goes unsaid"
                if not any(depends in text for depends in ("P.id", "P.attr", "!has", "facts")):
                    assert failed == said, f"{text} is said to fail for {tool}"


VARIABLES = {"path": PATH, "command": "R.attr.tool_input.command"}


def _policy(texts: list[str]) -> dict[str, Any]:
    rules: list[dict[str, Any]] = [
        {
            "actions": [f"a{number}"],
            "effect": "EFFECT_DENY",
            "roles": ["*"],
            "condition": {"match": {"expr": text.replace('{"reason": ', '{"reason": ""} != {"reason": ')}},
        }
        for number, text in enumerate(texts)
    ]
    rules.append({"actions": ["*"], "effect": "EFFECT_ALLOW", "roles": ["*"]})
    return {
        "apiVersion": "api.cerbos.dev/v1",
        "resourcePolicy": {
            "resource": "PreToolUse",
            "version": "default",
            "variables": {"local": VARIABLES},
            "constants": {"local": {"tool": "Read"}},
            "rules": rules,
        },
    }


def _question(tool: str, action: str) -> Question:
    tool_input = {"Read": {"file_path": "y"}, "Bash": {"command": "y"}}[tool]
    event = event_from(
        Read(
            {"hook_event_name": "PreToolUse", "tool_name": tool, "tool_input": tool_input}, altered=False, truncated=()
        )
    )
    principal = Principal("someone", ("claude_user",), Source.HEADER)
    question = question_for(event, principal, facts_of(event), Pdp(address=""), scope="", decision_id="x")
    return replace(question, action=action)


def test_of_a_tool_that_was_never_recorded_everything_may_be_there() -> None:
    assert missed("R.attr.tool_input.anything == 'x'", "PowerShell") == set()
    assert missed("R.attr.tool_input.title == 'x'", "mcp__github__create_issue") == set()


def test_of_mcp_tools_at_large_nothing_is_known() -> None:
    assert missed("R.attr.tool_input.title == 'x'", "mcp__**") == {"R.attr.tool_input.title"}


def test_a_variable_that_uses_itself_ends() -> None:
    assert missed("V.a", "Bash", {"a": "V.b", "b": "V.a"}) == set()


def test_what_is_always_the_same_settles_a_condition() -> None:
    (call, *_) = calls("PreToolUse", ["Bash"])
    around = Surroundings({"request": call.request})
    assert evaluate(parse('R.attr.tool_name == "Bash" && R.kind == "PreToolUse"'), around).shape == Known(True)
    assert evaluate(parse('!(R.attr.tool_name.contains("ash"))'), around).shape == Known(False)
