"""The client's settings that send its hooks here."""

import json

from hookgate.client.settings import EVENTS, LEAST_CLIENT_VERSION, TIMEOUT_SECONDS, can_block, settings_for, timeout_of
from hookgate.config import parse
from hookgate.hooks.catalog import EVENTS as CATALOG

URL = "http://127.0.0.1:3594/ext/claude"
#: The client has no http hooks for the first two; the next replace the making of worktrees; of the last two one needs the names
#: of files, and the other fires for each chunk.
NEVER = {"SessionStart", "Setup", "WorktreeCreate", "WorktreeRemove", "FileChanged", "MessageDisplay"}
#: The client ignores onFailure on these (its own words).
IGNORES_FAILURE = {"Stop", "SubagentStop", "TaskCompleted", "TeammateIdle"}


def test_every_event_is_sent_here_and_what_can_be_blocked_is_when_nobody_answers() -> None:
    found = settings_for(URL)
    assert json.loads(json.dumps(found)) == found
    assert set(EVENTS) == set(found["hooks"]) == set(CATALOG) - NEVER
    for event, entries in found["hooks"].items():
        ((matcher, (hook,)),) = (entry.values() for entry in entries)
        assert (matcher, hook["type"], hook["url"]) == ("*", "http", URL)
        blocks = CATALOG[event].obeys and event not in IGNORES_FAILURE
        assert hook.get("onFailure") == ("block" if blocks else None), event
        assert set(hook["allowedEnvVars"]) == {
            value.strip("${}") for value in hook["headers"].values() if value.startswith("${")
        }
    assert {name for name, spec in CATALOG.items() if spec.governed} <= {name for name in EVENTS if can_block(name)}


def test_the_hook_waits_longer_than_a_decision_may_take() -> None:
    assert parse({"pdp": {"address": "unix:/x"}}, {}).decision.deadline_seconds < TIMEOUT_SECONDS
    assert LEAST_CLIENT_VERSION == "2.1.295"
    # Whatever is set, the client gives these up earlier (measured: 4 s of 10, 34 s of 60).
    assert (timeout_of("SessionEnd"), timeout_of("UserPromptSubmit", 60), timeout_of("PreToolUse", 60)) == (4, 30, 60)


def test_no_proxy_is_asked_for_loopback_and_what_the_user_exempts_stays_exempt() -> None:
    assert settings_for(URL)["env"]["NO_PROXY"] == "127.0.0.1,localhost,::1"
    found = settings_for(URL, no_proxy=" internal.example ,localhost,,.corp")["env"]
    assert found["NO_PROXY"] == found["no_proxy"] == "127.0.0.1,localhost,::1,internal.example,.corp"
