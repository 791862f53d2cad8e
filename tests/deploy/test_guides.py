"""The guides of docs/deployment.md: what they install is there and goes where the units look for it."""

import re
import shlex
import subprocess
from pathlib import Path

from hookgate.config import load
from tests.docs import tables
from tests.docs.markdown import Page

PAGE = Page(tables.ROOT / "docs" / "deployment.md")


def commands(program: str) -> list[list[str]]:
    """Gives the page's commands of one program, as words."""
    lines = [line for block in PAGE.blocks if block.language == "sh" for line in block.text.splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line.startswith(f"{program} ")]


def test_what_the_laptops_guide_installs_is_what_its_units_look_for(tmp_path: Path) -> None:
    for folder in ("usr/lib/sysusers.d", "usr/lib/tmpfiles.d", "etc/systemd/system"):
        (tmp_path / folder).mkdir(parents=True)
    installs = [words for words in commands("install") if "collect" not in str(words)]
    assert len(installs) == 5
    for words in installs:
        *sources, target = [word for word in words[1:] if not re.fullmatch(r"-\w+|0\d+", word)]
        options = words[1 : words.index(sources[0])]
        files = [path for source in sources for path in sorted(tables.ROOT.glob(source))]
        assert files, words
        subprocess.run(["install", *options, *files, f"{tmp_path}{target}"], check=True)
    units = {path.name: path.read_text() for path in (tmp_path / "etc/systemd/system").iterdir()}
    assert set(units) == {"hookgate.service", "hookgate.socket", "cerbos.service"}
    enabled, _ = [words for words in commands("systemctl") if "enable" in words]
    assert set(enabled[3:]) == set(units)
    for configuration, unit in (("/etc/hookgate/hookgate.yaml", "hookgate"), ("/etc/cerbos/pdp.yaml", "cerbos")):
        assert configuration in units[f"{unit}.service"]
        assert (tmp_path / configuration[1:]).is_file()
    assert load(tmp_path / "etc/hookgate/hookgate.yaml", {}).pdp.address == "unix:/run/cerbos/pdp.sock"
    assert "RuntimeDirectory=cerbos\n" in units["cerbos.service"]


def test_what_the_collectors_guide_installs_is_what_its_unit_looks_for(tmp_path: Path) -> None:
    (tmp_path / "etc/systemd/system").mkdir(parents=True)
    installs = [words for words in commands("install") if "collect" in str(words)]
    assert len(installs) == 3
    for words in installs:
        *options, source, target = words[1:]
        # Its group is on no machine but the collector's.
        own = [option for option in options if option not in ("-g", "hookgate-collect")]
        subprocess.run(["install", *own, tables.ROOT / source, f"{tmp_path}{target}"], check=True)
    unit = (tmp_path / "etc/systemd/system/hookgate-collect.service").read_text()
    _, enabled = [words for words in commands("systemctl") if "enable" in words]
    assert enabled[3:] == ["hookgate-collect"]
    configuration = tmp_path / "etc/hookgate/collect.yaml"
    assert "collect --config /etc/hookgate/collect.yaml\n" in unit
    assert "/etc/hookgate/collect.environment\n" in unit
    for named in ("/etc/hookgate/collect-tls.crt", "127.0.0.1:9466"):
        assert named in PAGE.text
    assert "certificate: /etc/hookgate/collect-tls.crt" in configuration.read_text()
    assert "port: 9466" in configuration.read_text()


def test_the_exposure_that_the_page_names_is_the_one_that_the_units_have() -> None:
    named = re.search(r"gives them ([\d.]+) \(Hookgate\) and ([\d.]+)\s+\(Cerbos\)", PAGE.text)
    assert named is not None
    collector = re.search(r"own word on the unit is ([\d.]+) of 10", PAGE.text)
    assert collector is not None
    assert max(float(named[1]), float(named[2]), float(collector[1])) <= 2.0
