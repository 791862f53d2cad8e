"""Who is let in, by what, and what everybody else is answered."""

import http.client
import http.server
import json
from collections.abc import Callable, Iterator
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from playwright.sync_api import Browser, expect

from hookgate.console.visitor import WHOLE_SECONDS, Role, Sessions
from hookgate.identity.tokens import TokenFile
from tests.support.console import SESSION, ConsoleProcess, get, journal
from tests.support.openid import CLIENT, SECRET, OpenId
from tests.support.wait import free_port, until

RECORDS = [
    "/",
    "/search",
    "/search.csv",
    "/search.json",
    f"/session/{SESSION}",
    "/record/x",
    "/live",
    "/live/stream",
    "/people",
    "/fleet",
]
RECORDS += ["/policies", "/evidence", "/service", "/overview/closer"]


def entered(console: ConsoleProcess) -> str:
    """Comes in by the link; gives the cookie."""
    status, headers, _ = get(console.link())
    assert status == 303
    cookie: SimpleCookie = SimpleCookie(headers["Set-Cookie"])
    found = cookie["hookgate_console"]
    assert found["httponly"]
    assert found["samesite"] == "Lax"
    return f"hookgate_console={found.value}"


def post(url: str, form: dict[str, str], **headers: str) -> tuple[int, str]:
    """Posts a form without following redirects."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
    sent = {"Content-Type": "application/x-www-form-urlencoded", **headers}
    connection.request(
        "POST", parts.path, urlencode(form), {name.replace("_", "-"): value for name, value in sent.items()}
    )
    answer = connection.getresponse()
    found = answer.status, answer.read().decode()
    connection.close()
    return found


def csrf(text: str) -> str:
    """Gives what a page's forms bear."""
    return text.partition('name="csrf" value="')[2].partition('"')[0]


@pytest.mark.parametrize("path", RECORDS)
def test_nobody_is_shown_records_without_being_let_in(console: ConsoleProcess, path: str) -> None:
    status, headers, text = get(console.url + path)
    assert (status, headers.get("Location", "").startswith("/login")) == (303, True)
    assert SESSION not in text


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/x-www-form-urlencoded; charset=none-such", b"token=x"),
        ("application/x-www-form-urlencoded", b"token=\xff\xfe"),
        ("multipart/form-data", b"junk"),
        ("multipart/form-data; boundary=x", b"junk"),
    ],
)
@pytest.mark.parametrize("let_in", [False, True])
def test_what_is_no_form_is_no_fault_of_ours(console: ConsoleProcess, kind: str, body: bytes, *, let_in: bool) -> None:
    cookie = {"Cookie": entered(console)} if let_in else {}
    parts = urlsplit(console.link())
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
    connection.request("POST", "/logout" if let_in else "/login", body, {"Content-Type": kind, **cookie})
    answer = connection.getresponse()
    assert answer.status in (400, 403)
    assert "default-src 'none'" in (answer.getheader("Content-Security-Policy") or "")
    connection.close()


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/?from=0001-01-01", 200),
        ("/?to=0001-01-01", 200),
        ("/overview/closer?from=0001-01-01", 200),
        ("/service?from=0001-01-01", 200),
        (f"/session/{SESSION}?cursor=-1", 400),
    ],
)
def test_no_address_is_too_odd(console: ConsoleProcess, path: str, status: int) -> None:
    base = console.link().partition("/login")[0]
    assert get(base + path, Cookie=entered(console))[0] == status


def test_a_link_lets_in_once(console: ConsoleProcess) -> None:
    link = console.link()
    cookie = entered(console)
    assert get(f"{console.url}/", Cookie=cookie)[0] == 200
    assert get(link)[0] == 403
    assert console.link() != link
    path = console.audit / "console.url"
    assert path.stat().st_mode & 0o777 == 0o600
    assert link.partition("link=")[2] not in console.log()


