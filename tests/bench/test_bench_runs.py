"""The benchmark as a person runs it, in its shortest form: that it finishes, not how fast anything was."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.grid import Grid, PageError, put
from bench.payloads import payloads
from bench.window import Window

ROOT = Path(__file__).resolve().parents[2]


def _bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs `python -m bench` in the checkout."""
    paths = os.pathsep.join([str(ROOT / "proxy"), str(ROOT)])
    return subprocess.run(
        [sys.executable, "-m", "bench", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": paths, "COLUMNS": "140"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_short_benchmark_finishes_and_shows_each_payload_and_each_way(cerbos: Path, tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    done = _bench("--short", "--seconds", "0.03", "--json", str(results))
    assert done.returncode == 0, done.stderr
    for payload in payloads():
        assert payload.title in done.stdout
    for shown in (
        "PDP, HTTP",
        "PDP, gRPC, grpcio",
        "Hookgate",
        "without its journal",
        "aiohttp alone",
        "Memory, MB",
        "Facts of a command line",
    ):
        assert shown in done.stdout
    assert "From the command to ready" in done.stdout
    assert "What the journal adds to the median at one caller: Bash call, 0.5 KB " in " ".join(done.stdout.split())
    found = json.loads(results.read_text())
    assert {cell["payload"] for cell in found["cells"]} == {payload.name for payload in payloads()}
    assert all(
        sample["counted"] > 0 and sample["p50_seconds"] > 0 for cell in found["cells"] for sample in cell["samples"]
    )
    hookgate = [cell for cell in found["cells"] if cell["way"] == "hookgate"]
    assert all(set(cell["against_http"]) == {"p50", "p99", "req/s"} for cell in hookgate)


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
    costs = json.loads(results.read_text())["costs"]["Bash call, 0.5 KB"]
    assert {"bytes to JSON values", "question to protobuf", "journal, until written"} <= {
        cost["step"] for cost in costs
    }
    assert all(cost["wall_seconds"] > 0 for cost in costs)


def test_a_wrong_answer_ends_a_benchmark_with_one_line_that_says_which(
    cerbos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench import run, ways
    from bench.run import Plan
    from bench.ways import Way
    from bench.window import WrongAnswerError

    monkeypatch.setattr(ways, "leaves_alone", lambda body: False)
    plan = Plan(payloads()[:1], (1,), (Way.HOOKGATE,), seconds=0.01, repetitions=1, restarts=0)
    with pytest.raises(WrongAnswerError, match="Hookgate, Bash call, 0.5 KB, callers: 1: b'HTTP/1.1 200 OK' b'{}'"):
        run.run(plan, step=lambda what: None)


def test_an_unknown_payload_is_refused_with_the_names_there_are() -> None:
    done = _bench("--payload", "bush")
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
