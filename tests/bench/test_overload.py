"""The load test of docs/reliability.md in a short form: no call is left unanswered, let through or unrecorded."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MEMORY_MEGABYTES = 300


def test_twice_as_many_callers_as_slots_are_all_answered_and_none_is_let_through(cerbos: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- overload: begin -->\n<!-- overload: end -->\n")
    done = subprocess.run(
        [sys.executable, "-m", "bench.overload", "--in-flight", "32", "--seconds", "0.5", "--page", str(page)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "proxy"), str(ROOT)])},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.strip("| ").split(" | ") for line in page.read_text().splitlines() if line.startswith("| PDP")]
    assert [row[0] for row in rows] == ["PDP answers", "PDP hangs"]
    for name, sent, unanswered, deny, ask, through, errors, _, _, records, peak in rows:
        assert (unanswered, through, records) == ("0", "0", sent), name
        assert int(deny.replace(",", "")) + int(ask.replace(",", "")) == int(sent.replace(",", ""))
        assert float(peak) < MEMORY_MEGABYTES
        # On a busy machine the last of those who wait may get a slot just before their time is over, and then time out.
        assert errors if name == "PDP hangs" else "overloaded" not in errors
