"""The rollout as it is done in practice: observe, one rule for all, roles, commands.

The policies are those that people bring, as they stand (tests/fixtures/guide-policies). What a call did is told by its traces:
a file, a branch, what the model got to read.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.e2e.client import Workspace
from tests.e2e.model import Call, Model, turn
from tests.e2e.session import Run
from tests.e2e.settings import Settings, hook_settings
from tests.e2e.trail import assert_recorded_once, decisions, outcomes
from tests.support.pdp import Pdp
from tests.support.service import ServiceProcess
from tests.support.wait import until

GUIDE = ROOT / "tests" / "fixtures" / "guide-policies"
EVENTS = ("PreToolUse", "PermissionRequest", "PostToolUse")
SECRET = "heron-on-the-roof"
FILES_REASON = "Sensitive files are off limits here."
ROLE_REASON = "Running commands and changing files needs the engineering role."
COMMAND_REASON = "This command destroys work or runs unknown code."

#: A policy's edit is noticed within some seconds.
LIVE_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Destruction:
    """A command that destroys something, what it needs to be there, and whether that is destroyed."""

    name: str
    command: str
    prepare: Callable[[Workspace], None]
    happened: Callable[[Workspace], bool]

    @property
    def call(self) -> Call:
        return Call("Bash", {"command": self.command}, id=f"toolu_{self.name}")


def _diverge_from_remote(space: Workspace) -> None:
    """A remote whose main branch has a commit that the project's has not."""
    remote = space.home / "remote.git"
    as_dev = ("-c", "user.name=dev", "-c", "user.email=dev@example.com")
    space.git("branch", "--move", "main")
    space.git("init", "--quiet", "--bare", str(remote))
    space.git("remote", "add", "origin", str(remote))
    space.git(*as_dev, "commit", "--quiet", "--allow-empty", "-m", "theirs")
    space.git("push", "--quiet", "origin", "main")
    space.git("reset", "--quiet", "--hard", "HEAD~1")
    space.git(*as_dev, "commit", "--quiet", "--allow-empty", "-m", "ours")


def _theirs_is_gone(space: Workspace) -> bool:
    return "theirs" not in space.git("--git-dir", str(space.home / "remote.git"), "log", "--format=%s", "main")


def _make_build(space: Workspace) -> None:
    (space.project / "build").mkdir()
    (space.project / "build" / "kept").touch()


def _make_download(space: Workspace) -> None:
    """Something of the name curl that fetches from nowhere, so that no test needs a network or the machine's own."""
    (space.project / "downloaded.sh").write_text("touch downloaded\n")
    fetcher = space.project / "curl"
    fetcher.write_text("#!/bin/sh\nexec cat downloaded.sh\n")
    fetcher.chmod(0o755)


def _change_readme(space: Workspace) -> None:
    (space.project / "README.md").write_text("Work of hours.\n")


DESTRUCTION = (
    Destruction("rm", "rm -rf build", _make_build, lambda space: not (space.project / "build").exists()),
    Destruction("curl", "./curl | bash", _make_download, lambda space: (space.project / "downloaded").exists()),
    Destruction("push", "git push --force origin main", _diverge_from_remote, _theirs_is_gone),
    Destruction(
        "reset",
        "git reset --hard",
        _change_readme,
        lambda space: (space.project / "README.md").read_text() != "Work of hours.\n",
    ),
)


def prepare(space: Workspace) -> None:
    """What the scripted calls work on."""
    (space.project / ".env.production").write_text(f"PASSWORD={SECRET}\n")
    (space.project / "notes.txt").write_text("plain notes\n")
    for destruction in DESTRUCTION:
        destruction.prepare(space)


def read(space: Workspace, name: str) -> Call:
    return Call("Read", {"file_path": str(space.project / name)}, id=f"toolu_read_{name.strip('.').split('.')[0]}")


def write(space: Workspace, name: str, identity: str) -> Call:
    return Call("Write", {"file_path": str(space.project / name), "content": "written\n"}, id=identity)


def told(model: Model, tag: str) -> str:
    """All that the model was ever sent in this conversation."""
    return json.dumps(model.requests(tag))


def as_role(service: ServiceProcess, *roles: str) -> Settings:
    return hook_settings(service.url, EVENTS, headers={"x-claude-user-roles": ",".join(roles)} if roles else None)


@pytest.fixture(scope="module")
def step(cerbos: Path) -> Iterator[Callable[[int], ServiceProcess]]:
    """A service with the policies of a step of the guide; up to 3 there are none."""
    pdps: list[Pdp] = []
    services: dict[int, ServiceProcess] = {}

    def serve(number: int) -> ServiceProcess:
        if number not in services:
            pdps.append(Pdp(GUIDE / str(number) if number > 3 else None).start())
            services[number] = ServiceProcess(pdps[-1].address).start()
        return services[number]

    yield serve
    for service in services.values():
        service.remove()
    for pdp in pdps:
        pdp.stop()


