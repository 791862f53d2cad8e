"""A running client: what it says, what it is told, and what it leaves behind."""

import json
import os
import queue
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.e2e.model import text_of

Event = dict[str, Any]


class ClientTimeoutError(AssertionError):
    """The client did not do in time what the test waits for."""


@dataclass(frozen=True, slots=True)
class Run:
    """What a finished client left behind."""

    returncode: int
    events: list[Event]
    stderr: str
    debug: str

    @property
    def result(self) -> Event:
        """The last `result` event; empty if there was none."""
        return next((event for event in reversed(self.events) if event.get("type") == "result"), {})

    @property
    def tool_results(self) -> dict[str, str]:
        """What the model was told of each call, by tool use id."""
        return _tool_results(self.events)

    @property
    def calls(self) -> dict[str, str]:
        """The tool of each call that the model made, by tool use id; those of subagents included."""
        return {block["id"]: block["name"] for block in _blocks(self.events, "assistant", "tool_use")}

    @property
    def session_id(self) -> str:
        """The session's id, as it is in the payloads of its hooks."""
        return next(str(event["session_id"]) for event in self.events if "session_id" in event)


def allow_once(request: Event) -> Event:
    """The person says yes to this call."""
    return {"behavior": "allow", "updatedInput": request.get("input", {})}


def refuse(request: Event) -> Event:
    """The person says no."""
    return {"behavior": "deny", "message": "the person said no"}


def look_away(_: Event) -> None:
    """The person does not answer: only a hook can."""


class Session:
    """A running client that is fed by stream-json. Leaving the `with` block ends it in any case."""

    def __init__(self, command: list[str], cwd: Path, environment: Mapping[str, str], timeout_seconds: float) -> None:
        self._debug_file = Path(command[command.index("--debug-file") + 1])
        self._deadline = time.monotonic() + timeout_seconds
        self._process = subprocess.Popen(
            command,
            cwd=cwd,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self.pid = self._process.pid
        self.events: list[Event] = []
        self.permission: Callable[[Event], Event | None] = allow_once
        self.asked: list[Event] = []
        self._stderr = bytearray()
        self._incoming: queue.Queue[Event | None] = queue.Queue()
        self._readers = [
            threading.Thread(target=self._read_events, daemon=True),
            threading.Thread(target=self._read_stderr, daemon=True),
        ]
        for reader in self._readers:
            reader.start()
        self._results_taken = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            # It leads a group of its own, so that its tools' processes and MCP servers end with it.
            os.killpg(self.pid, signal.SIGKILL)
            self._process.wait(10)
        for reader in self._readers:
            reader.join(10)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()

    def _read_events(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            # Of a client that was ended, the last line may be torn.
            if line.startswith(b"{") and line.endswith(b"\n"):
                self._incoming.put(json.loads(line))
        self._incoming.put(None)

    def _read_stderr(self) -> None:
        assert self._process.stderr is not None
        for chunk in self._process.stderr:
            self._stderr += chunk

    def _send(self, message: Event) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        self._process.stdin.flush()

    def prompt(self, text: str) -> None:
        """Sends a prompt of the user; `wait_result()` waits for the end of its turn."""
        content = [{"type": "text", "text": text}]
        self._send({"type": "user", "message": {"role": "user", "content": content}, "parent_tool_use_id": None})

    def control(self, subtype: str, **fields: object) -> Event:
        """Sends a control request (`set_model`, `initialize`, …) and gives the client's response to it."""
        identity = uuid.uuid4().hex
        self._send({"type": "control_request", "request_id": identity, "request": {"subtype": subtype} | fields})

        def answered(event: Event) -> bool:
            return event.get("type") == "control_response" and event["response"].get("request_id") == identity

        response: Event = self.wait_for(answered)["response"]
        return response

    def wait_for(self, wanted: Callable[[Event], bool], *, since: int = 0) -> Event:
        """The first event that is `wanted`, among those that came (from number `since`) or within the time limit."""
        for event in self.events[since:]:
            if wanted(event):
                return event
        while True:
            event = self._next_event()
            if wanted(event):
                return event

    def wait_result(self) -> Event:
        """The `result` event that ends the turn of the prompt before."""
        result = self.wait_for(lambda event: event.get("type") == "result", since=self._results_taken)
        self._results_taken = next(n for n, event in enumerate(self.events) if event is result) + 1
        return result

    def _next_event(self) -> Event:
        try:
            event = self._incoming.get(timeout=max(0.0, self._deadline - time.monotonic()))
        except queue.Empty:
            raise ClientTimeoutError(f"the client was silent for too long; {self._state()}") from None
        if event is None:
            raise ClientTimeoutError(f"the client ended before what the test waits for; {self._state()}")
        self.events.append(event)
        if event.get("type") == "control_request":
            self._answer(event)
        return event

    def _answer(self, event: Event) -> None:
        self.asked.append(event["request"])
        said = self.permission(event["request"])
        if said is not None:
            response = {"subtype": "success", "request_id": event["request_id"], "response": said}
            self._send({"type": "control_response", "response": response})

    def _state(self) -> str:
        last = self.events[-1] if self.events else {}
        return f"last event: {json.dumps(last)[:500]}; stderr: {bytes(self._stderr)[-500:]!r}"

    def finish(self) -> Run:
        """Ends the input, waits for the client to leave by itself, and gives what it left."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        while True:
            try:
                event = self._incoming.get(timeout=max(0.0, self._deadline - time.monotonic()))
            except queue.Empty:
                raise ClientTimeoutError(f"the client did not end; {self._state()}") from None
            if event is None:
                break
            self.events.append(event)
        returncode = self._process.wait(10)
        for reader in self._readers:
            reader.join(10)
        debug = self._debug_file.read_text(errors="replace") if self._debug_file.exists() else ""
        return Run(returncode, self.events, bytes(self._stderr).decode(errors="replace"), debug)


def _tool_results(events: Sequence[Event]) -> dict[str, str]:
    return {block["tool_use_id"]: text_of(block.get("content", "")) for block in _blocks(events, "user", "tool_result")}


def _blocks(events: Sequence[Event], said_by: str, kind: str) -> Iterator[Event]:
    for event in events:
        content = event.get("message", {}).get("content") if event.get("type") == said_by else None
        for block in content if isinstance(content, list) else []:
            if block.get("type") == kind:
                yield block
