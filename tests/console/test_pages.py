"""The pages in a browser, over ten thousand records."""

import csv
import io
import re
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.support.browser import violations
from tests.support.console import MARKUP, SESSION, ConsoleProcess, decision, journal
from tests.support.wait import until

Open = Callable[..., Page]
PAGES = {
    "overview": "/?since=7d",
    "overview-empty": "/?from=2020-01-01&to=2020-01-02",
    "live": "/live?user=alex",
    "search": "/search?outcome=deny&limit=8",
    "search-empty": "/search?user=nobody-of-that-name",
    "search-fault": "/search?since=whenever",
    "session": f"/session/{SESSION}",
    "people": "/people",
    "fleet": "/fleet",
    "policies": "/policies",
    "evidence": "/evidence",
    "service": "/service?since=7d",
    "fault": "/record/none",
}


def ids(page: Page) -> list[str]:
    """Gives the ids of the rows that a page shows."""
    found: list[str] = page.locator(".records tbody tr").evaluate_all("rows => rows.map(row => row.dataset.id)")
    return found


def left(place: Locator) -> float:
    """Gives where something begins, in pixels."""
    box = place.first.bounding_box()
    assert box is not None
    return box["x"] + float(place.first.evaluate("one => parseFloat(getComputedStyle(one).paddingLeft)"))


def query(page: Page) -> dict[str, list[str]]:
    """Gives what the page's address asks."""
    return parse_qs(urlsplit(page.url).query)


def test_a_number_of_the_overview_leads_to_its_records(open_page: Open) -> None:
    page = open_page("/?since=7d")
    denied = int(page.locator(".tile.deny .figure").inner_text().replace(",", ""))
    page.locator(".tile.deny").click()
    rows = page.locator(".records tbody tr")
    expect(rows.first).to_be_visible()
    assert rows.count() == min(denied, 50)
    assert set(rows.locator(".tag").all_inner_texts()) == {"deny"}
    rows.first.locator(".cover").click()
    expect(page.locator("h1 .tag")).to_have_text("deny")


def test_a_column_of_the_chart_leads_to_its_records_and_a_drag_to_its_period(open_page: Open) -> None:
    page = open_page("/?since=7d")
    chart = page.locator(".chart").first.locator(".u-over")
    box = chart.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 50, steps=4)
    page.mouse.up()
    page.wait_for_url("**/?from=*")
    begin, end = (datetime.fromisoformat(query(page)[name][0]) for name in ("from", "to"))
    assert 1.8 < (end - begin).total_seconds() / 86400 < 2.4
    expect(page.locator(".tile .figure").first).not_to_have_text("0")
    # The busiest hour is a column that can be hit.
    counts = page.locator(".chart").first.evaluate(
        "place => Object.values(JSON.parse(place.dataset.chart).series).reduce((a, b) => a.map((n, i) => n + b[i]))"
    )
    at = counts.index(max(counts))
    box = page.locator(".chart").first.locator(".u-over").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] * (at + 0.5) / len(counts), box["y"] + box["height"] - 4)
    page.wait_for_url("**/search?from=*")
    expect(page.locator(".records tbody tr").first).to_be_visible()


def test_what_is_counted_closely_comes_after_the_first_sight(open_page: Open) -> None:
    page = open_page("/?since=7d")
    closer = page.locator(".lists.closer")
    expect(closer.get_by_role("heading", name="Denied most")).to_be_visible()
    expect(closer.locator(".bars").first).to_be_visible()
    closer.locator(".panel", has_text="Denied most").locator("a").first.click()
    expect(page.locator(".records .tag").first).to_have_text("deny")


def test_a_search_stands_in_the_address_and_can_be_sent_to_somebody(open_page: Open) -> None:
    page = open_page("/search")
    page.get_by_label("Tool").fill("Bash")
    page.get_by_label("Outcome").select_option("deny")
    page.get_by_role("button", name="Search").click()
    page.wait_for_url("**/search?*outcome=deny*")
    expect(page.locator(".records tbody tr .tag").first).to_have_text("deny")
    shown = ids(page)
    assert shown
    assert query(page) == {"tool": ["Bash"], "outcome": ["deny"]}
    other = open_page(page.url)
    assert ids(other) == shown
    assert other.get_by_label("Tool").input_value() == "Bash"


