"""A decision's record in the parts in which people read it."""

from collections.abc import Iterator, Mapping
from typing import Any

#: What is shown in which part, by field; fields that are not named come last, and empty ones not at all.
PARTS = {
    "who": ("user", "roles", "verified", "source", "attributes", "remote", "labels"),
    "what": (
        *(
            "event",
            "tool",
            "input",
            "facts",
            "content",
            "cwd",
            "permission_mode",
            "agent_id",
            "agent_type",
            "session_id",
        ),
        *("prompt_id", "tool_use_id", "mcp_server", "mcp_source", "transcript_path", "level", "cut", "calls"),
    ),
    "why": (
        *(
            "outcome",
            "mode",
            "effect",
            "policy",
            "policy_version",
            "asked_scope",
            "scope",
            "reason",
            "error",
            "error_detail",
            "outputs",
        ),
        *("dropped", "contradictions", "unenforceable", "call_id"),
    ),
    "answer": ("answer", "would_answer"),
    "how it ended": ("failed", "interrupted", "ran_seconds", "response_bytes", "response_digest"),
    "how long": ("pdp_seconds", "total_seconds"),
}
#: Its place in the chain, and what names it.
CHAIN = ("instance", "host", "seq", "prev", "hash", "version", "type", "id", "time")


def parts_of(record: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Gives each part that has something to tell, with its fields; those that nobody has named come last, as `more`."""
    named = {field for fields in PARTS.values() for field in fields} | set(CHAIN)
    parts = PARTS | {"more": tuple(key for key in record if key not in named)}
    for part, fields in parts.items():
        if found := {key: record[key] for key in fields if tells(record.get(key))}:
            yield part, found


def tells(value: Any) -> bool:
    """Whether a field's value says anything."""
    return value is not None and value not in ("", [], {})
