"""Genuine hook requests of Claude Code, one for each event and tool that could be made to fire.

They were recorded from client 2.1.330 and travel with the package, so that the policy checker, the demonstration and the
tests all ask about the same calls.
"""

from functools import cache
from importlib.resources import files
from typing import Any

import msgspec

_FILE = "payloads.jsonl"


class Recorded(msgspec.Struct, frozen=True):
    """One request as the client sent it: `name` is `<Event>[.<Tool>|.<kind>][.subagent][.mode-<m>][.n]`."""

    name: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def event(self) -> str:
        """The event's name, as `hook_event_name` in the body."""
        return str(self.body["hook_event_name"])

    @property
    def tool(self) -> str | None:
        """The tool's name, or None for an event without one."""
        tool = self.body.get("tool_name")
        return tool if isinstance(tool, str) else None


@cache
def recorded() -> tuple[Recorded, ...]:
    """Give all recorded requests, sorted by name. Bodies are shared: copy one before changing it."""
    lines = files(__package__).joinpath(_FILE).read_bytes().splitlines()
    return tuple(msgspec.json.decode(line, type=Recorded) for line in lines)


def named(name: str) -> Recorded:
    """Give the recorded request of that name; KeyError if there is none."""
    for request in recorded():
        if request.name == name:
            return request
    raise KeyError(name)