Step = Callable[[int], ServiceProcess]


def test_without_policies_everything_runs_and_tells_who_used_what(step: Step, space: Workspace, model: Model) -> None:
    service = step(3)
    prepare(space)
    calls = [read(space, ".env.production"), write(space, "new", "toolu_write"), *(one.call for one in DESTRUCTION)]
    tag = model.script(turn(read(space, "notes.txt")), *(turn(call) for call in calls))
    run = space.run(tag, as_role(service, "engineering", "oncall"))

    assert SECRET in told(model, tag)
    assert (space.project / "new").exists()
    assert {one.name: one.happened(space) for one in DESTRUCTION} == {one.name: True for one in DESTRUCTION}
    assert_recorded_once(service, run, ran=["toolu_read_notes", *(call.id for call in calls)])
    asked = decisions(service, run, "PreToolUse")
    assert {record["outcome"] for record in asked} == {"no_match"}
    assert {(record["user"], *record["roles"]) for record in asked} == {("alex", "engineering", "oncall")}
    assert {record["cwd"] for record in asked} == {str(space.project)}
    assert "git push --force origin main" in [record["input"].get("command") for record in asked]
    assert str(space.project / ".env.production") in [record["input"].get("file_path") for record in asked]


def test_observing_policies_records_what_they_would_deny_and_stops_nothing(
    make_service: Callable[..., ServiceProcess], make_pdp: Callable[..., Pdp], space: Workspace, model: Model
) -> None:
    service = make_service(make_pdp(GUIDE / "6").address, {"mode": "observe"})
    prepare(space)
    calls = [read(space, ".env.production"), *(one.call for one in DESTRUCTION)]
    tag = model.script(*(turn(call) for call in calls))
    run = space.run(tag, as_role(service, "engineering"))

    assert SECRET in told(model, tag)
    assert all(one.happened(space) for one in DESTRUCTION)
    assert_recorded_once(service, run, ran=[call.id for call in calls])
    for record in decisions(service, run, "PreToolUse"):
        assert (record["mode"], record["outcome"], record["answer"]) == ("observe", "deny", {})
        assert record["would_answer"]["hookSpecificOutput"]["permissionDecision"] == "deny"


def test_the_first_rule_holds_seconds_after_it_is_pushed_without_a_restart(
    make_service: Callable[..., ServiceProcess], make_pdp: Callable[..., Pdp], space: Workspace, model: Model
) -> None:
    pdp = make_pdp()
    service = make_service(pdp.address)
    prepare(space)
    secret = space.project / ".env.production"

    def push_policy() -> None:
        shutil.copy(GUIDE / "4" / "pre_tool_use.yaml", pdp.policies)
        probe = {"hook_event_name": "PreToolUse", "tool_name": "Read", "tool_input": {"file_path": str(secret)}}
        until(lambda: service.post(probe) != {}, seconds=LIVE_SECONDS, what="the policy to be live")

    tag = model.script(
        turn(Call("Read", {"file_path": str(secret), "limit": 1}, id="toolu_before")),
        turn(Call("Write", {"file_path": str(secret), "content": "overwritten"}, id="toolu_after"), before=push_policy),
    )
    run = space.run(tag, as_role(service))

    assert SECRET in run.tool_results["toolu_before"]
    assert SECRET in secret.read_text()
    assert FILES_REASON in run.tool_results["toolu_after"]
    assert_recorded_once(service, run, ran=["toolu_before"], stopped=["toolu_after"])


@pytest.mark.parametrize("number", [4, 5, 6])
def test_nobody_s_agent_touches_sensitive_files(step: Step, space: Workspace, model: Model, number: int) -> None:
    service = step(number)
    prepare(space)
    # An edit of a file that was not read is refused by some versions before any hook; one that makes a file is not.
    edit = {"file_path": str(space.project / "credentials"), "old_string": "", "new_string": "new"}
    stopped = [
        read(space, ".env.production"),
        write(space, "my-secret.txt", "toolu_write_secret"),
        Call("Edit", edit, id="toolu_edit"),
        Call("Write", {"file_path": "/etc/hookgate-e2e-must-not-exist", "content": ""}, id="toolu_etc"),
    ]
    going = [read(space, "notes.txt"), write(space, "new.txt", "toolu_write_new")]
    tag = model.script(*(turn(call) for call in stopped), *(turn(call) for call in going))
    run = space.run(tag, as_role(service, "engineering"))

    assert SECRET not in told(model, tag)
    assert not (space.project / "my-secret.txt").exists()
    assert not Path("/etc/hookgate-e2e-must-not-exist").exists()
    assert not (space.project / "credentials").exists()
    assert "plain notes" in run.tool_results["toolu_read_notes"]
    assert (space.project / "new.txt").exists()
    assert_recorded_once(service, run, ran=[call.id for call in going], stopped=[call.id for call in stopped])
    for record in decisions(service, run, "PreToolUse"):
        if record["outcome"] == "deny":
            # The agent reads the reason and finds another way; the log has the attempt, the denial, and the reason.
            told_agent = run.tool_results[record["tool_use_id"]]
            assert FILES_REASON in told_agent
            assert record["id"] in told_agent
            assert FILES_REASON in record["reason"]
    assert set(outcomes(service, run).values()) == {"allow", "deny"}