def test_pages_are_stable_while_records_come(open_page: Open, console: ConsoleProcess) -> None:
    page = open_page("/search?event=PreToolUse&tool=Read&limit=20")
    first = ids(page)
    journal(console.audit, [decision(datetime.now(UTC), tool="Read", input={"file_path": "/late"})])
    until(lambda: ids(open_page("/search?tool=Read&limit=1")) != first[:1], what="the new record")
    page.get_by_role("link", name="Next page").click()
    page.wait_for_url("**cursor=*")
    second = ids(page)
    assert len(second) == 20
    assert not set(first) & set(second)
    everything = ids(open_page("/search?event=PreToolUse&tool=Read&limit=41"))
    assert everything[1:] == first + second


def test_what_is_shown_can_be_taken_as_csv_and_json(open_page: Open) -> None:
    page = open_page("/search?outcome=deny&limit=30")
    shown = ids(page)
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    found = list(csv.DictReader(io.StringIO(download.value.path().read_text())))
    assert [row["id"] for row in found] == shown
    with page.expect_download() as download:
        page.get_by_role("link", name="JSON").click()
    assert [re.search('"id": "([^"]+)"', line)[1] for line in download.value.path().read_text().splitlines()] == shown  # type: ignore[index]


def test_a_fault_in_a_filter_is_named_where_it_stands(open_page: Open) -> None:
    page = open_page("/search?since=whenever&outcome=deny")
    expect(page.get_by_role("alert")).to_contain_text("is no time")
    expect(page.locator(".records tbody tr").first).to_be_visible()


@pytest.mark.parametrize("path", ["/search?text=owned", f"/session/{SESSION}", "/live", "/?since=1h"])
def test_hostile_text_is_text(open_page: Open, path: str) -> None:
    page = open_page(path)
    _is_text(page)


def test_hostile_text_is_text_in_a_record(open_page: Open) -> None:
    page = open_page("/search?text=owned")
    page.locator(".cover").first.click()
    expect(page.locator("h1")).to_contain_text("Bash")
    _is_text(page)
    shown = page.locator(".fields.input pre").first.inner_text()
    assert MARKUP in shown
    assert "\\u{202e}gnp.exe\\u{202c} \\u{1b}[31mred" in shown
    assert page.locator(".fields.input .esc").first.inner_text() == "\\u{202e}"


def _is_text(page: Page) -> None:
    text = page.locator("body").inner_text()
    assert "{{7*7}}" in text or "owned" in text or "/?since" in page.url
    assert not set(text) & set("\u202e\u202c\u200b\x1b")
    assert "owned" not in page.title()
    assert page.locator("main script").count() == 0
    assert page.locator("main img").count() == 0


def test_a_session_is_told_from_prompt_to_end_with_subagents_indented(open_page: Open) -> None:
    page = open_page(f"/session/{SESSION}")
    steps = page.locator(".timeline li")
    told = [text.split("\n")[1] for text in steps.all_inner_texts()]
    assert told[:4] == ["UserPromptSubmit", "Read", "Bash", "Agent"]
    assert page.locator(".timeline .turn").count() == 2
    inner = page.locator(".timeline .sub .what")
    assert inner.count() == 3
    outer = page.locator(".timeline .step:not(.sub) .what").first
    assert left(inner) > left(outer) + 20
    expect(page.locator(".timeline .step").nth(1).locator(".how")).to_contain_text("failed")


def test_what_became_of_a_call_stands_beside_its_record(open_page: Open) -> None:
    page = open_page("/search?text=pytest+-q+tests/checkout&event=PreToolUse&user=alex")
    page.locator(".cover").first.click()
    became = page.get_by_role("complementary", name="What belongs to it")
    expect(became).to_contain_text("PostToolUseFailure")
    expect(became).to_contain_text("failed")
    became.get_by_role("link", name="PostToolUseFailure").click()
    expect(page.locator("h1")).to_contain_text("Bash")


def test_live_shows_what_arrives_pauses_and_goes_on_without_a_gap(open_page: Open, console: ConsoleProcess) -> None:
    page = open_page("/live?user=lina")
    state = page.locator("#live-state")
    expect(state).to_have_text("live")
    assert ids(page) == []
    first = [decision(datetime.now(UTC), user="lina", input={"command": f"echo {number}"}) for number in range(5)]
    journal(console.audit, [*first, decision(datetime.now(UTC), user="somebody else")])
    expect(page.locator(".records tbody tr")).to_have_count(5)
    assert ids(page) == [one["id"] for one in reversed(first)]
    page.get_by_role("button", name="Pause").click()
    expect(state).to_contain_text("paused")
    second = [decision(datetime.now(UTC), user="lina", input={"command": f"echo {number}"}) for number in range(130)]
    journal(console.audit, second)
    until(lambda: second[-1]["id"] in ids(open_page("/search?user=lina&limit=1")), what="the records in the store")
    assert page.locator(".records tbody tr").count() == 5
    page.get_by_role("button", name="Resume").click()
    expect(page.locator(".records tbody tr")).to_have_count(135)
    assert ids(page) == [one["id"] for one in reversed([*first, *second])]


