"""The hooks that a person may choose between: the HTTP hook to Hookgate, and commands that start a program for each call."""

import http.client
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from bench.payloads import HEADERS
from bench.question import leaves_alone
from bench.window import WrongAnswerError
from hookgate.recorded import named
from tests.support.service import ROOT, ServiceProcess

#: Where programs are looked for, as a client's environment has it; so that no version manager's stand-in is measured.
PATH = "/usr/local/bin:/usr/bin:/bin:/opt/homebrew/bin"

_PYTHON = """import json, sys
event = json.load(sys.stdin)
print("{}")
"""
_NODE = """let text = "";
process.stdin.on("data", (part) => { text += part; });
process.stdin.on("end", () => { JSON.parse(text); console.log("{}"); });
"""
_SHELL = "cat >/dev/null; echo '{}'\n"
_ENDINGS = {"shell": "sh", "python": "py", "node": "cjs"}
#: As `hookgate settings` writes the command, apart from the environment, but out of this checkout.
_BRIDGE = f"import sys; sys.path.insert(0, {str(ROOT / 'proxy')!r}); from hookgate.__main__ import main; main()"
_TIMEOUT_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Hook:
    """One hook. `settings` is its entry in the client's settings, None for no hook at all; `alone` asks it once without the
    client, None where nothing can be asked so. `decides`: it does Hookgate's work; the others read the call and say nothing."""

    name: str
    label: str
    settings: dict[str, Any] | None
    alone: Callable[[], None] | None
    decides: bool = False


def body() -> bytes:
    """Gives the call that a hook is asked about without the client."""
    return msgspec.json.encode(named("PreToolUse.Read").body)


def hooks(service: ServiceProcess, directory: Path) -> tuple[Hook, ...]:
    """Gives the hooks that this machine has the programs for; their files go into a directory."""
    http_settings = {
        "type": "http",
        "url": service.url,
        "timeout": _TIMEOUT_SECONDS,
        "headers": {name: value for name, value in HEADERS.items() if name.startswith("X-")},
    }
    kept = http.client.HTTPConnection("127.0.0.1", service.port, timeout=_TIMEOUT_SECONDS)
    found = [
        Hook("none", "no hook", None, None),
        Hook("http", "HTTP hook to Hookgate", http_settings, lambda: _post(kept), decides=True),
    ]
    for name, label, program, text in (
        ("shell", "command: a shell script", "sh", _SHELL),
        ("python", "command: a Python script", "python3", _PYTHON),
        ("node", "command: a Node script", "node", _NODE),
    ):
        path = shutil.which(program, path=PATH) or (sys.executable if program == "python3" else None)
        if path is not None:
            script = directory / f"{name}-hook.{_ENDINGS[name]}"
            script.write_text(text)
            found.append(_command(name, label, [path, str(script)]))
    bridge = _bridge(service, directory)
    return (*found, *([bridge] if bridge else []))


def _bridge(service: ServiceProcess, directory: Path) -> Hook | None:
    """`hookgate hook`, where there is one and it takes the configuration: it trusts root's files alone."""
    configuration = directory / "hook.json"
    configuration.write_text(json.dumps({"url": service.url, "headers": HEADERS, "timeout_seconds": _TIMEOUT_SECONDS}))
    configuration.chmod(0o644)
    command = [sys.executable, "-I", "-c", _BRIDGE, "hook"]
    if subprocess.run([*command, "--help"], capture_output=True, check=False).returncode != 0:
        return None
    hook = _command(
        "hookgate-hook", "command: `hookgate hook`", [*command, "--config", str(configuration)], decides=True
    )
    try:
        _run([*command, "--config", str(configuration)])
    except WrongAnswerError:
        return None
    return hook


def _command(name: str, label: str, command: list[str], *, decides: bool = False) -> Hook:
    settings = {"type": "command", "command": shlex.join(command), "timeout": _TIMEOUT_SECONDS}
    return Hook(name, label, settings, lambda: _run(command), decides)


def _run(command: list[str]) -> None:
    environment = {"PATH": PATH, "HOME": os.environ.get("HOME", "/"), "LANG": "C.UTF-8"}
    done = subprocess.run(command, input=body(), capture_output=True, env=environment, check=False)
    if done.returncode != 0 or not leaves_alone(done.stdout.strip()):
        raise WrongAnswerError(f"{shlex.join(command)}: {done.returncode}, {done.stdout!r} {done.stderr[-500:]!r}")


def _post(connection: http.client.HTTPConnection) -> None:
    """Over a connection that is kept, as the client does."""
    connection.request("POST", "/ext/claude", body(), HEADERS)
    answer = connection.getresponse()
    told = answer.read()
    if answer.status != 200 or not leaves_alone(told):
        raise WrongAnswerError(f"{answer.status} {told!r}")


def taken_seconds(ask: Callable[[], None]) -> float:
    """Gives how long it took."""
    begun = time.perf_counter()
    ask()
    return time.perf_counter() - begun
