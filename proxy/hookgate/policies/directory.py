"""Which files of a directory Cerbos takes for policies, and how it reads the names in them."""

import re
from collections.abc import Iterator
from pathlib import Path

_SUFFIXES = {".yaml", ".yml", ".json"}
_UNDERSCORE = re.compile(r"_([a-z0-9])")


def policy_files(directory: Path) -> Iterator[Path]:
    """Gives the files that Cerbos reads: no tests, no test data, no schemas, nothing hidden. Folders such as `_shared` count."""
    for file in sorted(directory.rglob("*")):
        *folders, name = file.relative_to(directory).parts
        if name.startswith(".") or any(folder.startswith(".") or folder == "testdata" for folder in folders):
            continue
        if folders[:1] == ["_schemas"] or file.suffix.lower() not in _SUFFIXES or not file.is_file():
            continue
        if not file.stem.lower().endswith("_test"):
            yield file


def field_name(name: str) -> str:
    """Gives a field's name as the JSON form of protocol buffers has it; both `rule_activated` and `ruleActivated` are taken."""
    return _UNDERSCORE.sub(lambda found: found[1].upper(), name)
