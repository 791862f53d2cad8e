"""Alerts: what promtool says of them, what they name, and that each one is explained."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from hookgate.errors import ErrorKind, Side
from hookgate.identity.principal import Source
from hookgate.telemetry.metrics import Metrics
from tests.docs import tables
from tests.docs.markdown import Page
from tests.support.fetched import wanted

FOLDER = tables.ROOT / "deploy" / "prometheus"
RULES, FLEET = FOLDER / "rules.yaml", FOLDER / "fleet-rules.yaml"
#: Their unit tests.
TESTS = {RULES: ("rules_test.yaml", "rules_long_test.yaml"), FLEET: ("fleet-rules_test.yaml",)}
#: The page that says what to do, and below which of its headings.
RUNBOOKS = {RULES: ("runbook.md", "# Runbook"), FLEET: ("fleet.md", "## What to do about each alert")}

each_file = pytest.mark.parametrize("file", [RULES, FLEET], ids=lambda file: file.stem)


def rules(file: Path = RULES) -> list[dict[str, Any]]:
    """Gives all rules, of every group."""
    return [rule for group in yaml.safe_load(file.read_text())["groups"] for rule in group["rules"]]


def alerts(file: Path = RULES) -> dict[str, dict[str, Any]]:
    """Gives the alerts by name."""
    return {rule["alert"]: rule for rule in rules(file) if "alert" in rule}


def test_promtool_finds_nothing_wrong() -> None:
    done = wanted("promtool").run("check", "rules", "--lint=all", "--lint-fatal", *TESTS)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_fires_on_what_it_is_about_and_not_on_what_looks_like_it() -> None:
    done = wanted("promtool").run("test", "rules", *(name for names in TESTS.values() for name in names), cwd=FOLDER)
    assert done.returncode == 0, done.stdout + done.stderr


@each_file
def test_each_alert_has_a_test_that_it_fires_and_one_that_it_does_not(file: Path) -> None:
    said: dict[str, set[bool]] = {}
    for name in TESTS[file]:
        for one in yaml.safe_load((FOLDER / name).read_text())["tests"]:
            for query in one.get("promql_expr_test", []):
                if found := re.search(r'alertname="(\w+)"', query["expr"]):
                    said.setdefault(found[1], set()).add(bool(query["exp_samples"]))
    assert said == {name: {True, False} for name in alerts(file)}


@each_file
def test_each_alert_leads_to_its_section_of_the_runbook(file: Path) -> None:
    page, heading = RUNBOOKS[file]
    runbook = Page(tables.ROOT / "docs" / page)
    for name, alert in alerts(file).items():
        assert alert["annotations"]["runbook"] == f"docs/{page}#{name.lower()}"
        assert name.lower() in runbook.anchors
        assert alert["labels"]["severity"] in ("page", "ticket")
        assert alert["annotations"]["summary"]
    section = runbook.text.partition(f"{heading}\n")[2].partition(f"\n{heading.split()[0]} ")[0]
    headings = re.findall(r"^### (\w+)$", section, re.MULTILINE)
    assert sorted(headings) == sorted(alerts(file))


def test_the_kinds_of_errors_that_count_as_ours_are_those_that_callers_do_not_bring_about() -> None:
    recorded = {rule["record"]: rule["expr"] for rule in rules() if "record" in rule}
    ours = {kind.value for kind in ErrorKind if kind.side is not Side.CALLER}
    for name, sign in (("infrastructure_errors", "=~"), ("caller_errors", "!~")):
        named = re.search(rf'kind{sign}"([a-z_|]+)"', recorded[f"hookgate:{name}:ratio5m"])
        assert named is not None
        assert set(named[1].split("|")) == ours


def test_the_sources_that_count_as_unverified_are_those_that_nothing_vouches_for() -> None:
    expression = next(rule["expr"] for rule in rules() if rule.get("record", "").endswith("unverified_ratio1h"))
    named = re.search(r'source=~"([a-z|]+)"', expression)
    assert named is not None
    assert set(named[1].split("|")) == {one.value for one in Source if not one.is_verified} | {"none"}


def test_alerts_on_an_increase_have_a_first_value_to_increase_from() -> None:
    metrics = Metrics()
    # As the service does when it starts.
    metrics.ship.expect("sqlite")
    metrics.journal_dropped.labels("sqlite")
    exposed = metrics.exposition().decode()
    named = {name for alert in alerts().values() for name in re.findall(r"increase\((hookgate_\w+)", alert["expr"])}
    assert len(named) > 10
    for name in named:
        assert re.search(rf"^{name}(\{{.*\}})? 0\.0$", exposed, re.MULTILINE), name


def test_no_figure_is_recorded_that_nobody_reads() -> None:
    recorded = [rule["record"] for rule in rules() if "record" in rule]
    text = Path(tables.ROOT / "deploy/grafana/hookgate.json").read_text() + str(
        [one["expr"] for one in alerts().values()]
    )
    assert [name for name in recorded if name not in text] == []
