"""The tests' own picture of the client, held against what was measured on the real one (docs/client-measurements.md)."""

from typing import Any

import pytest

from tests.support.client_schema import BLOCKABLE, EVENTS, Strength, problems, strength, surplus

ALLOW: dict[str, Any] = {"hookEventName": "PreToolUse", "permissionDecision": "allow"}
DENY: dict[str, Any] = {"hookEventName": "PreToolUse", "permissionDecision": "deny"}
BLOCK: dict[str, Any] = {"decision": "block", "reason": "R"}


def specific(event: str, **fields: Any) -> dict[str, Any]:
    return {"hookSpecificOutput": {"hookEventName": event, **fields}}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({}, "none"),
        ({"hookSpecificOutput": DENY}, "deny"),
        ({"hookSpecificOutput": DENY | {"permissionDecisionReason": ""}}, "deny"),
        ({"hookSpecificOutput": ALLOW}, "allow"),
        ({"hookSpecificOutput": ALLOW | {"permissionDecision": "ask"}}, "ask"),
        ({"hookSpecificOutput": ALLOW | {"permissionDecision": "defer"}}, "defer"),
        ({"hookSpecificOutput": DENY, "extra": 1}, "deny"),
        ({"hookSpecificOutput": DENY | {"extra": 1}}, "deny"),
        ({"permissionDecision": "deny"}, "none"),
        (specific("PreToolUse", decision={"behavior": "allow"}), "none"),
        ({"decision": "block", "reason": "R"}, "deny"),
        ({"decision": "block"}, "deny"),
        ({"decision": "approve"}, "allow"),
        ({"decision": "block", "hookSpecificOutput": ALLOW}, "deny"),
        ({"decision": "approve", "hookSpecificOutput": DENY}, "deny"),
        ({"suppressOutput": True, "hookSpecificOutput": DENY}, "deny"),
        ({"continue": False, "stopReason": "S"}, "none"),
        ({"continue": False, "hookSpecificOutput": DENY}, "deny"),
        ({"continue": False, "hookSpecificOutput": ALLOW}, "allow"),
        ({"async": True, "hookSpecificOutput": DENY}, "none"),
    ],
)
def test_what_the_client_obeyed_before_a_tool_call_counts_as_such(answer: Any, expected: Strength) -> None:
    assert problems("PreToolUse", answer) == []
    assert strength("PreToolUse", answer) == expected


@pytest.mark.parametrize(
    "answer",
    [
        {"hookSpecificOutput": DENY | {"permissionDecisionReason": None}},
        {"hookSpecificOutput": DENY | {"permissionDecisionReason": 5}},
        {"hookSpecificOutput": DENY | {"permissionDecisionReason": ["R"]}},
        {"hookSpecificOutput": DENY | {"permissionDecision": "no"}},
        {"hookSpecificOutput": DENY | {"permissionDecision": "DENY"}},
        {"hookSpecificOutput": DENY | {"permissionDecision": None}},
        {"hookSpecificOutput": {"permissionDecision": "deny"}},
        {"hookSpecificOutput": {"hook_event_name": "PreToolUse", "permissionDecision": "deny"}},
        {"hookSpecificOutput": DENY | {"hookEventName": "PostToolUse"}},
        {"hookSpecificOutput": DENY | {"hookEventName": "pretooluse"}},
        {"hookSpecificOutput": DENY | {"updatedInput": []}},
        {"hookSpecificOutput": DENY | {"additionalContext": 5}},
        {"hookSpecificOutput": {}},
        {"hookSpecificOutput": None},
        {"hookSpecificOutput": DENY, "systemMessage": 5},
        {"hookSpecificOutput": DENY, "continue": "no"},
        {"decision": "deny"},
        {"decision": "allow"},
        {"decision": "BLOCK"},
        {"decision": "block", "reason": 5},
        {"decision": "block", "reason": None},
        {"hookSpecificOutput": ALLOW | {"updatedInput": {"timeout": float("nan")}}},
        {"decision": "block", "reason": "\ud800"},
        [],
        [{"hookSpecificOutput": DENY}],
        "deny",
        None,
        1,
    ],
)
def test_what_the_client_threw_away_has_problems_and_no_strength(answer: Any) -> None:
    assert problems("PreToolUse", answer)
    assert strength("PreToolUse", answer) == "none"


@pytest.mark.parametrize(
    "event",
    [
        "StopFailure",
        "SessionEnd",
        "PreCompact",
        "PostCompact",
        "TaskCreated",
        "TaskCompleted",
        "InstructionsLoaded",
        "DirectoryAdded",
        "ConfigChange",
    ],
)
def test_specific_output_on_an_event_without_such_a_variant_voids_a_block(event: str) -> None:
    assert problems(event, BLOCK | specific(event))
    assert problems(event, BLOCK | specific(event, additionalContext="C"))
    assert problems(event, BLOCK) == []


