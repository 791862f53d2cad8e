"""A collector counts how its fleet stands, and there is an alert for each mark."""

import re
from pathlib import Path

from hookgate.audit.fleet.standing import Mark
from tests.support.chains import Machine
from tests.support.collecting import CollectProcess, send
from tests.support.service import ROOT
from tests.support.wait import until


def test_a_collector_counts_who_is_expected_and_who_is_enrolled(tmp_path: Path) -> None:
    inventory = tmp_path / "inventory.csv"
    inventory.write_text("name\nalex-laptop\nkim-laptop\n")
    collector = CollectProcess(tmp_path, expected=str(inventory)).start()
    try:
        until(lambda: "hookgate_fleet_machines 2.0" in collector.metrics(), what="the count")
        assert 'hookgate_fleet_marked_machines{mark="never_enrolled"} 2.0' in collector.metrics()
        machine = Machine()
        token = collector.enrolled(machine, "alex-laptop")
        machine.decide(2)
        machine.sign()
        assert send(collector.url, token, machine.lines)[0] == 200
        collector.stop()
        inventory.write_text("serial\n1\n")
        collector.start()
        until(lambda: "collect_store_failed" in collector.log(), what="the fault")
        assert "inventory.csv" in collector.log()
        assert "hookgate_fleet_marked_machines{" not in collector.metrics()
        collector.stop()
        inventory.write_text("name\nalex-laptop\nkim-laptop\n")
        collector.start()
        until(
            lambda: 'hookgate_fleet_marked_machines{mark="never_enrolled"} 1.0' in collector.metrics(), what="the count"
        )
    finally:
        collector.stop()


def test_each_mark_has_an_alert() -> None:
    rules = (ROOT / "deploy" / "prometheus" / "fleet-rules.yaml").read_text()
    assert set(re.findall(r'mark="(\w+)"', rules)) == {mark.value for mark in Mark}
