"""`hookgate dev`: the PDP, Hookgate and policies on one machine, on a person's screen."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hookgate.audit.store.opening import open_store
from hookgate.audit.store.question import Filter
from hookgate.client.settings import can_block
from tests.conftest import ROOT, payload
from tests.integration.policies import rule, write
from tests.integration.running import Running, run
from tests.support.journals import lines
from tests.support.wait import free_port, until

UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class Development:
    """A `hookgate dev` under way, in directories of its own."""

    def __init__(self, *options: str, shipped: bool = False, env: dict[str, str] | None = None) -> None:
        # A short path: a socket's may have no more than some hundred characters.
        self.directory = Path(tempfile.mkdtemp(prefix="dev-"))
        self.policies = self.directory / "policies"
        if shipped:
            # Without their tests, which take most of a check's time and are run by tests/policies.
            shutil.copytree(ROOT / "policies", self.policies, ignore=shutil.ignore_patterns("tests"))
        else:
            # Soon checked.
            self.policies.mkdir()
            denied = rule("DENY", when='R.attr.tool_input.command.startsWith("rm")')
            write(self.policies, "PreToolUse", denied, rule("ALLOW"))
        self.state = self.directory / "state"
        self.temporary = self.directory / "tmp"
        self.temporary.mkdir()
        arguments = ("--policies", str(self.policies), "--state", str(self.state), "--port", "0", "--admin-port", "0")
        self.running = Running(
            "dev",
            *arguments,
            "--console-port",
            "0",
            *options,
            env={"TMPDIR": str(self.temporary), "NO_PROXY": "intra.net", **(env or {})},
        )
        self.running.until_said("Ctrl-C ends it")
        welcome = self.running.until_said("Hookgate decides at")[0]
        found = re.search(r"http://127\.0\.0\.1:\d+/ext/claude", welcome)
        assert found
        self.url = found.group()

    def post(self, body: dict[str, Any], user: str = "alex") -> dict[str, Any]:
        """Posts a hook."""
        headers = {"Content-Type": "application/json", "X-Claude-User": user}
        request = urllib.request.Request(self.url, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=15) as response:
            answer: dict[str, Any] = json.loads(response.read())
            return answer

    def decisions(self) -> list[str]:
        """Gives the lines about decisions, without colours."""
        return [line for line in self.running.lines if re.match(r"\d\d:\d\d:\d\d ", line)]

    def remove(self) -> None:
        """Ends it, and removes what it left."""
        self.running.end()
        shutil.rmtree(self.directory, ignore_errors=True)


@pytest.fixture(scope="module")
def development(cerbos: Path) -> Iterator[Development]:
    """One for the tests that end nothing."""
    found = Development(shipped=True)
    yield found
    found.remove()


@pytest.fixture
def develop(cerbos: Path) -> Iterator[Callable[..., Development]]:
    """Starts ones for a test of its own."""
    made: list[Development] = []

    def start(*options: str, shipped: bool = False, env: dict[str, str] | None = None) -> Development:
        made.append(Development(*options, shipped=shipped, env=env))
        return made[-1]

    yield start
    for one in made:
        one.remove()


class TestWelcome:
    def test_says_how_to_point_the_client_here(self, development: Development) -> None:
        file = development.state / "settings.json"
        assert development.running.until_said(f"claude --settings {file}")[0].endswith("(Claude Code 2.1.295 or newer)")
        assert development.running.until_said("protects nothing from you")
        assert "canary: ok" in development.running.until_said("Policies: ")[0]

    def test_prints_a_link_to_the_pages_that_lets_in(self, development: Development) -> None:
        link = development.running.until_said("Pages:")[0].split()[-1]
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())

        def shown(url: str) -> str:
            """A page's text; until the first record has come it says so, with the status 503."""
            try:
                with browser.open(url, timeout=10) as page:
                    return str(page.read().decode())
            except urllib.error.HTTPError as error:
                with error:
                    return str(error.read().decode())

        text = shown(link)
        assert "<h1>Overview</h1>" in text or "No record yet" in text
        until(lambda: "<h1>Overview</h1>" in shown(link.partition("login")[0]), what="the store")

    def test_writes_settings_that_the_client_obeys(self, development: Development) -> None:
        settings = json.loads((development.state / "settings.json").read_text())
        assert settings.keys() == {"env", "hooks"}
        # A proxy that the environment names would be asked for loopback, too.
        for name in ("NO_PROXY", "no_proxy"):
            assert set(settings["env"][name].split(",")) == {"127.0.0.1", "localhost", "::1", "intra.net"}
        assert {"PreToolUse", "PermissionRequest", "PostToolUse", "UserPromptSubmit", "ConfigChange"} <= settings[
            "hooks"
        ].keys()
        # The first two have no http hooks; one on WorktreeCreate takes its making over; MessageDisplay comes all the time.
        assert not settings["hooks"].keys() & {"SessionStart", "Setup", "WorktreeCreate", "MessageDisplay"}
        for event, entries in settings["hooks"].items():
            assert [entry["matcher"] for entry in entries] == ["*"]
            (hook,) = entries[0]["hooks"]
            assert (hook["type"], hook["url"]) == ("http", development.url)
            assert hook.get("onFailure") == ("block" if can_block(event) else None)
            assert hook["headers"] == {"x-claude-user": "${USER}"}
            assert hook["allowedEnvVars"] == ["USER"]
            assert hook["timeout"] > 2

    def test_keeps_its_state_from_others(self, development: Development) -> None:
        assert development.state.stat().st_mode & 0o077 == 0


