"""Secrets planted in configuration, environment and requests are in nothing that the service emits."""

import asyncio
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tests.conftest import payload
from tests.faults.wire import exchange, request
from tests.integration.stand_in import StandInPdp
from tests.support.service import ROOT, ServiceProcess, merged
from tests.support.wait import until

PASSWORD, TOKEN, HEADER, BROKEN, FROM_ENVIRONMENT, BODY = PLANTED = (
    "hunter2-of-the-store",
    "hunter2-of-the-collector",
    "hunter2-in-a-header",
    "hunter2-in-a-broken-header",
    "hunter2-of-the-environment",
    "hunter2-in-a-body",
)
SHIPPERS = [
    {
        "type": "http",
        "url": f"http://alex:{PASSWORD}@127.0.0.1:1/x",
        "headers": {"Authorization": f"Bearer {TOKEN}", "X-Key": "${PLANTED}"},
    }
]


def leaks(text: str) -> list[str]:
    return [secret for secret in PLANTED if secret in text]


def everything(service: ServiceProcess) -> str:
    """Gives what it has written and what its listeners tell."""
    with urllib.request.urlopen(f"http://127.0.0.1:{service.port}/", timeout=10) as response:
        page = response.read().decode()
    told = [service.get(path)[1] for path in ("/metrics", "/readyz", "/livez")]
    return "\n".join([service.log(), page, *told, json.dumps(service.records(None))])


def test_no_planted_secret_is_in_log_metrics_probes_answers_or_records(
    make_service: Callable[..., ServiceProcess], stand_in: StandInPdp, monkeypatch: Any
) -> None:
    monkeypatch.setenv("PLANTED", FROM_ENVIRONMENT)
    service = make_service(stand_in.address, {"log": {"level": "debug"}, "audit": {"shippers": SHIPPERS}})
    bash = payload("PreToolUse.Bash", tool_input={"command": f"curl -H 'Authorization: Bearer {BODY}' x"})
    credential = f"Bearer {HEADER}"
    answers = [json.dumps(service.post(bash, {"Authorization": credential, "X-Api-Key": HEADER, "Cookie": HEADER}))]

    async def faulty() -> None:
        for sent in (
            request(b"{", f"Authorization: {credential}".encode()),
            request(b'{"Authorization": "Bearer ' + BODY.encode() + b'"'),
            request(b"{}", b"Authorization: Bearer \x01" + BROKEN.encode()),
            request(b"{}", b"X-Api-Key: " + BROKEN.encode() + b"\x00"),
            request(b"{}", b"X-Claude-User: " + b"a" * 70_000 + BROKEN.encode()),
            request(b"{}", f"Authorization: {credential}".encode(), method=b"PUT"),
            request(b"{}", f"Authorization: {credential}".encode(), content_type=b"Content-Type: text/plain"),
        ):
            found = await exchange(service.port, sent)
            answers.append(found.body.decode())

    asyncio.run(faulty())
    # A file that can't be taken, with secrets beside the fault and in its place.
    file = service.directory / "hookgate.yaml"
    wrong = [{**SHIPPERS[0], "headers": {"Authorization": [TOKEN]}}]
    file.write_text(yaml.safe_dump(merged(service.settings, {"audit": {"shippers": wrong}, "mode": 5})))
    service.send(1)
    until(lambda: service.metric("hookgate_config_faults") == 2, what="the faults")
    until(lambda: len(service.records()) >= len(answers), what="the records")
    assert leaks(everything(service) + "\n".join(answers)) == []
    # The shipper has tried: what went wrong with it is told, without its credentials.
    until(lambda: service.log_events("ship_failed"), what="the shipper to fail")
    assert leaks(service.log()) == []


def test_no_planted_secret_is_in_what_the_commands_say_of_a_configuration(tmp_path: Path) -> None:
    good = {"pdp": {"address": "unix:/x"}, "audit": {"shippers": SHIPPERS}}
    bad: list[dict[str, Any]] = [
        {"headers": [f"Authorization: {TOKEN}"]},
        {"headers": {"Authorization": {"bearer": TOKEN}}},
        {"headers": TOKEN},
        {"url": PASSWORD},
        {"url": f"ftp://alex:{PASSWORD}@x"},
        {"url": [PASSWORD]},
        {"timeout_seconds": 0},
    ]
    file = tmp_path / "hookgate.yaml"
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "proxy"), "PLANTED": FROM_ENVIRONMENT}
    for change in ({}, *bad):
        file.write_text(yaml.safe_dump(merged(good, {"audit": {"shippers": [{**SHIPPERS[0], **change}]}})))
        told = subprocess.run(
            [sys.executable, "-m", "hookgate", "config", "check", str(file)],
            env=environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert told.returncode == (1 if change else 0), told.stderr
        assert leaks(told.stdout + told.stderr) == [], change
        assert "Traceback" not in told.stderr
