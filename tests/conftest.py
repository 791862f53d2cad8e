"""Fixtures for all tests: real servers, started once a session where tests can share them."""

import gc
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hookgate.binaries import BinaryError, find_cerbos
from hookgate.recorded import Recorded, recorded
from tests.slow import SLOW_FILES
from tests.support.pdp import Pdp
from tests.support.service import ServiceProcess

ROOT = Path(__file__).resolve().parents[1]

_FIRST = {
    Path(__file__).with_name(file.partition("/")[0]) / file.partition("/")[2]: at for at, file in enumerate(SLOW_FILES)
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the files that take long first; within a file nothing changes."""
    items.sort(key=lambda item: _FIRST.get(item.path, len(_FIRST)))


def pytest_collection_finish() -> None:
    """Leaves ten thousand tests alone when garbage is looked for: that takes a second, in the middle of what a test times."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def cerbos() -> Path:
    """The pinned Cerbos binary; without it, tests that need it fail with how to get it."""
    try:
        return find_cerbos(fetch=os.environ.get("HOOKGATE_REQUIRE") == "all", say=print).path
    except BinaryError as error:
        pytest.fail(f"{error} (run: make prepare)")


@pytest.fixture(scope="session")
def shipped_pdp(cerbos: Path) -> Iterator[Pdp]:
    """A PDP with the policies that ship; not to be changed or stopped by a test."""
    pdp = Pdp(ROOT / "policies").start()
    yield pdp
    pdp.stop()


@pytest.fixture(scope="session")
def shipped_service(shipped_pdp: Pdp) -> Iterator[ServiceProcess]:
    """A Hookgate before it; not to be changed or stopped by a test."""
    service = ServiceProcess(shipped_pdp.address).start()
    yield service
    service.remove()


@pytest.fixture
def make_pdp(cerbos: Path) -> Iterator[Callable[..., Pdp]]:
    """Starts PDPs for one test: `make_pdp(policies, strict=…)`."""
    made: list[Pdp] = []

    def make(policies: Path | None = None, **options: Any) -> Pdp:
        made.append(Pdp(policies, **options))
        return made[-1].start()

    yield make
    for pdp in made:
        pdp.stop()


@pytest.fixture
def make_service() -> Iterator[Callable[..., ServiceProcess]]:
    """Starts Hookgates for one test: `make_service(pdp_address, settings, listener=…)`."""
    made: list[ServiceProcess] = []

    def make(
        address: str, settings: dict[str, Any] | None = None, *, ready: bool = True, **options: Any
    ) -> ServiceProcess:
        made.append(ServiceProcess(address, settings, **options))
        return made[-1].start(ready=ready)

    yield make
    for service in made:
        service.remove()


def payload(name: str, **changes: Any) -> dict[str, Any]:
    """Gives a copy of a recorded payload, with top-level keys changed."""
    found = next(one for one in recorded() if one.name == name)
    return {**found.body, **changes}


@pytest.fixture(params=recorded(), ids=lambda one: one.name)
def recording(request: pytest.FixtureRequest) -> Recorded:
    """Each recorded request in turn."""
    found: Recorded = request.param
    return found
