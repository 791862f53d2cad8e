"""A hook server that records every request and answers as a test tells it to."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.e2e.loopback import LoopbackServer


@dataclass(frozen=True, slots=True)
class Hook:
    """One request as the client sent it. Header names are lower-case."""

    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def event(self) -> str:
        return str(self.body.get("hook_event_name", ""))

    @property
    def tool(self) -> str:
        return str(self.body.get("tool_name", ""))


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back: a JSON value, or bytes as they are, with a status."""

    body: object = field(default_factory=dict)
    status: int = 200


Answer = Callable[[Hook], Reply]


def nothing(_: Hook) -> Reply:
    """No opinion on anything."""
    return Reply({})


class HookServer:
    """Records hooks on `/ext/claude`; `answer` may be replaced between the runs of a client."""

    def __init__(self, answer: Answer = nothing) -> None:
        self.answer = answer
        self._seen: list[Hook] = []
        self._changed = threading.Condition()
        self._server = LoopbackServer({"POST /ext/claude": self._take})

    @property
    def url(self) -> str:
        """The hook's URL, for a settings file."""
        return f"{self._server.url}/ext/claude"

    def seen(self, event: str | None = None) -> list[Hook]:
        """All hooks so far, oldest first; of one event where it is named."""
        with self._changed:
            return [hook for hook in self._seen if event in (None, hook.event)]

    def saw(self, event: str, text: str) -> bool:
        """Whether a hook of this event had the text in its input."""
        return any(text in str(hook.body.get("tool_input")) for hook in self.seen(event))

    def wait_for(self, event: str, timeout_seconds: float = 10.0) -> bool:
        """Whether a hook of this event came within the time."""
        with self._changed:
            return self._changed.wait_for(lambda: any(h.event == event for h in self._seen), timeout_seconds)

    def reset(self, answer: Answer = nothing) -> None:
        """Forgets what was seen, and answers like this from now on."""
        with self._changed:
            self._seen.clear()
            self.answer = answer

    def close(self) -> None:
        self._server.close()

    async def _take(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        hook = Hook(headers, json.loads(await request.read()))
        with self._changed:
            self._seen.append(hook)
            answer = self.answer
            self._changed.notify_all()
        reply = answer(hook)
        raw = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        return web.Response(body=raw, status=reply.status, content_type="application/json")
