"""Fixtures of the chart's tests."""

from pathlib import Path

import pytest

from tests.helm.chart import CI, Chart, Rendered
from tests.helm.kinds import Kinds
from tests.support.fetched import wanted


@pytest.fixture(scope="session")
def chart() -> Chart:
    """The chart, rendered by helm; the same values are rendered once a session."""
    return Chart(wanted("helm"))


@pytest.fixture(params=CI, ids=lambda path: path.name.removesuffix("-values.yaml"))
def values(request: pytest.FixtureRequest) -> Path:
    """Each file of values in helm/hookgate/ci in turn."""
    found: Path = request.param
    return found


@pytest.fixture
def rendered(chart: Chart, values: Path) -> Rendered:
    """What comes of it."""
    return chart.rendered(values)


@pytest.fixture(scope="session")
def kinds() -> Kinds:
    """The schemas of Kubernetes' and the operators' kinds."""
    return Kinds(wanted("crds").path)
