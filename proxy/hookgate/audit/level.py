"""How much of a call is recorded, by its event and tool."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from hookgate.config.audit import Level, LevelRule

#: What of an answer says how it was answered; all else in one may repeat the call.
_WORDS = frozenset(
    (
        *("continue", "suppressOutput", "stopReason", "decision", "reason", "hookSpecificOutput", "hookEventName"),
        *("permissionDecision", "permissionDecisionReason", "behavior", "message", "interrupt", "action"),
    )
)
#: Combinations whose level is remembered; a tool's name may be anything.
_MAX_REMEMBERED = 1000


class Levels:
    """The configured rules: the first that matches counts, else `redacted`."""

    def __init__(self, rules: Sequence[LevelRule]) -> None:
        self._rules = [(frozenset(rule.events), [_pattern(tool) for tool in rule.tools], rule.level) for rule in rules]
        self._remembered: dict[tuple[str, str], Level] = {}

    def of(self, event: str, tool: str) -> Level:
        """Gives the level for an event and a tool (empty without one)."""
        if not self._rules:
            return Level.REDACTED
        found = self._remembered.get((event, tool))
        if found is None:
            found = self._found(event, tool)
            if len(self._remembered) < _MAX_REMEMBERED:
                self._remembered[event, tool] = found
        return found

    def _found(self, event: str, tool: str) -> Level:
        for events, tools, level in self._rules:
            if (not events or event in events) and (not tools or any(one.fullmatch(tool) for one in tools)):
                return level
        return Level.REDACTED


def bare_answer(body: Mapping[str, Any]) -> dict[str, Any]:
    """Gives an answer without what may repeat the call: its decision and reasons stay, of other members only the name."""
    return {
        key: (bare_answer(item) if isinstance(item, dict) else item) if key in _WORDS else "(left out)"
        for key, item in body.items()
    }


def _pattern(text: str) -> re.Pattern[str]:
    """`*` stands for any text; groups that give nothing back keep a pattern with many of them from taking long."""
    first, *rest = (re.escape(part) for part in re.split(r"\*+", text))
    if not rest:
        return re.compile(first)
    *middle, last = rest
    return re.compile(f"(?s){first}" + "".join(f"(?>.*?{part})" for part in middle) + f".*{last}")