def test_a_session_ends_when_somebody_logs_out(console: ConsoleProcess) -> None:
    cookie = entered(console)
    token = csrf(get(f"{console.url}/people", Cookie=cookie)[2])
    assert post(f"{console.url}/logout", {"csrf": "another"}, Cookie=cookie)[0] == 403
    assert get(f"{console.url}/people", Cookie=cookie)[0] == 200
    assert post(f"{console.url}/logout", {"csrf": token}, Cookie=cookie)[0] == 303
    # Whoever kept the cookie is not let in by it.
    assert get(f"{console.url}/people", Cookie=cookie)[0] == 303


def test_a_form_of_another_site_does_nothing(console: ConsoleProcess) -> None:
    cookie = entered(console)
    token = csrf(get(f"{console.url}/evidence", Cookie=cookie)[2])
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}):
        assert post(f"{console.url}/evidence/verify", {"csrf": token}, Cookie=cookie, **headers)[0] == 403


def test_another_sites_page_may_not_read_one_of_ours(console: ConsoleProcess) -> None:
    cookie = entered(console)
    headers = {"Cookie": cookie, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}
    assert get(f"{console.url}/search", **headers)[0] == 403
    # A link somewhere else may lead here.
    assert get(f"{console.url}/search", **(headers | {"Sec-Fetch-Mode": "navigate"}))[0] == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:3595", "127.0.0.1.evil.example", ""])
def test_a_name_that_leads_here_is_not_enough(console: ConsoleProcess, host: str) -> None:
    assert get(f"{console.url}/login", Host=host)[0] in (400, 403)


def test_a_page_may_run_nothing_but_the_files_of_the_package(console: ConsoleProcess) -> None:
    cookie = entered(console)
    for path in ("/", "/search", "/login", "/static/none.js", "/nowhere"):
        _, headers, text = get(console.url + path, Cookie=cookie)
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
        assert "<script>" not in text
        assert " style=" not in text
        assert " onclick=" not in text


def test_a_cookie_that_was_made_up_lets_nobody_in() -> None:
    sessions = Sessions(60)
    cookie = sessions.begin("rosa", Role.VIEWER, "oidc")
    name, _, signature = cookie.partition(".")
    assert sessions.of(cookie) is not None
    for other in ("", ".", name, f"{name}.", f"{name}.{'0' * 64}", f"other.{signature}", f"{name}.\xff"):
        assert sessions.of(other) is None
    assert Sessions(60).of(cookie) is None


def test_a_session_ends_by_itself() -> None:
    now = 0.0
    sessions = Sessions(600, clock=lambda: now)
    idle, busy = sessions.begin("rosa", Role.VIEWER, "oidc"), sessions.begin("lina", Role.VIEWER, "oidc")
    while now < WHOLE_SECONDS:
        assert sessions.of(busy) is not None
        now += 599
    assert sessions.of(idle) is None
    assert sessions.of(busy) is None


@pytest.fixture(scope="module")
def provider() -> Iterator[OpenId]:
    found = OpenId()
    yield found
    found.close()


@pytest.fixture(scope="module")
def shared(
    console: ConsoleProcess, provider: OpenId, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ConsoleProcess]:
    """A console of a team, over the same store: people come by an identity provider, programs by tokens."""
    folder = tmp_path_factory.mktemp("shared")
    tokens = TokenFile(folder / "tokens.json")
    for role in ("viewer", "auditor", "engineer"):
        text, _ = tokens.create(f"robot-{role}", (role,), None)
        (folder / role).write_text(text)
    process = ConsoleProcess(
        folder,
        {
            "store": str(console.audit / "store.sqlite"),
            "tokens": str(folder / "tokens.json"),
            "oidc": {
                "issuer": provider.issuer,
                "client_id": CLIENT,
                "client_secret": SECRET,
                "viewers": ["security"],
                "auditors": ["audit"],
            },
        },
    )
    process.start()
    yield process
    process.stop()


