"""What a policy says of each event reaches the client in a form that it obeys."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.binary import ClientVersion
from tests.e2e.client import Workspace
from tests.e2e.model import Call, Model, Say, turn
from tests.e2e.session import Run, allow_once, look_away, refuse
from tests.e2e.settings import hook_settings, mcp_arguments
from tests.e2e.trail import assert_recorded_once, decisions, outcomes
from tests.support.pdp import Pdp
from tests.support.service import ServiceProcess
from tests.support.wait import until

FORBIDDEN = "That is forbidden."
#: Made of two parts, as what looks like a key here must not be one.
LEAKED_KEY = "AKIA" + "IOSFODNN7EXAMPLE"


@pytest.fixture(scope="module")
def service(cerbos: Path) -> Iterator[ServiceProcess]:
    """A service with this folder's policies: a word in a call's input picks what is said of it."""
    pdp = Pdp(Path(__file__).parent / "policies").start()
    running = ServiceProcess(pdp.address).start()
    yield running
    running.remove()
    pdp.stop()


def bash(command: str, identity: str = "") -> Call:
    return Call("Bash", {"command": command}, id=identity or f"toolu_{command.rsplit(maxsplit=1)[-1]}")


def at_a_prompt(
    service: ServiceProcess,
    space: Workspace,
    tag: str,
    person: Callable[[dict[str, Any]], dict[str, Any] | None],
    mode: str = "default",
) -> tuple[Run, int]:
    """A session in which a person may be asked; gives the run, and how often the person was."""
    with space.session(hook_settings(service.url), mode=mode, answers_prompts=True) as session:
        session.permission = person
        session.prompt(tag)
        session.wait_result()
        return session.finish(), len(session.asked)


def test_a_policy_refuses_at_the_prompt_before_the_person_answers(
    service: ServiceProcess, space: Workspace, model: Model
) -> None:
    run, _ = at_a_prompt(service, space, model.script(turn(bash("touch refused"))), look_away)

    assert space.made() == []
    assert "Nobody may grant that." in run.tool_results["toolu_refused"]
    assert [record["outcome"] for record in decisions(service, run, "PermissionRequest")] == ["deny"]
    assert_recorded_once(service, run, stopped=["toolu_refused"])


def test_a_policy_grants_at_the_prompt_in_the_person_s_stead(
    service: ServiceProcess, space: Workspace, model: Model
) -> None:
    run, _ = at_a_prompt(service, space, model.script(turn(bash("touch granted"))), look_away)

    assert space.made() == ["granted"]
    assert [record["outcome"] for record in decisions(service, run, "PermissionRequest")] == ["allow"]
    assert_recorded_once(service, run, ran=["toolu_granted"])


@pytest.mark.parametrize(("person", "ran"), [(allow_once, True), (refuse, False)])
def test_without_a_policy_s_word_the_person_decides(
    service: ServiceProcess, space: Workspace, model: Model, person: Callable[[dict[str, Any]], Any], ran: bool
) -> None:
    run, times = at_a_prompt(service, space, model.script(turn(bash("touch marker"))), person)

    assert times == 1
    assert space.made() == (["marker"] if ran else [])
    assert decisions(service, run, "PermissionRequest")[0]["answer"] == {}
    assert_recorded_once(service, run, ran=["toolu_marker"] if ran else [], stopped=[] if ran else ["toolu_marker"])


def test_where_nobody_can_be_asked_a_policy_still_decides(
    service: ServiceProcess, space: Workspace, model: Model, version: ClientVersion
) -> None:
    tag = model.script(turn(bash("touch granted")), turn(bash("touch refused")), turn(bash("touch marker")))
    run = space.run(tag, hook_settings(service.url), mode="default")

    asked = {record["input"]["command"]: record["outcome"] for record in decisions(service, run, "PermissionRequest")}
    if version.asks_hooks_where_nobody_can_be_asked:
        assert space.made() == ["granted"]
        assert asked == {"touch granted": "allow", "touch refused": "deny", "touch marker": "allow"}
        assert "Nobody may grant that." in run.tool_results["toolu_refused"]
    else:
        assert space.made() == []
        assert asked == {}


@pytest.mark.parametrize(("person", "ran"), [(allow_once, True), (refuse, False)])
def test_a_policy_s_ask_puts_a_person_before_the_call_although_the_mode_asks_nobody(
    service: ServiceProcess, space: Workspace, model: Model, person: Callable[[dict[str, Any]], Any], ran: bool
) -> None:
    tag = model.script(turn(bash("touch dubious")), turn(bash("touch marker")))
    run, times = at_a_prompt(service, space, tag, person, mode="bypassPermissions")

    assert times == 1
    assert space.made() == (["dubious", "marker"] if ran else ["marker"])
    assert outcomes(service, run) == {"toolu_dubious": "ask", "toolu_marker": "allow"}
    stopped = [] if ran else ["toolu_dubious"]
    assert_recorded_once(service, run, ran=[*(["toolu_dubious"] if ran else []), "toolu_marker"], stopped=stopped)


def test_a_policy_s_ask_stops_the_call_where_nobody_can_be_asked(
    service: ServiceProcess, space: Workspace, model: Model
) -> None:
    run = space.run(model.script(turn(bash("touch dubious"))), hook_settings(service.url))

    assert space.made() == []
    assert "A person shall look." in run.tool_results["toolu_dubious"]
    assert_recorded_once(service, run, stopped=["toolu_dubious"])


def test_a_command_runs_as_a_policy_rewrote_it(service: ServiceProcess, space: Workspace, model: Model) -> None:
    run = space.run(model.script(turn(bash("touch original"))), hook_settings(service.url))

    assert space.made() == ["rewritten"]
    assert_recorded_once(service, run, ran=["toolu_original"])
    reported = decisions(service, run, "PostToolUse")[0]
    assert reported["input"]["command"] == "touch rewritten"


def test_a_command_that_is_forbidden_as_rewritten_runs_in_neither_form(
    service: ServiceProcess, space: Workspace, model: Model
) -> None:
    run = space.run(model.script(turn(bash("touch harmless"))), hook_settings(service.url))

    assert space.made() == []
    assert FORBIDDEN in run.tool_results["toolu_harmless"]
    assert_recorded_once(service, run, stopped=["toolu_harmless"])


def test_one_of_three_commands_of_a_message_is_denied_and_the_others_run(
    service: ServiceProcess, space: Workspace, model: Model
) -> None:
    calls = [bash("touch first"), bash("touch forbidden"), bash("touch third")]
    run = space.run(model.script(turn(*calls)), hook_settings(service.url))

    assert space.made() == ["first", "third"]
    assert FORBIDDEN in run.tool_results["toolu_forbidden"]
    assert_recorded_once(service, run, ran=["toolu_first", "toolu_third"], stopped=["toolu_forbidden"])


def test_one_of_many_reads_that_are_asked_about_at_once_is_denied(
    service: ServiceProcess, space: Workspace, model: Model
) -> None:
    names = [f"note{number}" for number in range(8)] + ["forbidden"]
    for name in names:
        (space.project / name).write_text(f"the content of {name} is heron\n")
    calls = [Call("Read", {"file_path": str(space.project / name)}, id=f"toolu_{name}") for name in names]
    tag = model.script(turn(*calls))
    run = space.run(tag, hook_settings(service.url))

    told = json.dumps(model.requests(tag))
    assert [name for name in names if f"the content of {name} is heron" in told] == names[:-1]
    assert FORBIDDEN in run.tool_results["toolu_forbidden"]
    assert_recorded_once(service, run, ran=[call.id for call in calls[:-1]], stopped=["toolu_forbidden"])


def test_a_subagent_s_call_is_denied_and_the_record_names_the_subagent(
    service: ServiceProcess, space: Workspace, model: Model
) -> None:
    inner = model.script(turn(bash("touch forbidden")), turn(bash("touch marker")))
    inputs = {"description": "look", "prompt": inner, "subagent_type": "general-purpose", "run_in_background": False}
    outer = model.script(turn(Call("Agent", inputs, id="toolu_agent")))
    run = space.run(outer, hook_settings(service.url))

    assert space.made() == ["marker"]
    assert FORBIDDEN in json.dumps(model.requests(inner))
    assert_recorded_once(service, run, ran=["toolu_agent", "toolu_marker"], stopped=["toolu_forbidden"])
    asked = {record["tool_use_id"]: record for record in decisions(service, run, "PreToolUse")}
    assert asked["toolu_agent"]["agent_id"] == ""
    assert asked["toolu_forbidden"]["agent_id"] == asked["toolu_marker"]["agent_id"] != ""
    assert asked["toolu_forbidden"]["agent_type"] == "general-purpose"


def test_an_mcp_tool_is_denied_by_its_input_and_allowed_by_another(
    service: ServiceProcess, space: Workspace, model: Model
) -> None:
    calls = [
        Call("mcp__demo__touch", {"path": str(space.project / name)}, id=f"toolu_{name}")
        for name in ("forbidden", "marker")
    ]
    run = space.run(
        model.script(*(turn(call) for call in calls)), hook_settings(service.url), arguments=mcp_arguments()
    )

    assert space.made() == ["marker"]
    assert FORBIDDEN in run.tool_results["toolu_forbidden"]
    assert_recorded_once(service, run, ran=["toolu_marker"], stopped=["toolu_forbidden"])
    assert {record["tool"] for record in decisions(service, run, "PreToolUse")} == {"mcp__demo__touch"}


def test_a_prompt_with_a_key_in_it_reaches_no_model(
    shipped_service: ServiceProcess, space: Workspace, model: Model
) -> None:
    tag = model.script(turn(Say("hello")))
    run = space.run(f"{tag} deploy with {LEAKED_KEY}", hook_settings(shipped_service.url))

    assert model.requests(tag) == []
    assert "looks like a key or token" in run.result["result"]
    assert [record["outcome"] for record in decisions(shipped_service, run, "UserPromptSubmit")] == ["deny"]


def test_a_prompt_without_one_reaches_the_model(
    shipped_service: ServiceProcess, space: Workspace, model: Model
) -> None:
    tag = model.script(turn(Say("hello")))
    run = space.run(f"{tag} deploy", hook_settings(shipped_service.url))

    assert run.result["result"] == "hello"
    assert [record["outcome"] for record in decisions(shipped_service, run, "UserPromptSubmit")] == ["allow"]


def test_an_agent_does_not_write_the_client_s_settings(
    shipped_service: ServiceProcess, space: Workspace, model: Model
) -> None:
    file = space.project / ".claude" / "settings.local.json"
    inputs = {"file_path": str(file), "content": '{"disableAllHooks": true}'}
    tag = model.script(turn(Call("Write", inputs, id="toolu_write")))
    run = space.run(tag, hook_settings(shipped_service.url, ["PreToolUse", "PostToolUse", "ConfigChange"]))

    assert not file.exists()
    assert_recorded_once(shipped_service, run, stopped=["toolu_write"])


def test_an_agent_that_gets_hooks_switched_off_in_a_settings_file_stays_hooked(
    shipped_service: ServiceProcess, space: Workspace, model: Model, tmp_path: Path
) -> None:
    changed = space.project / ".claude" / "settings.local.json"
    # Where the folder is made in the session only, 2.1.197 notices no change in it, and hooks go on.
    changed.parent.mkdir()
    # No pattern sees this one: a script that was there does it.
    (space.project / "tidy.sh").write_text(f"printf '{{\"disableAllHooks\": true}}' > {changed}\n")
    (space.project / ".env").write_text("PASSWORD=heron\n")

    def config_changes() -> list[dict[str, Any]]:
        return [
            record
            for record in shipped_service.records()
            if record["event"] == "ConfigChange" and record["cwd"] == str(space.project)
        ]

    def wait_for_the_change() -> None:
        until(config_changes, seconds=20, what="the client to notice the changed settings")

    # Without a block the client is without hooks from the second call on at the latest.
    tag = model.script(
        turn(bash("sh tidy.sh")),
        turn(bash("touch first"), before=wait_for_the_change),
        turn(bash("touch second")),
        turn(Call("Read", {"file_path": str(space.project / ".env")}, id="toolu_read")),
        turn(bash("touch third")),
    )
    run = space.run(tag, hook_settings(shipped_service.url, ["PreToolUse", "PostToolUse", "ConfigChange"]))

    assert json.loads(changed.read_text()) == {"disableAllHooks": True}
    assert "heron" not in json.dumps(model.requests(tag))
    assert [(record["outcome"], record["answer"]["decision"]) for record in config_changes()] == [("deny", "block")]
    ran = ["toolu_tidy.sh", "toolu_first", "toolu_second", "toolu_third"]
    assert_recorded_once(shipped_service, run, ran=ran, stopped=["toolu_read"])
