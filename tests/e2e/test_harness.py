"""The harness itself: the client runs what a script says, unless a hook forbids it in the one form that the client obeys."""

import subprocess
from pathlib import Path

import pytest

from tests.e2e.client import Workspace
from tests.e2e.hooks import Hook, HookServer, Reply
from tests.e2e.model import Call, Model, Say, turn
from tests.e2e.session import refuse
from tests.e2e.settings import hook_settings, mcp_arguments

TOUCH = Call("Bash", {"command": "touch marker"}, id="toolu_touch")


def deny(hook: Hook) -> Reply:
    opinion = {"permissionDecision": "deny", "permissionDecisionReason": "not here"}
    return Reply({"hookSpecificOutput": {"hookEventName": hook.event} | opinion})


def deny_without_event_name(hook: Hook) -> Reply:
    return Reply({"hookSpecificOutput": {"permissionDecision": "deny", "permissionDecisionReason": "not here"}})


def test_a_scripted_call_runs_where_the_hook_has_no_opinion(
    space: Workspace, model: Model, recorder: HookServer
) -> None:
    run = space.run(model.script(turn(TOUCH)), hook_settings(recorder.url, ["PreToolUse", "PostToolUse"]))

    assert run.returncode == 0
    assert (space.project / "marker").exists()
    assert [(hook.event, hook.tool) for hook in recorder.seen()] == [("PreToolUse", "Bash"), ("PostToolUse", "Bash")]
    assert recorder.seen("PreToolUse")[0].headers["x-claude-user"] == "alex"


def test_a_denied_call_does_not_run_and_the_model_reads_why(
    space: Workspace, model: Model, recorder: HookServer
) -> None:
    recorder.answer = deny
    run = space.run(model.script(turn(TOUCH)), hook_settings(recorder.url, ["PreToolUse"]))

    assert not (space.project / "marker").exists()
    assert "not here" in run.tool_results["toolu_touch"]


def test_a_denial_without_the_event_name_is_thrown_away_and_the_call_runs(
    space: Workspace, model: Model, recorder: HookServer
) -> None:
    recorder.answer = deny_without_event_name
    run = space.run(model.script(turn(TOUCH)), hook_settings(recorder.url, ["PreToolUse"]))

    assert (space.project / "marker").exists()
    assert "not here" not in run.tool_results["toolu_touch"]


def test_calls_of_one_turn_each_reach_the_hook_and_run(space: Workspace, model: Model, recorder: HookServer) -> None:
    calls = [Call("Bash", {"command": f"touch marker{n}"}) for n in range(3)]
    run = space.run(model.script(turn(*calls)), hook_settings(recorder.url, ["PreToolUse"]))

    assert run.returncode == 0
    assert sorted(file.name for file in space.project.glob("marker*")) == ["marker0", "marker1", "marker2"]
    assert len(recorder.seen("PreToolUse")) == 3


def test_a_subagent_follows_a_script_of_its_own(space: Workspace, model: Model, recorder: HookServer) -> None:
    inner = model.script(turn(TOUCH))
    inputs = {"description": "look", "prompt": inner, "subagent_type": "general-purpose", "run_in_background": False}
    space.run(model.script(turn(Call("Agent", inputs))), hook_settings(recorder.url, ["PreToolUse"]))

    assert (space.project / "marker").exists()
    assert [(hook.tool, "agent_id" in hook.body) for hook in recorder.seen()] == [("Agent", False), ("Bash", True)]


def test_an_mcp_tool_runs_and_its_hook_names_the_server(space: Workspace, model: Model, recorder: HookServer) -> None:
    call = Call("mcp__demo__touch", {"path": str(space.project / "marker")})
    space.run(model.script(turn(call)), hook_settings(recorder.url, ["PreToolUse"]), arguments=mcp_arguments())

    assert (space.project / "marker").exists()
    assert [hook.tool for hook in recorder.seen()] == ["mcp__demo__touch"]


def test_a_session_takes_several_prompts_and_a_person_may_refuse(
    space: Workspace, model: Model, recorder: HookServer
) -> None:
    settings = hook_settings(recorder.url, ["PreToolUse", "UserPromptSubmit"])
    with space.session(settings, mode="default", answers_prompts=True) as session:
        session.prompt(model.script(turn(Say("hello"))))
        assert session.wait_result()["result"] == "hello"
        session.permission = refuse
        session.prompt(model.script(turn(TOUCH)))
        assert session.wait_result()["result"] == "done"
        run = session.finish()

    assert not (space.project / "marker").exists()
    assert "the person said no" in run.tool_results["toolu_touch"]
    assert len(recorder.seen("UserPromptSubmit")) == 2


def test_something_can_happen_in_the_middle_of_a_conversation(space: Workspace, model: Model) -> None:
    order: list[bool] = []
    marker = space.project / "marker"
    tag = model.script(turn(TOUCH), turn(Say("end"), before=lambda: order.append(marker.exists())))

    assert space.run(tag).result["result"] == "end"
    assert order == [True]


def test_nothing_of_the_person_who_runs_the_tests_reaches_the_client(
    space: Workspace, model: Model, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    own_home = tmp_path_factory.mktemp("own")
    monkeypatch.setenv("HOME", str(own_home))
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(own_home / "claude"))
    monkeypatch.setenv("HOOKGATE_TEST_SECRET", "heron")
    run = space.run(model.script(turn(Call("Bash", {"command": "env"}, id="toolu_env"))))

    assert run.returncode == 0
    assert "heron" not in run.tool_results["toolu_env"]
    assert list(own_home.iterdir()) == []


def test_the_client_is_of_the_version_that_was_asked_for(client: Path, space: Workspace) -> None:
    said = subprocess.run(
        [client, "--version"], env=space.environment(), capture_output=True, text=True, check=True, timeout=30
    )
    assert said.stdout.split()[0] == client.parent.name