@pytest.fixture(autouse=True)
def honest(request: pytest.FixtureRequest) -> Iterator[None]:
    """After each test the provider tells the truth again."""
    yield
    if "provider" in request.fixturenames:
        provider: OpenId = request.getfixturevalue("provider")
        provider.lie, provider.person = {}, {"sub": "rosa", "groups": ["security"]}


def bearer(shared: ConsoleProcess, role: str) -> dict[str, str]:
    """Gives the header of a program with that role."""
    return {"Authorization": f"Bearer {(shared.directory / role).read_text()}"}


def test_a_token_lets_a_program_in(shared: ConsoleProcess) -> None:
    status, _, text = get(f"{shared.url}/search.json?limit=3", **bearer(shared, "auditor"))
    assert status == 200
    assert len([json.loads(line) for line in text.splitlines()]) == 3
    assert get(f"{shared.url}/search", **bearer(shared, "viewer"))[0] == 200
    assert get(f"{shared.url}/search.json", **bearer(shared, "viewer"))[0] == 403
    assert get(f"{shared.url}/search", **bearer(shared, "engineer"))[0] == 401
    assert get(f"{shared.url}/search", Authorization="Bearer hgt_000000000000_none")[0] == 401
    refused = [note for note in shared.notes() if note["type"] == "console_refused"]
    assert refused
    assert "hgt_" not in json.dumps(refused)


def test_a_token_that_is_typed_in_begins_a_session(shared: ConsoleProcess) -> None:
    text = (shared.directory / "viewer").read_text()
    assert post(f"{shared.url}/login", {"token": text})[0] == 303
    assert post(f"{shared.url}/login", {"token": text}, Origin="https://evil.example")[0] == 403
    status, page = post(f"{shared.url}/login", {"token": "hgt_000000000000_none"})
    assert (status, "is not known" in page) == (403, True)
    assert "hgt_" not in page


def test_a_link_is_no_way_in_where_there_is_another(shared: ConsoleProcess) -> None:
    assert not (shared.audit / "console.url").exists()
    assert get(f"{shared.url}/login?link=anything")[0] == 403


def test_somebody_logs_in_with_the_identity_provider_and_out_again(
    shared: ConsoleProcess, provider: OpenId, browser: Browser
) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{shared.url}/search?tool=Bash")
    page.get_by_role("link", name="Log in with your organisation").click()
    page.wait_for_url("**/search?tool=Bash")
    expect(page.locator(".me .who")).to_have_text("rosa")
    expect(page.locator(".me .role")).to_have_text("viewer")
    # A viewer takes nothing out, and is not offered it.
    assert page.get_by_role("link", name="CSV").count() == 0
    answer = page.goto(f"{shared.url}/search.csv")
    assert answer is not None
    assert answer.status == 403
    expect(page.locator("h1")).to_have_text("For auditors")
    page.goto(f"{shared.url}/evidence")
    assert page.get_by_role("button", name="Verify").count() == 0
    page.get_by_role("button", name="Log out").click()
    expect(page.locator("h1")).to_have_text("Log in")
    page.goto(f"{shared.url}/search")
    expect(page.locator("h1")).to_have_text("Log in")
    context.close()
    asked = provider.answers[-1]
    assert asked["code_challenge_method"] == "S256"
    assert asked["response_type"] == "code"
    assert SECRET not in shared.log()


def test_somebody_without_a_role_is_refused_and_that_is_on_record(
    shared: ConsoleProcess, provider: OpenId, browser: Browser
) -> None:
    provider.person = {"sub": "mallory", "groups": ["sales"]}
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{shared.url}/login/provider")
    expect(page.get_by_role("alert")).to_contain_text("neither a viewer nor an auditor")
    assert context.cookies(shared.url) == [] or all(
        one["name"] != "hookgate_console" for one in context.cookies(shared.url)
    )
    context.close()
    last = [note["detail"] for note in shared.notes() if note["type"] == "console_refused"][-1]
    assert last["user"] == "mallory"


