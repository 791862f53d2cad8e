"""What the reading of a command line costs in processor time, by its length: it waits for nothing, and holds the event loop."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from bench.grid import Grid
from hookgate.facts import Facts
from hookgate.facts.extract import read as facts_of
from hookgate.hooks.decode import Read
from hookgate.hooks.event import HookEvent, event_from

#: A day's work, one line each.
ONE_LINE = (
    "ls -la",
    "git status",
    "git commit -m 'Mend the reader'",
    "npm test",
    "cat README.md",
    "rm -rf build",
    "grep -rn total src | head -20",
    "cd src && make -j4 2>&1 | tail -5",
    "curl -s https://api.example/items | jq .",
    "docker compose up -d",
    "python -m pytest tests/unit/test_reader.py -q",
    "find . -name '*.py' -exec grep -l total {} +",
)
#: A script of twenty lines, as it stands in repositories.
_SCRIPT = """set -euo pipefail
# Build, test and ship.
VERSION=$(git describe --tags)
for f in src/*.py; do
  if [ -f "$f" ]; then
    echo "checking $f" >> build.log
    python -m py_compile "$f" || exit 1
  fi
done
mkdir -p dist && cp -r src/. dist/
tar czf "dist-$VERSION.tar.gz" dist
case "$1" in
  deploy) scp "dist-$VERSION.tar.gz" deploy@a.example:/srv/ ;;
  *) echo "nothing" ;;
esac
curl -fsS "https://a.example/ping?v=$VERSION" > /dev/null
grep -c error build.log | tee count.txt
rm -f build.log
docker build -t app:"$VERSION" . 2>&1 | tail -5
git tag -a "v$VERSION" -m "release $VERSION"
"""
_BATCHES = 15


@dataclass(frozen=True, slots=True)
class Reading:
    """What the reading of command lines of one length costs, in seconds: the median over the lines, and the slowest of them."""

    title: str
    lines: int
    median_seconds: float
    slowest_seconds: float


def run(*, seconds: float) -> list[Reading]:
    """Measures one line, and scripts of 20, 100 and 200; `seconds` for each."""
    found = [_reading("one line", 1, ONE_LINE, seconds)]
    return found + [_reading(f"{lines} lines", lines, (_SCRIPT * (lines // 20),), seconds) for lines in (20, 100, 200)]


def grid(found: list[Reading]) -> Grid:
    """Gives one row a length."""
    made = Grid("Facts of a command line, µs of processor time", ("length", "median", "slowest", "a line"))
    made.groups.append(
        [
            (
                one.title,
                f"{one.median_seconds * 1e6:,.0f}",
                f"{one.slowest_seconds * 1e6:,.0f}",
                f"{one.median_seconds * 1e6 / one.lines:,.0f}",
            )
            for one in found
        ]
    )
    return made


def notes() -> list[str]:
    """Gives what is to be known of the table."""
    return [f"One line: the median over {len(ONE_LINE)} everyday commands, and the slowest of them."]


def _reading(title: str, lines: int, commands: tuple[str, ...], seconds: float) -> Reading:
    costs = []
    for command in commands:
        event = _event(command)
        found = facts_of(event)
        assert found.commands, command
        costs.append(_timed(event, facts_of, seconds / len(commands)))
    return Reading(title, lines, median(costs), max(costs))


def _event(command: str) -> HookEvent:
    body = {
        "hook_event_name": "PreToolUse",
        "tool_name": "Bash",
        "tool_input": {"command": command},
        "cwd": "/home/dev/project",
    }
    return event_from(Read(body, altered=False, truncated=()))


def _timed(event: HookEvent, read: Callable[[HookEvent], Facts], seconds: float) -> float:
    """Repeats the reading in batches; gives the median of the batches' means."""
    began = time.thread_time()
    read(event)
    times = max(1, int(seconds / _BATCHES / max(1e-6, time.thread_time() - began)))
    batches = []
    for _ in range(_BATCHES):
        began = time.thread_time()
        for _ in range(times):
            read(event)
        batches.append((time.thread_time() - began) / times)
    return median(batches)
