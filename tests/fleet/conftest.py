"""What the tests of a fleet share."""

from pathlib import Path

import pytest

from tests.support.chains import Machine
from tests.support.collecting import CollectProcess, send


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three machines: one is well, one is behind and runs calls unasked, one has sent another's records."""
    directory = tmp_path_factory.mktemp("collector")
    collector = CollectProcess(directory).start()
    tokens, machines = {}, {}
    for name, policies in (("a-well", "new"), ("b-behind", "old"), ("c-cheat", "new")):
        machine = machines[name] = Machine()
        machine.say("start", version="0.1.0", mode="enforce", config_digest="0" * 64)
        machine.say("canary", state="ok", faults=[], strict=True, policies=policies)
        machine.decide(2, user="<b>kim</b>" if name == "b-behind" else "alex")
        if name == "b-behind":
            machine.say("unasked", found_by="x", tool="Bash", tool_use_id="t")
        machine.sign()
        tokens[name] = collector.enrolled(machine, name)
        assert send(collector.url, tokens[name], machine.lines)[0] == 200
    assert send(collector.url, tokens["c-cheat"], machines["a-well"].lines)[0] == 403
    collector.stop()
    return directory / "store.sqlite"
