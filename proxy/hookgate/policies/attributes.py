"""Which attributes a call has: those of the requests recorded from the client, and of the same calls as bare as they may come."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from hookgate.facts import Access, CommandFact, Facts, HostFact, PathFact
from hookgate.hooks.catalog import EVENTS
from hookgate.policies.actions import matches, names_one
from hookgate.policies.shape import UNKNOWN, Elements, Known, Record, Shape, shape_of
from hookgate.recorded import recorded

#: A tool of which nothing is known but its name.
UNHEARD, UNHEARD_MCP = "UnheardTool", "mcp__unheard__tool"

#: Not on every request of an event that has them: missing on some models, outside subagents, before the first prompt, …
_SOMETIMES = {
    "prompt_id", "effort", "agent_id", "agent_type", "mcp_server", "permission_suggestions", "duration_ms", "is_interrupt",
    "last_assistant_message", "background_tasks", "session_crons", "title", "error_details", "command_source",
    "requested_schema", "mode", "url", "elicitation_id", "content", "task_description", "teammate_name", "team_name",
    "globs", "trigger_file_path", "parent_file_path",
}  # fmt: skip
_ALWAYS = {"SubagentStart": {"agent_id", "agent_type"}, "SubagentStop": {"agent_id", "agent_type"}}

#: What a model must give; the recorded calls also have what it may leave out. Tools that are not named always have all.
_REQUIRED_INPUT = {
    "Agent": {"description", "prompt"},
    "Bash": {"command"},
    "CronCreate": {"cron", "prompt"},
    "Glob": {"pattern"},
    "Grep": {"pattern"},
    "ListMcpResourcesTool": set[str](),
    "Monitor": {"command"},
    "NotebookEdit": {"notebook_path", "new_source"},
    "Read": {"file_path"},
    "Skill": {"skill"},
    "TaskCreate": {"subject", "description"},
    "TaskStop": set[str](),
    "TaskUpdate": {"taskId"},
    "WebSearch": {"query"},
    "Workflow": set[str](),
}

_FACTS = shape_of(
    Facts(
        paths=(PathFact("", "", "", "", access=Access.READ, inside_project=True, recursive=False),),
        hosts=(HostFact(""),),
        commands=(CommandFact("", ""),),
    ).attributes(),
    "R.attr.facts",
)


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """One form that requests with this action may take; `request` is what expressions see under that name. There is one of each
    form: what was found out about it holds for all rules of a policy."""

    action: str
    request: Record


def calls(kind: str, patterns: Sequence[str]) -> Iterator[Call]:
    """Gives the forms of the calls that a rule's actions speak about.

    Of a tool that a rule names in full and that was never recorded, everything may be there: whoever wrote it knows.
    """
    spec = EVENTS.get(kind)
    if spec is None:
        return
    for call in _recorded(kind):
        if any(matches(pattern, call.action) for pattern in patterns):
            yield call
    if spec.tool:
        wide = [pattern for pattern in patterns if not names_one(pattern)]
        for call in _unheard(kind):
            if any(matches(pattern, call.action) for pattern in wide):
                yield call


@cache
def _recorded(kind: str) -> tuple[Call, ...]:
    return tuple(Call(action, _request(kind, body)) for action, body in _bodies(kind))


@cache
def _unheard(kind: str) -> tuple[Call, ...]:
    bodies = ({**_base(kind), "tool_name": name, "tool_input": {}} for name in (UNHEARD, UNHEARD_MCP))
    return tuple(Call(body["tool_name"], _request(kind, body)) for body in bodies)


@cache
def _bodies(kind: str) -> tuple[tuple[str, Mapping[str, Any]], ...]:
    found: list[tuple[str, Mapping[str, Any]]] = []
    for request in recorded():
        if request.event == kind:
            action = request.tool or "event"
            found += [(action, request.body), (action, _bare(kind, request.body))]
    return tuple(found)


def _bare(kind: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Gives the request without all that it may come without."""
    sometimes = _SOMETIMES - _ALWAYS.get(kind, set()) - set(EVENTS[kind].required)
    bare = {key: value for key, value in body.items() if key not in sometimes}
    required = _REQUIRED_INPUT.get(str(body.get("tool_name")))
    if required is not None and "tool_input" in body:
        bare["tool_input"] = {key: value for key, value in body["tool_input"].items() if key in required}
    return bare


def _base(kind: str) -> Mapping[str, Any]:
    """Gives what every request of a tool event has."""
    bodies = [body for _, body in _bodies(kind)]
    common = set.intersection(*(set(body) for body in bodies)) if bodies else set()
    return {key: value for key, value in bodies[0].items() if key in common} if bodies else {}


def _request(kind: str, body: Mapping[str, Any]) -> Record:
    attributes: dict[str, Shape] = {
        # What a tool answered has no fixed shape, and may be left out for its size.
        key: UNKNOWN if key in ("tool_response", "tool_calls") else _shape(key, value)
        for key, value in body.items()
    }
    attributes["facts"] = _FACTS
    resource = Record({"kind": Known(kind), "id": UNKNOWN, "scope": UNKNOWN, "policyVersion": UNKNOWN,
                       "attr": Record(attributes, "R.attr")}, "R")  # fmt: skip
    principal = Record({"id": UNKNOWN, "roles": Elements(UNKNOWN), "scope": UNKNOWN, "policyVersion": UNKNOWN,
                        "attr": _PRINCIPAL}, "P")  # fmt: skip
    return Record({"resource": resource, "principal": principal, "aux_data": UNKNOWN, "auxData": UNKNOWN}, "request")


def _shape(key: str, value: Any) -> Shape:
    path = f"R.attr.{key}"
    return shape_of(value, path, known={"R.attr.tool_name", "R.attr.hook_event_name"})


#: Which claims there are depends on the identity's source; from headers there are none.
_PRINCIPAL = Record(
    {
        "verified": UNKNOWN,
        "source": UNKNOWN,
        "claims": Record({}, "P.attr.claims"),
        "groups": Elements(UNKNOWN),
        # What the directory says of a user, if there is one, and says anything.
        "attributes": Record({}, "P.attr.attributes"),
    },
    "P.attr",
)
