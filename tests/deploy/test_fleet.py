"""docs/fleet.md, from one laptop to a company: what can be tried on one machine is followed to the letter, and what can't is at least so."""

import json
import os
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main

from hookgate.commands import app
from tests.deploy.test_walkthrough import Shell, steps
from tests.docs import tables
from tests.docs.markdown import Page
from tests.helm.values import schema
from tests.support.wait import free_port, until

PAGE = Page(tables.ROOT / "docs" / "fleet.md")
_PORTS = ("3594", "9464", "3596", "9466")
_PATIENCE_SECONDS = 60


@pytest.fixture
def place() -> Iterator[Path]:
    """An empty directory."""
    made = Path(tempfile.mkdtemp(prefix="fleet-"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
def section(tmp_path: Path) -> Page:
    """The part of the page that is followed; scripts are files to write, as configurations are."""
    text = PAGE.text.partition("\n## From one laptop to a company\n")[2].partition("\n## ")[0]
    (tmp_path / "section.md").write_text(text.replace("```bash\n", "```yaml\n"))
    return Page(tmp_path / "section.md")


def test_the_way_from_one_laptop_to_a_rollout_can_be_followed_to_the_letter(section: Page, place: Path) -> None:
    programs, work = place / "bin", place / "work"
    programs.mkdir()
    work.mkdir()
    (programs / "hookgate").write_text(f'#!/bin/sh\nexec {sys.executable} -m hookgate "$@"\n')
    (programs / "hookgate").chmod(0o755)
    ports = {port: str(free_port()) for port in _PORTS}
    bash = Shell(
        work,
        PATH=f"{programs}:{os.environ['PATH']}",
        PYTHONPATH=str(tables.ROOT / "proxy"),
        no_proxy="*",
        COLUMNS="200",
    )
    try:
        for step in steps(section):
            text = re.sub(rf"\b({'|'.join(_PORTS)})\b", lambda found: ports[found[1]], step.text)
            if step.name:
                (work / step.name).write_text(text)
                continue
            told = [0, "nothing"]

            def says_it(command: str = text, expected: str = step.expected, told: list[object] = told) -> bool:
                told[:] = bash.run(command)
                return told[0] == 0 and expected in str(told[1])

            try:
                patience = _PATIENCE_SECONDS if step.expected else 0
                until(says_it, seconds=patience, what=f"`{step.text}` to say {step.expected}")
            except AssertionError as late:
                logs = "".join(path.read_text()[-1500:] for path in work.glob("*.log"))
                raise AssertionError(f"{late}; it said: {told}\n{logs}") from None
    finally:
        bash.end()


def test_the_way_has_a_command_that_shows_something_for_each_step(section: Page) -> None:
    assert re.findall(r"^### (\d)\. ", section.text, re.MULTILINE) == list("123456")
    expected = [step.expected for step in steps(section) if not step.name and step.expected]
    assert len(expected) == 9
    names = [step.name for step in steps(section) if step.name]
    assert names == [
        "laptop.yaml",
        "inventory.yaml",
        "collect.yaml",
        "laptop.yaml",
        "codes.sh",
        "enroll.sh",
        "pages.yaml",
    ]


def test_commands_for_a_cluster_name_what_the_chart_and_the_program_have() -> None:
    lines = [
        line
        for block in PAGE.blocks
        if block.language == "console"
        for line in block.text.replace("\\\n", " ").splitlines()
    ]
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    charted = schema()["properties"]["collector"]["properties"]
    seen = set()
    for words in map(shlex.split, lines):
        if "hookgate" in words and words[0] != "helm":
            rest = words[words.index("hookgate") + 1 :]
            command = commands[rest[0]]
            command = getattr(command, "commands", {}).get(rest[1], command)
            options = {option for one in command.params for option in one.opts}
            assert {word for word in rest if word.startswith("--")} <= options, rest
            seen.add(rest[0])
        for setting in [word for word in words if word.startswith("collector.")]:
            name, value = setting.split("=", 1)
            at = charted
            for part in name.split(".")[1:]:
                at = at[part].get("properties", at[part])
            seen.add(name)
            assert name != "collector.forward" or json.loads(value)[0]["type"] == "kafka"
    assert seen == {"enroll", "collect", "fleet", "collector.store.retentionDays", "collector.forward"}
