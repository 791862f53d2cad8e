"""Doctor against the real service: whom it takes the user for, and what it decides."""

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

from hookgate.client.forms import FORMS
from hookgate.client.plan import parse
from hookgate.client.settings import settings_for
from hookgate.client.telling import ASKING, TOLD
from tests.conftest import payload
from tests.support.service import ROOT, ServiceProcess


def doctor(settings: Path, **environ: str) -> dict[str, Any]:
    """Gives what the command prints."""
    told = subprocess.run(
        [sys.executable, "-m", "hookgate", "doctor", "--json", "--settings", str(settings)],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "proxy"), **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert told.returncode in (3, 4), told.stderr
    found: dict[str, Any] = json.loads(told.stdout)
    return found


def test_doctor_shows_whom_the_service_takes_the_user_for(shipped_service: ServiceProcess, tmp_path: Path) -> None:
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps(settings_for(shipped_service.url)))
    found = doctor(settings, USER="alex")
    test = found["test"]
    assert (test["user"], test["source"], test["verified"], test["mode"]) == ("alex", "header", "false", "enforce")
    assert test["error"] == ""
    (record,) = [one for one in shipped_service.records() if one["id"] == test["decision"]]
    assert (record["user"], record["session_id"], record["outcome"]) == ("alex", "hookgate-doctor", test["outcome"])
    names = {finding["name"] for finding in found["findings"]}
    assert "user_unverified" in names
    assert not names & {"unreachable", "answer_wrong", "fails_open", "variable_not_allowed", "proxied"}


def test_an_empty_name_is_told_as_the_default_user(shipped_service: ServiceProcess, tmp_path: Path) -> None:
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps(settings_for(shipped_service.url)))
    found = doctor(settings)
    assert found["test"]["user"] == "claude_user"
    assert {"user_unknown", "variable_unset"} <= {finding["name"] for finding in found["findings"]}


def test_who_does_not_ask_is_told_nothing(shipped_service: ServiceProcess) -> None:
    body = json.dumps(payload("PreToolUse.Bash")).encode()
    for asking in (False, True):
        headers = {"Content-Type": "application/json", "X-Claude-User": "Jürgen", **({ASKING: "1"} if asking else {})}
        request = urllib.request.Request(shipped_service.url, body, headers, method="POST")
        with urllib.request.urlopen(request, timeout=10) as response:
            told = {name: value for name, value in response.headers.items() if name.startswith(TOLD)}
        assert (told.get(f"{TOLD}User"), bool(told)) == (("J%C3%BCrgen", True) if asking else (None, False))


def test_the_settings_that_are_made_for_a_service_leave_nothing_open_before_it(
    shipped_service: ServiceProcess, tmp_path: Path
) -> None:
    for form in ("json", "mobileconfig", "ansible"):
        settings = tmp_path / Path(FORMS[form].file).name
        settings.write_bytes(FORMS[form].render(parse({"url": shipped_service.url}), ""))
        found = doctor(settings, USER="alex")
        # Neither is of the settings' making.
        assert {finding["name"] for finding in found["findings"]} - {"run_as_root"} == {"user_unverified"}
        assert found["test"]["user"] == "alex"


def test_a_bridge_whose_python_this_user_could_change_is_found(tmp_path: Path) -> None:
    settings = tmp_path / "managed-settings.json"
    settings.write_bytes(
        FORMS["json"].render(parse({"bridge": {"everything": True, "python": str(tmp_path / "python")}}), "")
    )
    (tmp_path / "python").touch()
    found = doctor(settings, USER="alex")
    assert found["test"] is None
    places = {finding["place"] for finding in found["findings"] if finding["name"] == "writable"}
    # Root is told once what it could do: everything.
    assert places == (set() if os.geteuid() == 0 else {str(tmp_path / "python")})
