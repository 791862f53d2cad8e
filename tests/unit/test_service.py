"""A service that can't start leaves nothing open behind it."""

import os
import socket
import threading
from pathlib import Path

import pytest
import structlog

from hookgate.app import Service, StartError
from hookgate.audit.lock import lock
from hookgate.config.load import parse
from tests.support.wait import free_port


async def test_a_start_that_fails_late_gives_back_ports_threads_and_the_journal(tmp_path: Path) -> None:
    nonsense = tmp_path / "ca.pem"
    nonsense.write_text("no certificate")
    ports = {"server": free_port(), "admin": free_port()}
    config = parse(
        {
            "pdp": {"address": "127.0.0.1:1", "tls": {"enabled": True, "ca": str(nonsense)}},
            "server": {"port": ports["server"]},
            "admin": {"port": ports["admin"]},
            "audit": {"directory": str(tmp_path / "audit"), "shippers": []},
        },
        {},
    )
    threads = {thread.name for thread in threading.enumerate() if thread.name.startswith("journal")}
    with pytest.raises(StartError, match=r"pdp.tls.ca: .* no CA certificate"):
        await Service(config, structlog.get_logger()).start({})
    for port in ports.values():
        with socket.create_server(("127.0.0.1", port)):
            pass
    os.close(lock(tmp_path / "audit"))
    assert {thread.name for thread in threading.enumerate() if thread.name.startswith("journal")} <= threads
