"""What `make run` starts, with the settings file that it writes: two calls are denied with the policy's reason, the rest works."""

import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.e2e.binary import ClientVersion
from tests.e2e.client import Workspace
from tests.e2e.model import Call, Model, Say, turn
from tests.e2e.session import Run
from tests.e2e.settings import mcp_arguments
from tests.e2e.trail import complaints
from tests.integration.running import Running
from tests.support.wait import until

FILES_REASON = "Files with secrets and the system's own configuration are off limits to agents"
PUSH_REASON = "Forced pushes rewrite what others have."
#: A decision's line: time, user, event, tool, outcome, milliseconds, main argument, reason.
LINE = re.compile(r"\d\d:\d\d:\d\d (\S+) +(\S+) +(\S+) +(\S+) +\d+\.\d ms  (.*?)(?:  — (.*))?")


class Development:
    """A running `hookgate dev` with the policies that ship, in a directory of its own."""

    def __init__(self) -> None:
        self.state = Path(tempfile.mkdtemp(prefix="dev-"))
        options = ("--policies", ROOT / "policies", "--state", self.state, "--port", "0", "--admin-port", "0")
        self._running = Running("dev", *options, "--console-port", "0")
        self._running.until_said("Ctrl-C ends it")
        self.settings = self.state / "settings.json"

    def lines(self) -> list[tuple[str, ...]]:
        """The decisions on the screen, taken apart."""
        return [found.groups("") for line in self._running.lines if (found := LINE.fullmatch(line))]

    def until_shown(self, argument: str, event: str) -> tuple[str, ...]:
        """Waits for the line of this main argument and event. Long arguments are cut, with a mark."""

        def found() -> list[tuple[str, ...]]:
            return [line for line in self.lines() if line[1] == event and _is_shown_as(argument, line[4])]

        until(found, what=f"{event} {argument} on the screen")
        (line,) = found()
        return line

    def told(self) -> list[str]:
        """All lines so far."""
        return list(self._running.lines)

    def end(self) -> int:
        """Ctrl-C; gives the exit code."""
        return self._running.end()


def _is_shown_as(argument: str, shown: str) -> bool:
    return shown == argument or (shown.endswith("…") and argument.startswith(shown[:-1]))


@pytest.fixture
def development(cerbos: Path) -> Iterator[Development]:
    running = Development()
    yield running
    running.end()
    shutil.rmtree(running.state)


def bash(command: str, identity: str) -> Call:
    return Call("Bash", {"command": command}, id=identity)


def no_trouble(run: Run) -> None:
    """The client took every settings entry and every answer."""
    assert run.returncode == 0
    assert complaints(run) == []
    assert run.result["is_error"] is False


