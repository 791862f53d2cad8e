"""Rows of decisions for other programs: JSON lines, and CSV that a spreadsheet may open."""

import json

import msgspec

from hookgate.audit.store.question import Row
from hookgate.harmless import csv_line

#: The columns of CSV, in order: new ones come at the end.
COLUMNS = (
    *("time", "id", "user", "verified", "event", "tool", "outcome", "mode", "subject", "reason", "policy", "error"),
    *("session_id", "agent_id", "tool_use_id", "total_seconds", "ended", "ran_seconds", "violations"),
)


def reason_of(row: Row) -> str:
    """Gives why a decision was not a plain yes: the error kind, or the reason; empty for what went through."""
    return row.error or ("" if row.outcome in ("allow", "no_match") else row.reason)


def json_line(row: Row) -> str:
    """Gives a row as a line of JSON, ASCII only."""
    return json.dumps(msgspec.to_builtins(row))


def csv_header() -> str:
    """Gives the first line of CSV, with its line end."""
    return csv_line(COLUMNS)


def csv_row(row: Row) -> str:
    """Gives a decision as a line of CSV, with its line end."""
    ran = row.ran
    return csv_line(
        (
            *(row.time, row.id, row.user, _bool(row.verified), row.event, row.tool, row.outcome, row.mode),
            *(row.subject, row.reason, row.policy, row.error, row.session_id, row.agent_id, row.tool_use_id),
            f"{row.total_seconds:.6f}",
            ran.how if ran is not None else "",
            f"{ran.seconds:g}" if ran is not None and ran.seconds is not None else "",
            " ".join(row.violations),
        )
    )


def _bool(value: bool) -> str:
    return "true" if value else "false"
