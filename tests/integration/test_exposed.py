"""A service whose files others can write does not start, or says so."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.integration.stand_in import StandInPdp
from tests.support.service import ROOT, ServiceProcess


@pytest.fixture
def records(tmp_path: Path) -> Path:
    """A directory for records that everybody can write."""
    found = tmp_path / "records"
    found.mkdir()
    found.chmod(0o777)
    return found


def test_a_directory_that_everybody_can_write_keeps_it_from_starting(records: Path, tmp_path: Path) -> None:
    file = tmp_path / "hookgate.yaml"
    file.write_text(yaml.safe_dump({"pdp": {"address": "127.0.0.1:1"}, "audit": {"directory": str(records)}}))
    told = subprocess.run(
        [sys.executable, "-m", "hookgate", "serve", "--config", str(file)],
        env={**os.environ, "PYTHONPATH": str(ROOT / "proxy")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert told.returncode == 1
    (line,) = told.stderr.splitlines()
    assert line.startswith(
        f"hookgate: audit.directory: {records}: everybody can write it; take the right to write away"
    )
    assert list(records.iterdir()) == []


def test_with_exposed_files_warn_it_starts_and_says_so(
    records: Path, stand_in: StandInPdp, make_service: Callable[..., ServiceProcess]
) -> None:
    service = make_service(stand_in.address, {"exposed_files": "warn", "audit": {"directory": str(records)}})
    warnings = json.loads(service.get("/readyz")[1])["warnings"]
    assert f"audit.directory: {records}: everybody can write it" in warnings
    assert {line["detail"] for line in service.log_events("exposed")} == set(warnings)
