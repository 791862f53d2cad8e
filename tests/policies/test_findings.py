"""Each warning, where it is due and where it is not."""

from pathlib import Path
from textwrap import dedent, indent

import pytest

from hookgate.policies.check import findings_in
from hookgate.policies.finding import Finding, Kind
from hookgate.policies.source import policies_in

HEAD = """\
apiVersion: api.cerbos.dev/v1
resourcePolicy:
  resource: {kind}
  version: default
{more}  rules:
"""


def found(tmp_path: Path, rules: str, *, kind: str = "PreToolUse", more: str = "", **files: str) -> list[Finding]:
    head = HEAD.format(kind=kind, more=indent(dedent(more), "  "))
    (tmp_path / "policy.yaml").write_text(head + indent(dedent(rules).strip("\n"), "    ") + "\n")
    for name, content in files.items():
        (tmp_path / f"{name}.yaml").write_text("apiVersion: api.cerbos.dev/v1\n" + dedent(content))
    return list(findings_in(policies_in(tmp_path)))


def kinds(findings: list[Finding]) -> list[Kind]:
    return [finding.kind for finding in findings]


def denies(condition: str, actions: str = '["*"]') -> str:
    return f"""
        - name: it
          actions: {actions}
          effect: EFFECT_DENY
          roles: ["*"]
          condition:
            match:
              expr: {condition}
    """


# Attributes


def test_a_rule_on_every_action_that_reads_a_path_is_warned_of(tmp_path: Path) -> None:
    (finding,) = found(tmp_path, denies('R.attr.tool_input.file_path.startsWith("/etc")'))
    assert finding.kind is Kind.MISSING_ATTRIBUTE
    assert (finding.file, finding.line, finding.rule) == ("policy.yaml", 12, "it")
    assert "reads R.attr.tool_input.file_path" in finding.message
    assert "strict evaluation denies those calls, without it the rule fails open there" in finding.message
    assert "tools yet unknown lack" in finding.message
    assert "has(R.attr.tool_input.file_path) && …" in finding.mend


@pytest.mark.parametrize("actions", ['["Read", "Write", "Edit"]', '["Read"]', '["PowerShell", "Read"]'])
def test_a_rule_whose_actions_have_the_attribute_is_not(tmp_path: Path, actions: str) -> None:
    assert found(tmp_path, denies('R.attr.tool_input.file_path.startsWith("/etc")', actions)) == []


def test_the_tools_that_lack_it_are_named(tmp_path: Path) -> None:
    (finding,) = found(tmp_path, denies('R.attr.tool_input.file_path == "x"', '["Read", "Bash", "NotebookEdit"]'))
    assert "which Bash and NotebookEdit lack" in finding.message


def test_a_guard_in_the_condition_counts(tmp_path: Path) -> None:
    rule = """
        - actions: ["*"]
          effect: EFFECT_DENY
          roles: ["*"]
          condition:
            match:
              all:
                of:
                  - expr: has(R.attr.tool_input.file_path)
                  - expr: R.attr.tool_input.file_path == "x"
    """
    assert found(tmp_path, rule) == []


def test_a_guard_that_comes_too_late_does_not(tmp_path: Path) -> None:
    rule = """
        - actions: ["*"]
          effect: EFFECT_DENY
          roles: ["*"]
          condition:
            match:
              all:
                of:
                  - expr: R.attr.tool_input.file_path == "x"
                  - expr: has(R.attr.tool_input.file_path)
    """
    (finding,) = found(tmp_path, rule)
    assert finding.kind is Kind.MISSING_ATTRIBUTE
    assert finding.rule == "rule-001"


@pytest.mark.parametrize(("kind", "expected"), [("any", []), ("none", [])])
def test_a_part_that_settles_it_keeps_the_later_ones_from_being_read(
    tmp_path: Path, kind: str, expected: list[Kind]
) -> None:
    rule = f"""
        - actions: [Bash]
          effect: EFFECT_DENY
          roles: ["*"]
          condition:
            match:
              {kind}:
                of:
                  - expr: R.attr.tool_name == "Bash"
                  - expr: R.attr.tool_input.file_path == "x"
    """
    assert kinds(found(tmp_path, rule)) == expected


