"""A running service, and what each request leaves behind: one record, one log event, one count."""

import json
from pathlib import Path
from typing import Any

from hookgate.errors import ErrorKind
from tests.faults.wire import Answer, Piece, exchange
from tests.support.client_schema import EVENTS, problems, strength, surplus
from tests.support.service import ServiceProcess
from tests.support.wait import until

#: What an error amounts to is measured against these.
_STRICT = {"deny": 2, "ask": 1}


class Guard:
    """One service under attack. `mark()` before a request, the `assert_…` after it."""

    def __init__(self, service: ServiceProcess, on_error: str) -> None:
        self.service = service
        self.on_error = on_error
        self.port = service.port
        self._segments = Path(service.settings["audit"]["directory"]) / "segments"
        self._segment = min(self._segments.iterdir())
        self._log = service.directory / "log"
        self._record_end = self._log_end = 0
        self._errors: dict[str, float] = {}
        #: Whether these are the counts as they stand.
        self._fresh = False

    def mark(self) -> None:
        """Counts from here."""
        self._segment = max(self._segments.iterdir())
        self._record_end = self._segment.stat().st_size
        self._log_end = self._log.stat().st_size
        if not self._fresh:
            self._errors = self._counted()
        self._fresh = False

    async def send(self, *pieces: Piece) -> Answer:
        """Counts from here, sends, and gives the answer."""
        self.mark()
        return await exchange(self.port, *pieces)

    def records(self, kind: str = "decision") -> list[dict[str, Any]]:
        """Gives the records since the mark."""
        came = b""
        for path in sorted(path for path in self._segments.iterdir() if path >= self._segment):
            with path.open("rb") as segment:
                if path == self._segment and self._record_end:
                    # Another line may have been under way at the mark, and may be now.
                    segment.seek(self._record_end - 1)
                    segment.readline()
                came += b"".join(segment.read().rpartition(b"\n")[:2])
        found = [json.loads(line) for line in came.splitlines()]
        return [record for record in found if record["type"] == kind]

    def assert_denied(self, answer: Answer, kind: ErrorKind | str, event: str = "PreToolUse") -> dict[str, Any]:
        """The answer is 200, valid and a denial that the client obeys on this event; gives its one record."""
        value = answer.value()
        assert_valid(event, value)
        assert strength(event, value) == "deny", value
        assert str(ErrorKind(kind).value) in answer.body.decode(), value
        return self.assert_recorded(kind)

    def assert_unknown(self, answer: Answer, kind: ErrorKind | str) -> dict[str, Any]:
        """The answer denies in the one form that needs no event's name; gives its one record."""
        value = answer.value()
        assert value.keys() == {"decision", "reason"}, value
        assert value["decision"] == "block"
        assert_valid("PreToolUse", value)
        return self.assert_denied(answer, kind)

    def assert_passed(self, answer: Answer) -> dict[str, Any]:
        """The PDP was asked, and everything is allowed; gives the one record."""
        assert answer.value() == {}
        record = self.assert_recorded("")
        assert record["outcome"] == "allow"
        return record

    def assert_recorded(self, kind: ErrorKind | str, count: int = 1) -> dict[str, Any]:
        """Exactly so many records, log events and counts of this kind since the mark, and none of another; gives the last."""
        records = self.records()
        assert [record["error"] for record in records] == [str(kind)] * count, records
        if kind:
            ids = {record["id"] for record in records}
            until(lambda: self._logged(ids) == [str(kind)] * count, what=f"log events of {kind}")
            before, self._errors = self._errors, self._counted()
            grown = {name: now - before[name] for name, now in self._errors.items() if now != before[name]}
            assert grown == {str(kind): count}
            self._fresh = True
            assert {record["outcome"] for record in records} == {"error"}
        return records[-1]

    def assert_nothing_internal(self) -> None:
        """No fault of the service's own came up since the mark."""
        with self._log.open("rb") as log:
            log.seek(self._log_end)
            lines = log.read().decode()
        assert '"event": "internal"' not in lines
        assert '"event": "library"' not in lines
        assert "Traceback" not in lines

    def _logged(self, ids: set[str]) -> list[str]:
        with self._log.open("rb") as log:
            log.seek(self._log_end)
            whole = log.read().rpartition(b"\n")[0]
        events = [json.loads(line) for line in whole.splitlines() if line.startswith(b"{")]
        return [event["error"] for event in events if event["event"] == "decision" and event["decision_id"] in ids]

    def _counted(self) -> dict[str, float]:
        text = self.service.get("/metrics")[1]
        found = {}
        for line in text.splitlines():
            if line.startswith("hookgate_errors_total{"):
                sample, _, value = line.rpartition(" ")
                found[sample.partition('kind="')[2].partition('"')[0]] = float(value)
        assert found.keys() == {kind.value for kind in ErrorKind}
        return found


def assert_valid(event: str, value: dict[str, Any]) -> None:
    """The client takes the answer, and every part of it."""
    assert problems(event, value) == [], value
    if event in EVENTS:
        assert surplus(event, value) == [], value


def at_least(event: str, value: dict[str, Any], wanted: str) -> bool:
    """Whether the client is held as strictly as `ask` or `deny`."""
    assert_valid(event, value)
    return _STRICT.get(strength(event, value), 0) >= _STRICT[wanted]
