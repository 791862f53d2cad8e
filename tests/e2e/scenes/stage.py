"""What a scene plays on, and what is seen of it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from tests.e2e.client import Workspace
from tests.e2e.model import Call, Model, text_of
from tests.e2e.session import Run
from tests.e2e.settings import Settings, hook_settings

FILE_WATCHER_SECONDS = 10.0


class Hooks(Protocol):
    """Where the scene's event is sent to."""

    @property
    def url(self) -> str:
        """The hook's URL."""

    def saw(self, event: str, text: str) -> bool:
        """Whether a hook of this event had the text in its input."""

    def wait_for(self, event: str, timeout_seconds: float = 10.0) -> bool:
        """Whether a hook of this event came within the time."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What was seen: the effect in a few words, the run, and all that the model was asked with."""

    effect: str
    run: Run
    asked: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Stage:
    """A fresh workspace, a stand-in of the model, and what the scene's event is sent to."""

    space: Workspace
    model: Model
    hooks: Hooks
    on_failure: str | None = None

    def settings(self, events: Iterable[str], matcher: str = "*") -> Settings:
        return hook_settings(self.hooks.url, events, on_failure=self.on_failure, matcher=matcher)

    def bash(self, command: str) -> Call:
        return Call("Bash", {"command": command, "description": "scripted"})

    def made(self, name: str) -> bool:
        """Whether a scripted call made this file in the project."""
        return (self.space.project / name).exists()

    def told(self, tag: str) -> str:
        """All text of the last request of a script."""
        requests = self.model.requests(tag)
        return "\n".join(text_of(message["content"]) for message in requests[-1]["messages"]) if requests else ""


Scene = Callable[[Stage], Sight]
