"""`hookgate hook` before the real service: events without http hooks are on record, and a denial is printed as the client takes it."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hookgate.client.managed import bridge_settings
from hookgate.client.plan import parse
from tests.conftest import payload
from tests.support.installed import installed
from tests.support.service import ServiceProcess

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the bridge takes its configuration from root alone")


def ask(python: Path, config: Path, sent: dict[str, Any]) -> tuple[int, Any, str]:
    done = subprocess.run(
        [str(python), "-I", "-m", "hookgate", "hook", f"--config={config}"],
        input=json.dumps(sent).encode(),
        env={"http_proxy": "http://127.0.0.1:1", "USER": "somebody-else"},
        capture_output=True,
        timeout=60,
        check=False,
    )
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr.decode()


def test_it_brings_the_services_answer_and_the_services_record(shipped_service: ServiceProcess, tmp_path: Path) -> None:
    config = tmp_path / "hook.json"
    plan = parse({"url": shipped_service.url, "identity": {"user": "alex"}, "bridge": {"events": ["SessionStart"]}})
    config.write_text(json.dumps(bridge_settings(plan)))
    python = installed(tmp_path / "installed")

    denied = payload("PreToolUse.Bash", tool_input={"command": "rm -rf /precious"}, session_id="bridged")
    code, answer, said = ask(python, config, denied)
    assert (code, said) == (0, "")
    assert answer["hookSpecificOutput"]["permissionDecision"] == "deny"

    start = {
        **payload("UserPromptSubmit"),
        "hook_event_name": "SessionStart",
        "source": "startup",
        "session_id": "bridged",
    }
    code, answer, said = ask(python, config, start)
    assert (code, answer, said) == (0, {}, "")
    found = [
        (record["event"], record["user"], record["outcome"])
        for record in shipped_service.records()
        if record["session_id"] == "bridged"
    ]
    assert found == [("PreToolUse", "alex", "deny"), ("SessionStart", "alex", "no_match")]


def test_without_the_service_it_blocks(tmp_path: Path) -> None:
    config = tmp_path / "hook.json"
    config.write_text(json.dumps(bridge_settings(parse({"url": "http://127.0.0.1:1/ext/claude"}))))
    code, answer, said = ask(installed(tmp_path / "installed"), config, payload("PreToolUse.Bash"))
    assert (code, answer) == (2, None)
    assert said == "[hookgate hook] no answer: Connection refused. Blocked, because Hookgate could not be asked.\n"
