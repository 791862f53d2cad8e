"""Services to attack: one that denies what nobody could decide, and one that lets it pass."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.guard import Guard
from tests.support.client_schema import EVENTS
from tests.support.pdp import Pdp
from tests.support.service import ServiceProcess

#: Whoever gets past the guard is let through, and told so by `{}`.
_ALLOW_ALL = """\
apiVersion: api.cerbos.dev/v1
resourcePolicy:
  resource: {kind}
  version: default
  rules:
    - actions: ["*"]
      effect: EFFECT_ALLOW
      roles: ["*"]
"""
#: A tool that is denied, with an output that hands back what was asked.
_ECHO = """\
    - actions: ["Echo"]
      effect: EFFECT_DENY
      roles: ["*"]
      output:
        when:
          ruleActivated: '{"decision": "block", "reason": "never echo", "asked": R.attr.tool_input}'
"""

BOTH = pytest.mark.parametrize("on_error", ["deny", "pass"])


def write_policies(directory: Path) -> None:
    """Writes policies that allow everything, but for the tool named Echo."""
    for kind in (*EVENTS, "EventOfTomorrow"):
        extra = _ECHO if kind == "PreToolUse" else ""
        (directory / f"{kind}.yaml").write_text(_ALLOW_ALL.format(kind=kind) + extra)


@pytest.fixture(scope="session")
def permissive(cerbos: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pdp]:
    """A PDP that allows everything; not to be stopped by a test."""
    policies = tmp_path_factory.mktemp("permissive")
    write_policies(policies)
    pdp = Pdp(policies).start()
    yield pdp
    pdp.stop()


def _guarding(pdp: Pdp, on_error: str, **settings: Any) -> Iterator[Guard]:
    service = ServiceProcess(pdp.address, {"on_error": on_error, **settings}).start()
    yield Guard(service, on_error)
    service.remove()


@pytest.fixture(scope="session", params=["deny", "pass"])
def guard(request: pytest.FixtureRequest, permissive: Pdp) -> Iterator[Guard]:
    """A service as it comes, once with each extreme of `on_error`: what the caller brings about is denied with both."""
    yield from _guarding(permissive, request.param)


@pytest.fixture(scope="session", params=["deny", "pass"])
def hasty(request: pytest.FixtureRequest, permissive: Pdp) -> Iterator[Guard]:
    """A service with short deadlines, for what takes until then."""
    yield from _guarding(
        permissive,
        request.param,
        decision={"deadline_seconds": 0.8},
        server={"first_request_seconds": 0.4},
    )