class TestScreen:
    def test_has_one_line_a_decision(self, development: Development) -> None:
        development.post(payload("PreToolUse.Bash", tool_input={"command": "rm -rf /precious"}))
        development.running.until_said("rm -rf /precious")
        line = next(line for line in development.decisions() if "rm -rf /precious" in line)
        assert re.fullmatch(
            r"\d\d:\d\d:\d\d alex +PreToolUse +Bash +deny +\d+\.\d ms +rm -rf /precious  — Deleting whole folders .*",
            line,
        )
        before = len(development.decisions())
        for name in ("PreToolUse.Read", "Notification.idle_prompt", "UserPromptSubmit", "PostToolUse.Bash"):
            development.post(payload(name))
        until(lambda: len(development.decisions()) >= before + 4, what="the lines")
        words = [line.split()[2:] for line in development.decisions()[before:]]
        assert [(one[0], one[2]) for one in words] == [
            ("PreToolUse", "allow"),
            ("Notification", "no_match"),
            ("UserPromptSubmit", "allow"),
            ("PostToolUse", "allow"),
        ]

    def test_obeys_nothing_that_a_caller_wrote(self, development: Development) -> None:
        # What it says comes at any time.
        development.running.until_said("compiles; ", seconds=60)
        before = len(development.running.lines)
        evil = "\x1b[2J\x1b]0;owned\x07 \r\n12:00:00 root \u202e\u2066 [bold red]markup[/] \x9b1m end"
        body = payload("PreToolUse.Bash", tool_input={"command": evil}, tool_name=f"Bash{evil}", cwd=evil)
        development.post(body, user="eve\x9b[31m")
        until(lambda: len(development.running.lines) > before, what="the line")
        development.post(payload("PreToolUse.Bash", tool_input={"command": "echo after"}))
        development.running.until_said("echo after")
        lines = development.running.lines[before:]
        assert len(lines) == 2
        assert not UNSAFE.search("".join(lines))
        assert "[bold red]" in lines[0]

    def test_shows_what_the_check_of_the_policies_says(self, development: Development) -> None:
        line = development.running.until_said("compiles; ", seconds=60)[0]
        assert line.startswith(f"{development.policies}: compiles; ")
        assert line.endswith("no warnings")

    def test_has_no_trace_of_a_fault(self, development: Development) -> None:
        assert not [line for line in development.running.lines if "Traceback" in line]


