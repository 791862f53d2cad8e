"""The comparison of hooks in the client's eyes: what is timed is whole tool calls, each with its hook answered by Hookgate."""

from pathlib import Path

from bench.call import in_client
from bench.hooks import hooks
from bench.servers import BenchService
from bench.variants import HOOKGATE
from tests.e2e.client import Workspace
from tests.e2e.model import Model
from tests.support.pdp import Pdp


def test_the_client_waits_for_the_hook_that_is_compared(
    shipped_pdp: Pdp, space: Workspace, model: Model, tmp_path: Path
) -> None:
    service = BenchService(shipped_pdp.address, HOOKGATE)
    try:
        service.start()
        (http,) = [hook for hook in hooks(service, tmp_path) if hook.name == "http"]
        taken = in_client(http, space, model, 2)
        # One call before those that are timed, and one behind them; a busy client may ask once more.
        assert len(taken) == 2
        assert service.allowed() >= 4
    finally:
        service.remove()
    assert all(seconds > 0 for seconds in taken)