def test_two_calls_are_denied_with_the_policy_s_reason_and_everything_else_works(
    development: Development, space: Workspace, model: Model
) -> None:
    (space.project / ".env.production").write_text("PASSWORD=heron\n")
    (space.project / "notes.txt").write_text("plain notes\n")
    space.git("branch", "--move", "main")
    space.git("init", "--quiet", "--bare", str(space.home / "remote.git"))
    space.git("remote", "add", "origin", str(space.home / "remote.git"))
    space.git("push", "--quiet", "origin", "main:precious")

    inner = model.script(turn(bash("touch by-subagent", "toolu_inner")), turn(Say("found")))
    agent = {"description": "look", "prompt": inner, "subagent_type": "general-purpose", "run_in_background": False}
    notes = str(space.project / "notes.txt")
    tag = model.script(
        turn(Call("Read", {"file_path": str(space.project / ".env.production")}, id="toolu_env")),
        turn(bash("git push --force origin main:precious", "toolu_push")),
        turn(bash("git status", "toolu_status"), Call("Read", {"file_path": notes}, id="toolu_read")),
        turn(Call("Edit", {"file_path": notes, "old_string": "plain", "new_string": "edited"}, id="toolu_edit")),
        turn(Call("Write", {"file_path": str(space.project / "new.txt"), "content": "new"}, id="toolu_write")),
        turn(
            bash(
                "git add notes.txt && git -c user.name=d -c user.email=d@e commit -qm work && git push origin main",
                "toolu_plain_push",
            )
        ),
        turn(Call("mcp__demo__touch", {"path": str(space.project / "by-mcp")}, id="toolu_mcp")),
        turn(Call("Agent", agent, id="toolu_agent")),
        turn(Say("all done")),
    )
    run = space.run(tag, development.settings, arguments=mcp_arguments())

    no_trouble(run)
    assert "heron" not in json.dumps(model.requests(tag))
    assert FILES_REASON in run.tool_results["toolu_env"]
    assert PUSH_REASON in run.tool_results["toolu_push"]
    branches = space.git("--git-dir", str(space.home / "remote.git"), "log", "--format=%s", "precious").split()
    assert branches == ["begin"]

    assert run.result["result"] == "all done"
    assert "On branch main" in run.tool_results["toolu_status"]
    assert (space.project / "notes.txt").read_text() == "edited notes\n"
    assert space.made() == [".env.production", "by-mcp", "by-subagent", "new.txt", "notes.txt"]
    assert "work" in space.git("--git-dir", str(space.home / "remote.git"), "log", "--format=%s", "main")


def test_the_screen_has_one_line_for_each_decision(development: Development, space: Workspace, model: Model) -> None:
    secret = str(space.project / ".env.production")
    tag = model.script(
        turn(Call("Read", {"file_path": secret})), turn(bash("git push --force origin main", "")), turn(bash("ls", ""))
    )
    no_trouble(space.run(tag, development.settings))

    assert development.until_shown("", "UserPromptSubmit")[2:4] == ("-", "allow")
    (user, event, tool, outcome, _, reason) = development.until_shown(secret, "PreToolUse")
    assert (user, event, tool, outcome) == ("alex", "PreToolUse", "Read", "deny")
    assert reason.startswith(FILES_REASON)
    (user, event, tool, outcome, _, reason) = development.until_shown("git push --force origin main", "PreToolUse")
    assert (user, event, tool, outcome) == ("alex", "PreToolUse", "Bash", "deny")
    assert reason.startswith(PUSH_REASON)
    assert development.until_shown("ls", "PreToolUse")[2:4] == ("Bash", "allow")
    assert development.until_shown("ls", "PostToolUse")[2:4] == ("Bash", "allow")
    calls = [line for line in development.lines() if line[1] in ("PreToolUse", "PostToolUse")]
    assert len(calls) == 4, "one line a decision, and denied calls have no PostToolUse"
    assert not [line for line in development.told() if "Traceback" in line]


def test_a_proxy_in_the_environment_is_not_asked_in_hookgate_s_stead(
    development: Development, space: Workspace, model: Model
) -> None:
    # Nobody listens there: without the exemption in the settings file the hook fails.
    dead = "http://127.0.0.1:9"
    proxies = dict.fromkeys(("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"), dead)
    tag = model.script(
        turn(bash("touch marker", "toolu_touch")), turn(bash("git push --force origin main", "toolu_push"))
    )
    run = space.run(tag, development.settings, environment={**proxies, "NO_PROXY": ""})

    assert space.made() == ["marker"]
    assert PUSH_REASON in run.tool_results["toolu_push"]


def test_once_it_has_ended_no_call_runs_with_its_settings(
    development: Development, space: Workspace, model: Model, version: ClientVersion
) -> None:
    assert development.end() == 0
    tag = model.script(turn(bash("touch marker", "toolu_touch")))
    run = space.run(tag, development.settings)

    if version.obeys_on_failure:
        assert space.made() == []
        # The prompt itself is blocked already.
        assert model.requests(tag) == []
        assert 'blocking because onFailure is "block"' in run.result["result"]
    else:
        assert space.made() == ["marker"]