def test_imported_variables_and_derived_roles_are_looked_into(tmp_path: Path) -> None:
    rules = """
        - name: by-variable
          actions: ["*"]
          effect: EFFECT_DENY
          roles: ["*"]
          condition: {match: {expr: V.outside}}
        - name: by-derived-role
          actions: [Bash]
          effect: EFFECT_DENY
          derivedRoles: [writer]
        - name: guarded
          actions: ["*"]
          effect: EFFECT_DENY
          roles: ["*"]
          condition: {match: {expr: has(R.attr.tool_input.file_path) && V.outside}}
    """
    findings = found(
        tmp_path,
        rules,
        more="importDerivedRoles: [roles]\nvariables: {import: [shared]}\n",
        shared="""
            exportVariables:
              name: shared
              definitions:
                outside: R.attr.tool_input.file_path.startsWith("/")
        """,
        roles="""
            derivedRoles:
              name: roles
              definitions:
                - name: writer
                  parentRoles: ["*"]
                  condition: {match: {expr: R.attr.tool_input.content != ""}}
        """,
    )
    assert [(finding.rule, finding.kind) for finding in findings] == [
        ("by-variable", Kind.MISSING_ATTRIBUTE),
        ("by-derived-role", Kind.MISSING_ATTRIBUTE),
    ]


def test_an_output_that_reads_what_is_not_there_is_warned_of(tmp_path: Path) -> None:
    rule = """
        - actions: [Bash]
          effect: EFFECT_DENY
          roles: ["*"]
          output:
            when:
              ruleActivated: |-
                {"hookSpecificOutput": {"permissionDecisionReason": "not " + R.attr.tool_input.file_path}}
    """
    (finding,) = found(tmp_path, rule)
    assert "the output fails there" in finding.message
    assert finding.line == 12


def test_principals_have_no_attributes_but_ours(tmp_path: Path) -> None:
    (finding,) = found(tmp_path, denies('P.attr.department == "x"'))
    assert "Hookgate does not send" in finding.message
    assert "has(P.attr.claims.department)" in finding.mend


def test_an_event_without_tools_is_judged_by_its_own_payload(tmp_path: Path) -> None:
    assert found(tmp_path, denies('R.attr.source == "skills"', "[event]"), kind="ConfigChange") == []
    (finding,) = found(tmp_path, denies('R.attr.tool_name == "Bash"', "[event]"), kind="ConfigChange")
    assert "R.attr.tool_name, which the event may come without" in finding.message


# Roles


@pytest.mark.parametrize(
    ("roles", "mend"),
    [
        ("[marketing]", '"marketing" in P.roles'),
        ("[marketing, sales]", 'P.roles.exists(role, role in ["marketing", "sales"])'),
    ],
)
def test_a_denial_that_names_roles_is_warned_of(tmp_path: Path, roles: str, mend: str) -> None:
    (finding,) = found(tmp_path, f"- {{name: it, actions: [Bash], effect: EFFECT_DENY, roles: {roles}}}")
    assert (finding.kind, finding.line) == (Kind.ROLE_NAMED_DENY, 6)
    assert finding.mend.endswith(mend)


@pytest.mark.parametrize(
    "rule",
    [
        "- {actions: [Bash], effect: EFFECT_ALLOW, roles: [engineering]}",
        '- {actions: [Bash], effect: EFFECT_DENY, roles: ["*"]}',
        '- {actions: [Bash], effect: EFFECT_DENY, roles: ["*"], condition: {match: {expr: \'"x" in P.roles\'}}}',
    ],
)
def test_an_allow_or_a_denial_for_everybody_is_not(tmp_path: Path, rule: str) -> None:
    assert found(tmp_path, rule) == []


