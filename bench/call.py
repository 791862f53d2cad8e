"""What one tool call waits, whole, in the client's eyes: the real client, a model that is scripted, and one hook or another."""

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from bench.grid import Grid
from bench.hooks import Hook, hooks, taken_seconds
from bench.servers import BenchService, pdp
from bench.trend import percentile
from bench.variants import HOOKGATE
from bench.window import WrongAnswerError
from hookgate.binaries import BinaryError
from tests.e2e.binary import NO_CLIENT, client_binary, wanted_version
from tests.e2e.client import Workspace
from tests.e2e.model import Call, Model, Turn
from tests.e2e.session import Run


@dataclass(frozen=True, slots=True)
class Waited:
    """One hook: how long it took by itself, and how long whole tool calls took in the client, in seconds."""

    hook: str
    label: str
    decides: bool
    alone_seconds: tuple[float, ...]
    call_seconds: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """What came out. `client` is the client's version, or why there was none."""

    client: str
    calls: int
    rounds: int
    waited: tuple[Waited, ...]


def run(*, calls: int, rounds: int, step: Callable[[str], None]) -> Result:
    """Lets the client make so many tool calls with each hook, so many times in turn. Raises WrongAnswerError."""
    version, binary = wanted_version(), None
    told = f"Claude Code {version}"
    if version == NO_CLIENT:
        told = f"HOOKGATE_CLIENT={NO_CLIENT}: the client was left out"
    else:
        try:
            binary = client_binary(version)
        except BinaryError as error:
            told = f"without the client: {error}"
    with pdp() as running, tempfile.TemporaryDirectory(prefix="bench-") as directory:
        service = BenchService(running.address, HOOKGATE)
        model = Model()
        try:
            service.start()
            found = hooks(service, Path(directory))
            alone: dict[str, list[float]] = {hook.name: [] for hook in found}
            whole: dict[str, list[float]] = {hook.name: [] for hook in found}
            for number in range(rounds):
                for hook in found:
                    step(hook.label)
                    alone[hook.name] += _alone(hook, calls)
                    if binary is not None:
                        space = Workspace(Path(directory) / f"{number}-{hook.name}", binary, model.url)
                        whole[hook.name] += in_client(hook, space, model, calls)
        finally:
            model.close()
            service.remove()
    waited = (Waited(one.name, one.label, one.decides, tuple(alone[one.name]), tuple(whole[one.name])) for one in found)
    return Result(told, calls, rounds, tuple(waited))


def _alone(hook: Hook, times: int) -> list[float]:
    if hook.alone is None:
        return []
    # The first one pays for what the system then has in memory, as a client's first call would; it is no measure of the rest.
    hook.alone()
    return [taken_seconds(hook.alone) for _ in range(times)]


def in_client(hook: Hook, space: Workspace, model: Model, calls: int) -> list[float]:
    """Gives the time from the answer of the model that asks for a tool to the client's next question, for each call but the
    first. The tool is one that costs nothing: a small file is read."""
    asked: list[float] = []
    turns: list[Turn] = []
    for number in range(calls + 2):
        file = space.project / f"file-{number}.txt"
        file.write_text(f"file {number}\n")
        turns.append(Turn((Call("Read", {"file_path": str(file)}),), before=lambda: asked.append(time.perf_counter())))
    tag = model.script(*turns)
    settings: dict[str, Any] = {}
    if hook.settings is not None:
        settings = {"hooks": {"PreToolUse": [{"matcher": "*", "hooks": [hook.settings]}]}}
    done = space.run(f"read {tag}", settings)
    model.raise_fault()
    answered = _hooked(done)
    wanted = calls + 2 if hook.settings is not None else 0
    if len(asked) != calls + 2 or answered != wanted:
        raise WrongAnswerError(f"{hook.label}: {len(asked)} calls, {answered} hooks answered: {done.stderr[-500:]}")
    return [later - earlier for earlier, later in pairwise(asked[1:])]


def _hooked(done: Run) -> int:
    """How many hooks on tool calls the client says were answered as they should be."""
    answers = [event for event in done.events if event.get("subtype") == "hook_response"]
    return sum(event.get("hook_event") == "PreToolUse" and event.get("outcome") == "success" for event in answers)


def grid(result: Result) -> Grid:
    """Gives one row a hook."""
    columns = (
        "hook on PreToolUse",
        "by itself p50, ms",
        "p95, ms",
        "tool call p50, ms",
        "p95, ms",
        "more than without, ms",
    )
    none = next(one for one in result.waited if one.hook == "none").call_seconds
    rows: list[tuple[str, ...]] = [
        (
            one.label,
            *_figures(one.alone_seconds),
            *_figures(one.call_seconds),
            f"{(median(one.call_seconds) - median(none)) * 1e3:+,.1f}"
            if one.call_seconds and one.hook != "none"
            else "",
        )
        for one in result.waited
    ]
    return Grid("What one tool call waits, in the client's eyes", columns, groups=[rows])


def _figures(seconds: Sequence[float]) -> tuple[str, str]:
    if not seconds:
        return "", ""
    ordered = sorted(seconds)
    return f"{median(ordered) * 1e3:,.1f}", f"{percentile(ordered, 95) * 1e3:,.1f}"


def notes(result: Result) -> list[str]:
    """Gives what is to be known of the table."""
    deciding = ", ".join(one.label for one in result.waited if one.decides)
    how = (
        "By itself: the hook asked about one call without the client, processes as the system starts them, HTTP over a connection "
        "that is kept. Tool call: from the model's answer that wants a small file read to the client's next question to the model, "
        f"hook and all. A decision is made and recorded by: {deciding}. The scripts read the call and say `{{}}`, no more."
    )
    return [f"{result.client}; {result.rounds} x {result.calls} calls each, in turn. {how}"]
