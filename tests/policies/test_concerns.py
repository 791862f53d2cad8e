"""The library's files: each looks first at the programs that it speaks about."""

import re
from pathlib import Path

import pytest
import yaml

SHARED = Path(__file__).parents[2] / "policies" / "shared"
CONCERNS = sorted(path.stem for path in SHARED.glob("*.yaml") if path.stem not in ("reasons", "version_control"))
_LIST = re.compile(r"c\.program in \[([^\]]*)\]")


def names_in(text: str) -> set[str]:
    """The programs that an expression compares with."""
    found = set(re.findall(r'c\.program == "([^"]+)"', text))
    for listed in _LIST.findall(text):
        found |= set(re.findall(r'"([^"]+)"', listed))
    return found


@pytest.mark.parametrize("concern", CONCERNS)
def test_a_concern_s_list_has_every_program_that_its_rules_name(concern: str) -> None:
    definitions = yaml.safe_load((SHARED / f"{concern}.yaml").read_text())["exportVariables"]["definitions"]
    gate = names_in(definitions.pop(f"{concern}_calls"))
    judged = [text for text in definitions.values() if f"V.{concern}_calls" in text]
    assert gate
    assert judged
    for text in judged:
        # Looks at all commands, such as the other end of a pipe, are not held to the list.
        inner = re.sub(r"R\.attr\.facts\.commands\.\w+\(c,.*", "", text)
        assert names_in(inner) <= gate, f"add to {concern}_calls: {sorted(names_in(inner) - gate)}"


@pytest.mark.parametrize("path", sorted(SHARED.glob("*.yaml")), ids=lambda path: path.stem)
def test_no_pattern_is_compiled_in_each_request(path: Path) -> None:
    assert not re.findall(r"\.matches\((?!r?['\"])[^)]*\)", path.read_text())