def test_people_are_listed_and_who_went_silent_is_named(open_page: Open) -> None:
    page = open_page("/people?since=7d")
    expect(page.get_by_role("heading", name="People and agents")).to_be_visible()
    assert page.locator(".people tbody tr").count() == 50
    page.get_by_label("User has").fill("alex")
    page.get_by_role("button", name="Show").click()
    row = page.locator(".people tbody tr")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("peer")
    expect(row).to_contain_text("Client: 2.1.330")


def test_rules_that_fired_are_counted_and_what_was_dropped_is_named(open_page: Open) -> None:
    page = open_page("/policies?since=7d")
    fired = page.locator("section", has=page.get_by_role("heading", name="Rules that fired"))
    expect(fired.locator("tbody tr")).to_have_count(1)
    expect(fired).to_contain_text("secrets")
    expect(page.locator("section", has=page.get_by_role("heading", name="Dropped"))).to_contain_text("unknown_field")


def test_the_journal_is_verified_on_demand_and_a_report_is_made(open_page: Open) -> None:
    page = open_page("/evidence")
    page.get_by_role("button", name="Verify the journal").click()
    expect(page.locator("#verification .verdict")).to_contain_text("Intact.", timeout=30_000)
    page.get_by_label("From").fill("1d")
    page.get_by_label("Form", exact=True).select_option("csv")
    page.get_by_role("button", name="Make the report").click()
    link = page.get_by_role("link", name="Download it")
    expect(link).to_be_visible(timeout=30_000)
    with page.expect_download() as download:
        link.click()
    assert "/home/alex/shop/.env.production" in download.value.path().read_text()


def test_a_look_is_on_record(open_page: Open, console: ConsoleProcess) -> None:
    open_page("/search?reason=never-said-before")
    looks = [note for note in console.notes() if note["type"] == "console_viewed"]
    last = next(note["detail"] for note in reversed(looks) if note["detail"]["page"] == "search")
    assert last["asked"] == {"reason": "never-said-before"}
    assert last["records"] == 0
    assert last["user"] == "local user"
    assert last["remote"] == "127.0.0.1"


def test_everything_can_be_done_by_keyboard(open_page: Open) -> None:
    page = open_page("/search")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="To the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_label("Command, path or URL has")).to_be_focused()
    page.keyboard.type(".env.production")
    page.keyboard.press("Enter")
    page.wait_for_url("**text=.env.production*")
    expect(page.locator(".records .call code").first).to_contain_text(".env.production")
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.classList.contains('cover')"):
            break
    page.keyboard.press("Enter")
    page.wait_for_url("**/record/*")
    expect(page.locator(".subject")).to_contain_text(".env.production")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_no_page_has_a_fault_that_axe_finds(open_page: Open, look_at: str, width: int, scheme: str) -> None:
    page = open_page("/search?text=owned", width=width, color_scheme=scheme)
    found: dict[str, list[str]] = {}
    page.locator(".cover").first.click()
    page.wait_for_url("**/record/*")
    for name, path in {"record": "", **PAGES}.items():
        if path:
            page.goto(path)
            page.wait_for_load_state("networkidle") if name == "overview" else None
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        # What a width or a colour can change, where all was looked at already.
        rules = ("color-contrast", "target-size", "link-in-text-block") if width < 1280 else ()
        found[name] = violations(page, look_at, *rules) + ([f"{wide} pixels too wide"] if wide > 0 else [])
    assert {name: faults for name, faults in found.items() if faults} == {}


def test_nothing_moves_once_it_is_there(open_page: Open) -> None:
    page = open_page("/?since=7d")
    expect(page.locator(".lists.closer .bars").first).to_be_visible()
    moved = page.evaluate(
        """() => new Promise(done => new PerformanceObserver(list => done(list.getEntries().reduce((sum, one) => sum + one.value, 0)))
        .observe({type: 'layout-shift', buffered: true}) || setTimeout(() => done(0), 300))"""
    )
    assert moved < 0.05
