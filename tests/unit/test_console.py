"""The pages' own parts, without a browser: what an address asks, how values are shown, which settings go together."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookgate.audit.store.question import Filter
from hookgate.config import ConfigError, parse
from hookgate.config.audit import Audit
from hookgate.config.console import store_of
from hookgate.config.shippers import FileShipper, PostgresShipper
from hookgate.console import policies
from hookgate.console.asked import asked
from hookgate.console.looks import Looks, UnrecordedError
from hookgate.console.shown import ago, environment, share, size, span, visible
from hookgate.console.visitor import Role, Visitor, role_among

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


class TestAsked:
    def test_an_address_asks_what_the_command_does(self) -> None:
        found = asked(
            {
                "since": "2d",
                "user": " alex ",
                "session": "s-1",
                "verified": "no",
                "mode": "observe",
                "outcome": "deny",
                "x": "y",
            },
            NOW,
        )
        assert found.filter == Filter(
            since=NOW - timedelta(days=2), user="alex", session_id="s-1", verified=False, mode="observe", outcome="deny"
        )
        assert found.faults == {}
        assert "x" not in found.given

    def test_what_cannot_be_read_is_named_and_left_out(self) -> None:
        found = asked({"since": "soon", "outcome": "maybe", "verified": "perhaps", "tool": "Bash"}, NOW)
        assert set(found.faults) == {"since", "outcome", "verified"}
        assert found.filter == Filter(tool="Bash")

    def test_a_period_that_ends_before_it_begins_is_a_fault(self) -> None:
        found = asked({"from": "2026-11-22", "to": "2026-11-20"}, NOW)
        assert "from" in found.faults
        assert found.filter.since is None

    def test_what_it_gives_asks_the_same_again(self) -> None:
        given = {"text": "a&b=c #?%", "user": "ünal \u202e", "since": "7d"}
        assert dict(parse_qsl(asked(given, NOW).query())) == given

    def test_fixed_times_find_the_same_tomorrow(self) -> None:
        found = asked({"since": "7d", "to": "2026-11-22", "tool": "Bash"}, NOW)
        later = asked(dict(parse_qsl(found.fixed)), NOW + timedelta(days=1))
        assert later.filter == found.filter

    @given(
        st.dictionaries(
            st.sampled_from(["since", "from", "to", "user", "outcome", "verified", "mode", "text"]), st.text()
        )
    )
    def test_no_address_is_too_odd(self, query: dict[str, str]) -> None:
        assert isinstance(asked(query, NOW).filter, Filter)


class TestShown:
    @given(st.text())
    def test_a_value_is_text_whatever_is_in_it(self, text: str) -> None:
        shown = environment().from_string("{{ value }}|{{ value | visible }}|{{ value | cut(20) }}").render(value=text)
        bare = shown.replace('<span class="esc">', "").replace("</span>", "")
        assert not set(bare) & set("<>\"'\u202e\u2066\x1b\x00\u200b\ufeff")

    def test_lines_stay_lines_and_what_is_not_seen_is_marked(self) -> None:
        assert visible("a\n\tb\x1b") == 'a\n\tb<span class="esc">\\u{1b}</span>'
        assert "&lt;b&gt;" in visible({"x": "<b>"})
        assert "characters more" in visible("x" * 100_000)

    @pytest.mark.parametrize(
        ("seconds", "text"),
        [
            (None, ""),
            (0.0023, "2.3 ms"),
            (0.25, "250 ms"),
            (42, "42 s"),
            (3600, "1 h"),
            (5400, "1.5 h"),
            (86400 * 7, "7 d"),
            (-1, "0 ms"),
        ],
    )
    def test_durations(self, seconds: float | None, text: str) -> None:
        assert span(seconds) == text

    def test_sizes_shares_and_ages(self) -> None:
        assert (size(10), size(20 * 2**20)) == ("10 B", "20 MiB")
        assert (share(1, 0), share(1, 3), share(1, 100_000), share(0, 5)) == ("", "33 %", "< 0.1 %", "0 %")
        assert ago("2026-11-22T10:00:00Z", NOW) == "2 h ago"
        assert ago("never", NOW) == ""


class TestSettings:
    def faults(self, **console: Any) -> str:
        """Gives what is said of a console section; empty where nothing is."""
        audit = console.pop("audit", {})
        try:
            parse({"pdp": {"address": "unix:/x"}, "console": {"enabled": True, **console}, "audit": audit}, {})
        except ConfigError as error:
            return str(error)
        return ""

    def test_loopback_needs_nothing_else(self) -> None:
        assert self.faults() == ""
        assert self.faults(host="::1") == ""

    def test_elsewhere_somebody_must_say_who_comes_in_and_the_way_be_safe(self, tmp_path: Path) -> None:
        (tmp_path / "tokens").write_text("{}")
        assert "console.oidc or console.tokens" in self.faults(host="0.0.0.0")
        assert "console.tls" in self.faults(host="0.0.0.0", tokens=str(tmp_path / "tokens"))
        proxied = {"host": "0.0.0.0", "tokens": str(tmp_path / "tokens"), "public_url": "https://audit.example.com"}
        assert self.faults(**proxied) == ""

    @pytest.mark.parametrize(
        ("oidc", "why"),
        [
            ({"issuer": "https://login.example.com"}, "client_id: is missing"),
            ({"issuer": "https://login.example.com", "client_id": "x"}, "lets nobody in"),
            ({"issuer": "http://login.example.com", "client_id": "x", "viewers": ["a"]}, "expected https"),
            ({"client_id": "x"}, "has no effect"),
        ],
    )
    def test_a_provider_must_be_named_whole(self, oidc: dict[str, Any], why: str) -> None:
        assert why in self.faults(oidc=oidc)

    def test_files_must_be_there_and_a_store_named(self) -> None:
        assert "no such file" in self.faults(tokens="/nowhere/tokens.json")
        assert "no such directory" in self.faults(policies="/nowhere")
        assert "no such file" in self.faults(expected="/nowhere")
        assert "no store to look into" in self.faults(audit={"shippers": [{"type": "stdout"}]})
        assert "another listener" in self.faults(port=9464)
        assert "console.allowed_hosts[0]" in self.faults(allowed_hosts=["https://x"])

    def test_the_store_is_the_first_shippers_or_the_one_that_is_named(self) -> None:
        console = parse({"pdp": {"address": "unix:/x"}}, {}).console
        file = FileShipper(path="/x")
        postgres = PostgresShipper(url="postgresql://db/audit", schema="trail")
        assert store_of(console, Audit(directory="/d")) == ("/d/store.sqlite", "hookgate")
        assert store_of(console, Audit(shippers=(file, postgres))) == ("postgresql://db/audit", "trail")
        assert store_of(console, Audit(shippers=(file,))) == ("", "hookgate")


class TestLooks:
    async def test_a_look_that_finds_no_room_is_refused(self, tmp_path: Path) -> None:
        looks = Looks(tmp_path)
        visitor = Visitor("rosa", Role.VIEWER, "oidc", "", 0, 0)
        for number in range(1000):
            path = tmp_path / "notes" / f"01a20514-1c8d-7932-a83d-{number:012d}.json"
            path.parent.mkdir(exist_ok=True)
            path.touch()
        with pytest.raises(UnrecordedError, match="notes/"):
            await looks.viewed(visitor, "127.0.0.1", "search", {}, 1)
        # Nothing is shown to whoever is refused, so that this goes on.
        await looks.note("console_refused", {"user": "", "remote": "", "why": "link not valid"})
        looks.close()

    async def test_who_knocks_in_vain_leaves_room_for_those_who_are_let_in(self, tmp_path: Path) -> None:
        looks = Looks(tmp_path)
        for _ in range(70):
            await looks.note("console_refused", {"user": "", "remote": "", "why": "link not valid"})
        await looks.viewed(Visitor("rosa", Role.VIEWER, "oidc", "", 0, 0), "", "search", {}, 1)
        assert len(list((tmp_path / "notes").iterdir())) == 61
        looks.close()


def test_the_most_that_a_role_allows_counts() -> None:
    assert role_among(("viewer", "auditor")) is Role.AUDITOR
    assert role_among(["viewer"]) is Role.VIEWER
    assert role_among(("engineer", "Auditor")) is None


def test_rules_are_called_as_cerbos_calls_them(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(
        """
apiVersion: api.cerbos.dev/v1
resourcePolicy:
  resource: PreToolUse
  version: default
  scope: acme
  rules:
    - {actions: ["*"], effect: EFFECT_DENY, roles: ["*"], name: secrets, output: {when: {ruleActivated: "'x'"}}}
    - {actions: ["*"], effect: EFFECT_ALLOW, roles: ["*"]}
"""
    )
    found = policies._read(tmp_path)
    assert {name: rule.tells for name, rule in found.items()} == {
        "resource.PreToolUse.vdefault/acme#secrets": True,
        "resource.PreToolUse.vdefault/acme#rule-002": False,
    }
