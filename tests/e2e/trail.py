"""What the service recorded of a client's run, held against what the client did."""

from collections import Counter
from collections.abc import Collection
from typing import Any

from tests.e2e.session import Run
from tests.support.service import ServiceProcess

Record = dict[str, Any]

#: Records that say: what ran is not what was decided, or nobody heard the answer.
_ALARMS = {"enforcement_violated", "executed_differs", "unasked", "undelivered", "answer"}
#: What the client says of a hook that failed, and of an answer that it threw away.
_COMPLAINTS = ("HTTP hook error", "HTTP hook blocked", "Hook JSON output validation failed")


def decisions(service: ServiceProcess, run: Run, event: str | None = None, tool: str | None = None) -> list[Record]:
    """The records of a run's session, oldest first; of one event and tool where they are named."""
    return [
        record
        for record in service.records()
        if record["session_id"] == run.session_id
        and event in (None, record["event"])
        and tool in (None, record["tool"])
    ]


def outcomes(service: ServiceProcess, run: Run, event: str = "PreToolUse") -> dict[str, str]:
    """The outcome of each call, by tool use id."""
    return {record["tool_use_id"]: record["outcome"] for record in decisions(service, run, event)}


def complaints(run: Run) -> list[str]:
    """What the client said about hooks that failed and answers that it did not take."""
    return [line for line in run.debug.splitlines() if any(words in line for words in _COMPLAINTS)]


def assert_recorded_once(
    service: ServiceProcess, run: Run, *, ran: Collection[str] = (), stopped: Collection[str] = ()
) -> None:
    """Each call that the client made (`ran` and `stopped`, by tool use id) was asked once; each that ran was reported
    once, and none that was stopped; the client took every answer, and nothing ran against one.

    For settings that send PreToolUse and PostToolUse."""
    assert sorted(run.calls) == sorted([*ran, *stopped]), "the client made other calls than the test says"
    asked = Counter(record["tool_use_id"] for record in decisions(service, run, "PreToolUse"))
    assert asked == Counter(run.calls.keys()), f"each call is asked once; the client said: {complaints(run)}"
    reported = Counter(record["tool_use_id"] for record in decisions(service, run, "PostToolUse"))
    assert reported == Counter(ran), f"each call that ran is reported once; the client said: {complaints(run)}"
    assert complaints(run) == []
    assert [record for record in service.records(None) if record["type"] in _ALARMS] == []
