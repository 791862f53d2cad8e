"""What stands on the pages leads somewhere and works: links, commands, configuration, queries."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from hookgate.audit.ledger import Options
from hookgate.commands.rotate import rotate_key
from hookgate.config import ConfigError, parse
from tests.docs import tables
from tests.docs.markdown import Page
from tests.support.journals import lines, segments, written
from tests.support.service import ServiceProcess

ROOT = tables.ROOT
PAGES = [
    Page(path)
    for path in (*tables.PAGES, *(ROOT / name for name in ("CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")))
]
README, CONFIGURATION = (
    Page(ROOT / "README.md"),
    Page(ROOT / "docs/configuration.md"),
)

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.path.relative_to(ROOT)))


@each_page
def test_links_lead_to_files_and_headings_that_are_there(page: Page) -> None:
    broken = []
    for link in page.links:
        if link.startswith(("https://", "http://", "mailto:")):
            continue
        name, _, anchor = link.partition("#")
        target = (page.path.parent / name).resolve() if name else page.path
        if not target.exists() or (anchor and anchor not in Page(target).anchors):
            broken.append(link)
    assert broken == []


@each_page
def test_make_targets_that_a_page_names_are_there(page: Page) -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z0-9-]+):", makefile, re.MULTILINE))
    for command in _commands(page, "make"):
        for word in command[1:]:
            name, is_variable, _ = word.partition("=")
            assert re.search(rf"\b{name}\b", makefile) if is_variable else name in targets, " ".join(command)


@each_page
def test_commands_that_a_page_names_are_there_with_those_options(page: Page) -> None:
    known = tables.commands()
    for command in _commands(page, "hookgate"):
        name = next((" ".join(command[:n]) for n in (3, 2) if " ".join(command[:n]) in known), None)
        groups = {group.rpartition(" ")[0] for group in known}
        if name is None and " ".join(command) in groups:
            continue
        assert name is not None, " ".join(command)
        options = {opt for param in known[name].params for opt in param.opts} | {"--help"}
        assert [word for word in command if word.startswith("--") and word.partition("=")[0] not in options] == [], (
            command
        )


def _commands(page: Page, program: str) -> list[list[str]]:
    """Gives the words of each command line on a page that begins with a program, up to a comment, pipe or redirection."""
    lines = [line for block in page.blocks if block.language == "sh" for line in block.text.splitlines()]
    lines = [part.strip() for line in lines for part in line.split("&&")]
    found = []
    for line in lines + page.inline:
        plain = re.split(r" [#|<>]|<", line)[0].removeprefix(".venv/bin/")
        if re.fullmatch(rf"{program} [a-z][^\[\]]*", plain):
            found.append([word for word in shlex.split(plain) if not re.fullmatch(r"[A-Z]+", word)])
    return found


def test_the_readme_leads_to_a_denied_call_within_its_first_screen() -> None:
    screen = "\n".join(README.text.splitlines()[:26])
    for step in (
        "make run",
        "claude --settings .hookgate/settings.json",
        "PreToolUse:Read hook error",
        "hookgate demo",
    ):
        assert step in screen


def test_the_denial_that_the_readme_shows_is_the_one_that_the_demo_gets(shipped_service: ServiceProcess) -> None:
    shown = next(block.text for block in README.blocks if "hook error" in block.text)
    promised = _words(shown.partition("hook error:")[2].partition("[hookgate")[0])
    command = [sys.executable, "-m", "hookgate", "demo", "--url", shipped_service.url]
    told = subprocess.run(
        command, env={"PYTHONPATH": str(ROOT / "proxy"), "USER": "alex"}, capture_output=True, text=True, check=True
    )
    assert promised
    assert f'"permissionDecisionReason":"{promised} [hookgate ' in _words(told.stdout)
    assert told.stdout.count("answer  {}") == 2


def _words(text: str) -> str:
    return " ".join(text.split())


@each_page
def test_pieces_of_configuration_on_a_page_can_be_used(page: Page) -> None:
    for block in page.blocks:
        if block.language != "yaml" or not block.text.startswith("# hookgate.yaml"):
            continue
        tree = yaml.safe_load(block.text)
        tree.setdefault("pdp", {}).setdefault("address", "unix:/run/cerbos/pdp.sock")
        # Certificates are where the page says, not here.
        assert [fault for fault in _faults(tree) if "no such file" not in fault] == []


def _faults(tree: dict[str, Any]) -> list[str]:
    # Whoever uses it has set the variables that it names.
    variables = dict.fromkeys(re.findall(r"\$\{([A-Z_]+)\}", json.dumps(tree)), "set")
    try:
        parse(tree, variables)
    except ConfigError as error:
        return error.faults
    return []


@each_page
def test_json_on_a_page_is_json(page: Page) -> None:
    for block in page.blocks:
        if block.language == "json":
            json.loads(block.text)


def test_the_faults_that_the_page_on_configuration_shows_are_told_so() -> None:
    shown = next(block.text for block in CONFIGURATION.blocks if "did you mean" in block.text)
    with pytest.raises(ConfigError) as caught:
        parse({"pdp": {"address": "unix:/x"}, "decision": {"deadline_seconds": "2s"}, "canary": {"requird": True}}, {})
    assert shown.splitlines() == [f"hookgate: hookgate.yaml: {fault}" for fault in caught.value.faults]


@each_page
def test_metrics_that_a_page_names_are_exposed(page: Page) -> None:
    samples = {name for metric in tables.metrics() for name in (*tables.exposed(metric), str(metric._name))}
    named = set(re.findall(r"\bhookgate_[a-z_]+\b", page.text)) - {
        "hookgate_decision_id",
        "hookgate_version",
        "hookgate_canary",
    }
    assert named <= samples | {name for name in named if f"{name}_total" in samples and f"`{name}`" in page.text}


@each_page
def test_no_page_names_a_place_on_somebodys_machine(page: Page) -> None:
    assert re.findall(r"(?:/tmp/|/root/\.)\S*", page.text) == []


def test_every_page_is_in_the_index() -> None:
    index = Page(ROOT / "docs" / "README.md")
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert pages <= set(index.links)


def test_the_verification_without_hookgate_finds_what_it_should(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "audit.md").read_text(encoding="utf-8")
    program = text.partition("```python\n")[2].partition("```")[0]
    journal = written(tmp_path / "audit", 20, 10, options=Options(segment_bytes=4000))
    rotate_key(journal)
    command = [sys.executable, "-c", program, str(journal)]
    told = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert told.stdout == f"{len(lines(journal))} lines hold\n"
    path = segments(journal)[1]
    path.write_bytes(path.read_bytes().replace(b"1-", b"2-", 1).replace(b"0-1", b"0-2", 1))
    told = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert told.returncode == 1
    assert "does not hold" in told.stderr


def test_tests_that_the_page_on_threats_names_are_there() -> None:
    named = {bit for bit in Page(ROOT / "docs" / "threats.md").inline if bit.startswith("test_")}
    written = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    there = set(re.findall(r"def (test_\w+)", written))
    assert len(named) > 50
    assert sorted(named - there) == []


def test_every_threat_on_the_page_is_shown_by_a_test() -> None:
    rows = [
        line for line in (ROOT / "docs" / "threats.md").read_text(encoding="utf-8").splitlines() if line[:2] == "| "
    ]
    assert len(rows) > 40
    assert [row for row in rows if "`test_" not in row and "shown by" not in row] == []
