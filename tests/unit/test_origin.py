"""Requests of web pages and for other hosts are told from the client's."""

import pytest
from multidict import CIMultiDict

from hookgate.app.origin import Hosts, foreign, local_address
from hookgate.config import ConfigError, parse
from hookgate.recorded import Recorded


def found(headers: dict[str, str], *allowed: str, local: str = "127.0.0.1", own_pages: bool = False) -> str:
    return foreign(CIMultiDict(headers), Hosts(allowed), local, own_pages=own_pages)


def test_what_the_client_sends_is_never_foreign(recording: Recorded) -> None:
    assert found(dict(recording.headers)) == ""


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:3594", "127.0.0.1", "127.9.9.9:1", "localhost", "LOCALHOST.:3594", "[::1]:3594", "[0:0::1]"],
)
def test_loopback_is_ours_by_any_of_its_names(host: str) -> None:
    assert found({"Host": host}) == ""


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "127.0.0.1@evil.example",
        "evil.example:127",
        "127.1",
        "2130706433",
        "10.0.0.1",
        "[::2]",
        "[::ffff:10.0.0.1]",
        "[",
        "",
        " ",
        "a, b",
        "127.0.0.1, evil.example",
        "127.0.0.1:3594:1",
        "loc\u0430lhost",
    ],
)
def test_any_other_host_is_foreign(host: str) -> None:
    assert found({"Host": host}).startswith("Host ")


def test_the_address_that_a_connection_came_in_on_is_ours() -> None:
    assert found({"Host": "10.1.2.3:3594"}, local="10.1.2.3") == ""
    assert found({"Host": "10.1.2.3"}, local="::ffff:10.1.2.3") == ""
    assert found({"Host": "[fd00::5]:3594"}, local="fd00:0::5") == ""
    assert found({"Host": "10.1.2.4"}, local="10.1.2.3") == "Host 10.1.2.4"
    assert local_address(("10.1.2.3", 3594)) == "10.1.2.3"
    assert local_address("/run/hookgate.sock") == local_address(None) == ""


def test_a_configured_name_is_ours_and_a_star_takes_all() -> None:
    assert found({"Host": "Hooks.Example.com:443"}, "hooks.example.com") == ""
    assert found({"Host": "a.hooks.example.com"}, "hooks.example.com") != ""
    assert found({"Host": "evil.example"}, "*") == ""
    assert found({"Host": "x", "Origin": "https://evil.example"}, "*") == "Origin https://evil.example"


def test_a_page_of_ours_may_ask_where_pages_are_served() -> None:
    page = {"Host": "127.0.0.1", "Sec-Fetch-Site": "same-origin", "Origin": "http://127.0.0.1"}
    assert found(page, own_pages=True) == ""
    assert found(page) != ""
    assert found(page | {"Sec-Fetch-Site": "cross-site"}, own_pages=True) != ""
    assert found(page | {"Host": "evil.example"}, own_pages=True) == "Host evil.example"


def test_what_is_told_of_a_field_is_short() -> None:
    assert len(found({"Host": "x" * 9000})) < 120


def test_a_host_that_could_never_match_is_a_fault() -> None:
    with pytest.raises(ConfigError) as caught:
        parse(
            {
                "pdp": {"address": "unix:/x"},
                "server": {"allowed_hosts": ["hooks.example.com", "*", "fd00::5", "http://a", "a:1", "a/b"]},
                "admin": {"allowed_hosts": [""]},
            },
            {},
        )
    assert [fault.partition(":")[0] for fault in caught.value.faults] == [
        "server.allowed_hosts[3]",
        "server.allowed_hosts[4]",
        "server.allowed_hosts[5]",
        "admin.allowed_hosts[0]",
    ]
