from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from hookgate.binaries import find_cerbos
from tests.policies.pdp import RunningPdp, running

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def cerbos() -> Path:
    return find_cerbos(say=print).path


@pytest.fixture(scope="session")
def shipped_directory() -> Path:
    return REPOSITORY / "policies"


@pytest.fixture(scope="session")
def guide_directory() -> Path:
    return REPOSITORY / "tests" / "fixtures" / "guide-policies"


@pytest.fixture(scope="session")
def shipped(cerbos: Path, shipped_directory: Path) -> Iterator[RunningPdp]:
    """The policies that ship, evaluated strictly."""
    with running(cerbos, shipped_directory) as pdp:
        yield pdp


@pytest.fixture(scope="session")
def shipped_lenient(cerbos: Path, shipped_directory: Path) -> Iterator[RunningPdp]:
    """The policies that ship, on a PDP that takes a failed condition for one that is not met."""
    with running(cerbos, shipped_directory, strict=False) as pdp:
        yield pdp


@pytest.fixture(scope="session")
def guide(cerbos: Path, guide_directory: Path) -> Iterator[Callable[[int], RunningPdp]]:
    """The policies that people bring, by step; each one's PDP is started when it is first asked for."""
    started: dict[int, RunningPdp] = {}
    with ExitStack() as stack:

        def step(number: int) -> RunningPdp:
            if number not in started:
                started[number] = stack.enter_context(running(cerbos, guide_directory / str(number)))
            return started[number]

        yield step