@pytest.mark.parametrize(("parents", "expected"), [('["*"]', []), ("[marketing]", [Kind.ROLE_NAMED_DENY])])
def test_a_derived_role_is_as_good_as_what_it_stands_on(tmp_path: Path, parents: str, expected: list[Kind]) -> None:
    findings = found(
        tmp_path,
        "- {actions: [Bash], effect: EFFECT_DENY, derivedRoles: [outsider]}",
        more="importDerivedRoles: [roles]\n",
        roles=f"""
            derivedRoles:
              name: roles
              definitions:
                - {{name: outsider, parentRoles: {parents}, condition: {{match: {{expr: '"marketing" in P.roles'}}}}}}
        """,
    )
    assert kinds(findings) == expected


# Outputs


def outputs(
    tmp_path: Path, output: str, *, effect: str = "DENY", kind: str = "PreToolUse", more: str = ""
) -> list[Finding]:
    action = "Bash" if kind in ("PreToolUse", "PermissionRequest", "PostToolUse") else "event"
    rule = f"""
        - actions: [{action}]
          effect: EFFECT_{effect}
          roles: ["*"]
          output:
            when:
              ruleActivated: >-
                {output}
    """
    return found(tmp_path, rule, kind=kind, more=more)


@pytest.mark.parametrize(
    ("effect", "output", "mend"),
    [
        ("DENY", '{"hookSpecificOutput": {"permissionDecision": "allow"}}', "let the output deny"),
        ("DENY", '{"hookSpecificOutput": {"permissionDecision": "ask"}}', "EFFECT_ALLOW"),
        ("DENY", '{"decision": "approve"}', "let the output deny"),
        ("DENY", 'R.attr.tool_name == "x" ? {"decision": "block"} : {"decision": "approve"}', "let the output deny"),
        ("ALLOW", '{"hookSpecificOutput": {"permissionDecision": "deny"}}', "EFFECT_DENY"),
        ("ALLOW", '{"decision": "block", "reason": "x"}', "EFFECT_DENY"),
    ],
)
def test_an_output_against_its_effect_is_warned_of(tmp_path: Path, effect: str, output: str, mend: str) -> None:
    (finding,) = outputs(tmp_path, output, effect=effect)
    assert finding.kind is Kind.OUTPUT_CONTRADICTS_EFFECT
    assert mend in finding.mend


@pytest.mark.parametrize(
    ("effect", "output"),
    [
        ("DENY", '{"hookSpecificOutput": {"permissionDecision": "deny", "permissionDecisionReason": "no " + P.id}}'),
        ("DENY", '{"hookSpecificOutput": {"permissionDecision": C.word}}'),
        ("DENY", '{"hookSpecificOutput": {"permissionDecision": "de" + "ny"}}'),
        ("DENY", '{"decision": "block", "reason": "x"}'),
        ("DENY", '{"systemMessage": "x"}'),
        ("ALLOW", '{"hookSpecificOutput": {"permissionDecision": "allow"}}'),
        ("ALLOW", '{"hookSpecificOutput": {"permissionDecision": "ask", "permissionDecisionReason": "x"}}'),
        ("ALLOW", '{"hookSpecificOutput": {"hookEventName": "PreToolUse", "additionalContext": "x"}}'),
        ("ALLOW", '{"hookSpecificOutput": {"permissionDecision": "allow", "updatedInput": R.attr.tool_input}}'),
    ],
)
def test_an_output_that_agrees_is_not(tmp_path: Path, effect: str, output: str) -> None:
    assert outputs(tmp_path, output, effect=effect, more="constants: {local: {word: deny}}\n") == []


@pytest.mark.parametrize(
    ("kind", "output", "told"),
    [
        ("PreToolUse", '{"hookSpecificOutput": {"permissionDecision": "deny", "colour": "red"}}', "no such field"),
        ("PreToolUse", '{"hookSpecificOutput": {"permissionDecision": "no"}}', "none of the words"),
        ("PreToolUse", '{"hookSpecificOutput": {"permissionDecision": "deny", "permissionDecisionReason": 5}}', "type"),
        ("PreToolUse", '{"systemMessage": ["x"]}', "type"),
        ("PreToolUse", '{"hookSpecificOutput": {"hookEventName": "PostToolUse"}}', "another event"),
        ("PreToolUse", '"denied"', "objects only"),
        ("PermissionRequest", '{"hookSpecificOutput": {"additionalContext": "x"}}', "no such field"),
        ("ConfigChange", '{"decision": "block", "hookSpecificOutput": {"additionalContext": "x"}}', "no such field"),
        ("UserPromptSubmit", '{"hookSpecificOutput": {"suppressOriginalPrompt": "yes"}}', "type"),
    ],
)
def test_what_the_event_does_not_take_is_warned_of(tmp_path: Path, kind: str, output: str, told: str) -> None:
    (finding,) = outputs(tmp_path, output, kind=kind)
    assert finding.kind is Kind.OUTPUT_NOT_ACCEPTED
    assert told in finding.message


