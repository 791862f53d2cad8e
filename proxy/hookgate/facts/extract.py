"""From an event to the facts about it."""

from typing import Any

from hookgate.facts.model import Access, Facts, PathFact
from hookgate.facts.paths import folded, folded_home, is_absolute, is_below, resolved, trimmed
from hookgate.hooks.event import HookEvent

#: The file tools: which field of their input holds the path, what is done with it, and whether all below it is meant.
_FILE_TOOLS: dict[str, tuple[str, Access, bool]] = {
    "Read": ("file_path", Access.READ, False),
    "Write": ("file_path", Access.WRITE, False),
    "Edit": ("file_path", Access.WRITE, False),
    "NotebookEdit": ("notebook_path", Access.WRITE, False),
    "Glob": ("path", Access.SEARCH, True),
    "Grep": ("path", Access.SEARCH, True),
}
_MAX_PATH_CHARACTERS = 4096


def facts_of(event: HookEvent) -> Facts:
    """Gives the facts about an event; never fails: what can't be told makes it `opaque`."""
    paths: list[PathFact] = []
    reasons: list[str] = []
    found = _FILE_TOOLS.get(event.tool)
    if found is not None:
        field, access, recursive = found
        named = _written(event.tool_input, field, event.tool, reasons)
        paths = [_path(written, event.cwd, access, recursive, reasons) for written in named]
    return Facts(
        paths=tuple(paths),
        inside_project=all(path.inside_project for path in paths),
        opaque=bool(reasons),
        opaque_reasons=tuple(dict.fromkeys(reasons)),
        altered=event.altered,
        dropped=event.dropped,
        truncated=event.truncated,
    )


def _written(tool_input: dict[str, Any], field: str, tool: str, reasons: list[str]) -> list[str]:
    """Gives the paths that a file tool's input names. A search without one searches the working directory; a search's
    pattern may itself lead elsewhere."""
    written = tool_input.get(field)
    if written is None and tool in ("Glob", "Grep"):
        written = "."
    if not isinstance(written, str):
        reasons.append("path_missing")
        return []
    found = [written]
    if tool == "Glob" and isinstance(pattern := tool_input.get("pattern"), str):
        found.append(pattern if pattern.startswith(("/", "~")) else f"{trimmed(written) or '.'}/{pattern}")
    if tool == "Grep" and isinstance(glob := tool_input.get("glob"), str):
        found.append(f"{trimmed(written) or '.'}/{glob}")
    return found


def _path(written: str, cwd: str, access: Access, recursive: bool, reasons: list[str]) -> PathFact:
    if len(written) > _MAX_PATH_CHARACTERS:
        reasons.append("path_too_long")
        written = written[:_MAX_PATH_CHARACTERS]
    if len(cwd) > _MAX_PATH_CHARACTERS:
        # Longer than any system allows; folding megabytes of it would hold up other decisions.
        reasons.append("cwd_too_long")
        cwd = ""
    path = resolved(trimmed(written) or ".", cwd)
    if not is_absolute(path) and not path.startswith("~"):
        reasons.append("cwd_missing")
    if "\0" in path:
        reasons.append("control_character")
    return PathFact(
        path=path,
        written=written,
        folded=folded(path),
        home=folded_home(path),
        access=access,
        inside_project=is_below(path, cwd),
        recursive=recursive,
    )
