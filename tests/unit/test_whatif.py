"""What policies read, what a record does not hold of it, and bounds on what may change."""

import json
import operator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookgate.config.audit import Level
from hookgate.outcome import Outcome
from hookgate.policies.source import policies_in
from hookgate.whatif.asked_again import Request, Why, asked_again
from hookgate.whatif.bound import NAMES, BoundError, bound
from hookgate.whatif.change import Change, change_of
from hookgate.whatif.html import page
from hookgate.whatif.model import Example, Result
from hookgate.whatif.reads import Reads, reads_in
from tests.support.asked import asked

TOKEN = "ghp_" + "a1B2" * 9
POLICY = """
apiVersion: api.cerbos.dev/v1
resourcePolicy:
  resource: {kind}
  version: default
  variables: {{import: [shared]}}
  importDerivedRoles: [roles]
  constants: {{local: {{text: "R.attr ((( no expression"}}}}
  rules:
    - {{actions: ["*"], effect: EFFECT_ALLOW, roles: ["*"], condition: {{match: {{all: {{of: [{{expr: {expr}}}]}}}}}}}}
"""
SHARED = 'exportVariables: {name: shared, definitions: {import: "R.attr.tool_input[\\"file_path\\"]"}}'
READS_TITLE = {
    "resourcePolicy": {
        "resource": "Stop",
        "version": "default",
        "rules": [
            {
                "actions": ["*"],
                "effect": "EFFECT_DENY",
                "roles": ["*"],
                "condition": {"match": {"expr": "R.attr.title == 'x'"}},
            }
        ],
    }
}
ROLES = 'derivedRoles: {name: roles, definitions: [{name: owner, parentRoles: [a], condition: {match: {expr: "P.attr.claims.team == 1"}}}]}'


@pytest.mark.parametrize(
    ("expr", "resource", "principal", "unrecorded"),
    [
        ("R.attr.tool_input.command.contains('x')", {("tool_input", "command")}, set(), set()),
        ("has(request.resource.attr.prompt)", {("prompt",)}, set(), set()),
        ("R.attr.facts.paths.exists(p, p.path == 'a')", {("facts", "paths")}, set(), set()),
        ("R.attr.tool_input.exists(k, k == 'a')", {("tool_input",)}, set(), set()),
        ("R.attr[R.attr.tool_name] == 1", {(), ("tool_name",)}, set(), set()),
        ("R.attr.?effort.orValue('') == ''", {("effort",)}, set(), set()),
        ("[R].map(r, r.attr.a)", {()}, set(), set()),
        ("'a' in P.roles && P.id == R.id", set(), set(), set()),
        ("P.attr.attributes.team == 'x'", set(), {("attributes", "team")}, set()),
        ("now() > timestamp('2026-01-01T00:00:00Z')", set(), set(), {"clock"}),
        ("request.aux_data.jwt.iss == 'x'", set(), set(), {"token"}),
        ("G.region == 'x'", set(), set(), {"globals"}),
        ("request == request", {()}, {()}, {"token"}),
        ("R.attr.a +", {()}, {()}, set()),
    ],
)
def test_what_policies_read_is_found_and_more_than_that_in_doubt(
    expr: str, resource: set[tuple[str, ...]], principal: set[tuple[str, ...]], unrecorded: set[str], tmp_path: Path
) -> None:
    (tmp_path / "policy.yaml").write_text(POLICY.format(kind="PreToolUse", expr=f'"{expr}"'))
    (tmp_path / "shared.yaml").write_text(SHARED)
    (tmp_path / "roles.yaml").write_text(ROLES)
    (tmp_path / "policy_test.yaml").write_text("tests: R.attr.never")
    reads = reads_in(tmp_path)
    found = reads.of("PreToolUse")
    assert found.resource == resource | {("tool_input", "file_path")}
    assert found.principal == principal | {("claims", "team")}
    assert found.unrecorded == unrecorded
    assert reads.of("Stop") == Reads()


def test_policies_of_principals_count_for_every_event(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(
        "principalPolicy: {principal: alex, version: default, variables: {local: {a: R.attr.title}}, rules: []}"
    )
    assert reads_in(tmp_path).of("Stop").resource == {("title",)}


@pytest.mark.parametrize(
    "text",
    [
        "a: [",
        "a: &a [*a]",
        "a: &a [1]\nb: *a",
        "resourcePolicy: {resource: X, importDerivedRoles: 5}",
        "resourcePolicy: {resource: X, variables: {import: 5}}",
        "exportVariables: {name: x}\n---\nresourcePolicy: {resource: X, variables: {import: [[]]}, importDerivedRoles: 1.5}",
    ],
)
def test_what_can_not_be_taken_apart_counts_as_reading_everything(text: str, tmp_path: Path) -> None:
    (tmp_path / "two.yaml").write_text(text)
    assert () in reads_in(tmp_path).of("Stop").resource


def test_few_lines_that_mean_very_many_take_no_time(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60))]
    (tmp_path / "bomb.yaml").write_text("\n".join(lines))
    assert () in reads_in(tmp_path).of("Stop").resource


