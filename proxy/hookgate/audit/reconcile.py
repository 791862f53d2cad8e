"""What became of calls that were judged: a denied one must not run, and none with another input than the one judged.

Both happen when something else answers in our stead or beside us: a hook of the project that rewrites the input after our
answer, an answer that was lost on its way.
"""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from hookgate.hooks.event import HookEvent

#: Calls remembered; beyond it the oldest is forgotten, and what becomes of it is not compared.
_MAX_CALLS = 10_000
_MAX_ID_CHARACTERS = 256
#: The client itself completes these tools' input between PreToolUse and PostToolUse (2.1.330).
_COMPLETED_BY_CLIENT = frozenset({"AskUserQuestion", "SendMessage"})
_RAN = frozenset({"PostToolUse", "PostToolUseFailure"})


class Violation(StrEnum):
    """What does not add up."""

    #: A call ran although the client was told to deny it.
    ENFORCEMENT_VIOLATED = "enforcement_violated"
    #: A call ran with another input than the one that was judged.
    EXECUTED_DIFFERS = "executed_differs"


@dataclass(frozen=True, slots=True)
class _Judged:
    decision_id: str
    denied: bool
    digest: bytes


class Calls:
    """The calls judged lately, by session and tool use id."""

    def __init__(self) -> None:
        self._judged: OrderedDict[tuple[str, str], _Judged] = OrderedDict()

    def judged(self, event: HookEvent, decision_id: str, *, denied: bool) -> None:
        """Takes note of a PreToolUse that is answered; `event` has the input that may run."""
        if event.name != "PreToolUse" or not _is_id(event.tool_use_id) or len(event.session_id) > _MAX_ID_CHARACTERS:
            return
        self._judged[event.session_id, event.tool_use_id] = _Judged(decision_id, denied, _digest(event))
        if len(self._judged) > _MAX_CALLS:
            self._judged.popitem(last=False)

    def ran(self, event: HookEvent) -> tuple[Violation, str] | None:
        """Compares a call that has run with what was judged; gives what is wrong and the decision that it belongs to."""
        if event.name not in _RAN:
            return None
        judged = self._judged.pop((event.session_id, event.tool_use_id), None)
        if judged is None:
            return None
        if judged.denied:
            return Violation.ENFORCEMENT_VIOLATED, judged.decision_id
        if event.tool not in _COMPLETED_BY_CLIENT and judged.digest != _digest(event):
            return Violation.EXECUTED_DIFFERS, judged.decision_id
        return None


def _is_id(text: str) -> bool:
    return 0 < len(text) <= _MAX_ID_CHARACTERS


def _digest(event: HookEvent) -> bytes:
    return hashlib.blake2b(msgspec.json.encode(event.tool_input, order="deterministic"), digest_size=16).digest()
