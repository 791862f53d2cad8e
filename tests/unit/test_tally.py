"""What is counted and logged of a decision."""

import json
from typing import Any

import pytest

from hookgate.audit.reconcile import Violation
from hookgate.audit.record import DroppedRecord, Record
from hookgate.config.tree import Log
from hookgate.errors import ErrorKind
from hookgate.outcome import Outcome
from hookgate.pdp.findings import CanaryState
from hookgate.telemetry.log import make_logger
from hookgate.telemetry.metrics import Metrics
from hookgate.telemetry.tally import Tally


class Watched:
    """A tally with its metrics and its lines."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.lines: list[str] = []
        self._tally = Tally(self.metrics, make_logger(Log(format="json", level="debug"), self.lines.append))

    def decided(self, **changes: Any) -> dict[str, Any]:
        plain: dict[str, Any] = {
            "id": "D",
            "time": "2026-11-22T00:00:00.000000Z",
            "outcome": "allow",
            "mode": "enforce",
            "event": "PreToolUse",
            "tool": "Bash",
            "total_seconds": 0.01,
        }
        self._tally.decided(Record(**{**plain, **changes}))
        found: dict[str, Any] = json.loads(self.lines[-1])
        return found

    def sample(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


@pytest.mark.parametrize(
    ("outcome", "error", "level"),
    [
        ("allow", "", "debug"),
        ("no_match", "", "debug"),
        ("deny", "", "info"),
        ("ask", "", "info"),
        ("error", "pdp_timeout", "warning"),
    ],
)
def test_a_decision_is_logged_by_its_weight_without_the_tools_input(outcome: str, error: str, level: str) -> None:
    found = Watched().decided(outcome=outcome, error=error, input={"command": "hunter2"}, answer={"reason": "hunter2"})
    assert (found["event"], found["level"], found["outcome"]) == ("decision", level, outcome)
    assert (found["decision_id"], found["event_name"], found["tool"]) == ("D", "PreToolUse", "Bash")
    assert "hunter2" not in json.dumps(found)


def test_a_decision_is_counted_by_event_tool_outcome_and_mode() -> None:
    watched = Watched()
    watched.decided(tool="mcp__github__x", outcome="deny")
    watched.decided(tool="mcp__github__y", outcome="deny")
    watched.decided(event="EventOfTomorrow", tool="", mode="observe")
    labels = {"event": "PreToolUse", "tool": "mcp:github", "outcome": "deny", "mode": "enforce"}
    assert watched.sample("hookgate_decisions_total", **labels) == 2
    labels = {"event": "unknown", "tool": "", "outcome": "allow", "mode": "observe"}
    assert watched.sample("hookgate_decisions_total", **labels) == 1
    assert watched.sample("hookgate_unknown_events_total") == 1
    assert watched.sample("hookgate_hook_duration_seconds_count", event="PreToolUse") == 2


def test_errors_denials_that_bind_nobody_and_waiting_for_the_pdp_are_counted() -> None:
    watched = Watched()
    watched.decided(outcome="error", error="pdp_timeout", pdp_seconds=0.5)
    watched.decided(outcome="deny", event="Notification", tool="", unenforceable=True)
    assert watched.sample("hookgate_errors_total", kind="pdp_timeout") == 1
    assert watched.sample("hookgate_unenforceable_total", event="Notification") == 1
    assert watched.sample("hookgate_pdp_duration_seconds_count") == 1


def test_dropped_fields_and_contradictions_are_all_counted_and_each_field_of_a_rule_is_told_once() -> None:
    watched = Watched()
    dropped = (DroppedRecord("p#r", "async", "unknown_field"), DroppedRecord("p#r", "other", "unknown_field"))
    for _ in range(3):
        watched.decided(dropped=dropped, contradictions=("p#r", "p#s"))
    assert watched.sample("hookgate_dropped_output_fields_total", why="unknown_field") == 6
    assert watched.sample("hookgate_contradictions_total") == 6
    told = [json.loads(line) for line in watched.lines if "output_field_dropped" in line]
    assert [(one["field"], one["source"]) for one in told] == [("async", "p#r"), ("other", "p#r")]


def test_what_is_remembered_of_dropped_fields_is_bounded() -> None:
    watched = Watched()
    for number in range(1100):
        watched.decided(dropped=(DroppedRecord(f"p#{number}", "x", "unknown_field"),))
    assert sum("output_field_dropped" in line for line in watched.lines) == 1000
    assert watched.sample("hookgate_dropped_output_fields_total", why="unknown_field") == 1100


def test_every_kind_of_error_and_violation_is_there_from_the_start() -> None:
    text = Metrics().exposition().decode()
    assert all(f'hookgate_errors_total{{kind="{kind.value}"}} 0.0' in text for kind in ErrorKind)
    assert all(f'hookgate_violations_total{{type="{violation.value}"}} 0.0' in text for violation in Violation)
    assert "_created" not in text


def test_every_metric_is_ours_by_name_and_says_what_it_is() -> None:
    for line in Metrics().exposition().decode().splitlines():
        if line.startswith("# HELP"):
            _, _, name, told = line.split(" ", 3)
            assert name.startswith("hookgate_")
            assert told.endswith(".")


def test_the_canarys_state_is_one_of_all() -> None:
    metrics = Metrics()
    for state in CanaryState:
        metrics.canary_state(state, trusted=state is not CanaryState.WRONG, strict=None)
        values = {
            one: metrics.registry.get_sample_value("hookgate_canary_state", {"state": one.value}) for one in CanaryState
        }
        assert {one for one, value in values.items() if value == 1} == {state}
        trusted = metrics.registry.get_sample_value("hookgate_canary_trusted")
        assert trusted == (0 if state is CanaryState.WRONG else 1)
    assert metrics.registry.get_sample_value("hookgate_pdp_strict_evaluation") == -1
    metrics.canary_state(CanaryState.OK, trusted=True, strict=False)
    assert metrics.registry.get_sample_value("hookgate_pdp_strict_evaluation") == 0


def test_outcomes_are_the_values_that_records_hold() -> None:
    assert {outcome.value for outcome in Outcome} == {"allow", "deny", "ask", "defer", "no_match", "error"}
