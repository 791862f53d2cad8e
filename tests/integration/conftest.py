"""Fixtures of the tests with real processes: services and servers that a module's tests share."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.policies import rule, write
from tests.integration.stand_in import StandInPdp
from tests.support.service import ServiceProcess, merged

Serving = Callable[..., ServiceProcess]


#: For tests of what each transport to the PDP must do alike.
ON_EACH_TRANSPORT = pytest.mark.parametrize("serving", ["http2", "grpcio"], indirect=True, scope="module")


@pytest.fixture(scope="module")
def serving(request: pytest.FixtureRequest) -> Iterator[Serving]:
    """`serving(address, settings)`: a Hookgate in front of a PDP; the same one to all who ask for the same. A test changes
    and stops none of them. With `ready=False` it need not have heard of its PDP yet."""
    made: dict[str, ServiceProcess] = {}
    transport = {"pdp": {"transport": request.param}} if hasattr(request, "param") else {}

    def serve(address: str, settings: dict[str, Any] | None = None, *, ready: bool = True) -> ServiceProcess:
        settings = merged(transport, settings or {})
        key = json.dumps([address, settings], sort_keys=True)
        if key not in made:
            made[key] = ServiceProcess(address, settings)
            made[key].start(ready=ready)
        return made[key]

    yield serve
    for service in made.values():
        service.remove()


@pytest.fixture(scope="module")
def stand_in_server() -> Iterator[StandInPdp]:
    """One gRPC server in the PDP's place for a module; tests take it through `stand_in`."""
    server = StandInPdp()
    yield server
    server.stop()


@pytest.fixture
def stand_in(stand_in_server: StandInPdp) -> StandInPdp:
    """A gRPC server in the PDP's place that allows everything until the test tells it else."""
    stand_in_server.forget()
    return stand_in_server


@pytest.fixture(scope="session")
def allowing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy that allows every tool: a PDP reads it at once, where those that ship take two seconds of processor time."""
    directory = tmp_path_factory.mktemp("allowing")
    write(directory, "PreToolUse", rule("ALLOW"))
    return directory


@pytest.fixture(scope="module")
def policies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty directory for a module's policies."""
    return tmp_path_factory.mktemp("policies")
