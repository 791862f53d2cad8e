"""What docs/helm.md shows works."""

import re

import pytest
import yaml

from tests.docs.markdown import Page
from tests.docs.tables import ROOT
from tests.helm.chart import CI, Chart
from tests.helm.kinds import VERSIONS, Kinds
from tests.helm.values import CHART, README, values

PAGE = Page(ROOT / "docs" / "helm.md")
BLOCKS = [block.text for block in PAGE.blocks if block.language == "yaml"]


@pytest.mark.parametrize("text", BLOCKS, ids=lambda text: text.splitlines()[0].removeprefix("# values.yaml: "))
def test_the_values_that_the_page_shows_are_rendered(chart: Chart, kinds: Kinds, text: str) -> None:
    assert text.startswith("# values.yaml: ")
    rendered = chart.rendered(changes=yaml.safe_load(text))
    assert [fault for one in rendered.objects for fault in kinds.faults(one, VERSIONS[-1])] == []


def test_the_values_and_containers_that_the_page_names_are_there() -> None:
    known = {".".join(value.path[:n]) for value in values() for n in range(1, len(value.path) + 1)}
    sections = {name.split(".")[0] for name in known if "." in name} - {"config"}
    named = {
        bit.split(":")[0]
        for bit in PAGE.inline
        if re.fullmatch(r"[a-z][A-Za-z]*(\.[A-Za-z]+)+(: .+)?", bit.strip()) and bit.split(".")[0] in sections
    }
    assert len(named) > 15
    # Settings of Hookgate's have sections of the same names.
    assert {name for name in named if not re.search("_", name)} - known == set()
    templates = "".join(path.read_text() for path in (CHART / "templates").rglob("*") if path.is_file())
    for bit in PAGE.inline:
        if re.fullmatch(r"hookgate-[a-z-]+", bit) and bit != "hookgate-sidecar":
            assert bit in templates, bit


def test_the_charts_readme_leads_where_it_says() -> None:
    page = Page(README)
    for link in page.links:
        assert (README.parent / link.partition("#")[0]).exists(), link
    assert len(CI) == 15


def test_the_page_names_the_least_version_of_kubernetes() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    (least,) = re.findall(r"^>=(\d+\.\d+)", chart["kubeVersion"])
    assert f"Kubernetes {least} or newer" in PAGE.text
