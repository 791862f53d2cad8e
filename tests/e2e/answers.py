"""The answers that `measure` tries on the real client, event by event."""

import json
from dataclasses import dataclass

# Words that occur nowhere else, so that their way through the client can be followed.
REASON, CONTEXT, MESSAGE, STOP_REASON = "WHYBLOCKED", "MORECONTEXT", "NOTEDMESSAGE", "WHYSTOPPED"


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to be tried: its name in the table, and what goes back."""

    name: str
    body: object
    status: int = 200
    on_failure: str | None = None


def specific(event: str, **fields: object) -> dict[str, object]:
    return {"hookSpecificOutput": {"hookEventName": event} | fields}


BLOCK: dict[str, object] = {"decision": "block", "reason": REASON}


def common_answers(event: str) -> list[Answer]:
    """What is tried on every event."""
    return [
        Answer("`{}`", {}),
        Answer("`decision: block`", BLOCK),
        Answer("`decision: block` + `hookSpecificOutput` of the event's name alone", BLOCK | specific(event)),
        Answer("`additionalContext`", specific(event, additionalContext=CONTEXT)),
        Answer("`decision: block` + `hookSpecificOutput` without `hookEventName`", BLOCK | {"hookSpecificOutput": {}}),
        Answer("`continue: false`", {"continue": False, "stopReason": STOP_REASON}),
        Answer("`systemMessage`", {"systemMessage": MESSAGE}),
        Answer("HTTP 500", BLOCK, status=500),
        Answer("HTTP 500 with `onFailure: block`", BLOCK, status=500, on_failure="block"),
    ]


def own_answers(event: str) -> list[Answer]:
    """What is tried on this event besides: the opinions that its schema knows."""
    permission = {"permissionDecisionReason": REASON}
    content = {"env": "prod"}
    table: dict[str, list[Answer]] = {
        "PreToolUse": [
            Answer("`permissionDecision: deny`", specific(event, permissionDecision="deny", **permission)),
            Answer("`deny` without `hookEventName`", {"hookSpecificOutput": {"permissionDecision": "deny"}}),
            Answer("`decision: block` + unknown top-level key", BLOCK | {"colour": {"red": 1}}),
            Answer(
                "`deny` + unknown keys at both levels",
                specific(event, permissionDecision="deny", colour=1, **permission) | {"colour": [1]},
            ),
            Answer("only an unknown top-level key", {"colour": 1}),
            Answer("`decision: block`, `reason` a number", {"decision": "block", "reason": 5}),
            Answer("`decision: block`, `reason` null", {"decision": "block", "reason": None}),
            Answer("`decision: BLOCK`", {"decision": "BLOCK", "reason": REASON}),
        ],
        "PermissionRequest": [
            Answer("`decision.behavior: allow`", specific(event, decision={"behavior": "allow"})),
            Answer("`decision.behavior: deny`", specific(event, decision={"behavior": "deny", "message": REASON})),
        ],
        "PermissionDenied": [
            Answer("`retry: true`", specific(event, retry=True)),
            Answer('`retry: "yes"`', specific(event, retry="yes")),
        ],
        "UserPromptSubmit": [
            Answer("`permissionDecision: deny`", specific(event, permissionDecision="deny", **permission)),
        ],
        "UserPromptExpansion": [
            Answer("`permissionDecision: deny`", specific(event, permissionDecision="deny", **permission)),
            Answer(
                "`decision: block` + `suppressOriginalPrompt`", BLOCK | specific(event, suppressOriginalPrompt=True)
            ),
        ],
        "PreModelSwitch": [
            Answer(f"`permissionDecision: {word}`", specific(event, permissionDecision=word, **permission))
            for word in ("deny", "ask", "allow")
        ],
        "Elicitation": [
            Answer("`action: decline`", specific(event, action="decline")),
            Answer("`action: cancel`", specific(event, action="cancel")),
            Answer("`action: accept` + `content`", specific(event, action="accept", content=content)),
            Answer("`decision: block` + `action: accept`", BLOCK | specific(event, action="accept", content=content)),
            Answer("top-level `action: decline`", {"action": "decline"}),
        ],
        "CwdChanged": [Answer("`watchPaths` a string", specific(event, watchPaths="/tmp"))],
        "MessageDisplay": [
            Answer("`displayContent`", specific(event, displayContent=CONTEXT)),
            Answer("`displayContent` a number", specific(event, displayContent=5)),
        ],
    }
    table["ElicitationResult"] = [
        Answer(answer.name, json.loads(json.dumps(answer.body).replace('"Elicitation"', f'"{event}"')))
        for answer in (own_answers("Elicitation") if event == "ElicitationResult" else [])
    ]
    return table.get(event, [])
