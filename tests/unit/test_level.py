"""How much of a call is recorded, by its event and tool."""

import time

import pytest

from hookgate.audit.level import Levels, bare_answer
from hookgate.config.audit import Level, LevelRule

RULES = (
    LevelRule(tools=("mcp__secrets__*",), level=Level.METADATA),
    LevelRule(events=("PreToolUse", "PostToolUse"), tools=("Bash", "*Write"), level=Level.FULL),
    LevelRule(events=("Stop",), level=Level.FULL),
)


@pytest.mark.parametrize(
    ("event", "tool", "level"),
    [
        ("PreToolUse", "mcp__secrets__read", Level.METADATA),
        ("PostToolUse", "mcp__secrets__", Level.METADATA),
        ("PreToolUse", "mcp__other__read", Level.REDACTED),
        ("PreToolUse", "Bash", Level.FULL),
        ("PreToolUse", "bash", Level.REDACTED),
        ("PreToolUse", "BashOutput", Level.REDACTED),
        ("PermissionRequest", "Bash", Level.REDACTED),
        ("PostToolUse", "TodoWrite", Level.FULL),
        ("Stop", "", Level.FULL),
        ("", "", Level.REDACTED),
        ("UserPromptSubmit", "", Level.REDACTED),
    ],
)
def test_the_first_rule_that_matches_counts(event: str, tool: str, level: Level) -> None:
    levels = Levels(RULES)
    assert [levels.of(event, tool), levels.of(event, tool)] == [level, level]


def test_without_rules_and_with_very_many_tools_the_answer_is_the_same() -> None:
    assert Levels(()).of("PreToolUse", "Bash") is Level.REDACTED
    levels = Levels(RULES)
    for number in range(3000):
        assert levels.of("PreToolUse", f"mcp__secrets__{number}") is Level.METADATA


def test_a_pattern_with_many_stars_takes_no_time_to_speak_of() -> None:
    levels = Levels((LevelRule(tools=("*a" * 40 + "*b",), level=Level.FULL),))
    begun = time.process_time()
    assert levels.of("PreToolUse", "a" * 511 + "c") is Level.REDACTED
    assert levels.of("PreToolUse", "a" * 511 + "b") is Level.FULL
    assert time.process_time() - begun < 5


def test_a_bare_answer_says_how_it_was_answered_and_nothing_of_the_call() -> None:
    answer = {
        "systemMessage": "rm -rf /",
        "hookSpecificOutput": {
            "hookEventName": "PermissionRequest",
            "decision": {"behavior": "allow", "updatedInput": {"command": "rm -rf /"}},
            "permissionDecisionReason": "because",
        },
    }
    assert bare_answer(answer) == {
        "systemMessage": "(left out)",
        "hookSpecificOutput": {
            "hookEventName": "PermissionRequest",
            "decision": {"behavior": "allow", "updatedInput": "(left out)"},
            "permissionDecisionReason": "because",
        },
    }
