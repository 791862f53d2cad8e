"""The page of the fleet, over the store of a real collector."""

import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path

from tests.support.console import ConsoleProcess


def test_the_page_shows_each_machine_and_what_asks_for_attention(store: Path, tmp_path: Path) -> None:
    inventory = tmp_path / "inventory.csv"
    inventory.write_text("name,user,group\na-well,,core\nb-behind,,core\nc-cheat,,core\nd-new,<b>robin</b>,payments\n")
    console = ConsoleProcess(tmp_path, console={"store": str(store), "expected": str(inventory)}).start()
    try:
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        opener.open(console.link(), timeout=10).read()

        def shown(query: str = "") -> str:
            with opener.open(f"{console.url}/fleet{query}", timeout=10) as answer:
                return str(answer.read().decode())

        everybody = shown()
        for text in ("a-well", "b-behind", "c-cheat", "other_policies", "foreign_instance", "7 of 7", "6 of 6", "core"):
            assert text in everybody, text
        assert everybody.index("c-cheat") < everybody.index("a-well")
        assert "&lt;b&gt;kim&lt;/b&gt;" in everybody
        assert "<b>kim</b>" not in everybody
        # Who never enrolled is known by the inventory only, which is read again when it changes.
        assert "the record is another journal&#39;s" in everybody
        for text in ("d-new", "never_enrolled", "&lt;b&gt;robin&lt;/b&gt;", "of 4 machines; 4 are expected"):
            assert text in everybody, text
        assert ("d-new" in shown("?name=PAYMENTS"), "a-well" in shown("?name=PAYMENTS")) == (True, False)
        inventory.write_text("serial\n1\n")
        assert "machine 1 has neither a name nor a host" in shown()
        assert "d-new" not in shown()
        marked = shown("?mark=unasked")
        assert ("b-behind" in marked, "a-well" in marked) == (True, False)
        assert "No such machine" in shown("?name=nobody&begin=99999999")
        assert "a-well" in shown("?name=WELL&mark=nonsense")
    finally:
        console.stop()
