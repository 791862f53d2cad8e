"""What Claude Code 2.1.330 accepts as an answer to an event, and what it then does.

Written from the client's type declarations (`SyncHookJSONOutput`, `…HookSpecificOutput`, `PermissionUpdate` in the SDK's
sdk.d.ts) and from measurements of the real client (docs/client-measurements.md), not from the code under test: an answer
that the client rejects counts as no answer, and the call goes on.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, Literal

Strength = Literal["deny", "ask", "defer", "allow", "none"]
Check = Callable[[Any], bool]


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


EVENTS = _names(
    "PreToolUse PostToolUse PostToolUseFailure PostToolBatch Notification UserPromptSubmit UserPromptExpansion "
    "SessionStart SessionEnd Stop StopFailure SubagentStart SubagentStop PreCompact PostCompact PreModelSwitch "
    "PostModelSwitch PermissionRequest PermissionDenied Setup TeammateIdle TaskCreated TaskCompleted Elicitation "
    "ElicitationResult ConfigChange WorktreeCreate WorktreeRemove InstructionsLoaded CwdChanged FileChanged "
    "DirectoryAdded MessageDisplay"
)

#: Where `decision: block` and `reason`, alone, keep something from happening (on PostToolUse and PostToolUseFailure: tell the
#: model, as the tool has run).
BLOCKABLE = frozenset(
    _names(
        "PreToolUse PostToolUse PostToolUseFailure PostToolBatch UserPromptSubmit UserPromptExpansion PreModelSwitch "
        "PreCompact TaskCreated TaskCompleted Elicitation ElicitationResult ConfigChange"
    )
)
#: Where `decision: block` makes the agent go on.
CONTINUING = frozenset({"Stop", "SubagentStop"})
#: Where a denial is obeyed in some form.
DENIABLE = BLOCKABLE | {"PermissionRequest"}
#: Where `continue: false` alone keeps something from happening.
_STOPPABLE = frozenset({"PostToolUse", "PostToolBatch", "UserPromptSubmit", "UserPromptExpansion"})


def _string(value: Any) -> bool:
    return isinstance(value, str)


def _boolean(value: Any) -> bool:
    return isinstance(value, bool)


def _object(value: Any) -> bool:
    return isinstance(value, dict)


def _anything(value: Any) -> bool:
    return True


def _strings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _one_of(*words: str) -> Check:
    return lambda value: isinstance(value, str) and value in words


def _permission_updates(value: Any) -> bool:
    return isinstance(value, list) and all(_permission_update(item) for item in value)


def _permission_update(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    if not _one_of("userSettings", "projectSettings", "localSettings", "session", "cliArg")(value.get("destination")):
        return False
    kind = value.get("type")
    if kind == "setMode":
        return _one_of("default", "acceptEdits", "bypassPermissions", "plan", "dontAsk", "auto")(value.get("mode"))
    if kind in ("addDirectories", "removeDirectories"):
        return _strings(value.get("directories"))
    if kind in ("addRules", "replaceRules", "removeRules"):
        rules = value.get("rules")
        return (
            _one_of("allow", "deny", "ask")(value.get("behavior"))
            and isinstance(rules, list)
            and all(
                isinstance(rule, dict)
                and isinstance(rule.get("toolName"), str)
                and ("ruleContent" not in rule or isinstance(rule["ruleContent"], str))
                for rule in rules
            )
        )
    return False


_TOP: Mapping[str, Check] = {
    "continue": _boolean,
    "suppressOutput": _boolean,
    "stopReason": _string,
    "decision": _one_of("approve", "block"),
    "reason": _string,
    "systemMessage": _string,
    "terminalSequence": _string,
    "hookSpecificOutput": _object,
}

_CONTEXT: Mapping[str, Check] = {"additionalContext": _string}
_ACTION: Mapping[str, Check] = {"action": _one_of("accept", "decline", "cancel"), "content": _object}
_VARIANTS: Mapping[str, Mapping[str, Check]] = {
    "PreToolUse": {
        "permissionDecision": _one_of("allow", "deny", "ask", "defer"),
        "permissionDecisionReason": _string,
        "updatedInput": _object,
        "additionalContext": _string,
    },
    "PreModelSwitch": {
        "permissionDecision": _one_of("allow", "deny", "ask"),
        "permissionDecisionReason": _string,
    },
    "PermissionRequest": {"decision": _object},
    "PostToolUse": {
        "additionalContext": _string,
        "updatedToolOutput": _anything,
        "updatedMCPToolOutput": _anything,
        "classifierContext": _string,
    },
    "UserPromptSubmit": {"additionalContext": _string, "sessionTitle": _string, "suppressOriginalPrompt": _boolean},
    "UserPromptExpansion": {"additionalContext": _string, "suppressOriginalPrompt": _boolean},
    "SessionStart": {
        "additionalContext": _string,
        "initialUserMessage": _string,
        "sessionTitle": _string,
        "watchPaths": _strings,
        "reloadSkills": _boolean,
    },
    "PermissionDenied": {"retry": _boolean},
    "Elicitation": _ACTION,
    "ElicitationResult": _ACTION,
    "CwdChanged": {"watchPaths": _strings},
    "FileChanged": {"watchPaths": _strings},
    "WorktreeCreate": {"worktreePath": _string},
    "MessageDisplay": {"displayContent": _string},
    **dict.fromkeys(
        _names("PostToolUseFailure PostToolBatch Notification Setup SubagentStart Stop SubagentStop PostModelSwitch"),
        _CONTEXT,
    ),
}
_DEMANDED: Mapping[str, str] = {"PermissionRequest": "decision", "WorktreeCreate": "worktreePath"}

_BEHAVIORS: Mapping[str, Mapping[str, Check]] = {
    "allow": {"updatedInput": _object, "updatedPermissions": _permission_updates},
    "deny": {"message": _string, "interrupt": _boolean},
}


def problems(event: str, answer: Any) -> list[str]:
    """Gives what makes the client throw the answer away, one line each; empty if it takes it."""
    if not isinstance(answer, dict):
        return ["not a JSON object"]
    found = _not_json(answer)
    found += _wrong(answer, _TOP, "")
    specific = answer.get("hookSpecificOutput")
    if isinstance(specific, dict):
        found += _wrong_specific(event, specific)
    return found


def surplus(event: str, answer: dict[str, Any]) -> list[str]:
    """Gives the keys of a valid answer that the client ignores: harmless, and meant by nobody."""
    found = [key for key in answer if key not in _TOP]
    specific = answer.get("hookSpecificOutput", {})
    found += [key for key in specific if key != "hookEventName" and key not in _VARIANTS.get(event, {})]
    if event == "PermissionRequest" and "decision" in specific:
        decision = specific["decision"]
        found += [key for key in decision if key != "behavior" and key not in _BEHAVIORS[decision["behavior"]]]
    return found


def strength(event: str, answer: Any) -> Strength:
    """Gives what the client does with the answer: the strictest of its parts that it obeys on this event."""
    if problems(event, answer) or answer.get("async") is True:
        return "none"
    specific = answer.get("hookSpecificOutput", {})
    said: set[str] = set()
    if answer.get("decision") == "block" and (event in BLOCKABLE | CONTINUING or event not in EVENTS):
        said.add("deny")
    if answer.get("decision") == "approve" and event == "PreToolUse":
        said.add("allow")
    if answer.get("continue") is False and event in _STOPPABLE:
        said.add("deny")
    if event in ("PreToolUse", "PreModelSwitch"):
        said.add(specific.get("permissionDecision", "none"))
    if event == "PermissionRequest" and specific:
        said.add(specific["decision"]["behavior"])
    if event in ("Elicitation", "ElicitationResult"):
        said.add({"accept": "allow", "decline": "deny", "cancel": "deny"}.get(specific.get("action", ""), "none"))
    order: tuple[Strength, ...] = ("deny", "ask", "defer", "allow")
    return next((word for word in order if word in said), "none")


def _wrong(values: Mapping[str, Any], checks: Mapping[str, Check], where: str) -> list[str]:
    return [f"{where}{key}: wrong type" for key, check in checks.items() if key in values and not check(values[key])]


def _wrong_specific(event: str, specific: dict[str, Any]) -> list[str]:
    where = "hookSpecificOutput"
    if "hookEventName" not in specific:
        return [f'{where} is missing required field "hookEventName"']
    if specific["hookEventName"] != event:
        return [f"{where}: incorrect event name, expected {event!r}, got {specific['hookEventName']!r}"]
    if event not in _VARIANTS:
        return [f"{where}: {event} has no such variant"]
    found = _wrong(specific, _VARIANTS[event], f"{where}.")
    demanded = _DEMANDED.get(event)
    if demanded is not None and demanded not in specific:
        found.append(f"{where}.{demanded}: required")
    if event == "PermissionRequest" and isinstance(decision := specific.get("decision"), dict):
        behavior = decision.get("behavior")
        if not isinstance(behavior, str) or behavior not in _BEHAVIORS:
            found.append(f"{where}.decision.behavior: expected allow or deny")
        else:
            found += _wrong(decision, _BEHAVIORS[behavior], f"{where}.decision.")
    return found


def _not_json(answer: dict[str, Any]) -> list[str]:
    try:
        json.dumps(answer, allow_nan=False, ensure_ascii=False).encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        return [f"not JSON: {error}"]
    return []
