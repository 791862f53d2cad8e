"""Shippers beside each other: one that can't even be made stops none of the others."""

import asyncio
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog

from hookgate.audit.shipping import delivery
from hookgate.audit.shipping.fleet import Fleet
from hookgate.audit.shipping.shipment import Sink
from hookgate.audit.sinks import making
from hookgate.config.audit import Audit
from hookgate.config.shippers import AnyShipper
from tests.integration.running import run
from tests.support.laid import LaidJournal
from tests.support.sinks import FakeSink

PASSWORD = "s3cretpw"
BROKEN = {"type": "postgres", "name": "broken", "url": f"postgresql://u:{PASSWORD}@[bad/db"}


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses as short as they can be."""
    monkeypatch.setattr(delivery, "_FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(delivery, "_LAST_PAUSE_SECONDS", 0.01)


def fleet_of(directory: Path, *shippers: dict[str, Any], patience_seconds: float = 0.05) -> Fleet:
    """Gives a fleet of shippers that no check has seen."""
    audit = msgspec.convert({"directory": str(directory), "shippers": shippers}, Audit)
    return Fleet(audit, structlog.get_logger(), patience_seconds=patience_seconds)


async def shipped(fleet: Fleet) -> dict[str, tuple[int, int, str]]:
    """Ships all there is; gives how much each shipper has delivered and not delivered, and why."""
    fleet.open()
    fleet.end(is_closed=True)
    try:
        async with asyncio.timeout(30):
            await fleet.run()
        return {one.name: (one.shipped, one.lag_records, one.error) for one in (await fleet.status()).shippers}
    finally:
        fleet.close()


async def test_a_sink_that_cannot_be_made_fails_alone_and_tells_no_secret(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = LaidJournal(tmp_path / "audit")
    journal.fill(4)
    out = tmp_path / "out.jsonl"
    found = await shipped(fleet_of(journal.directory, BROKEN, {"type": "file", "path": str(out)}))
    count = len(journal.lines)
    assert found["file"] == (count, 0, "")
    assert out.read_bytes().splitlines() == journal.lines
    assert found["broken"][:2] == (0, count)
    assert found["broken"][2] == "can't be made of its settings in audit.shippers (ValueError)"
    told = capsys.readouterr().out
    assert "ship_failed" in told
    assert PASSWORD not in told


async def test_a_missing_library_is_named_and_looked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = LaidJournal(tmp_path / "audit")
    journal.fill(4)
    sink, made = FakeSink(), []

    def missing(shipper: AnyShipper, directory: Path) -> Sink:
        made.append(shipper)
        if len(made) < 4:
            raise ModuleNotFoundError("No module named 'aiokafka'", name="aiokafka")
        return sink

    monkeypatch.setattr(making, "_made", missing)
    kafka = {"type": "kafka", "brokers": ["kafka:1"], "topic": "t"}
    found = await shipped(fleet_of(journal.directory, kafka, patience_seconds=20))
    assert found == {"kafka": (len(journal.lines), 0, "")}
    assert sink.lines == journal.lines
    assert sink.closed == 1
    assert "the module aiokafka is missing: pip install 'hookgate[kafka]', or take kafka out" in capsys.readouterr().out


def test_a_fault_that_nobody_expected_is_one_line_of_the_log(tmp_path: Path) -> None:
    config = tmp_path / "hookgate.yaml"
    config.write_text("pdp: {address: 'unix:/pdp.sock'}\nlog: {format: json}\naudit: {shippers: [{type: stdout}]}\n")
    before = (
        "from hookgate.audit.shipping.fleet import Fleet\n"
        "def fail(self):\n    raise RuntimeError('unexpected')\n"
        "Fleet.open = fail"
    )
    done = run("ship", "--config", config, before=before)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    event = json.loads(line)
    assert (event["event"], event["level"]) == ("internal", "error")
    assert event["exception"][0]["exc_type"] == "RuntimeError"
