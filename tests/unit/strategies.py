"""What hypothesis makes up: JSON values, and outputs of policies from right to absurd."""

from typing import Any

from hypothesis import strategies as st

from hookgate.hooks.catalog import EVENTS
from hookgate.pdp.decision import Decision, Effect, Output

#: All events, and some that no catalog has.
event_names = st.sampled_from([*EVENTS, "EventOfTomorrow", "pretooluse", "A", "Pre_Tool_Use2"])

text = st.text(max_size=20)
_odd_text = st.sampled_from(
    ["", " ", "\n", "é\u202e\u0431", "\x1b[31m", "</tool_use_error>", "[hookgate ", "x" * 30_000, "😀" * 3000]
)


def json_values(*, numbers: st.SearchStrategy[Any], leaves: int = 12) -> st.SearchStrategy[Any]:
    """Any JSON value with such numbers."""
    return st.recursive(
        st.none() | st.booleans() | numbers | text,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
        max_leaves=leaves,
    )


#: As a PDP gives them: every number is a double, whatever double.
pdp_values = json_values(numbers=st.floats() | st.integers(-(2**60), 2**60).map(float))
#: As a client sends them.
sent_values = json_values(numbers=st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False))
sent_objects = st.dictionaries(text, sent_values, max_size=6)

WORDS = ("allow", "deny", "ask", "defer", "approve", "block", "accept", "decline", "cancel")
_words = st.sampled_from(WORDS) | st.sampled_from(["DENY", " Allow ", "Ask\n", "yes", "", "denied"])


def _mostly(right: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(right, right, right, pdp_values)


_texts = text | _odd_text
_reasons = _mostly(_texts)
_inputs = _mostly(
    st.sampled_from(
        [{}, {"command": "ls"}, {"command": "ls", "timeout": 120000.0}, {"command": "id", "deep": {"n": [1.0, 2.5]}}]
    )
    | st.dictionaries(text, pdp_values, max_size=3)
)
permission_updates = _mostly(
    st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "type": _mostly(st.sampled_from(["setMode", "addRules", "removeRules", "addDirectories", "other"])),
                "mode": _mostly(st.sampled_from(["plan", "auto", "other"])),
                "destination": _mostly(st.sampled_from(["session", "userSettings", "other"])),
                "behavior": _mostly(st.sampled_from(["allow", "deny", "other"])),
                "rules": _mostly(
                    st.lists(
                        st.fixed_dictionaries({"toolName": _mostly(text)}, optional={"ruleContent": _mostly(text)}),
                        max_size=2,
                    )
                ),
                "directories": _mostly(st.lists(_mostly(text), max_size=2)),
            },
        )
        | st.just({"type": "setMode", "mode": "plan", "destination": "session"}),
        max_size=2,
    )
)
_behaviors = st.fixed_dictionaries(
    {},
    optional={
        "behavior": _mostly(_words),
        "message": _reasons,
        "interrupt": _mostly(st.booleans()),
        "updatedInput": _inputs,
        "updatedPermissions": permission_updates,
        "other": pdp_values,
    },
)
_specific = st.fixed_dictionaries(
    {},
    optional={
        "hookEventName": _mostly(event_names),
        "permissionDecision": _mostly(_words),
        "permissionDecisionReason": _reasons,
        "decision": _mostly(_behaviors | _words),
        "action": _mostly(_words),
        "content": _inputs,
        "updatedInput": _inputs,
        "additionalContext": _reasons,
        "updatedToolOutput": pdp_values,
        "updatedMCPToolOutput": pdp_values,
        "classifierContext": _reasons,
        "sessionTitle": _reasons,
        "suppressOriginalPrompt": _mostly(st.booleans()),
        "initialUserMessage": _reasons,
        "watchPaths": _mostly(st.lists(_mostly(text), max_size=2)),
        "reloadSkills": _mostly(st.booleans()),
        "retry": _mostly(st.booleans()),
        "worktreePath": _reasons,
        "displayContent": _reasons,
        "async": st.just(True),
        "other": pdp_values,
    },
)
_top = st.fixed_dictionaries(
    {},
    optional={
        "permissionDecision": _mostly(_words),
        "decision": _mostly(_words),
        "reason": _reasons,
        "permissionDecisionReason": _reasons,
        "continue": _mostly(st.booleans()),
        "stopReason": _reasons,
        "suppressOutput": _mostly(st.booleans()),
        "systemMessage": _reasons,
        "terminalSequence": _reasons,
        "async": _mostly(st.booleans()),
        "asyncTimeout": pdp_values,
        "hookSpecificOutput": _mostly(_specific),
        "additionalContext": _reasons,
        "updatedInput": _inputs,
        "behavior": _mostly(_words),
        "other": pdp_values,
    },
)
_sources = st.sampled_from(["resource.PreToolUse.vdefault#r1", "resource.PreToolUse.vdefault#r2", "", "x" * 300])
_failed = st.builds(Output, _sources, st.none(), st.just("no such key"))
#: One output: plausible ones, absurd ones, failed ones.
output = (
    st.builds(
        Output,
        _sources,
        st.one_of(_top, _top, _top, st.fixed_dictionaries({"hookSpecificOutput": _specific}), pdp_values),
    )
    | _failed
)
outputs = st.lists(output, max_size=4).map(tuple)
#: Answers of the PDP about an event that has a policy.
decisions = st.builds(
    Decision,
    st.sampled_from(Effect),
    policy=st.sampled_from(["", "resource.PreToolUse.vdefault", "p" * 500]),
    outputs=outputs,
)
