"""The line that a person sees of each decision."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hookgate.audit.record import Record
from hookgate.commands.screen import decision_line, main_argument
from hookgate.recorded import Recorded

everything = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40)


def record(**changes: Any) -> Record:
    plain: dict[str, Any] = {
        "id": "D",
        "time": "2026-11-22T10:00:00.000000Z",
        "outcome": "deny",
        "mode": "enforce",
        "user": "alex",
        "event": "PreToolUse",
        "tool": "Bash",
        "input": {"command": "git push --force"},
        "reason": "R",
        "total_seconds": 0.0123,
    }
    return Record(**{**plain, **changes})


def test_a_line_tells_who_what_the_outcome_why_and_how_long() -> None:
    found = decision_line(record()).plain
    for part in ("alex", "PreToolUse", "Bash", "git push --force", "deny", "R", "12.3 ms"):
        assert part in found


def test_an_observed_decision_and_an_error_are_told_as_such() -> None:
    assert "deny (observed)" in decision_line(record(mode="observe")).plain
    found = decision_line(record(outcome="error", error="pdp_timeout", reason="")).plain
    assert "pdp_timeout" in found


def test_reasons_of_what_went_through_are_not_shown() -> None:
    assert "hidden" not in decision_line(record(outcome="allow", reason="hidden")).plain


@given(user=everything, tool=everything, event=everything, argument=everything, reason=everything)
def test_nothing_recorded_reaches_the_terminal_as_more_than_text_on_one_line(
    user: str, tool: str, event: str, argument: str, reason: str
) -> None:
    found = decision_line(record(user=user, tool=tool, event=event, input={"command": argument}, reason=reason)).plain
    assert all(char.isprintable() or char.isspace() for char in found)
    assert len(found.splitlines()) == 1
    assert "\x1b" not in found
    assert "\u202e" not in found


def test_the_part_of_an_input_that_tells_most_is_shown(recording: Recorded) -> None:
    body = recording.body.get("tool_input", {})
    found = main_argument(record(input=body))
    assert found or not body


def test_an_input_without_a_telling_part_is_shown_whole() -> None:
    assert main_argument(record(input={"x": [1]})) == '{"x": [1]}'
    assert main_argument(record(input={})) == ""
    assert main_argument(record(input={"command": 5, "path": "/a"})) == "/a"