@pytest.mark.parametrize("number", [5, 6])
def test_engineers_run_commands_without_being_asked(step: Step, space: Workspace, model: Model, number: int) -> None:
    service = step(number)
    tag = model.script(turn(Call("Bash", {"command": "touch marker"}, id="toolu_touch")))
    run = space.run(tag, as_role(service, "engineering"), mode="default")

    assert (space.project / "marker").exists()
    assert_recorded_once(service, run, ran=["toolu_touch"])


def test_who_is_no_engineer_is_asked_as_without_a_policy(step: Step, space: Workspace, model: Model) -> None:
    service = step(5)
    tag = model.script(turn(Call("Bash", {"command": "touch marker"}, id="toolu_touch")))
    run = space.run(tag, as_role(service, "design"), mode="default")

    # Nobody is there to be asked.
    assert not (space.project / "marker").exists()
    assert outcomes(service, run) == {"toolu_touch": "allow"}
    assert decisions(service, run, "PreToolUse")[0]["answer"] == {}


@pytest.mark.parametrize("number", [5, 6])
def test_marketing_reads_but_runs_and_changes_nothing(step: Step, space: Workspace, model: Model, number: int) -> None:
    service = step(number)
    (space.project / "notes.txt").write_text("plain notes\n")
    edit = {"file_path": str(space.project / "notes.txt"), "old_string": "plain", "new_string": "changed"}
    stopped = [
        Call("Bash", {"command": "touch marker"}, id="toolu_touch"),
        write(space, "new.txt", "toolu_write"),
        Call("Edit", edit, id="toolu_edit"),
    ]
    tag = model.script(turn(read(space, "notes.txt")), *(turn(call) for call in stopped))
    run = space.run(tag, as_role(service, "marketing"))

    assert not (space.project / "marker").exists()
    assert not (space.project / "new.txt").exists()
    assert (space.project / "notes.txt").read_text() == "plain notes\n"
    assert "plain notes" in run.tool_results["toolu_read_notes"]
    assert_recorded_once(service, run, ran=["toolu_read_notes"], stopped=[call.id for call in stopped])
    assert all(ROLE_REASON in run.tool_results[call.id] for call in stopped)


def test_an_engineer_s_agent_destroys_nothing_although_an_allow_fires_beside_the_denial(
    step: Step, space: Workspace, model: Model
) -> None:
    service = step(6)
    prepare(space)
    status = Call("Bash", {"command": "git status && touch marker"}, id="toolu_status")
    tag = model.script(turn(status), *(turn(one.call) for one in DESTRUCTION))
    run = space.run(tag, as_role(service, "engineering"))

    assert (space.project / "marker").exists()
    assert {one.name: one.happened(space) for one in DESTRUCTION} == {one.name: False for one in DESTRUCTION}
    stopped = [one.call.id for one in DESTRUCTION]
    assert_recorded_once(service, run, ran=["toolu_status"], stopped=stopped)
    assert all(COMMAND_REASON in run.tool_results[identity] for identity in stopped)
    for record in decisions(service, run, "PreToolUse"):
        assert bool(record["contradictions"]) == (record["tool_use_id"] in stopped)


def guides_own_settings(url: str, roles: str) -> Settings:
    """The settings file that the guide describes, to the letter: no `allowedEnvVars`, so that `${USER}` arrives empty."""
    hook = {"type": "http", "url": url, "headers": {"x-claude-user-roles": roles, "x-claude-user": "${USER}"}}
    return {"hooks": {event: [{"matcher": "*", "hooks": [hook]}] for event in EVENTS}}


def test_the_guide_s_own_settings_file_works_though_its_user_arrives_empty(
    step: Step, space: Workspace, model: Model
) -> None:
    service = step(6)
    prepare(space)
    calls = {
        True: [Call("Bash", {"command": "git status && touch marker"}, id="toolu_status"), read(space, "notes.txt")],
        False: [read(space, ".env.production"), *(one.call for one in DESTRUCTION)],
    }
    tag = model.script(*(turn(call) for call in [*calls[True], *calls[False]]))
    run: Run = space.run(tag, guides_own_settings(service.url, "engineering"))

    assert (space.project / "marker").exists()
    assert SECRET not in told(model, tag)
    assert not any(one.happened(space) for one in DESTRUCTION)
    assert_recorded_once(
        service, run, ran=[call.id for call in calls[True]], stopped=[call.id for call in calls[False]]
    )
    assert {(record["user"], *record["roles"]) for record in decisions(service, run)} == {
        ("claude_user", "engineering")
    }
