"""JSON, in a file or in a console's field."""

import json
from typing import Any


def render(content: dict[str, Any]) -> bytes:
    """Gives the text, in ASCII, with a line for each event's hook."""
    rest = {key: value for key, value in content.items() if key != "hooks"}
    head = json.dumps(rest, indent=2)
    if "hooks" not in content:
        return f"{head}\n".encode()
    hooks = ",\n".join(f"    {json.dumps(event)}: {json.dumps(entry)}" for event, entry in content["hooks"].items())
    opening = head.removesuffix("\n}") + ",\n" if rest else "{\n"
    return f'{opening}  "hooks": {{\n{hooks}\n  }}\n}}\n'.encode()


def compact(content: dict[str, Any]) -> str:
    """Gives it in one line, in ASCII."""
    return json.dumps(content, separators=(",", ":"))


def parse(raw: bytes) -> Any:
    """Reads it back. Raises ValueError."""
    return json.loads(raw.decode("utf-8-sig"))
