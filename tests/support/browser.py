"""A real browser: Chromium, as Debian has it or `CHROMIUM` names it, driven by Playwright; and axe-core, which looks at pages."""

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from hookgate.binaries import npm
from hookgate.binaries.cache import cache_folder
from hookgate.binaries.error import BinaryError
from hookgate.binaries.pins import Package

AXE = Package(
    "axe-core",
    "4.14.1",
    "package/axe.min.js",
    "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==",
)
#: What WCAG 2.2 AA asks for, as far as a program can tell.
_TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


class NoBrowserError(Exception):
    """Why there is no browser to be had, or nothing to look at pages with."""


def chromium() -> str:
    """Gives the path of Chromium. Raises NoBrowserError."""
    if chosen := os.environ.get("CHROMIUM"):
        return chosen
    for name in _NAMES:
        if found := shutil.which(name):
            return found
    raise NoBrowserError("no Chromium on PATH: install it (on Debian the package chromium), or name it with CHROMIUM")


def axe() -> str:
    """Gives axe-core's script, fetched by npm if it is not in the cache. Raises NoBrowserError."""
    path = cache_folder() / "axe-core" / AXE.version / "axe.min.js"
    if not path.is_file():
        found = shutil.which("npm")
        if found is None:
            raise NoBrowserError(f"{AXE.spec} is not in {path.parent}, and there is no npm on PATH to fetch it with")
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=path.parent) as scratch:
            try:
                archive = npm._pack(found, AXE, Path(scratch))
                npm._check(archive, AXE)
                npm._unpack(archive, AXE, Path(scratch) / "axe.min.js")
            except BinaryError as error:
                raise NoBrowserError(str(error)) from None
            (Path(scratch) / "axe.min.js").replace(path)
    return path.read_text(encoding="utf-8")


def violations(page: Page, script: str, *rules: str) -> list[str]:
    """Gives what axe-core finds wrong with a page, a line each; by all rules, or by some."""
    # By the driver, past the page's own policy, which takes no script from elsewhere.
    page.evaluate(script)
    only = {"type": "rule", "values": list(rules)} if rules else {"type": "tag", "values": list(_TAGS)}
    options = json.dumps({"runOnly": only, "resultTypes": ["violations"]})
    found: list[dict[str, Any]] = page.evaluate(f"async () => (await axe.run(document, {options})).violations")
    return [f"{one['id']}: {node['target']}: {node['failureSummary']}" for one in found for node in one["nodes"][:3]]
