"""`python -m bench.overload`: twice as many callers as decisions may be under way, with a PDP that answers and with one that hangs.

Every call is one that the policies deny, and `on_error` is `pass`: any answer weaker than `ask` has let a call through.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from bench.environment import environment
from bench.grid import Grid, PageError, put, show
from bench.servers import BenchPdp
from bench.usage import memory
from tests.support.service import ServiceProcess

_BODY = json.dumps(
    {
        "session_id": "overload",
        "cwd": "/project",
        "permission_mode": "default",
        "hook_event_name": "PreToolUse",
        "tool_name": "Bash",
        "tool_input": {"command": "git push --force origin main"},
        "tool_use_id": "toolu_1",
    }
).encode()
_MEGABYTE = 1_000_000
_STRONG = ("deny", "ask")
#: What an answer may take beyond the deadline before it counts as none.
_PATIENCE_SECONDS = 30.0


@dataclass(slots=True)
class Load:
    """What came of one load."""

    name: str
    sent: int = 0
    unanswered: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    records: int = 0
    peak_bytes: int = 0

    @property
    def weaker(self) -> int:
        """Answers that let the call through."""
        return sum(count for answer, count in self.answers.items() if answer not in _STRONG)


def run(in_flight: int, seconds: float) -> list[Load]:
    """Gives what came of both loads."""
    pdp = BenchPdp()
    pdp.start()
    service = ServiceProcess(
        pdp.address,
        {
            "on_error": "pass",
            "decision": {
                "max_in_flight": in_flight,
                "max_in_flight_per_principal": in_flight,
                "deadline_seconds": 2.0,
            },
        },
    )
    try:
        service.start()
        loads = [_load("PDP answers", service, 2 * in_flight, seconds)]
        pdp.freeze()
        loads.append(_load("PDP hangs", service, 2 * in_flight, seconds))
        pdp.thaw()
    finally:
        service.remove()
        pdp.stop()
    return loads


def _load(name: str, service: ServiceProcess, callers: int, seconds: float) -> Load:
    load = Load(name)
    before = len(service.records())
    asyncio.run(_callers(load, service.port, callers, seconds))
    records = service.records()[before:]
    load.records = len(records)
    load.errors = Counter(record["error"] for record in records if record["error"])
    assert service.process is not None
    load.peak_bytes = memory(service.process.pid).peak_bytes
    return load


async def _callers(load: Load, port: int, callers: int, seconds: float) -> None:
    end = time.perf_counter() + seconds
    await asyncio.gather(*(_caller(load, port, end) for _ in range(callers)))


async def _caller(load: Load, port: int, end: float) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST /ext/claude HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(_BODY)}\r\n\r\n"
    try:
        while time.perf_counter() < end:
            begun = time.perf_counter()
            load.sent += 1
            try:
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    writer.write(head.encode() + _BODY)
                    load.answers[_opinion(await _answer(reader))] += 1
            except (OSError, ValueError, TimeoutError, EOFError):
                load.unanswered += 1
                return
            load.seconds.append(time.perf_counter() - begun)
    finally:
        writer.close()


async def _answer(reader: asyncio.StreamReader) -> dict[str, Any]:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    if not head.startswith(b"http/1.1 200 "):
        raise ValueError(head[:20])
    length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
    answer: dict[str, Any] = json.loads(await reader.readexactly(length))
    return answer


def _opinion(answer: dict[str, Any]) -> str:
    return str(answer.get("hookSpecificOutput", {}).get("permissionDecision", "no opinion"))


def grid(loads: list[Load]) -> Grid:
    """Gives the table."""
    columns = (
        "load",
        "sent",
        "unanswered",
        "deny",
        "ask",
        "let through",
        "errors",
        "p50, ms",
        "max, ms",
        "records",
        "peak, MB",
    )
    rows: list[tuple[str, ...]] = []
    for load in loads:
        taken = sorted(load.seconds)
        errors = ", ".join(f"{name} {count}" for name, count in sorted(load.errors.items())) or "none"
        rows.append(
            (
                load.name,
                f"{load.sent:,}",
                str(load.unanswered),
                f"{load.answers['deny']:,}",
                f"{load.answers['ask']:,}",
                str(load.weaker),
                errors,
                f"{taken[len(taken) // 2] * 1000:,.0f}",
                f"{taken[-1] * 1000:,.0f}",
                f"{load.records:,}",
                f"{load.peak_bytes / _MEGABYTE:.0f}",
            )
        )
    return Grid("Twice as many callers as slots", columns, groups=[rows])


def main(
    in_flight: Annotated[int, typer.Option(min=1, help="decision.max_in_flight; twice as many callers come.")] = 256,
    seconds: Annotated[float, typer.Option(min=0.01, help="How long each load lasts.")] = 10.0,
    page: Annotated[Path | None, typer.Option(help="Write the figures into this page.")] = None,
) -> None:
    """Send twice as many calls at once as may be under way. Ends with an error if one was not answered, or let through."""
    here = environment()
    loads = run(in_flight, seconds)
    notes = [
        here.line(),
        f"{in_flight} slots, {2 * in_flight} callers, each sending its next call when it has the answer; {seconds:g} s a load.",
    ]
    show([grid(loads)], notes)
    if page is not None:
        try:
            put(page, "overload", [grid(loads)], notes)
        except PageError as error:
            sys.exit(f"bench: {error}")
    if any(load.unanswered or load.weaker or load.records != load.sent for load in loads):
        sys.exit("bench: a call was let through, not answered or not recorded")


if __name__ == "__main__":
    typer.run(main)
