"""One console over a store of ten thousand records, and one browser, for all tests of the pages."""

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.support.browser import NoBrowserError, axe, chromium
from tests.support.console import ConsoleProcess, journal, records

COUNT = 10_000


@pytest.fixture(scope="session")
def console() -> Iterator[ConsoleProcess]:
    """The console of a person on this machine, who is let in by the link."""
    process = ConsoleProcess()
    made = records(COUNT)
    journal(process.audit, made)
    process.start()
    try:
        process.stored(len(made))
        yield process
    finally:
        process.stop()
        shutil.rmtree(process.directory, ignore_errors=True)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium without a window. Not for the whole session: its driver has an event loop running in this thread meanwhile,
    beside which other tests could start none."""
    try:
        path = chromium()
    except NoBrowserError as error:
        _lacking(error)
    with sync_playwright() as playwright:
        # Tests may run as root, as which Chromium has no sandbox; it sees nothing but our own pages.
        opened = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def look_at() -> str:
    """The script of axe-core."""
    try:
        return axe()
    except NoBrowserError as error:
        _lacking(error)


@pytest.fixture(scope="module")
def let_in(console: ConsoleProcess, browser: Browser) -> Any:
    """What a browser keeps of having been let in."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(console.link())
    assert page.locator("h1").inner_text() == "Overview"
    kept = context.storage_state()
    context.close()
    return kept


@pytest.fixture
def open_page(browser: Browser, console: ConsoleProcess, let_in: Any) -> Iterator[Callable[..., Page]]:
    """Opens a page as somebody who was let in; fails where the browser reports a fault of a script or of the page's policy."""
    contexts: list[BrowserContext] = []
    faults: list[str] = []

    def opened(path: str, *, width: int = 1280, **options: Any) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, base_url=console.url, storage_state=let_in, **options
        )
        context.set_default_timeout(10_000)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        # A page that says that something is not there has that status, too, and the browser reports it.
        page.on(
            "console",
            lambda said: faults.append(said.text) if said.type == "error" and "404" not in said.text else None,
        )
        page.goto(path)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not faults


def _lacking(error: NoBrowserError) -> NoReturn:
    message = f"{error}; without it the pages are not tested"
    if os.environ.get("HOOKGATE_REQUIRE") == "all":
        pytest.fail(message)
    pytest.skip(message)
