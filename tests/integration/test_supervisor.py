"""The shipping process's keeper: whatever becomes of the process, it is started again, and the metrics tell."""

import asyncio
import os
import signal
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import structlog
from prometheus_client import CollectorRegistry

from hookgate.app import supervisor
from hookgate.app.supervisor import Supervisor
from hookgate.config import parse
from hookgate.telemetry.shipping import ShipMetrics
from tests.integration.running import environment

#: Speaks as the shipping process does, without doing anything: first it is handed the settings.
_CHILD = """
import json, os, socket, sys, time
own = socket.socket(fileno=int(sys.argv[1]))
handed = own.makefile("rb").readline()
def report(**figures):
    own.sendall(json.dumps({"shippers": [{"name": "stdout", **figures}]}).encode() + b"\\n")
"""


@pytest.fixture
def metrics() -> ShipMetrics:
    return ShipMetrics(CollectorRegistry())


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "_FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(supervisor, "DRAIN_SECONDS", 1.0)
    for name, value in environment().items():
        monkeypatch.setenv(name, value)


def keeper(metrics: ShipMetrics, script: str = "", *, silent_seconds: float = 30.0, **audit: Any) -> Supervisor:
    config = parse({"pdp": {"address": "unix:/none"}, "audit": {"shippers": [{"type": "stdout"}], **audit}}, {})
    command = (sys.executable, "-c", _CHILD + textwrap.dedent(script)) if script else ()
    return Supervisor(config, metrics, structlog.get_logger(), silent_seconds=silent_seconds, command=command)


def value(metrics: ShipMetrics, name: str) -> float:
    return next(
        sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == f"hookgate_ship_{name}"
    )


async def until(condition: Callable[[], object], *, seconds: float = 30.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 (a metric has no event)
            await asyncio.sleep(0.01)


async def test_one_that_ends_is_started_again_and_counts_go_on(metrics: ShipMetrics) -> None:
    kept = keeper(metrics, "report(shipped=3, lag_records=7, last_success_seconds=1.5)\ntime.sleep(0.05)\nsys.exit(3)")
    kept.start()
    await until(lambda: value(metrics, "restarts_total") >= 2)
    await until(lambda: value(metrics, "shipped_total") >= 6)
    assert value(metrics, "shipped_total") % 3 == 0
    assert value(metrics, "lag_records") == 7
    assert value(metrics, "last_success_age_seconds") >= 1.5
    await kept.stop()
    assert kept.pid is None


async def test_one_that_is_frozen_is_killed_and_started_again(metrics: ShipMetrics) -> None:
    kept = keeper(metrics, "while True:\n    report(shipped=1)\n    time.sleep(0.05)", silent_seconds=0.5)
    kept.start()
    await until(lambda: value(metrics, "up") == 1)
    first = kept.pid
    assert first
    os.kill(first, signal.SIGSTOP)
    await until(lambda: value(metrics, "restarts_total") == 1)
    await until(lambda: value(metrics, "up") == 1)
    assert kept.pid not in (None, first)
    await kept.stop()
    assert kept.pid is None


async def test_one_that_does_not_end_is_ended(metrics: ShipMetrics) -> None:
    kept = keeper(metrics, "report()\nwhile True:\n    time.sleep(60)")
    kept.start()
    await until(lambda: value(metrics, "up") == 1)
    await kept.stop()
    assert kept.pid is None
    assert value(metrics, "restarts_total") == 0


async def test_one_that_talks_nonsense_is_listened_to_on(metrics: ShipMetrics) -> None:
    kept = keeper(metrics, "own.sendall(b'nonsense\\n{}\\n')\nreport(failures=2)\ntime.sleep(60)")
    kept.start()
    await until(lambda: value(metrics, "failures_total") == 2)
    await kept.stop()


async def test_what_can_not_be_started_is_told_and_tried_again(
    metrics: ShipMetrics, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = keeper(metrics, "-")
    kept._command = ("/none/python",)
    kept.start()
    await until(lambda: value(metrics, "restarts_total") >= 2)
    assert value(metrics, "up") == 0
    await kept.stop()
    assert "could not be started: No such file or directory" in capsys.readouterr().out


async def test_it_is_handed_the_settings_and_no_variable_that_is_one(
    metrics: ShipMetrics, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOOKGATE__AUDIT__SHIPPERS", "secret")
    out = tmp_path / "handed"
    script = (
        f"open({str(out)!r}, 'wb').write(handed + json.dumps(sorted(os.environ)).encode())\nreport()\ntime.sleep(60)"
    )
    kept = keeper(metrics, script, directory="/somewhere")
    kept.start()
    await until(lambda: value(metrics, "up") == 1)
    await kept.stop()
    handed = out.read_text()
    assert '"directory":"/somewhere"' in handed
    assert "PATH" in handed
    assert "HOOKGATE__" not in handed


async def test_the_real_one_takes_the_settings_and_ends_in_order(metrics: ShipMetrics, tmp_path: Path) -> None:
    (tmp_path / "audit").mkdir()
    kept = keeper(metrics, directory=str(tmp_path / "audit"))
    kept.start()
    await until(lambda: value(metrics, "up") == 1)
    assert (tmp_path / "audit" / "ship.lock").exists()
    await kept.stop()
    assert kept.pid is None
    assert value(metrics, "restarts_total") == 0