@pytest.mark.parametrize(
    ("kind", "output"),
    [
        ("PermissionRequest", '{"hookSpecificOutput": {"decision": {"behavior": "deny", "message": "x"}}}'),
        ("PermissionRequest", '{"hookSpecificOutput": {"permissionDecision": "deny"}}'),
        ("PostToolUse", '{"decision": "block", "hookSpecificOutput": {"additionalContext": "x"}}'),
        ("ConfigChange", '{"decision": "block", "reason": "x"}'),
        ("UserPromptSubmit", '{"decision": "block", "hookSpecificOutput": {"suppressOriginalPrompt": true}}'),
    ],
)
def test_what_the_event_takes_is_not(tmp_path: Path, kind: str, output: str) -> None:
    assert outputs(tmp_path, output, kind=kind) == []


def test_the_output_of_an_unmet_condition_is_held_to_no_effect_but_to_its_event(tmp_path: Path) -> None:
    rule = """
        - actions: [Bash]
          effect: EFFECT_ALLOW
          roles: ["*"]
          condition: {match: {expr: '"a" in P.roles'}}
          output:
            when:
              conditionNotMet: '{"decision": "block", "colour": "red"}'
    """
    (finding,) = found(tmp_path, rule)
    assert finding.kind is Kind.OUTPUT_NOT_ACCEPTED


# Names and patterns


@pytest.mark.parametrize(
    ("kind", "right"),
    [("PreToolUSe", "PreToolUse"), ("PretoolUse", "PreToolUse"), ("UserPromptSubmitted", "UserPromptSubmit")],
)
def test_a_resource_that_is_nearly_an_event_is_warned_of(tmp_path: Path, kind: str, right: str) -> None:
    findings = found(tmp_path, '- {actions: ["*"], effect: EFFECT_ALLOW, roles: ["*"]}', kind=kind)
    assert (findings[0].kind, findings[0].line) == (Kind.UNKNOWN_EVENT, 3)
    assert findings[0].mend == f"resource: {right}"


def test_resources_of_other_applications_are_left_alone(tmp_path: Path) -> None:
    rule = '- {actions: ["view"], effect: EFFECT_DENY, roles: [user], condition: {match: {expr: R.attr.owner == P.id}}}'
    assert kinds(found(tmp_path, rule, kind="album")) == [Kind.NO_POLICY]


@pytest.mark.parametrize(
    ("kind", "action", "expected"),
    [
        ("ConfigChange", "Bash", [Kind.UNKNOWN_ACTION]),
        ("ConfigChange", "event", []),
        ("ConfigChange", '"*"', []),
        ("PreToolUse", "bash", [Kind.UNKNOWN_ACTION]),
        ("PreToolUse", "event", [Kind.UNKNOWN_ACTION]),
        ("PreToolUse", "PowerShell", []),
        ("PreToolUse", '"{Read,Write}"', [Kind.UNKNOWN_ACTION]),
        ("PreToolUse", '"{Read,Write}*"', []),
        ("PreToolUse", "mcp__github__search", []),
    ],
)
def test_an_action_that_never_comes_up_is_warned_of(
    tmp_path: Path, kind: str, action: str, expected: list[Kind]
) -> None:
    rule = f'- {{actions: [{action}], effect: EFFECT_ALLOW, roles: ["*"]}}'
    assert kinds(found(tmp_path, rule, kind=kind)) == expected


