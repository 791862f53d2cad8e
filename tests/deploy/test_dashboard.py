"""The dashboard and the rules, on a real Prometheus that scrapes a real service and a real PDP under load."""

import json
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from hookgate.recorded import recorded
from tests.conftest import payload
from tests.docs import tables
from tests.support.fetched import wanted
from tests.support.prometheus import Prometheus
from tests.support.service import ServiceProcess
from tests.support.small import small_policies
from tests.support.wait import free_port, until

DASHBOARD = tables.ROOT / "deploy" / "grafana" / "hookgate.json"
RULES = tables.ROOT / "deploy" / "prometheus" / "rules.yaml"
#: Of a PDP that could never take a change: the series begins with the first one that fails.
_LATER = {"cerbos_dev_store_sync_error_count_total"}
#: Made by Prometheus itself.
_OWN = {"up"}


def panels() -> list[dict[str, Any]]:
    """Gives the dashboard's panels without its rows."""
    return [one for one in json.loads(DASHBOARD.read_text())["panels"] if one["type"] != "row"]


def queries() -> list[str]:
    """Gives what the panels ask, with the dashboard's variables filled in as Grafana does."""
    found = [target["expr"] for panel in panels() for target in panel["targets"]]
    return [one.replace("$job", ".*").replace("$__rate_interval", "1m") for one in found]


def expressions() -> list[str]:
    """Gives what the rules ask."""
    return [rule["expr"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def names(expression: str) -> set[str]:
    """Gives the metrics that an expression names, recorded ones left out."""
    plain = re.sub(r'"[^"]*"', "", expression)
    return set(re.findall(r"(?<![\w:])(?:hookgate_|cerbos_dev_)\w+|\bup\b", plain))


@pytest.fixture(scope="module")
def watched(cerbos: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Prometheus, str, str]]:
    """Gives a Prometheus that has scraped both under load, and what they exposed in the end."""
    program = wanted("prometheus")
    place = tmp_path_factory.mktemp("pdp")
    http = f"127.0.0.1:{free_port()}"
    (place / "pdp.yaml").write_text(
        yaml.safe_dump(
            {
                "server": {"grpcListenAddr": f"unix:{place}/pdp.sock", "httpListenAddr": http},
                "engine": {"strictEvaluation": True},
                "telemetry": {"disabled": True},
                "storage": {"driver": "disk", "disk": {"directory": str(small_policies(place / "policies"))}},
            }
        )
    )
    with (place / "log").open("wb") as log:
        pdp = subprocess.Popen([cerbos, "server", f"--config={place / 'pdp.yaml'}"], stdout=log, stderr=log)
    service = ServiceProcess(f"unix:{place}/pdp.sock", {"audit": {"shippers": [{"type": "sqlite"}]}})
    prometheus = Prometheus(
        program,
        {"hookgate": (f"127.0.0.1:{service.admin_port}", "/metrics"), "cerbos": (http, "/_cerbos/metrics")},
        RULES,
    )
    try:
        until((place / "pdp.sock").exists, seconds=60, what="the PDP's socket")
        service.start()
        prometheus.start()
        until(lambda: prometheus.query("min(up) == 1"), seconds=60, what="a first scrape of both")
        service.post(payload("PreToolUse.Bash", tool_input={"command": "rm -rf /"}))
        for user in ("alex", "kim"):
            for one in recorded():
                service.post(one.body, {"X-Claude-User": user})
        service.post(b"{")
        count = len(recorded()) * 2 + 2
        until(
            lambda: (
                prometheus.query(f"sum(hookgate_decisions_total) == {count}")
                and prometheus.query('hookgate:hook_duration_seconds:p99_5m{event="PreToolUse"} > 0')
            ),
            seconds=60,
            what="the load to be seen and recorded",
        )
        exposed = service.get("/metrics")[1]
        yield prometheus, exposed, _scraped(http)
    finally:
        prometheus.stop()
        if service.process is not None:
            service.remove()
        pdp.kill()
        pdp.wait()


def _scraped(address: str) -> str:
    with urllib.request.urlopen(f"http://{address}/_cerbos/metrics", timeout=5) as response:
        return str(response.read().decode())


def test_every_metric_that_the_dashboard_or_the_rules_name_is_scraped(
    watched: tuple[Prometheus, str, str],
) -> None:
    _, service, pdp = watched
    there = set(re.findall(r"^(?:# TYPE )?(\w+)", service + "\n" + pdp, re.MULTILINE))
    named = {name for expression in (*queries(), *expressions()) for name in names(expression)}
    assert len(named) > 35
    assert sorted(named - there - _LATER - _OWN) == []


def test_a_prometheus_evaluates_every_rule(watched: tuple[Prometheus, str, str]) -> None:
    prometheus, _, _ = watched
    found = [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]
    assert len(found) == len(expressions())
    assert [rule["name"] for rule in found if rule.get("lastError")] == []
    assert {rule["health"] for rule in found} <= {"ok", "unknown"}
    firing = {one["metric"]["alertname"] for one in prometheus.query('ALERTS{alertstate="firing",severity="page"}')}
    # Recorded calls come twice and in no order: some ran that were denied.
    assert firing <= {"HookgateViolation"}


def test_a_prometheus_answers_every_query_of_the_dashboard(watched: tuple[Prometheus, str, str]) -> None:
    prometheus, _, _ = watched
    empty = [query for query in queries() if not prometheus.query(query)]
    # What did not happen here, and begins with the first time.
    never = ("sync_error_count", 'mode="observe"', "dropped_output_fields", "unenforceable")
    assert len(queries()) > 45
    assert [query for query in empty if not any(one in query for one in never)] == []


def test_every_panel_says_what_it_shows_and_lies_beside_the_others() -> None:
    board = json.loads(DASHBOARD.read_text())
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
    assert len({panel["title"] for panel in panels()}) == len(panels())
    assert all(target["datasource"]["uid"] == "${datasource}" for panel in panels() for target in panel["targets"])
