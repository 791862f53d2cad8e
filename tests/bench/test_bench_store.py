"""Made-up records and the store's benchmark: that they are what they say, not how fast anything is."""

import json
from collections import Counter
from datetime import datetime
from pathlib import Path

from typer.testing import CliRunner

from bench.__main__ import app
from bench.records import BEGIN, DAYS, Company, write
from hookgate.audit.chain import ZEROS, taken_apart
from tests.support.journals import lines, segments


def test_records_are_a_chain_of_a_quarter_that_the_same_seed_makes_again(tmp_path: Path) -> None:
    size = write(3000, tmp_path / "one", Company(users=50))
    write(3000, tmp_path / "two", Company(users=50))
    written = b"".join(path.read_bytes() for path in segments(tmp_path / "one"))
    assert len(written) == size
    assert written == b"".join(path.read_bytes() for path in segments(tmp_path / "two"))
    before = ZEROS
    for number, line in enumerate(written.splitlines(), 1):
        taken = taken_apart(line)
        assert taken is not None
        assert taken.holds
        assert (taken.seq, taken.prev) == (number, before)
        before = taken.hash
    assert number == 3000
    found = lines(tmp_path / "one")
    days = {(datetime.fromisoformat(record["time"]) - BEGIN).days for record in found}
    assert days == set(range(DAYS))
    outcomes = Counter(record["outcome"] for record in found)
    assert outcomes["allow"] > 2000
    assert all(outcomes[name] > 0 for name in ("deny", "ask", "no_match", "error"))
    asked = {record["tool_use_id"] for record in found if record["event"] == "PreToolUse"}
    ran = {record["tool_use_id"] for record in found if record["event"] != "PreToolUse"}
    assert len(ran & asked) > 1000


def test_the_command_says_what_it_wrote_and_refuses_to_write_over_it(tmp_path: Path) -> None:
    command = ["records", "--count", "100", "--out", str(tmp_path)]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0
    assert done.output.startswith("100 records, ")
    again = CliRunner().invoke(app, command)
    assert again.exit_code == 1
    assert again.output.rstrip().endswith("0000000000000001.jsonl: File exists")


def test_a_small_store_is_filled_asked_and_removed(cerbos: Path, tmp_path: Path) -> None:
    results, page = tmp_path / "results.json", tmp_path / "page.md"
    page.write_text("<!-- store: begin -->\n<!-- store: end -->\n")
    path = tmp_path / "store.sqlite"
    command = ["store", "--count", "4000", "--file", str(path), "--json", str(results), "--page", str(page)]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert sorted(tmp_path.iterdir()) == [page, results]
    result = json.loads(results.read_text())["result"]
    answers = {cost["question"]: cost["answer"] for cost in result["costs"]}
    assert result["records"] == 4000
    assert answers["stats: the quarter"] == "4,000 counted"
    assert answers["search: the newest"] == "50 rows, and more"
    assert answers["search: command text that is nowhere"] == "0 rows"
    assert "| search: a session | " in page.read_text()


def test_a_file_that_is_there_is_not_written_over(cerbos: Path, tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    path.write_text("mine")
    done = CliRunner().invoke(app, ["store", "--file", str(path)])
    assert done.exit_code == 1
    assert path.read_text() == "mine"