@pytest.mark.parametrize(
    ("effect", "action", "expected"),
    [
        ("DENY", "mcp__*", [Kind.WILDCARD_STOPS_AT_COLON]),
        ("DENY", "mcp__files__*", [Kind.WILDCARD_STOPS_AT_COLON]),
        ("DENY", "mcp__**", []),
        ("ALLOW", "mcp__*", []),
    ],
)
def test_a_denial_that_stops_at_a_colon_is_warned_of(
    tmp_path: Path, effect: str, action: str, expected: list[Kind]
) -> None:
    assert kinds(found(tmp_path, f'- {{actions: ["{action}"], effect: EFFECT_{effect}, roles: ["*"]}}')) == expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (".*(curl|wget).*\\\\|.*(bash|sh).*", True),
        ("git.*push", True),
        ("(?s)git.*push", False),
        (".*rm\\\\s+-r.*", False),
        ("^.*rm$", False),
        ("git\\\\.push[.]", False),
    ],
)
def test_a_denial_by_a_pattern_that_stops_at_a_line_is_warned_of(tmp_path: Path, pattern: str, expected: bool) -> None:
    findings = found(tmp_path, denies(f'R.attr.tool_input.command.matches("{pattern}")', "[Bash]"))
    assert kinds(findings) == [Kind.PATTERN_STOPS_AT_LINE] * expected


def test_a_pattern_on_a_path_or_in_an_allow_may_stop_at_a_line(tmp_path: Path) -> None:
    assert found(tmp_path, denies('R.attr.tool_input.file_path.matches("a.*b")', "[Read]")) == []
    allow = denies('R.attr.tool_input.command.matches("a.*b")', "[Bash]").replace("EFFECT_DENY", "EFFECT_ALLOW")
    assert found(tmp_path, allow) == []


def test_an_expression_that_cannot_be_read_is_not_passed_over_in_silence(tmp_path: Path) -> None:
    (finding,) = found(tmp_path, denies("R.attr.x @ 1", "[Bash]"))
    assert finding.kind is Kind.NOT_READ


# Whole directories


def test_the_shipped_policies_give_no_warning(shipped_directory: Path) -> None:
    policies = policies_in(shipped_directory)
    assert {policy.kind for policy in policies} > {"PreToolUse", "PermissionRequest", "hookgate:canary"}
    assert findings_in(policies) == ()


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (4, []),
        (5, [("rule-003", 28, Kind.ROLE_NAMED_DENY)]),
        (
            6,
            [
                ("rule-003", 28, Kind.ROLE_NAMED_DENY),
                ("rule-004", 43, Kind.PATTERN_STOPS_AT_LINE),
                ("rule-004", 44, Kind.PATTERN_STOPS_AT_LINE),
            ],
        ),
    ],
)
def test_the_policies_that_people_bring_give_theirs(
    guide_directory: Path, step: int, expected: list[tuple[str, int, Kind]]
) -> None:
    findings = findings_in(policies_in(guide_directory / str(step)))
    assert [(finding.rule, finding.line, finding.kind) for finding in findings] == expected


def test_an_empty_directory_speaks_about_nothing(tmp_path: Path) -> None:
    (finding,) = findings_in(policies_in(tmp_path))
    assert finding.kind is Kind.NO_POLICY


def test_tests_schemas_and_hidden_files_are_no_policies(tmp_path: Path) -> None:
    policy = HEAD.format(kind="PreToolUse", more="") + '    - {actions: ["*"], effect: EFFECT_DENY, roles: [x]}\n'
    for place in ("testdata/a.yaml", "_schemas/a.json", ".git/a.yaml", "a_test.yaml", ".a.yaml", "a.txt"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).write_text(policy)
    (tmp_path / "broken.yaml").write_text("a: [")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    assert policies_in(tmp_path) == ()
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "a.yml").write_text(policy)
    assert [policy.file for policy in policies_in(tmp_path)] == ["below/a.yml"]


def test_anchors_and_merged_keys_are_followed(tmp_path: Path) -> None:
    rules = """
        - &first
          name: one
          actions: [Bash]
          effect: EFFECT_DENY
          roles: [a]
        - {<<: *first, name: two}
    """
    assert [finding.rule for finding in found(tmp_path, rules)] == ["one", "two"]
