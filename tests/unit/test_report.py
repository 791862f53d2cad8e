"""`hookgate audit report`: what an auditor is told, and that it can be relied on."""

import csv
import hashlib
import io
import json
import shutil
import sqlite3
from base64 import b64encode
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from hookgate.audit.report.unseen import UNSEEN
from hookgate.commands import app
from tests.support.audited import BEGIN, chained, decision, everyday, id_at, service, shipments, stamp, stored, written
from tests.support.journals import lines, segments
from tests.support.page import Page

OK, FAULT, DOES_NOT_HOLD = 0, 1, 5
PERIOD = ("--from", "2026-03-02", "--to", "2026-03-02")


def reported(directory: Path, out: Path, *arguments: str | Path) -> Result:
    words = ["audit", "report", *PERIOD, "--out", str(out), *map(str, arguments)]
    return CliRunner().invoke(app, words, env={"HOOKGATE__AUDIT__DIRECTORY": str(directory)})


def told(directory: Path, out: Path, *arguments: str | Path, code: int = OK) -> dict[str, Any]:
    """Gives the JSON form of a report."""
    path = out / "report.json"
    result = reported(directory, path, *arguments)
    assert result.exit_code == code, result.output
    found: dict[str, Any] = json.loads(path.read_bytes())
    return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trail in which a call ran although it was denied; not to be changed by a test."""
    records = list(everyday())
    denied = next(one for one in records if one.get("outcome") == "deny")
    at = BEGIN + timedelta(hours=3)
    records += [
        service("enforcement_violated", at, decision=denied["id"], found_by="", tool="Read"),
        service("gap", at, since=stamp(at), until=stamp(at + timedelta(minutes=1)), answers={"deny": 4}, records={}),
        service("config_changed", at, changed=["pdp.address"]),
    ]
    directory = written(tmp_path_factory.mktemp("trail"), records)
    stored(directory)
    return directory


@pytest.fixture
def trail(made: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    shutil.copytree(made, tmp_path / "trail")
    return tmp_path / "trail"


@pytest.fixture(scope="module")
def decisions(made: Path) -> list[dict[str, Any]]:
    return [line for line in lines(made) if line["type"] == "decision"]


class TestContent:
    def test_totals_are_those_of_the_journal(self, made: Path, tmp_path: Path, decisions: list[dict[str, Any]]) -> None:
        totals = told(made, tmp_path)["totals"]
        assert totals["decisions"] == len(decisions)
        for field, name in (("outcomes", "outcome"), ("users", "user"), ("tools", "tool"), ("modes", "mode")):
            assert {one["name"]: one["count"] for one in totals[field]} == Counter(one[name] for one in decisions)
        assert totals["unverified_decisions"] == sum(not one["verified"] for one in decisions)
        assert totals["user_count"] == 3
        buckets = Counter[str]()
        for bucket in totals["buckets"]:
            buckets.update(bucket["outcomes"])
        assert buckets == Counter(one["outcome"] for one in decisions)

    def test_without_a_question_all_denials_and_questions_are_listed_and_that_is_said(
        self, made: Path, tmp_path: Path, decisions: list[dict[str, Any]]
    ) -> None:
        found = told(made, tmp_path)
        expected = [one["id"] for one in decisions if one["outcome"] in ("deny", "ask")]
        assert [one["id"] for one in found["access_list"]] == expected
        assert found["accesses"] == len(expected)
        reported(made, tmp_path / "report.html")
        page = Page((tmp_path / "report.html").read_text())
        assert "No path or command was asked for: these are all denials and questions, and nothing else." in page.text

    def test_accesses_to_paths_are_told_with_decision_reason_and_end(
        self, made: Path, tmp_path: Path, decisions: list[dict[str, Any]]
    ) -> None:
        found = told(made, tmp_path, "--paths", "**/docs/*", "--paths", "**/secrets/**")["access_list"]
        expected = [
            one["id"]
            for one in decisions
            if one["event"] == "PreToolUse" and any(name in str(one["input"]) for name in ("/docs/", "/secrets/"))
        ]
        assert expected
        assert [one["id"] for one in found] == expected
        secret = next(one for one in found if "secrets" in one["subject"])
        assert (secret["outcome"], secret["mode"], secret["ended"]) == ("deny", "enforce", "")
        assert secret["reason"] == "Files with secrets are not for agents."
        assert secret["matched"] == [secret["subject"]]
        assert secret["violations"] == ["enforcement_violated"]
        read = next(one for one in found if "docs" in one["subject"] and one["outcome"] == "allow")
        assert (read["ended"], read["ran_seconds"]) == ("ran", 1.5)

    def test_commands_are_found_by_expression(self, made: Path, tmp_path: Path) -> None:
        found = told(made, tmp_path, "--commands", r"push\s+--force")["access_list"]
        assert len(found) == 6
        assert {(one["outcome"], one["ended"]) for one in found} == {("ask", "ran")}

    def test_the_end_of_a_call_whose_beginning_is_missing_stands_for_itself(self, tmp_path: Path) -> None:
        end = decision(event="PostToolUse", tool_use_id="t", time=stamp(BEGIN), outcome="no_match")
        stored(tmp_path, chained([end]))
        assert [one["event"] for one in told(tmp_path, tmp_path, "--paths", "README.md")["access_list"]] == [
            "PostToolUse"
        ]

    def test_a_batch_tells_that_its_calls_ran_and_failures_are_failures(self, tmp_path: Path) -> None:
        calls = [decision(tool_use_id=name, id=id_at(BEGIN), time=stamp(BEGIN)) for name in ("a", "b", "c")]
        later = {"session_id": "s-1", "time": stamp(BEGIN + timedelta(seconds=1))}
        failed = decision(event="PostToolUseFailure", tool_use_id="b", failed=True, outcome="no_match", **later)
        stopped = decision(event="PostToolUseFailure", tool_use_id="c", interrupted=True, outcome="no_match", **later)
        members = [{"tool": "Read", "tool_use_id": name} for name in ("a", "b")]
        batch = decision(event="PostToolBatch", tool="", input={}, calls=members, outcome="no_match", **later)
        stored(tmp_path, chained([*calls, failed, stopped, batch]))
        found = told(tmp_path, tmp_path, "--paths", "README.md")["access_list"]
        assert [one["ended"] for one in found] == ["ran", "failed", "interrupted"]

    def test_a_call_at_the_end_of_the_period_has_its_end_and_that_is_not_counted(self, tmp_path: Path) -> None:
        at = BEGIN.replace(hour=23, minute=59, second=59)
        asked = decision(tool_use_id="a", time=stamp(at))
        end = decision(event="PostToolUse", tool_use_id="a", time=stamp(at + timedelta(seconds=9)), outcome="no_match")
        stored(tmp_path, chained([asked, end]))
        found = told(tmp_path, tmp_path, "--paths", "README.md")
        assert [one["ended"] for one in found["access_list"]] == ["ran"]
        assert found["totals"]["decisions"] == 1

    def test_searches_that_may_have_reached_a_path_are_counted(self, tmp_path: Path) -> None:
        fact = {"path": "/home/alex", "written": "/home/alex", "recursive": True}
        stored(tmp_path, chained([decision(tool="Grep", input={"pattern": "x"}, facts={"paths": [fact]})]))
        found = told(tmp_path, tmp_path, "--paths", "/home/alex/secrets/**")
        assert (found["accesses"], found["may_have_reached"]) == (0, 1)

    def test_coverage_tells_instances_starts_crashes_gaps_and_silences(self, tmp_path: Path) -> None:
        def checkpoint(seconds: float) -> dict[str, Any]:
            return service("checkpoint", BEGIN + timedelta(seconds=seconds), instance="chain-1")

        records = [
            service("start", BEGIN, version="0.1.0", mode="enforce"),
            decision(time=stamp(BEGIN + timedelta(seconds=1))),
            *(checkpoint(10 * number) for number in range(1, 4)),
            service("start", BEGIN + timedelta(seconds=200), version="0.1.0", mode="enforce"),
            checkpoint(205),
            service("stop", BEGIN + timedelta(seconds=210), unanswered=0),
            checkpoint(210.5),
            service("start", BEGIN + timedelta(seconds=500), version="0.1.0", mode="enforce"),
            checkpoint(505),
        ]
        stored(tmp_path, chained(records))
        (one,) = told(tmp_path, tmp_path)["instances"]
        assert (one["id"], one["host"], one["decisions"]) == ("chain-1", "build-1", 1)
        assert (one["starts"], one["stops"], one["crashes"], one["checkpoints"]) == (3, 1, 1, 6)
        assert one["silent"] == 1
        assert one["silences"] == [{"since": "2026-03-02T08:00:30+00:00", "until": "2026-03-02T08:03:25+00:00"}]

    def test_gaps_changes_and_violations_are_told(self, made: Path, tmp_path: Path) -> None:
        found = told(made, tmp_path)
        assert [one["answers"] for one in found["gaps"]] == [{"deny": 4}]
        assert [one["type"] for one in found["events"]] == ["config_changed"]
        assert found["violation_counts"] == [{"name": "enforcement_violated", "count": 1}]
        (violation,) = found["violations"]
        assert violation["subject"].endswith("/secrets/prod.key")
        assert violation["user"]

    def test_times_without_enforcement_and_with_errors_are_stretches(
        self, made: Path, tmp_path: Path, decisions: list[dict[str, Any]]
    ) -> None:
        found = told(made, tmp_path)
        observed = [one for one in decisions if one["mode"] == "observe"]
        (stretch,) = found["unenforced"]
        assert (stretch["since"], stretch["until"]) == (observed[0]["time"], observed[-1]["time"])
        assert stretch["count"] == stretch["held_back"] == found["unenforced_decisions"] == len(observed)
        between = [one for one in decisions if stretch["since"] <= one["time"] <= stretch["until"]]
        assert stretch["others"] == len(between) - len(observed)
        assert found["error_decisions"] == 6
        assert len(found["error_stretches"]) == 6
        assert {name for one in found["error_stretches"] for name in one["names"]} == {"pdp_timeout"}

    def test_what_hooks_cannot_see_is_said(self, made: Path, tmp_path: Path) -> None:
        reported(made, tmp_path / "report.html")
        text = Page((tmp_path / "report.html").read_text()).text
        assert len(UNSEEN) > 8
        assert [one for one in UNSEEN if one not in text] == []


Edit = Callable[[Path], None]


def in_store(statement: str) -> Edit:
    def edit(trail: Path) -> None:
        with sqlite3.connect(trail / "store.sqlite") as store:
            assert store.execute(statement).rowcount == 1
        store.close()

    return edit


def in_journal(trail: Path) -> None:
    path = segments(trail)[0]
    path.write_bytes(path.read_bytes().replace(b'"outcome":"deny"', b'"outcome":"allo"', 1))


#: A record that was denied, whatever its number.
ONE = "(SELECT key FROM decision WHERE outcome = 'deny' ORDER BY key LIMIT 1)"


class TestEvidence:
    def test_an_intact_trail_holds(self, made: Path, tmp_path: Path) -> None:
        found = told(made, tmp_path, "--trust", lines(made)[0]["detail"]["key_id"])
        assert found["findings"] == []
        assert found["journal"]["intact"] is True
        assert found["rows"]["compared"] == found["rows"]["rows"] > 100
        assert [one["has_journal"] for one in found["instances"]] == [True]

    @pytest.mark.parametrize(
        ("edit", "what", "said"),
        [
            (
                in_store(f"UPDATE decision SET outcome = 'allow' WHERE key = {ONE}"),
                "misleading",
                "found by something else",
            ),
            (
                in_store(f"UPDATE decision SET principal = 'kim2' WHERE key = {ONE}"),
                "misleading",
                "found by something else",
            ),
            (in_store(f"UPDATE line SET hash = zeroblob(32) WHERE key = {ONE}"), "edited", "not what was recorded"),
            (
                in_store(f"UPDATE line SET body = (SELECT body FROM line WHERE key = {ONE} + 1) WHERE key = {ONE}"),
                "edited",
                "not what was recorded",
            ),
            (in_store(f"DELETE FROM decision WHERE key = {ONE}"), "missing", "missing in the store"),
            (in_store(f"UPDATE decision SET time = 0 WHERE key = {ONE}"), "missing", "missing in the store"),
            (in_store(f"DELETE FROM line WHERE key = {ONE}"), "unknown", "have no record"),
            (in_store("DELETE FROM service WHERE type = 'enforcement_violated'"), "missing", "missing in the store"),
        ],
    )
    def test_a_row_that_was_edited_under_a_good_journal_is_a_finding(
        self, trail: Path, tmp_path: Path, edit: Edit, what: str, said: str
    ) -> None:
        before = told(trail, tmp_path)
        edit(trail)
        found = told(trail, tmp_path, code=DOES_NOT_HOLD)
        assert found["journal"]["intact"] is True
        assert found["rows"][what] >= 1
        assert any(said in finding for finding in found["findings"])
        # What the journal has is told all the same.
        for field in ("totals", "violations", "access_list"):
            assert found[field] == before[field], field
        result = reported(trail, tmp_path / "report.html")
        assert result.exit_code == DOES_NOT_HOLD
        assert said in result.stderr
        page = Page((tmp_path / "report.html").read_text())
        assert "The evidence does not hold." in page.text
        assert said in page.text

    def test_a_row_that_the_journal_does_not_know_is_a_finding(self, trail: Path, tmp_path: Path) -> None:
        instance = shipments(trail)[0].instance
        forged = chained([decision(time=stamp(BEGIN))] * 500, instance)[-1:]
        stored(trail, forged)
        found = told(trail, tmp_path, code=DOES_NOT_HOLD)
        assert found["rows"]["unknown"] == 1
        assert [(one["what"], one["seq"]) for one in found["rows"]["examples"]] == [("unknown", 500)]

    def test_a_changed_journal_is_a_finding_and_the_report_is_written(self, trail: Path, tmp_path: Path) -> None:
        in_journal(trail)
        found = told(trail, tmp_path, code=DOES_NOT_HOLD)
        assert found["journal"]["intact"] is False
        assert "The journal does not verify: 1 findings." in found["findings"]
        reported(trail, tmp_path / "report.html")
        assert "It does NOT verify." in Page((tmp_path / "report.html").read_text()).text

    def test_a_key_that_is_not_trusted_is_a_finding(self, made: Path, tmp_path: Path) -> None:
        found = told(made, tmp_path, "--trust", "0123456789abcdef", code=DOES_NOT_HOLD)
        assert {one["kind"] for one in found["journal"]["findings"]} == {"wrong_key"}

    def test_a_checkpoint_that_was_kept_finds_a_cut_tail(self, trail: Path, tmp_path: Path) -> None:
        kept = tmp_path / "kept.json"
        kept.write_text(json.dumps([line for line in lines(trail) if line["type"] == "checkpoint"][-1]))
        assert told(trail, tmp_path, "--against", kept)["against"] is True
        path = segments(trail)[0]
        path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-4]))
        found = told(trail, tmp_path, "--against", kept, code=DOES_NOT_HOLD)
        assert "cut_tail" in {one["kind"] for one in found["journal"]["findings"]}
        # The store is a witness, too: it has rows that the journal has lost.
        assert found["rows"]["unknown"] > 0

    def test_records_that_are_not_delivered_yet_come_from_the_journal(self, trail: Path, tmp_path: Path) -> None:
        before = told(trail, tmp_path)
        (trail / "store.sqlite").unlink()
        whole = shipments(trail)
        stored(trail, whole[: len(whole) // 2])
        found = told(trail, tmp_path)
        assert found["rows"]["not_delivered"] > 20
        assert any("had not reached the store" in notice for notice in found["notices"])
        assert found["totals"] == before["totals"]
        assert [one["id"] for one in found["access_list"]] == [one["id"] for one in before["access_list"]]

    def test_records_that_the_stores_retention_has_removed_come_from_the_journal(
        self, trail: Path, tmp_path: Path, decisions: list[dict[str, Any]]
    ) -> None:
        before = told(trail, tmp_path)
        first = f"(SELECT key FROM decision WHERE id = '{decisions[20]['id']}')"
        with sqlite3.connect(trail / "store.sqlite") as store:
            for table in ("line", "decision", "service"):
                store.execute(f"DELETE FROM {table} WHERE key < {first}")
        store.close()
        found = told(trail, tmp_path)
        assert found["rows"]["expired"] == 21  # with the record of the start
        assert any("its retention removed them, or somebody did" in notice for notice in found["notices"])
        assert found["totals"] == before["totals"]
        assert [one["id"] for one in found["access_list"]] == [one["id"] for one in before["access_list"]]

    def test_without_a_journal_rows_are_held_against_their_own_hashes(self, made: Path, tmp_path: Path) -> None:
        shutil.copy(made / "store.sqlite", tmp_path / "store.sqlite")
        found = told(tmp_path, tmp_path)
        assert found["journal"] is None
        assert found["rows"]["without_journal"] == found["rows"]["rows"]
        assert any("no journal to verify" in notice for notice in found["notices"])
        in_store(f"UPDATE line SET hash = zeroblob(32) WHERE key = {ONE}")(tmp_path)
        assert told(tmp_path, tmp_path, code=DOES_NOT_HOLD)["rows"]["edited"] == 1

    def test_rows_of_another_instance_are_told_apart(self, trail: Path, tmp_path: Path) -> None:
        stored(trail, chained([decision(time=stamp(BEGIN))], "chain-elsewhere"))
        found = told(trail, tmp_path)
        assert found["rows"]["without_journal"] == 1
        assert {one["id"]: one["has_journal"] for one in found["instances"]}["chain-elsewhere"] is False


class TestForms:
    def test_html_is_one_page_that_runs_and_loads_nothing(self, made: Path, tmp_path: Path) -> None:
        path = tmp_path / "report.html"
        assert reported(made, path, "--paths", "**/secrets/**").exit_code == OK
        page = Page(path.read_text())
        assert page.dangers() == []
        assert "http" not in path.read_text().replace("http-equiv", "")
        assert "url(" not in page.style
        assert "@import" not in page.style
        policy = next(one["content"] for one in page.all("meta") if one.get("http-equiv") == "Content-Security-Policy")
        digest = b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
        assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"

    def test_html_can_be_heard_and_printed(self, made: Path, tmp_path: Path) -> None:
        path = tmp_path / "report.html"
        reported(made, path)
        page = Page(path.read_text())
        assert page.all("html") == [{"lang": "en"}]
        assert all(one.get("scope") in ("col", "row") for one in page.all("th"))
        charts = [one for one in page.all("svg") if one.get("role") == "img"]
        assert len(charts) == len(page.all("desc")) == len(page.all("title")) - 1 == 2
        assert all(one.get("aria-hidden") == "true" for one in page.all("svg") if one not in charts)
        ids = {one["id"] for _, one in page.elements if "id" in one}
        assert [one["href"] for one in page.all("a") if one["href"].removeprefix("#") not in ids] == []
        for rule in ("@media print", "table-header-group", "prefers-color-scheme: dark", "break-inside: avoid"):
            assert rule in page.style

    def test_rows_beyond_the_bound_of_html_are_left_out_and_that_is_said(self, made: Path, tmp_path: Path) -> None:
        path = tmp_path / "report.html"
        reported(made, path, "--rows", "3")
        page = Page(path.read_text())
        assert "18 decisions" in page.text
        assert "The first 3 are listed; 15 are left out." in page.text
        assert len([one for one in page.all("span") if one.get("class", "").startswith("outcome ")]) == 3

    def test_csv_has_all_accesses_and_nothing_else(self, made: Path, tmp_path: Path) -> None:
        path = tmp_path / "accesses.csv"
        assert reported(made, path, "--rows", "1").exit_code == OK
        table = list(csv.DictReader(io.StringIO(path.read_text())))
        assert [row["id"] for row in table] == [one["id"] for one in told(made, tmp_path)["access_list"]]
        assert table[0]["violations"] == "enforcement_violated"

    def test_json_has_a_version_and_is_ascii(self, made: Path, tmp_path: Path) -> None:
        assert told(made, tmp_path)["version"] == 1
        assert (tmp_path / "report.json").read_bytes().isascii()

    def test_a_period_without_decisions_is_a_report_too(self, made: Path, tmp_path: Path) -> None:
        for name in ("report.html", "report.json", "report.csv"):
            result = reported(made, tmp_path / name, "--from", "2025-01-01", "--to", "2025-01-02")
            assert result.exit_code == OK, result.output
        assert "No decision was recorded in this period." in Page((tmp_path / "report.html").read_text()).text
        assert json.loads((tmp_path / "report.json").read_bytes())["access_list"] == []

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["--out", "report.pdf"], "its name must end in .html, .json or .csv"),
            (["--commands", "("], "--paths, --commands: '(': missing )"),
            (["--paths", ""], "a glob must not be empty"),
            (["--from", "soon"], "--from: 'soon' is no time"),
            (["--from", "2026-03-03"], "--from is not before --to"),
            (["--against", "nowhere.json"], "--against nowhere.json: No such file or directory"),
            (["--out", "nowhere/report.html"], "No such file or directory"),
            (["--store", "nowhere.sqlite"], "nowhere.sqlite"),
        ],
    )
    def test_what_cant_be_reported_is_one_line_and_leaves_nothing(
        self, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
    ) -> None:
        monkeypatch.chdir(tmp_path)
        result = reported(made, tmp_path / "report.html", *arguments)
        assert result.exit_code == FAULT
        assert said in result.stderr
        assert len(result.stderr.splitlines()) == 1
        assert list(tmp_path.iterdir()) == []