Lie = Callable[[OpenId], dict[str, Any]]


@pytest.mark.parametrize(
    ("lie", "why"),
    [
        ({"nonce": "another"}, "another login"),
        ({"aud": "another client"}, "aud"),
        ({"aud": [CLIENT, "another"]}, "another client"),
        ({"azp": "another"}, "another client"),
        ({"iss": "https://evil.example"}, "iss"),
        ({"exp": 1}, "expired"),
        ({"exp": None}, "exp"),
        ({"sub": ""}, "sub"),
    ],
)
def test_an_id_token_that_says_something_false_lets_nobody_in(
    shared: ConsoleProcess, provider: OpenId, lie: dict[str, Any], why: str
) -> None:
    provider.lie = lie
    status, cookie, text = _login(shared, provider)
    assert (status, cookie) == (403, "")
    assert why in text


def test_a_login_ends_once_and_in_the_browser_that_began_it(shared: ConsoleProcess, provider: OpenId) -> None:
    _, headers, _ = get(f"{shared.url}/login/provider")
    back = _back(headers["Location"])
    own = headers["Set-Cookie"].partition(";")[0]
    assert get(back)[0] == 403  # another browser, which has used it up
    assert get(back, Cookie=own)[0] == 403
    _, headers, _ = get(f"{shared.url}/login/provider")
    back, own = _back(headers["Location"]), headers["Set-Cookie"].partition(";")[0]
    state = back.partition("state=")[2].partition("&")[0]
    assert get(back.replace(state, "made-up"), Cookie=own)[0] == 403
    assert get(back, Cookie=own)[0] == 303
    assert get(back, Cookie=own)[0] == 403


def test_another_providers_answer_is_refused(shared: ConsoleProcess) -> None:
    _, headers, _ = get(f"{shared.url}/login/provider")
    back, own = _back(headers["Location"]), headers["Set-Cookie"].partition(";")[0]
    status, _, text = get(back.partition("&iss=")[0] + "&iss=https%3A%2F%2Fevil.example", Cookie=own)
    assert status == 403
    assert "another provider" in text


@pytest.mark.parametrize("back", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"])
def test_nobody_is_sent_to_another_site_after_the_login(shared: ConsoleProcess, back: str) -> None:
    _, headers, _ = get(f"{shared.url}/login/provider?{urlencode({'back': back})}")
    own = headers["Set-Cookie"].partition(";")[0]
    status, headers, _ = get(_back(headers["Location"]), Cookie=own)
    assert (status, headers["Location"]) == (303, "/")


def _back(where: str) -> str:
    """Goes to the provider; gives where it sends back to."""
    status, headers, _ = get(where)
    assert status == 302
    return headers["Location"]


def _login(shared: ConsoleProcess, provider: OpenId) -> tuple[int, str, str]:
    _, headers, _ = get(f"{shared.url}/login/provider")
    own = headers["Set-Cookie"].partition(";")[0]
    status, headers, text = get(_back(headers["Location"]), Cookie=own)
    return status, headers.get("Set-Cookie", ""), text


def test_shipping_goes_on_where_the_pages_cannot_be_served(tmp_path: Path) -> None:
    port = free_port()
    with http.server.HTTPServer(("127.0.0.1", port), http.server.BaseHTTPRequestHandler):
        process = ConsoleProcess(tmp_path, {"port": port})
        journal(
            process.audit,
            [
                {
                    "version": 1,
                    "type": "decision",
                    "id": "one",
                    "time": "2026-11-22T00:00:00.000000Z",
                    "outcome": "allow",
                }
            ],
        )
        process.start(waits=False)
        try:
            process.stored(1)
            until(lambda: "console_failed" in process.log(), what="the log to tell")
            assert "console.port" in process.log()
        finally:
            process.stop()