@pytest.mark.parametrize("place", ["_shared/a.yaml", "a.YAML", "_a.Json", "below/_schemas/a.yml"])
def test_files_that_cerbos_takes_for_policies_count(place: str, tmp_path: Path) -> None:
    file = tmp_path / place
    file.parent.mkdir(exist_ok=True, parents=True)
    file.write_text(json.dumps(READS_TITLE))
    assert reads_in(tmp_path).of("Stop").resource == {("title",)}
    assert [policy.kind for policy in policies_in(tmp_path)] == ["Stop"]


@pytest.mark.parametrize("place", ["_schemas/a.json", "x/testdata/a.yaml", ".x/a.yaml", ".a.yaml", "a_TEST.yaml"])
def test_files_that_cerbos_passes_over_do_not(place: str, tmp_path: Path) -> None:
    file = tmp_path / place
    file.parent.mkdir(exist_ok=True, parents=True)
    file.write_text(json.dumps(READS_TITLE))
    assert reads_in(tmp_path).of("Stop") == Reads()
    assert policies_in(tmp_path) == ()


def test_names_with_underscores_are_the_same_fields(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        "resource_policy: {resource: Stop, version: default, import_derived_roles: [r_1], variables: {local: {my_own: R.attr.c}},"
        " rules: [{actions: ['*'], effect: EFFECT_ALLOW, derived_roles: [o], output: {when: {rule_activated: R.attr.a,"
        " condition_not_met: R.attr.b}}}]}"
    )
    (tmp_path / "r.yaml").write_text(
        "derived_roles: {name: r_1, definitions: [{name: o, parent_roles: [x], condition: {match: {expr: P.attr.d}}}]}"
    )
    found = reads_in(tmp_path).of("Stop")
    assert found == Reads(frozenset({("a",), ("b",), ("c",)}), frozenset({("d",)}))
    (policy,) = policies_in(tmp_path)
    assert [one.text for one in (*policy.rules[0].outputs, *policy.rules[0].outputs_unmet)] == ["R.attr.a", "R.attr.b"]
    assert (*policy.variables,) == ("my_own",)
    assert policy.derived_roles["o"].parent_roles == ("x",)


COMMAND = Reads(frozenset({("tool_input", "command")}))
FACTS = Reads(frozenset({("facts", "commands")}))
PROMPT = Reads(frozenset({("prompt",)}))
CLAIMS = Reads(principal=frozenset({("claims", "team")}))
SERVER = Reads(frozenset({("mcp_server", "source")}))
ALL = Reads(frozenset({()}), frozenset({()}))


@pytest.mark.parametrize(
    ("record", "reads", "gaps"),
    [
        (asked(1, tool_input="ls"), COMMAND, ()),
        (asked(1, tool_input="ls"), FACTS, ()),
        (asked(1, tool_input="ls"), ALL, (Why.NOT_RECORDED,)),
        (asked(1, tool_input=f"echo {TOKEN}"), COMMAND, (Why.REDACTED,)),
        (asked(1, tool_input=f"echo {TOKEN}"), FACTS, (Why.REDACTED,)),
        (asked(1, tool_input=f"echo {TOKEN}"), CLAIMS, ()),
        (asked(1, tool_input={"command": "ls", "description": TOKEN}), COMMAND, ()),
        (asked(1, tool_input={"command": "ls", TOKEN: "x"}), COMMAND, (Why.REDACTED,)),
        (asked(1, tool_input="ls " + "x" * 3000), COMMAND, (Why.CUT,)),
        (asked(1, tool_input="ls", changes={"cut": ["input"]}), COMMAND, (Why.CUT,)),
        (asked(1, tool_input="ls", changes={"cut": ["facts"]}), COMMAND, ()),
        (asked(1, "X", {f"k{number}": "v" for number in range(3000)}), COMMAND, (Why.CUT,)),
        (asked(1, tool_input="ls", level=Level.METADATA), COMMAND, (Why.METADATA,)),
        (asked(1, tool_input="ls", level=Level.METADATA), CLAIMS, ()),
        (asked(1, tool_input="ls", claims={"team": TOKEN}), CLAIMS, (Why.REDACTED,)),
        (asked(1, tool_input="ls", claims={"team": TOKEN}), COMMAND, ()),
        (asked(1, tool_input="ls", user=TOKEN), CLAIMS, (Why.REDACTED,)),
        (asked(1, tool_input="ls"), PROMPT, (Why.NOT_RECORDED,)),
        (asked(1, tool_input="ls", level=Level.FULL), PROMPT, ()),
        (asked(1, tool_input="ls", more={"prompt": TOKEN}, level=Level.FULL), PROMPT, (Why.REDACTED,)),
        (asked(1, "mcp__a__b", {}, more={"mcp_server": {"name": "a", "source": "project"}}), SERVER, ()),
        (asked(1, "mcp__a__b", {}, more={"mcp_server_name": "a"}), SERVER, (Why.NOT_RECORDED,)),
        (asked(1, tool_input="ls", changes={"facts": {"version": 1}}), FACTS, (Why.FACTS_VERSION,)),
        (asked(1, tool_input="ls", changes={"facts": {"version": 1}}), COMMAND, ()),
    ],
)  # fmt: skip
def test_a_gap_counts_where_policies_read_it(record: dict[str, Any], reads: Reads, gaps: tuple[Why, ...]) -> None:
    found = asked_again(record, reads)
    assert isinstance(found, Request)
    assert found.gaps == gaps


