"""Recorded text that attacks whoever reads it: no view passes it on as more than text."""

import csv
import io
import json
import re
import unicodedata
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from typer.testing import CliRunner, Result

from hookgate.audit.report.html import page
from hookgate.audit.report.making import Scope, made
from hookgate.audit.report.matching import Matching
from hookgate.audit.report.model import Access, Report
from hookgate.audit.report.scratch import Scratch
from hookgate.audit.store.opening import open_store
from hookgate.audit.store.question import Ran, Row
from hookgate.audit.store.table import csv_row
from hookgate.commands import app
from hookgate.commands.tables import table_of
from hookgate.harmless import csv_line
from tests.support.audited import BEGIN, chained, decision, id_at, service, stamp, stored
from tests.support.page import Page

HOSTILE = (
    "\x1b[2J\x1b[31mred",
    "\x1b]8;;http://evil.example\x1b\\link\x1b]8;;\x1b\\",
    "\x9b31m\x07\x08\x7f",
    "\u202eevil\u2066x\u2069\u200b\ufeff",
    "\U000e0041\U000e0042",
    "line\r\nnext\u2028\u2029\x85",
    "[bold red]x[/bold red][link=http://evil.example]y[/link]:bomb:",
    "</td></table><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\"'><svg onload=alert(1)><a href=javascript:alert(1)>",
    "</style></title></svg><style>*{background:url(http://evil.example)}</style><!--",
    "{{ 7 * 7 }}{% raw %}${7*7}<%= 7 %>",
    "&lt;b&gt;&#x3c;",
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-2+3",
    "@SUM(A1)",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    "  =1+1",
    "\uff1d1+1",
    "\uff0b1",
    "\uff0d1",
    "\uff20x",
    "\u22121",
    'a","=1+1',
    "a;=1+1",
    "'=1",
    "%s%n%x",
    "../../etc/passwd\0",
    "x" * 5000 + "\x1b[31m",
)
_UNSAFE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
PERIOD = ("--from", "2026-03-02", "--to", "2026-03-02")


def poisoned(text: str, number: int) -> Iterator[dict[str, Any]]:
    """Gives a call, its end, and what does not add up about it, with the text wherever text is recorded."""
    at = BEGIN + timedelta(seconds=number)
    names = (
        "user",
        "tool",
        "session_id",
        "prompt_id",
        "tool_use_id",
        "agent_id",
        "cwd",
        "policy",
        "scope",
        "reason",
        "host",
    )
    fields: dict[str, Any] = dict.fromkeys(
        (*names, "source", "remote", "permission_mode", "error_detail", "call_id"), text
    )
    fields |= {
        "roles": [text],
        "attributes": {text: text},
        "labels": {text: text},
        "input": {"file_path": text, text: {text: [text]}},
        "facts": {"paths": [{"path": text, "written": text, "home": text, text: text}]},
        "outputs": [{"source": text, "value": {text: text}}],
        "answer": {"hookSpecificOutput": {"permissionDecisionReason": text}},
    }
    asked = decision(**fields, id=id_at(at), time=stamp(at), outcome="deny")
    yield asked
    later = stamp(at + timedelta(milliseconds=500))
    yield decision(**fields | {"event": "PostToolUse", "outcome": "error", "error": text}, id=id_at(at), time=later)
    for kind in ("enforcement_violated", "retention", "config_changed", "gap"):
        yield service(
            kind, at, decision=asked["id"], tool=text, since=text, until=text, answers={text: 1}, **{f"x{text}": text}
        )


