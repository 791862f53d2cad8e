"""Runs the real client in a scratch home, with an environment built from nothing.

Nothing of the person who runs the tests is read or written: neither their `~/.claude` nor their environment reaches the
client. What a test asserts is what happened (a file that a scripted call makes), not what the client says about it.
"""

import json
import os
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.e2e.session import Run, Session

_API_KEY = "sk-test-dummy-key-of-a-test-without-account"
_LIMIT_SECONDS = 90.0
_PATH = "/usr/local/bin:/usr/bin:/bin:/opt/homebrew/bin"


class Workspace:
    """A scratch home and a git project in it, in which clients run one after the other."""

    def __init__(self, root: Path, binary: Path, model_url: str) -> None:
        self.root = root
        self.binary = binary
        self.home = root / "home"
        self.project = root / "home" / "project"
        self.config = root / "home" / ".claude"
        self._temporary = root / "tmp"
        self._model_url = model_url
        #: What starts the client, where it is not started by itself.
        self.starter: list[str] = []
        for folder in (self.project, self.config, self._temporary):
            folder.mkdir(parents=True, exist_ok=True)
        (self.config / ".claude.json").write_text(json.dumps(self._first_run_done()))
        (self.project / "README.md").write_text("A project to work in.\n")
        self.git("init", "--quiet")
        self.git("add", ".")
        self.git("-c", "user.name=dev", "-c", "user.email=dev@example.com", "commit", "--quiet", "-m", "begin")

    def _first_run_done(self) -> dict[str, object]:
        return {
            "hasCompletedOnboarding": True,
            "bypassPermissionsModeAccepted": True,
            "customApiKeyResponses": {"approved": [_API_KEY[-20:]], "rejected": []},
            "projects": {str(self.project.resolve()): {"hasTrustDialogAccepted": True}},
        }

    def git(self, *arguments: str) -> str:
        """Runs git in the project, apart from the machine's own git configuration."""
        done = subprocess.run(
            ["git", *arguments], cwd=self.project, env=self.environment(), capture_output=True, text=True, check=True
        )
        return done.stdout

    def made(self) -> list[str]:
        """The files and folders that calls, or the test, made at the top of the project; sorted, settings left out."""
        return sorted(file.name for file in self.project.iterdir() if file.name not in (".git", ".claude", "README.md"))

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """The whole environment of the client; the test's own environment has no part in it."""
        return {
            "PATH": _PATH,
            "HOME": str(self.home),
            "CLAUDE_CONFIG_DIR": str(self.config),
            "TMPDIR": str(self._temporary),
            "USER": "alex",
            "SHELL": "/bin/bash",
            "LANG": "C.UTF-8",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "ANTHROPIC_API_KEY": _API_KEY,
            "ANTHROPIC_BASE_URL": self._model_url,
            "NO_PROXY": "127.0.0.1,localhost,::1",
            "DISABLE_TELEMETRY": "1",
            "DISABLE_AUTOUPDATER": "1",
            "DISABLE_ERROR_REPORTING": "1",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            # Lets root use bypassPermissions; without it the client refuses to start in a container.
            "IS_SANDBOX": "1",
        } | dict(more or {})

    def command(self, settings: Mapping[str, object] | Path | None, mode: str, arguments: Sequence[str]) -> list[str]:
        """The command line of a run without a terminal; `settings` is written to a file if it is not one."""
        command = [
            *self.starter,
            str(self.binary),
            "-p",
            "--output-format",
            "stream-json",
            "--verbose",
            "--include-hook-events",
        ]
        command += ["--debug-file", str(self._temporary / f"debug-{uuid.uuid4().hex}.log"), "--permission-mode", mode]
        if settings is not None:
            command += ["--settings", str(self._settings_file(settings))]
        return [*command, *arguments]

    def _settings_file(self, settings: Mapping[str, object] | Path) -> Path:
        if isinstance(settings, Path):
            return settings
        file = self._temporary / f"settings-{uuid.uuid4().hex}.json"
        file.write_text(json.dumps(settings))
        return file

    def run(
        self,
        prompt: str,
        settings: Mapping[str, object] | Path | None = None,
        *,
        mode: str = "bypassPermissions",
        arguments: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        timeout_seconds: float = _LIMIT_SECONDS,
    ) -> Run:
        """`claude -p PROMPT`, to its end. In bypassPermissions a hook is the only thing that can stop a call."""
        command = self.command(settings, mode, arguments)
        command.insert(command.index("-p") + 1, prompt)
        with Session(command, self.project, self.environment(environment), timeout_seconds) as session:
            return session.finish()

    def session(
        self,
        settings: Mapping[str, object] | Path | None = None,
        *,
        mode: str = "bypassPermissions",
        arguments: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        answers_prompts: bool = False,
        timeout_seconds: float = _LIMIT_SECONDS,
    ) -> Session:
        """A session that takes several prompts and control requests. With `answers_prompts` the test decides what a
        person would be asked: see `Session.permission`."""
        extra = ["--input-format", "stream-json", *(["--permission-prompt-tool", "stdio"] if answers_prompts else [])]
        command = self.command(settings, mode, [*extra, *arguments])
        return Session(command, self.project, self.environment(environment), timeout_seconds)
