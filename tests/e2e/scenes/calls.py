"""Events that a call of the model brings about."""

import time
from typing import Any

from tests.e2e.model import Call, Say, turn
from tests.e2e.scenes.stage import Sight, Stage
from tests.e2e.session import allow_once
from tests.e2e.settings import mcp_arguments

_PERSON_THINKS_SECONDS = 0.7


def _ran(ran: bool) -> str:
    return "call ran" if ran else "call did not run"


def pre_tool_use(stage: Stage) -> Sight:
    tag = stage.model.script(turn(stage.bash("touch marker")))
    run = stage.space.run(tag, stage.settings(["PreToolUse"]))
    return Sight(_ran(stage.made("marker")), run, stage.model.requests(tag))


def permission_request(stage: Stage) -> Sight:
    tag = stage.model.script(turn(stage.bash("touch marker")))

    def person(request: dict[str, Any]) -> dict[str, Any]:
        # The prompt is up while the hook runs, and an early yes would win.
        stage.hooks.wait_for("PermissionRequest")
        time.sleep(_PERSON_THINKS_SECONDS)
        return allow_once(request)

    with stage.space.session(stage.settings(["PermissionRequest"]), mode="default", answers_prompts=True) as session:
        session.permission = person
        session.prompt(tag)
        session.wait_result()
        run = session.finish()
    withdrawn = any(event.get("type") == "control_cancel_request" for event in run.events)
    how = "prompt withdrawn" if withdrawn else "person says yes"
    return Sight(f"{how}, {_ran(stage.made('marker'))}", run, stage.model.requests(tag))


def permission_denied(stage: Stage) -> Sight:
    # In auto mode without a classifier every call that is not plainly harmless is denied.
    tag = stage.model.script(turn(stage.bash('python3 -c \'open("marker", "w")\'')))
    run = stage.space.run(tag, stage.settings(["PermissionDenied"]), mode="auto")
    retry = ", model told that it may retry" if "you may retry this tool call" in stage.told(tag) else ""
    return Sight(_ran(stage.made("marker")) + retry, run, stage.model.requests(tag))


def _after_a_call(stage: Stage, event: str, command: str) -> Sight:
    tag = stage.model.script(turn(stage.bash(command)))
    run = stage.space.run(tag, stage.settings([event]))
    goes_on = "turn goes on" if len(stage.model.requests(tag)) > 1 else "turn ends before the next request"
    return Sight(f"{_ran(stage.made('marker'))}, {goes_on}", run, stage.model.requests(tag))


def post_tool_use(stage: Stage) -> Sight:
    return _after_a_call(stage, "PostToolUse", "touch marker")


def post_tool_use_failure(stage: Stage) -> Sight:
    return _after_a_call(stage, "PostToolUseFailure", "touch marker; false")


def post_tool_batch(stage: Stage) -> Sight:
    return _after_a_call(stage, "PostToolBatch", "touch marker")


def _subagent(stage: Stage, event: str) -> Sight:
    inner = stage.model.script(turn(Say("found")))
    inputs = {"description": "look", "prompt": inner, "subagent_type": "general-purpose", "run_in_background": False}
    tag = stage.model.script(turn(Call("Agent", inputs)))
    run = stage.space.run(tag, stage.settings([event]))
    count = len(stage.model.requests(inner))
    effect = {0: "subagent did not run", 1: "subagent ran"}.get(count, f"subagent is called again, {count - 1} times")
    return Sight(effect, run, [*stage.model.requests(inner), *stage.model.requests(tag)])


def subagent_start(stage: Stage) -> Sight:
    return _subagent(stage, "SubagentStart")


def subagent_stop(stage: Stage) -> Sight:
    return _subagent(stage, "SubagentStop")


def _task(stage: Stage, event: str) -> Sight:
    tag = stage.model.script(
        turn(Call("TaskCreate", {"subject": "work", "description": "to do"})),
        turn(Call("TaskUpdate", {"taskId": "1", "status": "completed"})),
        turn(Call("TaskList", {}, id="toolu_list")),
    )
    tools = ["--tools", "TaskCreate,TaskUpdate,TaskList"]
    run = stage.space.run(tag, stage.settings([event]), arguments=tools)
    return Sight(f"task list then: {run.tool_results.get('toolu_list', '?')}", run, stage.model.requests(tag))


def task_created(stage: Stage) -> Sight:
    return _task(stage, "TaskCreated")


def task_completed(stage: Stage) -> Sight:
    return _task(stage, "TaskCompleted")


def _elicitation(stage: Stage, event: str) -> Sight:
    tag = stage.model.script(turn(Call("mcp__demo__ask", {}, id="toolu_ask")))
    asked_person = False

    def person(request: dict[str, Any]) -> dict[str, Any]:
        nonlocal asked_person
        if request["subtype"] != "elicitation":
            return allow_once(request)
        asked_person = True
        return {"action": "accept", "content": {"env": "dev"}}

    with stage.space.session(stage.settings([event]), arguments=mcp_arguments(), answers_prompts=True) as session:
        session.permission = person
        session.prompt(tag)
        session.wait_result()
        run = session.finish()
    person_text = "person asked" if asked_person else "person not asked"
    return Sight(f"{person_text}, server got {run.tool_results.get('toolu_ask')}", run, stage.model.requests(tag))


def elicitation(stage: Stage) -> Sight:
    return _elicitation(stage, "Elicitation")


def elicitation_result(stage: Stage) -> Sight:
    return _elicitation(stage, "ElicitationResult")


def notification(stage: Stage) -> Sight:
    return _elicitation(stage, "Notification")
