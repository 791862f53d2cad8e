"""The configuration changes under a running service: whole, or not at all."""

import json
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import yaml

from tests.conftest import payload
from tests.integration.stand_in import DENY, StandInPdp, says
from tests.support.service import ServiceProcess, merged
from tests.support.wait import until

BASH = payload("PreToolUse.Bash")
DENIED = "deny"


def decision_of(answer: dict[str, Any]) -> str:
    found: str = answer.get("hookSpecificOutput", {}).get("permissionDecision", "")
    return found


@pytest.fixture
def service(stand_in: StandInPdp, make_service: Callable[..., ServiceProcess]) -> ServiceProcess:
    """Hookgate before a PDP that denies everything."""
    stand_in.behaviour = says(DENY)
    return make_service(stand_in.address)


def rewrite(service: ServiceProcess, text: str = "", **more: Any) -> None:
    """Writes the file anew, as text or as the settings with others laid over them."""
    file = service.directory / "hookgate.yaml"
    file.write_text(text or yaml.safe_dump(merged(service.settings, more)))


def status(service: ServiceProcess) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(service.get("/readyz")[1])["configuration"]
    return found


def reloads(service: ServiceProcess, result: str) -> float:
    return service.metric("hookgate_config_reloads_total", result=result)


def hup(service: ServiceProcess, result: str) -> None:
    before = reloads(service, result)
    service.send(signal.SIGHUP)
    until(lambda: reloads(service, result) == before + 1, what=f"a configuration to be {result}")


def test_on_sighup_what_can_count_counts_and_what_waits_is_named(service: ServiceProcess) -> None:
    assert decision_of(service.post(BASH)) == DENIED
    rewrite(service, mode="observe", server={"port": 1, "path": "/other"}, audit={"segment_bytes": 70000})
    hup(service, "taken")
    service.url = service.url.replace("/ext/claude", "/other")
    assert service.post(BASH) == {}
    assert status(service) == {"faults": [], "waits_for_restart": ["server.port", "audit.segment_bytes"]}
    assert service.metric("hookgate_config_pending") == 2
    assert service.metric("hookgate_config_info", mode="observe") == 1
    (record,) = service.records("config_changed")
    detail = record["detail"]
    assert detail["changed"] == ["server.path", "mode"]
    assert detail["waits_for_restart"] == ["server.port", "audit.segment_bytes"]
    (start,) = service.records("start")
    assert detail["previous_digest"] == start["detail"]["config_digest"] != detail["config_digest"]
    hup(service, "unchanged")
    assert len(service.records("config_changed")) == 1
    # What the next start finds changed is what waited for it.
    assert service.stop() == 0
    service.settings = merged(service.settings, {"mode": "observe", "server": {"path": "/other"}})
    service.start()
    assert len(service.records("config_changed")) == 1


def test_a_changed_file_counts_without_a_signal(service: ServiceProcess) -> None:
    rewrite(service, mode="observe")
    until(lambda: service.post(BASH) == {}, what="the file to be seen")
    rewrite(service)
    until(lambda: decision_of(service.post(BASH)) == DENIED, what="the file to be seen again")


def test_a_broken_one_is_refused_with_its_faults_and_the_old_stays(service: ServiceProcess) -> None:
    secret = "hunter2-hunter2-hunter2"
    for text, where in (
        ("mode: [", "line 1"),
        (yaml.safe_dump({**service.settings, "mode": "observe", "on_eror": secret}), "on_eror"),
        (yaml.safe_dump(merged(service.settings, {"mode": "observe", "pdp": {"scope": "a b"}})), "pdp.scope"),
        (
            yaml.safe_dump(
                merged(
                    service.settings,
                    {"mode": "observe", "canary": {"expect": [{"name": "a", "payload": {}, "outcome": "deny"}]}},
                )
            ),
            "canary.expect[0].payload",
        ),
    ):
        rewrite(service, text)
        hup(service, "refused")
        assert [fault.partition(":")[0].partition(",")[0] for fault in status(service)["faults"]] == [where]
        assert service.metric("hookgate_config_faults") == 1
        assert decision_of(service.post(BASH)) == DENIED
        assert service.get("/readyz")[0] == 200
    assert [record["detail"]["settings"][0].partition(",")[0] for record in service.records("config_refused")] == [
        "line 1",
        "on_eror",
        "pdp.scope",
        "canary.expect[0].payload",
    ]
    assert secret not in service.log() + json.dumps(service.records(None))
    rewrite(service, mode="observe")
    hup(service, "taken")
    assert service.post(BASH) == {}
    assert service.metric("hookgate_config_faults") == 0


def test_a_decision_under_way_ends_by_the_configuration_that_it_began_with(
    service: ServiceProcess, stand_in: StandInPdp
) -> None:
    go = threading.Event()

    def held(request: Any, context: Any) -> bytes:
        go.wait(20)
        return says(DENY)(request, context)

    stand_in.behaviour = held
    with ThreadPoolExecutor() as pool:
        begun = pool.submit(service.post, BASH)
        until(lambda: service.metric("hookgate_in_flight") == 1)
        rewrite(service, mode="observe")
        hup(service, "taken")
        later = pool.submit(service.post, BASH)
        until(lambda: service.metric("hookgate_in_flight") == 2)
        go.set()
        assert decision_of(begun.result()) == DENIED
        assert later.result() == {}
    assert sorted(record["mode"] for record in service.records()) == ["enforce", "observe"]


def test_a_new_expectation_of_the_canary_is_asked_at_once(service: ServiceProcess) -> None:
    expect = [{"name": "bash", "payload": BASH, "outcome": "allow"}]
    rewrite(service, canary={"interval_seconds": 3600, "expect": expect})
    hup(service, "taken")
    until(lambda: service.metric("hookgate_canary_trusted") == 0, what="the canary's answer")
    rewrite(service)
    hup(service, "taken")
    until(lambda: service.metric("hookgate_canary_trusted") == 1, what="the canary's answer")


def test_a_file_that_is_gone_changes_nothing(service: ServiceProcess) -> None:
    (service.directory / "hookgate.yaml").unlink()
    hup(service, "refused")
    assert status(service)["faults"] == ["can't be read: No such file or directory"]
    assert decision_of(service.post(BASH)) == DENIED