class TestPdp:
    def test_that_ends_is_started_again_also_after_a_broken_policy_is_mended(
        self, develop: Callable[..., Development]
    ) -> None:
        development = develop()
        running = development.running
        (pdp,) = _cerbos(running)
        broken = write(development.policies, "PreCompact", rule("DENY", when="[not (CEL"))
        os.kill(pdp, signal.SIGKILL)
        running.until_said("The PDP ended with exit code")
        answer = development.post(payload("PreToolUse.Bash"))
        assert "pdp_unavailable" in answer["hookSpecificOutput"]["permissionDecisionReason"]
        told = running.until_said("the policies don't compile")[0]
        assert broken.name in told
        broken.unlink()
        running.until_said("The PDP is back.")
        until(lambda: development.post(payload("PreToolUse.Bash")) == {}, what="decisions to come back")
        assert running.end() == 0


class TestEnd:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
    def test_leaves_no_process_no_listener_and_no_file_but_its_state(
        self, develop: Callable[..., Development], number: int
    ) -> None:
        development = develop()
        children = development.running.children()
        assert set(_cerbos(development.running)) <= set(children)
        development.post(payload("PreToolUse.Bash"))
        assert development.running.end(number) == 0
        assert "Stopping." in development.running.lines
        assert [pid for pid in children if _alive(pid)] == []
        port = int(development.url.split(":")[2].split("/")[0])
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0
        assert list(development.temporary.iterdir()) == []
        assert [line["type"] for line in lines(development.state / "audit")][-2:] == ["stop", "checkpoint"]
        store = open_store(development.state / "audit" / "store.sqlite")
        assert [entry.record["tool"] for entry in store.entries(Filter())] == ["Bash"]
        store.close()

    def test_may_come_while_the_policies_are_checked(
        self, develop: Callable[..., Development], cerbos: Path, tmp_path: Path
    ) -> None:
        development = develop(env={"CERBOS_BIN": str(_only_one_serves(cerbos, tmp_path))})
        # The check starts PDPs of its own, and waits for them here.
        until(lambda: len(_naming(development.temporary)) > 1, seconds=60, what="the check's own PDP")
        assert development.running.end() == 0
        until(lambda: _naming(development.temporary) == [], what="all processes to be gone")
        assert list(development.temporary.iterdir()) == []

    def test_may_come_before_it_has_begun(self, cerbos: Path, tmp_path: Path) -> None:
        running = Running("dev", "--state", str(tmp_path), "--port", "0", "--admin-port", "0")
        until(running.children, what="the PDP to be started")
        assert running.end() == 0
        assert "Traceback" not in "\n".join(running.lines)


class TestObserving:
    def test_answers_nothing_and_says_so(self, develop: Callable[..., Development]) -> None:
        development = develop("--observe")
        assert "only observes" in development.running.until_said("Hookgate decides at")[0]
        assert development.post(payload("PreToolUse.Bash", tool_input={"command": "rm -rf /"})) == {}
        assert "deny (observed)" in development.running.until_said("rm -rf /")[0]