@pytest.mark.parametrize(
    "record",
    [{}, {"event": "PreToolUse"}, asked(1, changes={"facts": {}}), asked(1, changes={"tool": ""}), asked(1, changes={"roles": 7}), asked(1, changes={"input": 5, "facts": {"paths": 5}})],
)  # fmt: skip
def test_a_record_without_a_request_is_none(record: dict[str, Any]) -> None:
    assert asked_again(record, COMMAND) is Why.NO_REQUEST


def test_every_pair_of_outcomes_is_one_change_and_nothing_changes_to_itself() -> None:
    decided = [one for one in Outcome if one is not Outcome.ERROR]
    assert {one: change_of(one, one) for one in decided} == dict.fromkeys(decided, Change.UNCHANGED)
    assert {change_of(before, Outcome.DENY) for before in decided} == {Change.NEWLY_DENIED, Change.UNCHANGED}
    assert change_of(Outcome.DENY, Outcome.ASK) is Change.NEWLY_ASKED
    assert change_of(Outcome.ASK, Outcome.NO_MATCH) is Change.NEWLY_ALLOWED
    assert change_of(Outcome.ALLOW, Outcome.NO_MATCH) is Change.NEWLY_UNMATCHED


def result(**changes: Any) -> Result:
    plain: dict[str, Any] = {
        "hookgate": "1", "made": "2026-11-22T10:00:00Z", "policies": "p", "policies_digest": "d" * 64, "against": "", "against_digest": "",
        "since": "", "until": "2026-11-22T10:00:00Z", "filters": {}, "total": 0, "told": 0, "changes": dict.fromkeys(map(str, Change), 0),
        "transitions": {}, "unsure": 0, "unsure_why": {}, "apparent": {}, "errors": 0, "error_outcomes": {}, "by_rule": (), "by_user": (),
        "by_tool": (), "by_event": (), "people": (), "examples": (), "seconds": 1.0,
    }  # fmt: skip
    return Result(**plain | changes)


SIGNS = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le, "==": operator.eq, "!=": operator.ne}


@given(
    name=st.sampled_from(["new_denials", "unsure"]), sign=st.sampled_from(list(SIGNS)), thousandths=st.integers(0, 10**8),
    percent=st.booleans(), counted=st.integers(0, 5000), told=st.integers(0, 5000), space=st.sampled_from(["", " ", "\t "]),
)  # fmt: skip
def test_a_bound_holds_as_arithmetic_has_it(
    name: str, sign: str, thousandths: int, percent: bool, counted: int, told: int, space: str
) -> None:
    number = f"{thousandths // 1000}.{thousandths % 1000:03d}"
    read = bound(f"{space}{name}{space}{sign}{space}{number}{space}{'%' if percent else ''}{space}")
    changes = dict.fromkeys(map(str, Change), 0) | {"newly_denied": counted}
    found = result(told=told, total=told + 7, changes=changes, unsure=counted)
    whole = told if name == "new_denials" else told + 7
    value = Fraction(counted) if not percent else Fraction(counted * 100, whole) if whole else Fraction(0)
    assert read.holds(found) is SIGNS[sign](value, Fraction(thousandths, 1000))
    assert bound(str(read)) == read


@given(st.text(max_size=40))
def test_what_is_no_bound_is_said_to_be_none(text: str) -> None:
    try:
        said = bound(text).name
    except BoundError as error:
        said = str(error)
    assert said in NAMES or "\n" not in said


@pytest.mark.parametrize("text", ["new_denials", "denials > 1", "new_denials > -1", "new_denials > 1e3", "new_denials => 1", "__import__('os') > 1", "new_denials > 0.5% or told > 1"])  # fmt: skip
def test_only_one_comparison_is_a_bound(text: str) -> None:
    with pytest.raises(BoundError):
        bound(text)


def test_hostile_text_is_text_on_the_page() -> None:
    hostile = "<script>alert(1)</script>\u202e\x1b[2J"
    example = Example(id="1", time="2026-11-22T10:00:00Z", user=hostile, event="PreToolUse", tool=hostile, subject=hostile, change="newly_denied", before="allow", after="deny", rule=hostile, reason=hostile)  # fmt: skip
    text = page(result(policies=hostile, filters={"text": hostile}, examples=(example,), told=1, total=1))
    assert "<script" not in text
    assert "\u202e" not in text
    assert "\x1b" not in text
    assert "&lt;script&gt;" in text
    assert "default-src 'none'" in text.replace("&#39;", "'")
