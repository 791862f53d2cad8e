"""The page on which candidate policies are tried, in a browser, and what a forged or broken upload comes to."""

import http.client
import io
import shutil
import zipfile
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from hookgate.whatif.archive import ARCHIVE_BYTES
from tests.console.test_access import csrf, entered
from tests.integration.test_whatif import CANDIDATE, directory, policy, rule
from tests.support.asked import asked
from tests.support.browser import violations
from tests.support.console import ConsoleProcess, get, journal

HOSTILE = "cat forbidden <img src=x onerror=alert(1)>\u202e"


def zipped(text: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        made.writestr("policies/policy.yaml", text)
    return out.getvalue()


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleProcess]:
    """One over a period whose answer is known."""
    in_force = directory(
        tmp_path_factory.mktemp("current") / "policies",
        policy(rule("no-forbidden", 'R.attr.tool_input.command.contains("forbidden")')),
    )
    process = ConsoleProcess(console={"policies": str(in_force)})
    made = [
        asked(number, tool_input="curl x" if number % 2 else HOSTILE, user=f"user{number % 3}") for number in range(60)
    ]
    journal(process.audit, made)
    process.start()
    try:
        process.stored(len(made))
        yield process
    finally:
        process.stop()
        shutil.rmtree(process.directory, ignore_errors=True)


@pytest.fixture
def page(browser: Browser, console: ConsoleProcess) -> Iterator[Page]:
    context = browser.new_context(base_url=console.url)
    context.set_default_timeout(20_000)
    opened = context.new_page()
    opened.goto(console.link())
    faults: list[str] = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
    opened.goto("/whatif")
    yield opened
    context.close()
    assert not faults


def upload(page: Page, content: bytes, *, against: bool = False) -> None:
    page.get_by_label("Policies, as").set_input_files(
        {"name": "new.zip", "mimeType": "application/zip", "buffer": content}
    )
    page.get_by_label("Since").fill("2026-11-01")
    if against:
        page.get_by_label("Compared with").select_option("yes")
    page.get_by_role("button", name="Try them").click()


def test_candidate_policies_are_tried_and_the_look_is_on_record(
    page: Page, console: ConsoleProcess, look_at: str
) -> None:
    expect(page.get_by_text("Nothing has been tried yet")).to_be_visible()
    upload(page, zipped(CANDIDATE))
    expect(page.get_by_role("heading", name="60 of 60 requests can be told")).to_be_visible(timeout=60_000)
    expect(page.get_by_role("row", name="newly denied 30 50 %")).to_be_visible()
    expect(page.get_by_role("row", name="newly asked 30 50 %")).to_be_visible()
    expect(page.get_by_text("<img src=x onerror=alert(1)>").first).to_be_visible()
    assert page.locator("main img").count() == 0
    assert violations(page, look_at) == []
    page.set_viewport_size({"width": 390, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    looks = [one["detail"] for one in console.notes() if one["detail"].get("page") == "whatif"]
    assert any(look["asked"].get("policies", "").startswith("new.zip ") for look in looks)
    assert any(look["records"] > 0 for look in looks)

    upload(page, zipped(CANDIDATE), against=True)
    expect(page.get_by_text("compared with the policies in force")).to_be_visible(timeout=60_000)
    expect(page.get_by_role("row", name="newly denied 0 0 %")).to_be_visible()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"no archive at all", "it is no .zip, .tar or .tar.gz archive"),
        (zipped(policy(rule("no", "R.attr.(("))), "new.zip/policies: the policies don't compile"),
        (b"x" * (ARCHIVE_BYTES + 1), "is larger than 4 MiB"),
    ],
)  # fmt: skip
def test_what_can_not_be_tried_is_told_in_words(page: Page, console: ConsoleProcess, content: bytes, said: str) -> None:
    upload(page, content)
    expect(page.get_by_role("alert").filter(has_text=said)).to_be_visible(timeout=60_000)
    assert str(console.directory) not in page.content()


def test_nothing_is_tried_for_a_stranger_or_from_another_sites_form(console: ConsoleProcess) -> None:
    def posted(**headers: str) -> int:
        parts = urlsplit(console.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
        body = (
            b'--b\r\nContent-Disposition: form-data; name="policies"; filename="a.zip"\r\n\r\n'
            + zipped(CANDIDATE)
            + b"\r\n--b--\r\n"
        )
        sent = {
            "Content-Type": "multipart/form-data; boundary=b",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        connection.request("POST", "/whatif", body, sent)
        status = connection.getresponse().status
        connection.close()
        return status

    assert get(f"{console.url}/whatif")[0] == 303
    cookie = entered(console)
    token = csrf(get(f"{console.url}/evidence", Cookie=cookie)[2])
    assert posted() == 303
    assert posted(Cookie=cookie) == 403
    assert posted(Cookie=cookie, X_CSRF_Token="other") == 403
    assert posted(Cookie=cookie, X_CSRF_Token=token, Origin="https://evil.example") == 403
    assert posted(Cookie=cookie, X_CSRF_Token=token, Content_Type="text/plain") == 415
    assert posted(Cookie=cookie, X_CSRF_Token=token, Content_Type="multipart/form-data; boundary=other") == 400
