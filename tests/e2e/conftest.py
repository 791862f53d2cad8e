"""The client, the stand-in of the model and a scratch home for each test.

`HOOKGATE_CLIENT` names the client's version (the pinned one by default, `no` leaves these tests out). Where the client is
wanted by default and was never fetched they are skipped with a reason; where it was asked for by version, or with
`HOOKGATE_REQUIRE=all`, that is a failure.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from hookgate.binaries import BinaryError
from tests.e2e.binary import NO_CLIENT, ClientVersion, client_binary, wanted_version
from tests.e2e.client import Workspace
from tests.e2e.hooks import HookServer
from tests.e2e.model import Model

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def client() -> Path:
    """The native client that `HOOKGATE_CLIENT` names."""
    required = os.environ.get("HOOKGATE_REQUIRE") == "all"
    version = wanted_version()
    if version == NO_CLIENT:
        message = f"HOOKGATE_CLIENT={NO_CLIENT}: the tests with the real client are left out"
        pytest.fail(message) if required else pytest.skip(message)
    try:
        return client_binary(version)
    except BinaryError as fault:
        if required or os.environ.get("HOOKGATE_CLIENT"):
            pytest.fail(str(fault))
        pytest.skip(str(fault))


@pytest.fixture(scope="session")
def version(client: Path) -> ClientVersion:
    """The client's version."""
    return ClientVersion(client.parent.name)


@pytest.fixture(scope="session")
def model() -> Iterator[Model]:
    """The stand-in of the Messages API, one for all tests: each test scripts conversations of its own."""
    stand_in = Model()
    yield stand_in
    stand_in.close()


@pytest.fixture
def space(client: Path, model: Model, tmp_path: Path) -> Iterator[Workspace]:
    """A scratch home with a git project, where the client runs."""
    yield Workspace(tmp_path, client, model.url)
    model.raise_fault()


@pytest.fixture(scope="session")
def _recorder() -> Iterator[HookServer]:
    server = HookServer()
    yield server
    server.close()


@pytest.fixture
def recorder(_recorder: HookServer) -> HookServer:
    """A hook server that records, and answers `{}` until a test says otherwise."""
    _recorder.reset()
    return _recorder
