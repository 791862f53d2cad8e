"""The events of Claude Code 2.1.330: what each carries, what each may be answered with, and what the client then does.

Source: the client's type declarations and measurements of the real client (docs/events.md).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType


class Form(Enum):
    """How an event is told no."""

    #: `hookSpecificOutput.permissionDecision`: allow, deny, ask (and defer).
    PERMISSION = "permission"
    #: `hookSpecificOutput.decision.behavior`: allow, deny. Without it, the prompt stays.
    BEHAVIOR = "behavior"
    #: Top-level `decision: block` and `reason`.
    BLOCK = "block"
    #: `hookSpecificOutput.action`: accept, decline, cancel.
    ACTION = "action"
    #: `decision: block` makes the agent go on: only where an output says so itself.
    CONTINUE = "continue"
    #: The client obeys nothing.
    NONE = "none"


class Kind(Enum):
    """The type that the client demands of a field; a wrong one makes it throw the whole answer away."""

    STRING = "string"
    BOOLEAN = "boolean"
    OBJECT = "object"
    STRINGS = "list of strings"
    PERMISSIONS = "list of permission updates"
    ANY = "any value"


@dataclass(frozen=True, slots=True)
class EventSpec:
    """One event.

    `fields` are those of `hookSpecificOutput` beside the opinion; no fields and no opinion there: the event has no such
    variant, and sending one would void the answer. `required` are attributes that policies can rely on, with their type.
    """

    name: str
    form: Form
    fields: Mapping[str, Kind] = field(default_factory=dict)
    tool: bool = False
    #: Whether `on_error` and `no_match` hold without being asked for.
    governed: bool = False
    can_defer: bool = False
    required: Mapping[str, type] = field(default_factory=dict)

    @property
    def specific(self) -> bool:
        """Whether `hookSpecificOutput` has a variant for this event."""
        return bool(self.fields) or self.form in (Form.PERMISSION, Form.BEHAVIOR, Form.ACTION)

    @property
    def can_ask(self) -> bool:
        """Whether the client asks the person when told so."""
        return self.form is Form.PERMISSION

    @property
    def obeys(self) -> bool:
        """Whether the client obeys a deny that stands by itself."""
        return self.form not in (Form.NONE, Form.CONTINUE)


_CONTEXT = {"additionalContext": Kind.STRING}
_TOOL = {"tool_name": str, "tool_input": dict}


def _specs() -> tuple[EventSpec, ...]:
    block, none = Form.BLOCK, Form.NONE
    return (
        EventSpec(
            "PreToolUse",
            Form.PERMISSION,
            {**_CONTEXT, "updatedInput": Kind.OBJECT},
            tool=True,
            governed=True,
            can_defer=True,
            required=_TOOL,
        ),
        # Its variant demands `decision`, so nothing can be said beside an unanswered prompt.
        EventSpec("PermissionRequest", Form.BEHAVIOR, tool=True, governed=True, required=_TOOL),
        EventSpec(
            "PostToolUse",
            block,
            {
                **_CONTEXT,
                "updatedToolOutput": Kind.ANY,
                "updatedMCPToolOutput": Kind.ANY,
                "classifierContext": Kind.STRING,
            },
            tool=True,
            required=_TOOL,
        ),
        EventSpec("PostToolUseFailure", block, _CONTEXT, tool=True, required=_TOOL),
        EventSpec("PostToolBatch", block, _CONTEXT),
        EventSpec("PermissionDenied", none, {"retry": Kind.BOOLEAN}, tool=True, required=_TOOL),
        EventSpec(
            "UserPromptSubmit",
            block,
            {**_CONTEXT, "sessionTitle": Kind.STRING, "suppressOriginalPrompt": Kind.BOOLEAN},
            required={"prompt": str},
        ),
        EventSpec(
            "UserPromptExpansion",
            block,
            {**_CONTEXT, "suppressOriginalPrompt": Kind.BOOLEAN},
            required={"prompt": str, "command_name": str},
        ),
        # Here additionalContext, too, makes the agent go on, without end if it is always there.
        EventSpec("Stop", Form.CONTINUE, _CONTEXT),
        EventSpec("SubagentStop", Form.CONTINUE, _CONTEXT),
        EventSpec("StopFailure", none),
        EventSpec("SubagentStart", none, _CONTEXT),
        EventSpec("Notification", none, _CONTEXT),
        EventSpec(
            "SessionStart",
            none,
            {
                **_CONTEXT,
                "initialUserMessage": Kind.STRING,
                "sessionTitle": Kind.STRING,
                "watchPaths": Kind.STRINGS,
                "reloadSkills": Kind.BOOLEAN,
            },
        ),
        EventSpec("SessionEnd", none),
        EventSpec("Setup", none, _CONTEXT),
        EventSpec("PreCompact", block),
        EventSpec("PostCompact", none),
        EventSpec("PreModelSwitch", Form.PERMISSION, governed=True),
        EventSpec("PostModelSwitch", none, _CONTEXT),
        EventSpec("TaskCreated", block),
        EventSpec("TaskCompleted", block),
        EventSpec("TeammateIdle", none),
        EventSpec("Elicitation", Form.ACTION, {"content": Kind.OBJECT}),
        EventSpec("ElicitationResult", Form.ACTION, {"content": Kind.OBJECT}),
        EventSpec("ConfigChange", block, governed=True, required={"source": str, "file_path": str}),
        EventSpec("InstructionsLoaded", none),
        EventSpec("CwdChanged", none, {"watchPaths": Kind.STRINGS}),
        EventSpec("FileChanged", none, {"watchPaths": Kind.STRINGS}),
        EventSpec("DirectoryAdded", none),
        EventSpec("WorktreeCreate", none, {"worktreePath": Kind.STRING}),
        EventSpec("WorktreeRemove", none),
        EventSpec("MessageDisplay", none, {"displayContent": Kind.STRING}),
    )


EVENTS: Mapping[str, EventSpec] = MappingProxyType({spec.name: spec for spec in _specs()})

#: Fields beside the opinion that any answer may carry at its top level.
TOP_FIELDS: Mapping[str, Kind] = MappingProxyType({"systemMessage": Kind.STRING, "suppressOutput": Kind.BOOLEAN})


def spec_of(name: str) -> EventSpec:
    """Gives the event's entry; one that nobody knows yet has only `decision: block`, which the client obeys or ignores."""
    return EVENTS.get(name) or EventSpec(name, Form.BLOCK)
