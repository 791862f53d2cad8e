"""How long the pages take until their first byte, over a store that `python -m bench store --keep` has made."""

import http.client
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from bench.grid import Grid
from bench.records import BEGIN, DAYS
from bench.store import forget
from hookgate.audit.store.opening import open_store
from hookgate.audit.store.question import Filter

_REPETITIONS = 7


@dataclass(frozen=True, slots=True)
class Cost:
    """How long a page took: at first, nothing of the file being in memory, and the median of those after it."""

    page: str
    cold_seconds: float
    warm_seconds: float
    status: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Result:
    """One run."""

    records: int
    costs: tuple[Cost, ...]


def run(path: Path) -> Result:
    """Serves the pages over the store, and asks for each."""
    store = open_store(path)
    day = BEGIN + timedelta(days=DAYS - 5)
    (row,) = store.search(Filter(since=day, until=day + timedelta(days=1)), limit=1).rows
    records = store.stats(Filter(), top=1, buckets=1, closely=False).total
    store.close()
    quarter, week = _period(BEGIN, DAYS), _period(day, 7)
    pages = {
        "overview, a day": f"/?{_period(day, 1)}",
        "overview, a week": f"/?{week}",
        "overview, the quarter": f"/?{quarter}",
        "reasons and what is denied most, a week": f"/overview/closer?{week}",
        "reasons and what is denied most, the quarter": f"/overview/closer?{quarter}",
        "search, the newest": "/search",
        "search, denials of a user": "/search?user=user0500&outcome=deny",
        "search, a command's text in a day": f"/search?text=kubectl+--context+production&{_period(day, 1)}",
        "a record": f"/record/{row.id}",
        "a session": f"/session/{row.session_id}",
        "live": "/live",
        "people": "/people?since=90d",
        "policies": "/policies?since=90d",
        "evidence": "/evidence",
    }
    with _served(path) as (base, cookie):
        costs = tuple(_cost(name, base, cookie, address, path) for name, address in pages.items())
    return Result(records, costs)


def grid(result: Result) -> Grid:
    """Gives the table."""
    rows: list[tuple[str, ...]] = [
        (
            cost.page,
            f"{cost.size_bytes / 1024:.0f}",
            f"{cost.cold_seconds * 1000:,.0f}",
            f"{cost.warm_seconds * 1000:,.0f}",
        )
        for cost in result.costs
    ]
    return Grid(
        f"The pages, {result.records:,} decisions in SQLite", ("page", "KiB", "at first, ms", "again, ms"), 1, [rows]
    )


def notes() -> list[str]:
    """Gives what is to be known of the table."""
    return [
        f"Until the first byte, with the look that is recorded before. At first: nothing of the file in memory. Again: the median of {_REPETITIONS}.",
    ]


def _period(begin: datetime, days: int) -> str:
    return f"from={begin:%Y-%m-%d}&to={begin + timedelta(days=days - 1):%Y-%m-%d}"


def _cost(name: str, base: str, cookie: str, address: str, path: Path) -> Cost:
    taken: list[float] = []
    forget(path)
    status = size = 0
    for _ in range(1 + _REPETITIONS):
        seconds, status, size = _first_byte(base, cookie, address)
        taken.append(seconds)
    return Cost(name, taken[0], statistics.median(taken[1:]), status, size)


def _first_byte(base: str, cookie: str, address: str) -> tuple[float, int, int]:
    parts = urlsplit(base)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=120)
    began = time.perf_counter()
    connection.request("GET", address, headers={"Cookie": cookie})
    answer = connection.getresponse()
    seconds = time.perf_counter() - began
    size = len(answer.read())
    connection.close()
    if answer.status != 200:
        raise RuntimeError(f"{address}: {answer.status}")
    return seconds, answer.status, size


@contextmanager
def _served(path: Path) -> Iterator[tuple[str, str]]:
    """Serves the pages from a process of its own; gives where, and the cookie of somebody who was let in."""
    with tempfile.TemporaryDirectory(prefix="bench-console-") as folder:
        link = Path(folder) / "audit" / "console.url"
        settings = {
            "pdp": {"address": "unix:none"},
            "admin": {"enabled": False},
            "audit": {"directory": str(link.parent), "shippers": [{"type": "file", "path": f"{folder}/out"}]},
            "console": {"enabled": True, "port": 0, "store": str(path), "question_seconds": 120},
            "log": {"level": "error"},
        }
        (Path(folder) / "hookgate.yaml").write_bytes(msgspec.yaml.encode(settings))
        command = [sys.executable, "-m", "hookgate", "ship", "--config", f"{folder}/hookgate.yaml"]
        process = subprocess.Popen(command)
        try:
            while not link.exists():
                if process.poll() is not None:
                    raise RuntimeError("the console has ended")
                time.sleep(0.05)
            url = link.read_text().strip()
            parts = urlsplit(url)
            connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
            connection.request("GET", f"{parts.path}?{parts.query}")
            cookie = (connection.getresponse().getheader("Set-Cookie") or "").partition(";")[0]
            connection.close()
            yield f"{parts.scheme}://{parts.netloc}", cookie
        finally:
            process.terminate()
            process.wait(20)
