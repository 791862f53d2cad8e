"""Hookgate with a room taken away, to see what the room costs: `python bench/without.py journal serve --config FILE`.

No setting does this, on purpose: a service that answers without a record must not be had by configuration.
"""

import asyncio
import sys
from types import ModuleType
from typing import Any

from hookgate import gate, recorder
from hookgate.app import service
from hookgate.audit.journal import Journal
from hookgate.audit.known import Known
from hookgate.audit.redact import CUT_CHARACTERS, Redactor
from hookgate.commands import main
from hookgate.facts import Facts, facts_of
from hookgate.hooks.event import HookEvent


class NoJournal(Journal):
    """Takes records and keeps none: they are made and encoded, but neither handed to a thread nor written."""

    def append(self, line: bytes, kind: str = "decision", outcome: str = "") -> asyncio.Future[None]:
        """Gives a future that is done."""
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        written.set_result(None)
        return written


class KnownFacts:
    """Facts of the first call of a kind, for all others: the policies need some. Only for payloads that repeat themselves."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, str], Facts] = {}

    def __call__(self, event: HookEvent) -> Facts:
        """Gives the facts."""
        key = (event.name, event.tool, event.tool_use_id)
        if key not in self._known:
            self._known[key] = facts_of(event)
        return self._known[key]


class NoRedactor(Redactor):
    """Looks for no secrets; long strings are cut as ever."""

    def suspects(self, line: bytes) -> bool:
        """Gives that nothing is to be looked for."""
        return False

    def redacted(
        self, value: dict[str, Any], cut: list[str] | None = None, known: Known | None = None
    ) -> dict[str, Any]:
        """Gives the record as it is."""
        return {name: _cut(item) for name, item in value.items()}


def _cut(value: Any) -> Any:
    if isinstance(value, str):
        return value[:CUT_CHARACTERS]
    if isinstance(value, dict):
        return {name: _cut(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_cut(item) for item in value]
    return value


#: By room: which name of which module stands for something else.
ROOMS: dict[str, tuple[ModuleType, str, Any]] = {
    "journal": (service, "Journal", NoJournal),
    "facts": (gate, "facts_of", KnownFacts()),
    "redaction": (recorder, "Redactor", NoRedactor),
}


def take_away(room: str) -> None:
    """Puts the stand-in in the room's place. AttributeError where the room is no longer there."""
    module, name, stand_in = ROOMS[room]
    getattr(module, name)
    setattr(module, name, stand_in)


if __name__ == "__main__":
    if sys.argv[1:2] == [] or sys.argv[1] not in ROOMS:
        sys.exit(f"bench/without.py: the rooms that can be taken away are: {', '.join(ROOMS)}")
    take_away(sys.argv.pop(1))
    main()
