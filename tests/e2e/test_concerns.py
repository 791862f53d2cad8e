"""The policies that ship, one call a concern, made by the real client in the mode in which it asks nobody."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.e2e.client import Workspace
from tests.e2e.model import Call, Model, turn
from tests.e2e.settings import hook_settings
from tests.e2e.trail import assert_recorded_once, decisions
from tests.support.pdp import Pdp
from tests.support.service import ServiceProcess

#: By concern: the rule that stops it, and a command that does no harm to the machine even if nothing does.
FORBIDDEN = {
    "secrets": ("sensitive-files", "base64 .env > leaked"),
    "destruction": ("recursive-delete", "bash -c 'r\\m -rf .git' && touch destroyed"),
    "network": ("downloaded-script", "echo dG91Y2ggZGVjb2RlZA== | base64 -d | sh"),
    "persistence": ("switched-off-watch", "HISTFILE=/dev/null touch unwatched"),
    "privilege": ("gained-rights", "chmod u+s notes && touch raised"),
    "version_control": ("hard-reset", "git -C . reset --hard && touch reset"),
    "infrastructure": ("destroyed-infrastructure", "touch dropped; psql -c 'DROP TABLE users'"),
    "packages": ("package-from-address", "touch installed; pip install https://127.0.0.1:9/x.whl"),
    "windows": ("destroyed-disk", "touch shadowless; vssadmin delete shadows /all"),
    "guard": ("client-settings", "mkdir -p .claude && echo '{}' > .claude/settings.local.json && touch unguarded"),
}


@pytest.fixture
def service(cerbos: Path) -> Iterator[ServiceProcess]:
    pdp = Pdp(ROOT / "policies").start()
    running = ServiceProcess(pdp.address).start()
    yield running
    running.remove()
    pdp.stop()


def test_each_concern_stops_a_call_of_the_real_client(service: ServiceProcess, space: Workspace, model: Model) -> None:
    (space.project / ".env").write_text("KEY=heron\n")
    (space.project / "notes").touch()
    before = {path.name for path in space.project.iterdir()}
    calls = [Call("Bash", {"command": command}, id=f"toolu_{name}") for name, (_, command) in FORBIDDEN.items()]
    twin = Call("Bash", {"command": "git status --short && touch ordinary"}, id="toolu_ordinary")
    script = model.script(*(turn(call) for call in [*calls, twin]))
    run = space.run(script, hook_settings(service.url, ("PreToolUse", "PostToolUse")))

    assert {path.name for path in space.project.iterdir()} - before == {"ordinary"}
    assert_recorded_once(service, run, ran=["toolu_ordinary"], stopped=[call.id for call in calls])
    outputs = {record["tool_use_id"]: str(record) for record in decisions(service, run, "PreToolUse")}
    missing = [name for name, (rule, _) in FORBIDDEN.items() if f"#{rule}" not in outputs[f"toolu_{name}"]]
    assert missing == []
