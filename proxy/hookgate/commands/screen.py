"""One line a decision, for a person who watches."""

import json
from contextlib import suppress
from datetime import datetime
from typing import Any

import msgspec
from rich.text import Text

from hookgate.audit.record import Record
from hookgate.harmless import harmless

#: How an outcome is shown.
COLOURS = {
    "allow": "green",
    "deny": "bold red",
    "ask": "yellow",
    "defer": "yellow",
    "no_match": "dim",
    "error": "bold magenta",
}
#: The part of a tool's input that tells most; the first that is there is shown.
_MAIN = ("command", "file_path", "notebook_path", "url", "pattern", "query", "path", "prompt", "description", "skill")
_ARGUMENT_CHARACTERS, _REASON_CHARACTERS, _DETAIL_CHARACTERS = 70, 110, 300
_PLACE = {"seq", "prev", "hash", "type", "time"}


def decision_line(record: Record) -> Text:
    """Gives time, user, event, tool, its main argument, outcome, reason, milliseconds; control characters made harmless."""
    when = datetime.fromisoformat(record.time).astimezone().strftime("%H:%M:%S")
    outcome = record.outcome if record.mode == "enforce" else f"{record.outcome} (observed)"
    reason = record.error or ("" if record.outcome in ("allow", "no_match") else record.reason.split("\n", 1)[0])
    line = Text(overflow="ignore", no_wrap=True)
    line.append(f"{when} ", style="dim")
    line.append(f"{harmless(record.user or '-', 16):<16} ")
    line.append(f"{harmless(record.event or '-', 18):<18} ")
    line.append(f"{harmless(record.tool or '-', 20):<12} ", style="bold")
    line.append(f"{harmless(outcome, 24):<8} ", style=COLOURS.get(record.outcome, ""))
    line.append(f"{record.total_seconds * 1000:7.1f} ms  ", style="dim")
    line.append(harmless(main_argument(record), _ARGUMENT_CHARACTERS))
    if reason:
        line.append(f"  — {harmless(reason, _REASON_CHARACTERS)}", style="italic")
    return line


def record_line(record: dict[str, Any]) -> Text:
    """Gives the line of a record of any type, as it was read from a journal; what is no proper decision is shown as it is."""
    if record.get("type") == "decision":
        with suppress(msgspec.ValidationError, ValueError):
            return decision_line(msgspec.convert(record, Record))
    line = Text(overflow="ignore", no_wrap=True)
    line.append(f"{harmless(str(record.get('time', '-')), 32)} ", style="dim")
    line.append(f"{harmless(str(record.get('type', '-')), 24):<20} ", style="bold cyan")
    shown = (
        {key: value for key, value in record.items() if key not in _PLACE}
        if "detail" not in record
        else record["detail"]
    )
    line.append(harmless(json.dumps(shown, ensure_ascii=False), _DETAIL_CHARACTERS))
    return line


def main_argument(record: Record) -> str:
    """Gives the part of the tool's input that tells most of the call."""
    for key in _MAIN:
        value = record.input.get(key)
        if isinstance(value, str) and value:
            return value
    return json.dumps(record.input, ensure_ascii=False) if record.input else ""
