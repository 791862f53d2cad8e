"""A day's ordinary work, which no rule speaks about."""

import re
from pathlib import Path

from tests.policies.pdp import RunningPdp

#: One command a line; a here-document is one command.
TEXT = (Path(__file__).parent / "ordinary.txt").read_text()
COMMANDS = [
    found[0].strip() for found in re.finditer(r"^.*<<'?EOF'?\n(?:.*\n)*?EOF\n(?:\)\"\n)?|^.+\n", TEXT, re.MULTILINE)
]


def test_a_day_s_ordinary_work_is_left_alone(shipped: RunningPdp) -> None:
    assert len(COMMANDS) > 200
    touched = [
        (command, found.rules)
        for command in COMMANDS
        if (found := shipped.tool("Bash", {"command": command})).answer.body
    ]
    assert touched == []