@pytest.fixture(scope="module")
def trail(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("hostile")
    stored(directory, chained(one for number, text in enumerate(HOSTILE) for one in poisoned(text, number)))
    return directory


def asked(trail: Path, *arguments: str, terminal: bool = False) -> Result:
    environment = {"HOOKGATE__AUDIT__DIRECTORY": str(trail), "COLUMNS": "200"}
    if terminal:
        environment["FORCE_COLOR"] = "1"
    result = CliRunner().invoke(app, ["audit", *arguments], env=environment)
    assert result.exit_code == 0, result.output
    return result


def is_harmless(text: str) -> bool:
    return not {unicodedata.category(char) for char in text if char != "\n"} & _UNSAFE


VIEWS = [
    ("search", "--limit", "1000"),
    ("session", HOSTILE[0]),
    ("session", HOSTILE[7]),
    ("stats", "--top", "100"),
]


@pytest.mark.parametrize("terminal", [False, True], ids=["pipe", "terminal"])
@pytest.mark.parametrize(
    "arguments", VIEWS, ids=lambda arguments: " ".join(arguments)[:12].encode("ascii", "replace").decode()
)
def test_a_terminal_is_sent_text_and_colours_and_nothing_else(
    trail: Path, arguments: tuple[str, ...], *, terminal: bool
) -> None:
    text = asked(trail, *arguments, terminal=terminal).output
    assert ("\x1b[" in text) is terminal
    assert is_harmless(_COLOUR.sub("", text) if terminal else text)
    assert "\\u{1b}[" in text or "script" in text


def test_markup_stands_as_it_was_recorded(trail: Path) -> None:
    assert (
        "[bold red]x[/bold red][link=http://evil.example]y[/link]:bomb:"
        in asked(trail, "search", "--limit", "1000").stdout
    )


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_a_record_shown_is_text(trail: Path, number: int) -> None:
    name = decision_ids(trail)[number]
    text = asked(trail, "show", name).output
    assert "belongs to it" in text
    assert is_harmless(text)


def decision_ids(trail: Path) -> list[str]:
    found = asked(trail, "search", "--outcome", "deny", "--oldest-first", "--limit", "1000", "--json").stdout
    return [json.loads(line)["id"] for line in found.splitlines()]


@pytest.mark.parametrize(
    "arguments",
    [
        ("search", "--limit", "1000", "--json"),
        ("stats", "--json"),
        ("session", HOSTILE[0], "--json"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_json_is_ascii_without_control_characters(trail: Path, arguments: tuple[str, ...]) -> None:
    text = asked(trail, *arguments).stdout
    assert text
    assert text.isascii()
    assert is_harmless(text)


@pytest.mark.parametrize(
    "arguments", [("search", "--limit", "1000", "--csv"), ("export", "--format", "csv")], ids=lambda a: a[0]
)
def test_csv_has_no_formula_and_no_control_character(trail: Path, arguments: tuple[str, ...]) -> None:
    text = asked(trail, *arguments).stdout_bytes.decode()
    table = list(csv.reader(io.StringIO(text, newline="")))
    assert len(table) == 2 * len(HOSTILE) + 1
    assert_safe(table)


def assert_safe(table: list[list[str]]) -> None:
    assert len({len(row) for row in table}) == 1
    for cell in (cell for row in table for cell in row):
        assert is_harmless(cell)
        assert "\n" not in cell
        assert unicodedata.normalize("NFKC", cell.lstrip()[:1]) not in ("=", "+", "-", "@", "\u2212")


class TestReport:
    def test_html_is_text_however_hostile(self, trail: Path, tmp_path: Path) -> None:
        out = tmp_path / "report.html"
        asked(trail, "report", *PERIOD, "--paths", "**", "--paths", "<script>", "--commands", "<b>", "--out", str(out))
        text = out.read_text(encoding="utf-8")
        assert is_harmless(text)
        read = Page(text)
        assert read.dangers() == []
        for hostile in HOSTILE[6:13]:
            assert " ".join(hostile.split()) in read.text
        assert "49" not in [part.strip() for part in read.texts]

    def test_json_is_ascii(self, trail: Path, tmp_path: Path) -> None:
        out = tmp_path / "report.json"
        asked(trail, "report", *PERIOD, "--out", str(out))
        assert is_harmless(out.read_bytes().decode("ascii"))
        assert json.loads(out.read_bytes())["accesses"] == len(HOSTILE)

    def test_csv_is_safe(self, trail: Path, tmp_path: Path) -> None:
        out = tmp_path / "report.csv"
        asked(trail, "report", *PERIOD, "--out", str(out))
        with out.open(newline="", encoding="utf-8") as stream:
            assert_safe(list(csv.reader(stream)))


anything = st.one_of(st.sampled_from(HOSTILE), st.text(alphabet=st.characters(exclude_categories=[]), max_size=30))
row_fields = ("id", "user", "event", "tool", "outcome", "mode", "subject", "reason", "policy", "error", "session_id")
rows = st.builds(
    Row,
    time=st.just("2026-03-02T08:00:00.000000Z"),
    verified=st.booleans(),
    tool_use_id=anything,
    agent_id=anything,
    total_seconds=st.floats(0, 10),
    ran=st.one_of(st.none(), st.builds(Ran, id=anything, time=anything, how=anything)),
    violations=st.lists(anything, max_size=2).map(tuple),
    **dict.fromkeys(row_fields, anything),
)


@settings(max_examples=25)
@given(row=rows, terminal=st.booleans())
def test_no_row_reaches_a_terminal_as_more_than_text(row: Row, *, terminal: bool) -> None:
    text = io.StringIO()
    Console(file=text, width=150, markup=True, emoji=True).print(table_of([row], terminal=terminal))
    assert is_harmless(text.getvalue())
    assert terminal or len(text.getvalue().splitlines()) == 2


@given(row=rows)
def test_no_row_is_a_formula(row: Row) -> None:
    assert_safe(list(csv.reader(io.StringIO(csv_row(row), newline=""))))


@given(cells=st.lists(anything, min_size=1, max_size=4))
def test_no_cell_is_a_formula_or_two(cells: list[str]) -> None:
    (found,) = csv.reader(io.StringIO(csv_line(cells), newline=""))
    assert len(found) == len(cells)
    assert_safe([found])


@pytest.fixture(scope="module")
def report(trail: Path) -> Report:
    store, scratch = open_store(trail / "store.sqlite"), Scratch()
    found = made(store, Scope(since=BEGIN, until=BEGIN + timedelta(days=1), matching=Matching((), ())), scratch)
    store.close()
    scratch.close()
    return found


@settings(max_examples=25)
@given(texts=st.lists(anything, min_size=14, max_size=14))
def test_no_access_is_more_than_text_on_the_page(report: Report, texts: list[str]) -> None:
    names = [name for name in Access.__struct_fields__ if Access.__annotations__[name] is str]
    fields: dict[str, Any] = dict(zip(names, [*texts, *texts], strict=False))
    access = Access(**fields, seq=1, verified=False, matched=(texts[0],), violations=(texts[1],), ran_seconds=1.0)
    text = "".join(page(report, iter([access]), 10))
    assert is_harmless(text)
    assert Page(text).dangers() == []
