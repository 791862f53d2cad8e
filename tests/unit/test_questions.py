"""`hookgate audit search`, `session`, `show`, `stats`, `export`: what a person or program is told of a store."""

import csv
import io
import json
import shutil
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from hookgate.audit.lag import lag_of
from hookgate.audit.store.opening import open_store
from hookgate.audit.store.question import Filter
from hookgate.commands import app
from hookgate.commands.stats import sparkline
from hookgate.commands.tables import table_of
from tests.support.audited import everyday, shipments, stored, written
from tests.support.journals import lines

OK, FAULT, USAGE = 0, 1, 2


def asked(directory: Path, command: str, *arguments: str | Path | int, **environment: str) -> Result:
    """Runs a command on the trail in a directory."""
    words = ["audit", command, *map(str, arguments)]
    return CliRunner().invoke(app, words, env={"HOOKGATE__AUDIT__DIRECTORY": str(directory), **environment})


def rows(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == OK, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trail whose store has all of its journal; not to be changed by a test."""
    directory = written(tmp_path_factory.mktemp("trail"), everyday())
    stored(directory)
    return directory


@pytest.fixture
def trail(made: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    shutil.copytree(made, tmp_path / "trail")
    return tmp_path / "trail"


@pytest.fixture(scope="module")
def decisions(made: Path) -> list[dict[str, Any]]:
    """Its decisions, the oldest first."""
    return [line for line in lines(made) if line["type"] == "decision"]


class TestSearch:
    def test_finds_the_newest_first_with_who_what_why_and_how_it_ended(self, made: Path) -> None:
        result = asked(made, "search", "--outcome", "deny", "--enforced", "--user", "kim")
        assert result.exit_code == OK
        head, first, *_ = result.stdout.splitlines()
        assert head.split() == ["time", "user", "tool", "outcome", "ended", "call", "reason", "id"]
        assert "kim " in first
        assert "/home/kim/project/secrets/prod.key" in first
        assert "Files with secrets are not for agents." in first
        ran = asked(made, "search", "--outcome", "ask").stdout.splitlines()[1]
        assert " ran " in ran

    @pytest.mark.parametrize(
        ("options", "field", "value"),
        [
            (["--user", "sam"], "user", "sam"),
            (["--tool", "Bash"], "tool", "Bash"),
            (["--event", "PostToolUseFailure"], "event", "PostToolUseFailure"),
            (["--outcome", "no_match"], "outcome", "no_match"),
            (["--session", "s-kim-0"], "session_id", "s-kim-0"),
            (["--error", "pdp_timeout"], "error", "pdp_timeout"),
            (["--policy", "NO_MATCH"], "policy", "NO_MATCH"),
            (["--verified"], "verified", True),
            (["--unverified"], "verified", False),
            (["--observed"], "mode", "observe"),
            (["--enforced"], "mode", "enforce"),
        ],
    )
    def test_each_filter_gives_what_the_journal_has_of_it(
        self, made: Path, decisions: list[dict[str, Any]], options: list[str], field: str, value: object
    ) -> None:
        found = rows(asked(made, "search", *options, "--limit", 1000, "--json"))
        assert found
        assert [row["id"] for row in found][::-1] == [one["id"] for one in decisions if one[field] == value]

    def test_text_and_reason_are_looked_for_anywhere_and_roles_and_times_count(
        self, made: Path, decisions: list[dict[str, Any]]
    ) -> None:
        assert len(rows(asked(made, "search", "--text", "PROD.key", "--json"))) == 6
        assert len(rows(asked(made, "search", "--reason", "not for AGENTS", "--json"))) == 6
        assert rows(asked(made, "search", "--role", "engineer", "--limit", 1, "--json"))
        assert rows(asked(made, "search", "--role", "engine", "--json")) == []
        since, until = decisions[10]["time"], decisions[20]["time"]
        found = rows(asked(made, "search", "--from", since, "--to", until, "--oldest-first", "--json"))
        assert [row["id"] for row in found] == [one["id"] for one in decisions[10:20]]
        assert len(
            rows(asked(made, "search", "--from", "2026-03-02", "--to", "2026-03-02", "--limit", 1000, "--json"))
        ) == len(decisions)

    def test_pages_give_every_row_once(self, made: Path, decisions: list[dict[str, Any]]) -> None:
        found, cursor = [], ""
        for _ in range(len(decisions)):
            result = asked(made, "search", "--limit", 7, "--cursor", cursor, "--json")
            found += [row["id"] for row in rows(result)]
            if "next page:" not in result.stderr:
                break
            cursor = result.stderr.partition("--cursor ")[2].split()[0]
        assert found == [one["id"] for one in decisions][::-1]

    def test_csv_has_the_columns_and_every_cell_quoted(self, made: Path) -> None:
        text = asked(made, "search", "--limit", 3, "--csv").stdout
        table = list(csv.DictReader(io.StringIO(text)))
        assert len(table) == 3
        assert table[0].keys() >= {"time", "id", "user", "outcome", "subject", "reason", "ended", "violations"}
        assert all(cell.startswith('"') for cell in text.splitlines()[1].split(",")[:4])

    def test_elsewhere_than_on_a_terminal_no_code_is_printed(self, made: Path) -> None:
        assert "\x1b" not in asked(made, "search").output

    def test_nothing_found_is_said_on_standard_error(self, made: Path) -> None:
        result = asked(made, "search", "--user", "nobody")
        assert (result.exit_code, result.stdout) == (OK, "")
        assert "no decision matches" in result.stderr

    def test_an_unknown_outcome_is_refused_with_those_that_are_known(self, made: Path) -> None:
        result = asked(made, "search", "--outcome", "denied")
        assert result.exit_code == USAGE
        for word in ("allow", "deny", "ask", "defer", "no_match", "error"):
            assert word in result.output

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            (["--verified", "--unverified"], "--verified and --unverified contradict each other"),
            (["--enforced", "--observed"], "--enforced and --observed contradict each other"),
            (["--since", "1d", "--from", "2d"], "--since and --from contradict each other"),
            (["--json", "--csv"], "--json and --csv contradict each other"),
            (["--since", "soon"], "--since: 'soon' is no time"),
            (["--from", "2026-03-02", "--to", "2026-03-01"], "--from is not before --to"),
            (["--cursor", "nonsense"], "cursor"),
        ],
    )
    def test_options_that_make_no_sense_end_in_one_line(self, made: Path, options: list[str], said: str) -> None:
        result = asked(made, "search", *options)
        assert result.exit_code == FAULT
        assert said in result.stderr
        assert len(result.stderr.splitlines()) == 1


class TestPlace:
    def test_a_store_is_named_by_option_or_environment(self, made: Path, tmp_path: Path) -> None:
        path = shutil.copy(made / "store.sqlite", tmp_path / "elsewhere.sqlite")
        for result in (
            asked(tmp_path, "search", "--store", path, "--limit", 1, "--json"),
            asked(tmp_path, "search", "--limit", 1, "--json", HOOKGATE_STORE=str(path)),
        ):
            assert len(rows(result)) == 1

    def test_a_store_that_is_not_there_is_one_line(self, tmp_path: Path) -> None:
        result = asked(tmp_path, "search")
        assert result.exit_code == FAULT
        assert str(tmp_path / "store.sqlite") in result.stderr

    def test_a_password_is_never_told(self, tmp_path: Path) -> None:
        url = "postgresql://auditor:hunter2@127.0.0.1:1/trail"
        for arguments, environment in (([], {"HOOKGATE_STORE": url}), (["--store", url], {})):
            result = asked(tmp_path, "stats", *arguments, **environment)
            assert result.exit_code == FAULT
            assert result.stderr
            assert "hunter2" not in result.output

    def test_what_the_store_lacks_of_the_journal_is_said(self, trail: Path) -> None:
        (trail / "store.sqlite").unlink()
        whole = shipments(trail)
        late = [one for one in whole if one.record["type"] == "decision"][-3:]
        stored(trail, [one for one in whole if one.seq < late[0].seq])
        result = asked(trail, "search", "--limit", 1)
        assert "has 3 newer records that this store does not have" in result.stderr
        assert late[0].record["time"] in result.stderr
        store = open_store(trail / "store.sqlite")
        assert lag_of(trail, store, most=2).is_more
        store.close()

    def test_a_store_that_has_everything_lacks_nothing(self, made: Path) -> None:
        assert "newer records" not in asked(made, "search").stderr


class TestShow:
    def test_tells_all_of_a_record_and_what_belongs_to_it(self, made: Path, decisions: list[dict[str, Any]]) -> None:
        one = next(one for one in decisions if one["outcome"] == "ask")
        result = asked(made, "show", one["id"])
        assert result.exit_code == OK
        text = result.stdout
        for part in ("who", "what", "why", "how long", "in the chain", "belongs to it"):
            assert f"\n{part}\n" in text
        assert "git push --force origin main" in text
        assert one["hash"] in text
        assert "hash holds       yes" in text
        assert "PostToolUse" in text.partition("belongs to it")[2]

    def test_as_json_the_records_are_whole_and_say_whether_they_hold(
        self, made: Path, decisions: list[dict[str, Any]]
    ) -> None:
        first, second = rows(asked(made, "show", decisions[0]["id"], "--json"))
        assert decisions[0].items() <= first.items()
        assert first["row_holds"] is second["row_holds"] is True
        assert second["event"] == "PostToolUse"

    def test_the_beginning_of_an_id_is_enough_where_no_other_begins_so(
        self, made: Path, decisions: list[dict[str, Any]]
    ) -> None:
        one = decisions[5]
        assert rows(asked(made, "show", one["id"][:18], "--json"))[0]["id"] == one["id"]

    def test_an_id_that_is_not_there_is_a_fault(self, made: Path) -> None:
        for name in ("01a20514-1c8d-7932-a83d-fa46bb849852", "01a20514-1c8d", "nonsense", "\x1b[31m"):
            result = asked(made, "show", name)
            assert (result.exit_code, result.stdout) == (FAULT, "")
            assert "no record has the id" in result.stderr
            assert "\x1b" not in result.stderr

    def test_an_edited_row_is_told_as_such(self, trail: Path, decisions: list[dict[str, Any]]) -> None:
        with sqlite3.connect(trail / "store.sqlite") as store:
            store.execute("UPDATE line SET hash = ? WHERE key & 0xFFFFFFF = ?", (b"\x00" * 32, decisions[3]["seq"]))
        store.close()
        assert "NO: this row is not what was recorded" in asked(trail, "show", decisions[3]["id"]).stdout


def test_a_session_is_told_in_order_with_how_each_call_ended(made: Path, decisions: list[dict[str, Any]]) -> None:
    found = rows(asked(made, "session", "s-kim-0", "--json"))
    expected = [one["id"] for one in decisions if one["session_id"] == "s-kim-0"]
    assert [row["id"] for row in found] == expected
    assert {row["ran"]["how"] for row in found if row["ran"]} == {"ran", "failed"}
    assert asked(made, "session", "s-none").exit_code == OK


class TestStats:
    def test_counts_are_those_of_the_journal(self, made: Path, decisions: list[dict[str, Any]]) -> None:
        found = json.loads(asked(made, "stats", "--json").stdout)
        assert found["total"] == len(decisions)
        for field, name in (("outcomes", "outcome"), ("users", "user"), ("tools", "tool"), ("events", "event")):
            assert {one["name"]: one["count"] for one in found[field]} == Counter(one[name] for one in decisions)
        assert sum(sum(bucket["outcomes"].values()) for bucket in found["buckets"]) == len(decisions)

    def test_are_drawn_in_the_terminal(self, made: Path, decisions: list[dict[str, Any]]) -> None:
        text = asked(made, "stats", "--top", 3).stdout
        assert text.startswith(f"{len(decisions)} decisions  2026-03-02 08:")
        for title in (
            "over time",
            "outcome",
            "user",
            "denied most",
            "tools without a policy",
            "sessions with most denials",
        ):
            assert title in text
        assert "█" in text
        assert "\x1b" not in text

    def test_filters_count(self, made: Path) -> None:
        found = json.loads(asked(made, "stats", "--user", "kim", "--outcome", "deny", "--json").stdout)
        assert {one["name"] for one in found["users"]} == {"kim"}
        assert {one["name"] for one in found["outcomes"]} == {"deny"}

    def test_nothing_is_no_fault(self, made: Path) -> None:
        result = asked(made, "stats", "--user", "nobody")
        assert result.exit_code == OK
        assert "no decision matches" in result.stderr

    def test_what_is_not_zero_is_never_drawn_as_nothing(self) -> None:
        assert sparkline([0, 1, 500, 1000]) == " ▁▄█"
        assert sparkline([]) == ""
        assert sparkline([0]) == " "


class TestExport:
    def test_native_is_the_journal_to_the_byte(self, made: Path) -> None:
        expected = [one.line for one in shipments(made) if one.record["type"] == "decision"]
        assert asked(made, "export").stdout_bytes.splitlines() == expected

    def test_ocsf_is_an_event_a_record(self, made: Path, decisions: list[dict[str, Any]]) -> None:
        found = rows(asked(made, "export", "--format", "ocsf"))
        assert len(found) == len(decisions)
        assert {one["class_uid"] for one in found} == {6003}

    def test_csv_is_that_of_search_in_order_and_has_all_pages(
        self, made: Path, decisions: list[dict[str, Any]]
    ) -> None:
        table = list(csv.DictReader(io.StringIO(asked(made, "export", "--format", "csv").stdout)))
        assert [row["id"] for row in table] == [one["id"] for one in decisions]

    def test_a_file_is_there_whole_and_for_its_owner_only(self, made: Path, tmp_path: Path) -> None:
        path = tmp_path / "out.jsonl"
        result = asked(made, "export", "--outcome", "deny", "--out", path)
        assert (result.exit_code, result.stdout) == (OK, "")
        assert len(path.read_text().splitlines()) == 12
        assert path.stat().st_mode & 0o777 == 0o600
        assert [one.name for one in tmp_path.iterdir()] == ["out.jsonl"]
        assert "12 records" in result.stderr

    def test_a_file_that_cant_be_written_is_one_line_and_leaves_nothing(self, made: Path, tmp_path: Path) -> None:
        result = asked(made, "export", "--out", tmp_path / "missing" / "out.jsonl")
        assert result.exit_code == FAULT
        assert "No such file or directory" in result.stderr
        (tmp_path / "taken").mkdir()
        assert asked(made, "export", "--out", tmp_path / "taken").exit_code == FAULT
        assert [one.name for one in tmp_path.iterdir()] == ["taken"]

    def test_rows_that_are_not_what_was_recorded_are_said(self, trail: Path, decisions: list[dict[str, Any]]) -> None:
        with sqlite3.connect(trail / "store.sqlite") as store:
            store.execute("UPDATE line SET hash = ? WHERE key & 0xFFFFFFF = ?", (b"\x00" * 32, decisions[3]["seq"]))
        store.close()
        assert "1 of them are not what was written" in asked(trail, "export").stderr


@pytest.mark.parametrize("width", [80, 200])
def test_on_a_terminal_only_the_call_is_cut_to_its_width(made: Path, width: int) -> None:
    store = open_store(made / "store.sqlite")
    (row,) = store.search(Filter(outcome="ask"), limit=1).rows
    store.close()
    long = msgspec.structs.replace(row, subject="git push " * 50)
    text = io.StringIO()
    Console(file=text, width=width).print(table_of([long], terminal=True))
    _, first, second = text.getvalue().splitlines()
    assert first.split()[:6] == [
        *row.time[5:19].split("T"),
        f"{row.user}{'' if row.verified else '?'}",
        "Bash",
        "ask",
        "ran",
    ]
    assert first.rstrip().endswith("…")
    assert len(first) == width
    assert second.split()[0] == row.id[:18]