def test_a_permission_prompt_is_answered_by_a_behaviour_and_by_nothing_else() -> None:
    event = "PermissionRequest"
    assert strength(event, specific(event, decision={"behavior": "deny", "message": "M", "interrupt": True})) == "deny"
    assert strength(event, specific(event, decision={"behavior": "allow", "updatedInput": {}, "other": 1})) == "allow"
    for ignored in ({}, BLOCK, {"decision": "approve"}, {"continue": False}):
        assert strength(event, ignored) == "none"
    wrong_ones: list[dict[str, Any]] = [
        {},
        {"permissionDecision": "deny"},
        {"decision": "deny"},
        {"decision": {}},
        {"decision": {"behavior": "ask"}},
        {"decision": {"behavior": "deny", "message": 5}},
        {"decision": {"behavior": "allow", "updatedInput": []}},
        {"decision": {"behavior": "allow", "updatedPermissions": [{"type": "setMode", "mode": "auto"}]}},
    ]
    for wrong in wrong_ones:
        assert problems(event, specific(event, **wrong)), wrong


@pytest.mark.parametrize(
    "update",
    [
        {"type": "setMode", "mode": "plan", "destination": "session"},
        {"type": "addDirectories", "directories": ["/a"], "destination": "cliArg"},
        {
            "type": "addRules",
            "behavior": "allow",
            "destination": "userSettings",
            "rules": [{"toolName": "Bash", "ruleContent": "git *"}, {"toolName": "Read"}],
        },
    ],
)
def test_permission_updates_are_taken_whole_or_not_at_all(update: dict[str, Any]) -> None:
    def taken(value: Any) -> bool:
        decision = {"behavior": "allow", "updatedPermissions": value}
        return problems("PermissionRequest", specific("PermissionRequest", decision=decision)) == []

    assert taken([update])
    for key in update:
        assert not taken([{name: value for name, value in update.items() if name != key}])
        values: tuple[Any, ...] = (5, "x", ["x", 5], {}, None)
        for wrong in values:
            assert not taken([update | {key: wrong}])


@pytest.mark.parametrize(
    ("event", "fields", "expected"),
    [
        ("PreModelSwitch", {"permissionDecision": "deny"}, "deny"),
        ("PreModelSwitch", {"permissionDecision": "ask"}, "ask"),
        ("PreModelSwitch", {"permissionDecision": "allow"}, "allow"),
        ("Elicitation", {"action": "decline"}, "deny"),
        ("Elicitation", {"action": "cancel"}, "deny"),
        ("ElicitationResult", {"action": "accept", "content": {"env": "prod"}}, "allow"),
        ("UserPromptSubmit", {"permissionDecision": "deny"}, "none"),
        ("UserPromptExpansion", {"permissionDecision": "deny"}, "none"),
        ("PostToolUse", {"permissionDecision": "deny"}, "none"),
        ("PermissionDenied", {"retry": True}, "none"),
    ],
)
def test_each_event_obeys_its_own_words(event: str, fields: dict[str, Any], expected: Strength) -> None:
    assert problems(event, specific(event, **fields)) == []
    assert strength(event, specific(event, **fields)) == expected


@pytest.mark.parametrize(
    ("event", "fields"),
    [
        ("PreModelSwitch", {"permissionDecision": "defer"}),
        ("Elicitation", {"action": "block"}),
        ("Elicitation", {"action": "accept", "content": []}),
        ("PermissionDenied", {"retry": "yes"}),
        ("CwdChanged", {"watchPaths": "/tmp"}),
        ("FileChanged", {"watchPaths": [5]}),
        ("MessageDisplay", {"displayContent": 5}),
        ("WorktreeCreate", {}),
        ("SessionStart", {"reloadSkills": 1}),
        ("UserPromptSubmit", {"suppressOriginalPrompt": "no"}),
        ("Stop", {"additionalContext": None}),
    ],
)
def test_a_field_of_the_wrong_type_voids_the_answer(event: str, fields: dict[str, Any]) -> None:
    assert problems(event, specific(event, **fields))
    assert strength(event, BLOCK | specific(event, **fields)) == "none"


def test_a_block_is_obeyed_where_it_was_measured_to_be() -> None:
    obeying = {event for event in EVENTS if strength(event, BLOCK) == "deny"}
    assert obeying == BLOCKABLE | {"Stop", "SubagentStop"}
    assert strength("EventOfTomorrow", BLOCK) == "deny"
    assert len(EVENTS) == len(set(EVENTS)) == 33


def test_keys_that_the_client_ignores_are_named() -> None:
    assert surplus("PreToolUse", {"permissionDecision": "deny", "hookSpecificOutput": DENY | {"colour": 1}}) == [
        "permissionDecision",
        "colour",
    ]
    decision = {"behavior": "deny", "updatedInput": {}}
    assert surplus("PermissionRequest", specific("PermissionRequest", decision=decision)) == ["updatedInput"]
    assert surplus("PreToolUse", BLOCK | {"hookSpecificOutput": DENY}) == []
