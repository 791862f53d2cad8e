"""The client's settings that send its hooks here."""

import json

from hookgate.client.settings import EVENTS, LEAST_CLIENT_VERSION, TIMEOUT_SECONDS, settings_for
from hookgate.config import parse
from hookgate.hooks.catalog import EVENTS as CATALOG

URL = "http://127.0.0.1:3594/ext/claude"
#: The client has no http hooks for the first two; the third replaces the making of worktrees, the last fires for each chunk.
NEVER = {"SessionStart", "Setup", "WorktreeCreate", "WorktreeRemove", "MessageDisplay"}


def test_every_event_that_decides_is_sent_here_and_blocks_when_it_cannot_be() -> None:
    found = settings_for(URL)
    assert json.loads(json.dumps(found)) == found
    governed = {name for name, spec in CATALOG.items() if spec.governed}
    assert governed - {"PreModelSwitch"} <= set(EVENTS) == set(found["hooks"])
    assert not NEVER & set(EVENTS)
    for ((matcher, hooks),) in ([entry.values() for entry in entries] for entries in found["hooks"].values()):
        (hook,) = hooks
        assert matcher == "*"
        assert (hook["type"], hook["url"], hook["onFailure"]) == ("http", URL, "block")
        assert set(hook["allowedEnvVars"]) == {
            value.strip("${}") for value in hook["headers"].values() if value.startswith("${")
        }


def test_the_hook_waits_longer_than_a_decision_may_take() -> None:
    assert parse({"pdp": {"address": "unix:/x"}}, {}).decision.deadline_seconds < TIMEOUT_SECONDS
    assert LEAST_CLIENT_VERSION == "2.1.295"


def test_no_proxy_is_asked_for_loopback_and_what_the_user_exempts_stays_exempt() -> None:
    assert settings_for(URL)["env"]["NO_PROXY"] == "127.0.0.1,localhost,::1"
    found = settings_for(URL, no_proxy=" internal.example ,localhost,,.corp")["env"]
    assert found["NO_PROXY"] == found["no_proxy"] == "127.0.0.1,localhost,::1,internal.example,.corp"
