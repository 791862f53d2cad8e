"""The benchmark as a person runs it, in its shortest form: that it finishes, not how fast anything was."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.grid import Grid, PageError, put
from bench.payloads import payloads
from bench.ways import ways_here
from bench.window import Window
from hookgate.recorded import recorded

ROOT = Path(__file__).resolve().parents[2]


def _bench(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs `python -m bench` in the checkout."""
    paths = os.pathsep.join([str(ROOT / "proxy"), str(ROOT)])
    return subprocess.run(
        [sys.executable, "-m", "bench", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": paths, "COLUMNS": "200", **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_ways_are_measured_each_for_each_payload_and_told(cerbos: Path, tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    payloads_asked = ("--payload", "bash", "--payload", "result-2m")
    done = _bench("ways", "--quick", "--seconds", "0.02", *payloads_asked, "--callers", "1", "--json", str(results))
    assert done.returncode == 0, done.stderr
    for shown in (
        "Bash call, 0.5 KB",
        "PostToolUse, 2 MB of result: uncut",
        "What a choice or a room costs",
        "Memory, MB",
    ):
        assert shown in done.stdout
    assert "From the command to ready" in done.stdout
    assert "Goals met: Hookgate " in done.stdout
    found = json.loads(results.read_text())
    cells = found["ways"]["cells"]
    assert {cell["way"] for cell in cells} == {way.name for way in ways_here()}
    assert all(sample["counted"] > 0 and sample["p50_seconds"] > 0 for cell in cells for sample in cell["samples"])
    assert all(set(cell["against_http"]) == {"p50", "p99", "req/s"} for cell in cells)
    (shipped,) = [cell for cell in cells if cell["way"] == "shipped" and cell["payload"] == "bash"]
    (floor,) = [cell for cell in cells if cell["way"] == "floor" and cell["payload"] == "bash"]
    if sys.platform == "linux":
        assert shipped["shipper_cpu_seconds"] > 0
        assert 0 < floor["server_cpu_seconds"] < shipped["server_cpu_seconds"]
    assert {goal["subject"] for goal in found["goals"]} >= {"Bash call, 0.5 KB: p50 at 1", "From the command to ready"}


def test_a_day_of_agents_is_told_and_each_answer_has_its_record(cerbos: Path, tmp_path: Path) -> None:
    results, page = tmp_path / "results.json", tmp_path / "page.md"
    page.write_text("<!-- day: begin -->\n<!-- day: end -->\n")
    done = _bench("day", "--minutes", "0.04", "--agents", "40", "--json", str(results), "--page", str(page))
    assert done.returncode == 0, done.stdout + done.stderr
    day = json.loads(results.read_text())["day"]
    assert day["answers"] > 10
    assert day["answers"] == day["records"] == sum(one["answers"] for one in day["slices"])
    assert day["faults"] == []
    assert sum(day["outcomes"].values()) == day["answers"] + len(recorded())
    assert {"allow", "deny"} <= set(day["outcomes"])
    assert "error" not in day["outcomes"]
    assert all(one["sizes"]["journal_bytes"] > 0 for one in day["slices"])
    assert "40 agents replayed the recorded requests for 0.04 minutes" in page.read_text()
    assert "By `python -m bench day --minutes 0.04 --agents 40" in page.read_text()


def test_hooks_are_compared_by_themselves_where_there_is_no_client(cerbos: Path, tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    done = _bench("call", "--calls", "2", "--rounds", "1", "--json", str(results), HOOKGATE_CLIENT="no")
    assert done.returncode == 0, done.stderr
    assert "HOOKGATE_CLIENT=no: the client was left out" in done.stdout
    waited = {one["hook"]: one for one in json.loads(results.read_text())["call"]["waited"]}
    assert {"none", "http", "shell", "python"} <= set(waited)
    assert [len(one["alone_seconds"]) for name, one in waited.items() if name != "none"] == [2] * (len(waited) - 1)
    assert all(one["call_seconds"] == [] for one in waited.values())


def test_the_rooms_are_measured_and_written_into_a_page(cerbos: Path, tmp_path: Path) -> None:
    results, page = tmp_path / "rooms.json", tmp_path / "page.md"
    page.write_text("before\n<!-- rooms: begin -->\nold\n<!-- rooms: end -->\nafter\n")
    done = _bench("rooms", "--payload", "bash", "--seconds", "0.01", "--json", str(results), "--page", str(page))
    assert done.returncode == 0, done.stderr
    written = page.read_text()
    assert written.startswith("before\n<!-- rooms: begin -->\n")
    assert written.endswith(" |\n<!-- rooms: end -->\nafter\n")
    assert "| step | Bash call, 0.5 KB |\n| --- | ---: |\n| decision id | " in written
    assert "old" not in written
    costs = json.loads(results.read_text())["rooms"]["Bash call, 0.5 KB"]
    assert {"bytes to JSON values", "question to protobuf", "journal, until written"} <= {
        cost["step"] for cost in costs
    }
    assert all(cost["wall_seconds"] > 0 for cost in costs)


def test_a_wrong_answer_ends_a_benchmark_with_one_line_that_says_which(
    cerbos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench import run, ways
    from bench.run import Plan
    from bench.variants import HOOKGATE
    from bench.window import WrongAnswerError

    monkeypatch.setattr(ways, "leaves_alone", lambda body: False)
    chosen = tuple(way for way in ways_here() if way.variant is HOOKGATE)
    plan = Plan(payloads()[:1], (1,), chosen, seconds=0.01, repetitions=1, restarts=0)
    with pytest.raises(WrongAnswerError, match="Hookgate, Bash call, 0.5 KB, callers: 1: b'HTTP/1.1 200 OK' b'{}'"):
        run.run(plan, step=lambda what: None)


def test_an_unknown_payload_is_refused_with_the_names_there_are() -> None:
    done = _bench("ways", "--payload", "bush")
    assert done.returncode == 1
    assert done.stderr.strip() == (
        "bench: no payload 'bush'; there are: bash, edit-2k, write-50k, values-48k, write-1m, result-2m"
    )


def test_a_page_without_a_place_for_the_tables_is_refused_and_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("text\n")
    with pytest.raises(PageError, match="page.md: no <!-- bench: begin --> with <!-- bench: end --> behind it"):
        put(page, "bench", [Grid("title", ("column",))], [])
    assert page.read_text() == "text\n"


def test_payloads_have_the_size_that_their_names_say() -> None:
    sizes = {payload.name: len(payload.body) for payload in payloads()}
    wanted = {"edit-2k": 2e3, "write-50k": 50e3, "values-48k": 48e3, "write-1m": 1e6, "result-2m": 2e6}
    assert sizes["bash"] < 600
    for name, size in wanted.items():
        assert 0.94 * size < sizes[name] <= size, (name, sizes[name])


def test_a_window_counts_neither_the_warm_up_nor_what_comes_after() -> None:
    marks: list[int] = []
    window = Window(warm_seconds=0.0, seconds=1.0, least=2, mark=lambda: marks.append(len(window.taken_seconds)))
    start = window_opens = 10_000_000.0
    assert window.took(start - 1, window_opens)
    assert window.taken_seconds == []
    assert window.took(window_opens, window_opens + 0.25)
    assert window.took(window_opens, window_opens + 0.5)
    assert not window.took(window_opens, window_opens + 1.5)
    assert not window.took(window_opens, window_opens + 2.0)
    assert window.taken_seconds == [0.25, 0.5, 1.5]
    assert window.elapsed_seconds == 1.5
    assert marks == [0, 3]


def test_the_reading_of_command_lines_is_measured_and_written_into_a_page(tmp_path: Path) -> None:
    results, page = tmp_path / "facts.json", tmp_path / "page.md"
    page.write_text("before\n<!-- facts: begin -->\nold\n<!-- facts: end -->\nafter\n")
    done = _bench("facts", "--seconds", "0.01", "--json", str(results), "--page", str(page))
    assert done.returncode == 0, done.stderr
    assert "| length | median | slowest | a line |" in page.read_text()
    assert [reading["lines"] for reading in json.loads(results.read_text())["readings"]] == [1, 20, 100, 200]
