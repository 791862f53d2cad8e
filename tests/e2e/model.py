"""A scripted stand-in of the Messages API: it says what a script tells it to say, and remembers what it was asked.

A conversation names its script with a tag (`[[script:s1]]`) in a prompt of the user, so that one stand-in serves a whole
test session, subagents and follow-up prompts included. Which turn is next is told by counting the assistant's messages
behind the prompt that carries the tag: a repeated request gets the same answer again.
"""

import asyncio
import itertools
import json
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.e2e.loopback import LoopbackServer

_TAG = re.compile(r"\[\[script:([A-Za-z0-9_]+)\]\]")


@dataclass(frozen=True, slots=True)
class Say:
    """Text of the assistant."""

    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call. Without an id it gets `toolu_<script>_<turn>_<index>`."""

    tool: str
    input: Mapping[str, object] = field(default_factory=dict)
    id: str = ""


@dataclass(frozen=True, slots=True)
class ApiError:
    """The API refuses the request with this status instead of answering."""

    status: int
    kind: str = "invalid_request_error"
    message: str = "scripted error"


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of the assistant: its blocks, and what happens in the test before it is sent."""

    blocks: tuple[Say | Call | ApiError, ...]
    before: Callable[[], object] | None = None


def turn(*blocks: Say | Call | ApiError, before: Callable[[], object] | None = None) -> Turn:
    """A turn of these blocks. Several calls in one turn are parallel calls."""
    return Turn(blocks, before)


class Model:
    """The stand-in's server. `script()` registers turns and gives the tag to put into a prompt."""

    def __init__(self) -> None:
        self._scripts: dict[str, tuple[Turn, ...]] = {}
        self._requests: dict[str, list[dict[str, Any]]] = {}
        self._numbers = itertools.count(1)
        self._faults: list[Exception] = []
        self._lock = threading.Lock()
        self._server = LoopbackServer(
            {
                "POST /v1/messages": self._messages,
                "POST /v1/messages/count_tokens": self._count_tokens,
                "* /{rest:.*}": self._nothing_else,
            }
        )

    @property
    def url(self) -> str:
        """For `ANTHROPIC_BASE_URL`."""
        return self._server.url

    def script(self, *turns: Turn) -> str:
        """Registers a script and gives its tag. When the turns are used up the stand-in says "done"."""
        name = f"s{next(self._numbers)}"
        with self._lock:
            self._scripts[name] = turns
            self._requests[name] = []
        return f"[[script:{name}]]"

    def requests(self, tag: str) -> list[dict[str, Any]]:
        """The bodies of all requests with tools that this script has answered, oldest first."""
        match = _TAG.search(tag)
        with self._lock:
            return list(self._requests[match.group(1)]) if match else []

    def raise_fault(self) -> None:
        """Raises what a turn's `before` raised since the last time; the client was then refused, and went on without it."""
        faults, self._faults = self._faults, []
        if faults:
            raise faults[0]

    def close(self) -> None:
        self._server.close()

    async def _nothing_else(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(_error("not_found_error", f"no {request.path} here"), status=404)

    async def _count_tokens(self, request: web.Request) -> web.StreamResponse:
        await request.read()
        return web.json_response({"input_tokens": 10})

    async def _messages(self, request: web.Request) -> web.StreamResponse:
        body: dict[str, Any] = await request.json()
        answer = await asyncio.get_running_loop().run_in_executor(None, self._next, body)
        if isinstance(answer, ApiError):
            # Without this header the client would try again for minutes.
            headers = {"x-should-retry": "false"}
            return web.json_response(_error(answer.kind, answer.message), status=answer.status, headers=headers)
        if not body.get("stream"):
            return web.json_response(answer)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for event in _events(answer):
            await response.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
        await response.write_eof()
        return response

    def _next(self, body: dict[str, Any]) -> dict[str, Any] | ApiError:
        name, index = _position(body.get("messages", []))
        model = str(body.get("model", ""))
        # Titles and summaries are asked without tools; the tag in their text is not an invitation.
        if name is None or not body.get("tools"):
            return _message([Say("ok")], model, "plain", 0)
        with self._lock:
            turns = self._scripts.get(name, ())
            self._requests.setdefault(name, []).append(body)
        if index >= len(turns):
            return _message([Say("done")], model, name, index)
        before = turns[index].before
        if before is not None:
            try:
                before()
            except Exception as fault:  # noqa: BLE001 (whatever it is, it is raised again in the test's own thread)
                self._faults.append(fault)
                return ApiError(400, message=f"in the test: {fault}")
        refusal = next((block for block in turns[index].blocks if isinstance(block, ApiError)), None)
        return refusal or _message(turns[index].blocks, model, name, index)


def text_of(content: object) -> str:
    """All text in a message's content: a string, or the text of its blocks, nested results included."""
    if isinstance(content, str):
        return content
    if isinstance(content, Mapping):
        return text_of(content.get("text", content.get("content", "")))
    if isinstance(content, Sequence):
        return "\n".join(text_of(part) for part in content)
    return ""


def _position(messages: list[dict[str, Any]]) -> tuple[str | None, int]:
    """The script of a conversation, and how many of its turns have been said."""
    for at in range(len(messages) - 1, -1, -1):
        message = messages[at]
        content = message.get("content")
        blocks = [content] if isinstance(content, str) else content or []
        texts = [block for block in blocks if isinstance(block, str) or block.get("type") == "text"]
        tags = _TAG.findall(text_of(texts)) if message.get("role") == "user" else []
        if tags:
            return tags[-1], sum(later.get("role") == "assistant" for later in messages[at:])
    return None, 0


def _message(blocks: Sequence[Say | Call | ApiError], model: str, name: str, index: int) -> dict[str, Any]:
    content: list[dict[str, Any]] = []
    for position, block in enumerate(blocks):
        if isinstance(block, Say):
            content.append({"type": "text", "text": block.text})
        elif isinstance(block, Call):
            identity = block.id or f"toolu_{name}_{index}_{position}"
            content.append({"type": "tool_use", "id": identity, "name": block.tool, "input": dict(block.input)})
    called = any(block["type"] == "tool_use" for block in content)
    return {
        "id": f"msg_{name}_{index}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": "tool_use" if called else "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 5},
    }


def _events(message: dict[str, Any]) -> list[dict[str, Any]]:
    """A message as the server-sent events that a streaming client expects."""
    start = message | {"content": [], "stop_reason": None}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": start}]
    for index, block in enumerate(message["content"]):
        if block["type"] == "text":
            empty, delta = block | {"text": ""}, {"type": "text_delta", "text": block["text"]}
        else:
            empty = block | {"input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        events += [
            {"type": "content_block_start", "index": index, "content_block": empty},
            {"type": "content_block_delta", "index": index, "delta": delta},
            {"type": "content_block_stop", "index": index},
        ]
    ending = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    events.append({"type": "message_delta", "delta": ending, "usage": {"output_tokens": 5}})
    return [*events, {"type": "message_stop"}]


def _error(kind: str, message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}}
