"""The pages of a running Hookgate: its looks come into the chain, and its end does not wait for them."""

import json
import ssl
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from typer.testing import CliRunner

from hookgate.audit.verify import verify
from hookgate.commands import app
from hookgate.recorded import recorded
from tests.support.console import ConsoleProcess, get
from tests.support.journals import lines
from tests.support.pdp import Pdp
from tests.support.service import ServiceProcess
from tests.support.wait import until


@pytest.fixture(scope="module")
def service(shipped_pdp: Pdp) -> Iterator[ServiceProcess]:
    """A Hookgate with a store and the pages."""
    found = ServiceProcess(
        shipped_pdp.address,
        {
            "audit": {"shippers": [{"type": "sqlite"}]},
            "console": {"enabled": True, "port": 0, "policies": str(shipped_pdp.policies)},
        },
    ).start()
    yield found
    found.remove()


def audit(service: ServiceProcess) -> Path:
    """Gives the journal's directory."""
    return service.directory / "audit"


def entered(service: ServiceProcess) -> tuple[str, dict[str, str]]:
    """Comes in by the link that the command prints; gives where, and the header of whoever was let in."""
    until((audit(service) / "console.url").exists, what="the link")
    said = CliRunner().invoke(app, ["console", "--directory", str(audit(service))])
    assert said.exit_code == 0
    link = said.stdout.strip()
    status, headers, _ = get(link)
    assert status == 303
    return link.partition("/login")[0], {"Cookie": headers["Set-Cookie"].partition(";")[0]}


def post(service: ServiceProcess, body: dict[str, Any]) -> None:
    """Posts a hook."""
    headers = {"Content-Type": "application/json", "X-Claude-User": "alex"}
    with urllib.request.urlopen(urllib.request.Request(service.url, json.dumps(body).encode(), headers), timeout=10):
        pass


def test_a_call_is_seen_and_the_look_at_it_is_in_the_chain(service: ServiceProcess) -> None:
    post(service, _denied())
    url, cookie = entered(service)

    def seen() -> str:
        text = get(f"{url}/search?outcome=deny", **cookie)[2]
        return text if 'class="cover"' in text else ""

    until(seen, what="the denial on the page")
    assert "alex" in seen()

    def looks() -> list[dict[str, Any]]:
        return [line["detail"] for line in lines(audit(service)) if line["type"] == "console_viewed"]

    until(lambda: any(look["records"] for look in looks()), what="the look in the journal")
    last = next(look for look in looks() if look["records"])
    assert (last["user"], last["page"], last["asked"]) == ("local user", "search", {"outcome": "deny"})
    assert [line["type"] for line in lines(audit(service))].count("console_login") >= 1
    assert verify(audit(service)).intact


def test_the_page_on_policies_knows_pdp_canary_and_rules(service: ServiceProcess) -> None:
    url, cookie = entered(service)
    until(lambda: "canary: <span" in get(f"{url}/policies", **cookie)[2], what="the canary")
    text = get(f"{url}/policies", **cookie)[2]
    assert '<span class="good">ready</span>' in text
    assert 'canary: <span class="good">ok</span>' in text
    assert "Not known: set" not in text
    assert ".yaml:" in text


def test_a_stop_does_not_wait_for_somebody_who_looks(
    make_service: Callable[..., ServiceProcess], shipped_pdp: Pdp
) -> None:
    service = make_service(
        shipped_pdp.address, {"audit": {"shippers": [{"type": "sqlite"}]}, "console": {"enabled": True, "port": 0}}
    )
    url, cookie = entered(service)
    post(service, _denied())
    until(lambda: get(f"{url}/live", **cookie)[0] == 200, what="the store")
    streams = [
        urllib.request.urlopen(urllib.request.Request(f"{url}/live/stream", headers=cookie), timeout=30)
        for _ in range(4)
    ]
    assert [one.readline() for one in streams] == [b"retry: 2000\n"] * 4
    # The rest is for others.
    assert get(f"{url}/live/stream", **cookie)[0] == 503
    began = time.monotonic()
    service.stop()
    # Shipping has five seconds for what is left; the stream has none.
    assert time.monotonic() - began < 12
    assert "ship_process_ended" not in service.log()
    for one in streams:
        one.close()
    assert not (audit(service) / "console.url").exists()


def test_the_command_says_what_is_missing_where_no_console_runs(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["console", "--directory", str(tmp_path)])
    assert done.exit_code == 1
    assert "console.enabled" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_pages_are_served_over_tls(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "tls.crt")
    certificate.private_key_pem.write_to_path(tmp_path / "tls.key")
    console = ConsoleProcess(
        tmp_path, {"tls": {"certificate": str(tmp_path / "tls.crt"), "key": str(tmp_path / "tls.key")}}
    )
    console.start()
    try:
        context = ssl.create_default_context()
        authority.configure_trust(context)
        with urllib.request.urlopen(f"{console.url}/login", timeout=10, context=context) as answer:
            assert answer.headers["Strict-Transport-Security"]
            assert "Log in" in answer.read().decode()
        assert console.link().startswith(f"{console.url}/login?link=")
        opener = urllib.request.build_opener(_Still(), urllib.request.HTTPSHandler(context=context))
        with pytest.raises(urllib.error.HTTPError) as entered_:
            opener.open(console.link(), timeout=10)
        with entered_.value as answer:
            assert "secure" in answer.headers["Set-Cookie"].lower()
        with pytest.raises(OSError, match=r"(?i)reset|closed|disconnected"):
            urllib.request.urlopen(f"http://127.0.0.1:{console.port}/login", timeout=10)
    finally:
        console.stop()


class _Still(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any) -> None:
        return None


def _denied() -> dict[str, Any]:
    calls = (one.body for one in recorded() if one.body.get("tool_name") == "Bash")
    found = next(body for body in calls if body["hook_event_name"] == "PreToolUse")
    return {**found, "tool_input": {"command": "rm -rf / --no-preserve-root"}}
