"""What a call is about, in one text: its command, path, URL, pattern or description."""

import json
from typing import Any

#: The parts of a tool's input that tell most; the first that is there is the subject.
_MAIN = ("command", "file_path", "notebook_path", "url", "pattern", "query", "path", "prompt", "description", "skill")


def subject_of(tool_input: Any) -> str:
    """Gives the part of a tool's input that tells most of the call; the whole as JSON where none does."""
    if not isinstance(tool_input, dict):
        return ""
    for key in _MAIN:
        value = tool_input.get(key)
        if isinstance(value, str) and value:
            return value
    return json.dumps(tool_input, ensure_ascii=False) if tool_input else ""
