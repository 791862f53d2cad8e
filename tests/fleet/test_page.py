"""The page of the fleet, over the store of a real collector."""

import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path

from tests.support.console import ConsoleProcess


def test_the_page_shows_each_machine_and_what_asks_for_attention(store: Path, tmp_path: Path) -> None:
    console = ConsoleProcess(tmp_path, console={"store": str(store)}).start()
    try:
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        opener.open(console.link(), timeout=10).read()

        def shown(query: str = "") -> str:
            with opener.open(f"{console.url}/fleet{query}", timeout=10) as answer:
                return str(answer.read().decode())

        everybody = shown()
        for text in ("a-well", "b-behind", "c-cheat", "other_policies", "foreign_instance", "7 of 7", "6 of 6"):
            assert text in everybody, text
        assert everybody.index("c-cheat") < everybody.index("a-well")
        assert "&lt;b&gt;kim&lt;/b&gt;" in everybody
        assert "<b>kim</b>" not in everybody
        marked = shown("?mark=unasked")
        assert ("b-behind" in marked, "a-well" in marked) == (True, False)
        assert "No such machine" in shown("?name=nobody&begin=99999999")
        assert "a-well" in shown("?name=WELL&mark=nonsense")
    finally:
        console.stop()
