"""What the pages are made of: files of known content with their licences, and nothing from elsewhere."""

import hashlib
import re
from pathlib import Path

import pytest

from hookgate.console.shown import STATIC, environment

OURS = {"console.css", "console.js", "mark.svg"}
PINNED = dict(re.findall(r"^\| ([\w.]+) \|.*\| ([0-9a-f]{64}) \|$", (STATIC / "README.md").read_text(), re.MULTILINE))
TEMPLATES = STATIC.parent / "templates"


def test_files_of_others_are_those_that_were_published() -> None:
    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in STATIC.iterdir() if path.name not in OURS
    }
    others = {name: digest for name, digest in found.items() if name.endswith((".js", ".css", ".svg"))}
    assert len(PINNED) == 3
    assert others == PINNED


def test_each_comes_with_its_licence() -> None:
    text = (STATIC / "README.md").read_text()
    for name in set(re.findall(r"`(\w+\.LICENSE)`", text)):
        assert len((STATIC / name).read_text()) > 300


@pytest.mark.parametrize("path", sorted(TEMPLATES.glob("*.j2")), ids=lambda path: path.name)
def test_a_template_has_no_script_style_or_address_of_elsewhere(path: Path) -> None:
    text = path.read_text()
    assert not re.search(
        r"<script(?! defer src=)|<style|\sstyle=|\son[a-z]+=|javascript:|https?://|\|\s*safe|hx-on|hx-vals=.js", text
    )
    assert environment().get_template(path.name).name == path.name


def test_our_own_files_ask_nobody_else() -> None:
    for name in ("console.css", "console.js"):
        assert not re.search(
            r"https?://|@import|url\(|\beval\b|new Function|document\.write", (STATIC / name).read_text()
        )
