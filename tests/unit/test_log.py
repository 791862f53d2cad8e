"""Structured logs: one line an event, and nothing of what libraries put into theirs."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import given

from hookgate.config.tree import Log
from hookgate.telemetry.log import adopt_libraries, make_logger
from tests.unit.strategies import sent_values

SECRET = "Bearer hunter2"


def logger(lines: list[str], **config: str) -> structlog.typing.FilteringBoundLogger:
    return make_logger(Log(**{"format": "json", **config}), lines.append)


@pytest.fixture
def adopted() -> Iterator[list[str]]:
    lines: list[str] = []
    handler = adopt_libraries(logger(lines))
    yield lines
    logging.getLogger().removeHandler(handler)


def test_an_event_is_one_line_of_json_with_level_and_utc_time() -> None:
    lines: list[str] = []
    logger(lines).warning("decision", tool="Bash", text="two\nlines \u202e\x1b[31m")
    (line,) = lines
    assert "\n" not in line
    assert line.isascii()
    found = json.loads(line)
    assert (found["event"], found["level"], found["tool"]) == ("decision", "warning", "Bash")
    assert found["text"] == "two\nlines \u202e\x1b[31m"
    assert found["timestamp"].endswith("Z")


@given(value=sent_values)
def test_any_value_is_one_line_of_json(value: Any) -> None:
    lines: list[str] = []
    logger(lines).info("event_name", value=value)
    (line,) = lines
    assert "\n" not in line
    assert json.loads(line)["value"] == value


@pytest.mark.parametrize(
    ("level", "written"),
    [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)],
)
def test_only_events_of_the_level_or_above_are_written(level: str, written: int) -> None:
    lines: list[str] = []
    log = logger(lines, level=level)
    for name in ("debug", "info", "warning", "error"):
        getattr(log, name)("x")
    assert len(lines) == written


def test_our_own_exceptions_are_told_with_where_but_without_the_values_of_variables() -> None:
    lines: list[str] = []

    def failing(token: str) -> None:
        raise RuntimeError("a fault")

    try:
        failing(SECRET)
    except RuntimeError as error:
        logger(lines).error("internal", exc_info=error)
    (line,) = lines
    found = json.loads(line)["exception"][0]
    assert found["exc_type"] == "RuntimeError"
    assert found["frames"][-1]["name"] == "failing"
    assert SECRET not in line


def test_a_terminal_gets_readable_lines_with_tracebacks() -> None:
    lines: list[str] = []
    log = logger(lines, format="console")
    try:
        raise RuntimeError("a fault")
    except RuntimeError as error:
        log.exception("internal", decision_id="D", exc_info=error)
    (line,) = lines
    assert "internal" in line
    assert "decision_id" in line
    assert "RuntimeError: a fault" in line


@pytest.mark.parametrize("char", ["\x1b", "\x9b", "\u202e", "\u200b", "\u2028", "\x07", "\r"], ids=ascii)
def test_what_callers_wrote_reaches_a_terminal_as_text_alone(char: str) -> None:
    lines: list[str] = []
    log = logger(lines, format="console")
    log.warning("decision", tool=f"a{char}b", faults=[f"a{char}b"])
    try:
        raise RuntimeError(f"a{char}b")
    except RuntimeError as error:
        log.exception("internal", exc_info=error)
    assert char not in "".join(lines)
    assert len(lines[0].splitlines()) == 1
    assert len(lines[1].splitlines()) > 3


@pytest.mark.parametrize(("terminal", "readable"), [(True, True), (False, False)])
def test_auto_is_readable_on_a_terminal_and_json_elsewhere(
    monkeypatch: pytest.MonkeyPatch, terminal: bool, readable: bool
) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: terminal)
    monkeypatch.setattr("sys.stderr", stream)
    lines: list[str] = []
    logger(lines, format="auto").warning("hello")
    assert lines[0].startswith("{") != readable


def test_what_libraries_warn_of_is_told_by_name_and_type_alone(adopted: list[str]) -> None:
    library = logging.getLogger("aiohttp.server")
    try:
        raise ValueError(SECRET)
    except ValueError:
        library.exception("Error handling request with %s", SECRET, extra={"token": SECRET})
    library.warning(SECRET)
    library.info("not even this")
    found = [json.loads(line) for line in adopted]
    assert [(one["event"], one["logger"], one["level_name"], one.get("exception_type")) for one in found] == [
        ("library", "aiohttp.server", "ERROR", "ValueError"),
        ("library", "aiohttp.server", "WARNING", None),
    ]
    assert SECRET not in "".join(adopted)