class TestStartingInVain:
    """One clear line, and nothing left behind."""

    @pytest.fixture
    def temporary(self) -> Iterator[Path]:
        directory = Path(tempfile.mkdtemp(prefix="dev-"))
        yield directory
        shutil.rmtree(directory)

    def refused(self, temporary: Path, *options: str | Path, env: dict[str, str | None] | None = None) -> str:
        """Starts one that must refuse; gives its line."""
        ports = ("--port", "0", "--admin-port", "0", "--state", temporary.parent / f"{temporary.name}.state")
        try:
            done = run("dev", *ports, *options, env={"TMPDIR": str(temporary), **(env or {})})
        finally:
            shutil.rmtree(ports[-1], ignore_errors=True)
        assert done.returncode == 1
        # What holds the journal may be about to end: that is waited for, and said.
        assert [line for line in done.stdout.splitlines() if not line.endswith("journal_locked")] == []
        lines = done.stderr.splitlines()
        assert len(lines) == 1, done.stderr
        assert list(temporary.iterdir()) == []
        return lines[0]

    @pytest.mark.parametrize("option", ["--port", "--admin-port"])
    def test_a_taken_port(self, cerbos: Path, temporary: Path, option: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            line = self.refused(temporary, option, str(port))
        assert line == (
            f"hookgate: {option}: can't listen on 127.0.0.1:{port}: Address already in use; stop what holds it, "
            f"or set another {option}"
        )

    def test_a_state_that_another_one_uses(self, temporary: Path, development: Development) -> None:
        line = self.refused(temporary, "--state", development.state)
        assert line.startswith(f"hookgate: --state: {development.state / 'audit'} is in use by another Hookgate")

    def test_a_state_that_can_t_be_made(self, cerbos: Path, temporary: Path, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        line = self.refused(temporary, "--state", tmp_path / "file" / "state")
        assert line.startswith("hookgate: --state")

    def test_a_policy_that_does_not_compile(self, cerbos: Path, temporary: Path, tmp_path: Path) -> None:
        directory = tmp_path / "policies"
        directory.mkdir()
        broken = write(directory, "PreToolUse", rule("DENY", when="[not (CEL"))
        line = self.refused(temporary, "--policies", directory)
        assert line.startswith(f"hookgate: {directory}: the policies don't compile: ")
        assert broken.name in line
        assert line.endswith(f"(see: hookgate policies check {directory})")

    def test_policies_that_are_not_there(self, cerbos: Path, temporary: Path, tmp_path: Path) -> None:
        line = self.refused(temporary, "--policies", tmp_path / "none")
        assert line == f"hookgate: {tmp_path / 'none'}: no such directory of policies"

    def test_a_pdp_that_is_not_there(self, temporary: Path) -> None:
        line = self.refused(temporary, env={"CERBOS_BIN": "/nonexistent"})
        assert line.startswith("hookgate: CERBOS_BIN=/nonexistent: ")

    def test_a_pdp_that_is_none(self, temporary: Path, tmp_path: Path) -> None:
        program = tmp_path / "cerbos"
        program.write_text("#!/bin/sh\nexit 3\n")
        program.chmod(0o755)
        assert self.refused(temporary, env={"CERBOS_BIN": str(program)}).startswith(f"hookgate: CERBOS_BIN={program}: ")


def _cerbos(running: Running) -> list[int]:
    """Gives the PDP's process; what checks the policies beside it is none."""
    return [pid for pid in running.children() if "server" in _command(pid)]


def _only_one_serves(cerbos: Path, directory: Path) -> Path:
    """Gives a Cerbos whose first server is real, and whose later ones never get ready."""
    program = directory / "cerbos"
    program.write_text(
        f"""#!/bin/sh
if [ "$1" = server ] && ! mkdir {directory}/first 2>/dev/null; then
    exec {sys.executable} -c 'import time; time.sleep(300)' "$@"
fi
exec {cerbos} "$@"
"""
    )
    program.chmod(0o755)
    return program


def _naming(path: Path) -> list[str]:
    """Gives the command lines of all processes that name a path."""
    told = subprocess.run(["ps", "-ww", "-A", "-o", "args="], capture_output=True, text=True, check=True).stdout
    return [line for line in told.splitlines() if str(path) in line]


def _command(pid: int) -> str:
    return subprocess.run(
        ["ps", "-ww", "-p", str(pid), "-o", "args="], capture_output=True, text=True, check=False
    ).stdout


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_free_port_can_be_named(develop: Callable[..., Development]) -> None:
    port = free_port()
    development = develop("--port", str(port))
    assert development.url == f"http://127.0.0.1:{port}/ext/claude"
