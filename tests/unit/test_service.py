"""A service as a whole: one that can't start leaves nothing open behind it; one that fails at everything still denies."""

import os
import socket
import threading
from pathlib import Path

import aiohttp
import pytest
import structlog

from hookgate.app.service import Service, StartError
from hookgate.audit.lock import lock
from hookgate.config.load import parse
from hookgate.exchange import HookRequest, Reply
from hookgate.gate import Gate
from hookgate.identity.connection import Connection
from tests.support.journals import lines
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


async def test_an_answer_of_the_last_resort_denies_and_is_counted_in_the_chain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(self: Gate, request: HookRequest) -> Reply:
        raise MemoryError

    monkeypatch.setattr(Gate, "decide", broken)
    config = parse(
        {
            "pdp": {"address": "127.0.0.1:1"},
            "server": {"port": 0, "linger_seconds": 0.0},
            "admin": {"enabled": False},
            "audit": {"directory": str(tmp_path / "audit"), "shippers": []},
        },
        {},
    )
    with structlog.testing.capture_logs() as logs:
        service = Service(config, structlog.get_logger())
        await service.start({})
        async with (
            aiohttp.ClientSession() as session,
            session.post(
                f"http://{service.hooks.address}/ext/claude", json={"hook_event_name": "PreToolUse"}
            ) as answer,
        ):
            assert answer.status == 200
            assert (await answer.json())["decision"] == "block"
        await service.stop()
    assert "internal" in {entry["event"] for entry in logs}
    (gap,) = [line["detail"] for line in lines(tmp_path / "audit") if line["type"] == "gap"]
    assert (gap["answers"], gap["records"]) == ({"error": 1}, {})


async def test_a_client_that_can_not_be_made_out_is_answered_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def faulty(transport: object) -> Connection:
        raise ValueError

    monkeypatch.setattr("hookgate.app.protocol.connection_of", faulty)
    config = parse(
        {
            "pdp": {"address": "127.0.0.1:1"},
            "decision": {"deadline_seconds": 0.5},
            "server": {"port": 0, "linger_seconds": 0.0},
            "admin": {"enabled": False},
            "audit": {"directory": str(tmp_path / "audit"), "shippers": []},
        },
        {},
    )
    with structlog.testing.capture_logs() as logs:
        service = Service(config, structlog.get_logger())
        await service.start({})
        headers = {"X-Hookgate-Doctor": "1", "X-Claude-User": "\udcffz\u00fcri"}
        body = {"hook_event_name": "PreToolUse", "tool_name": "Bash", "tool_input": {"command": "ls"}}
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"http://{service.hooks.address}/ext/claude", json=body, headers=headers) as answer,
        ):
            assert answer.status == 200
            found = await answer.json()
        await service.stop()
    assert found["hookSpecificOutput"]["permissionDecision"] == "deny"
    assert "internal" in {entry["event"] for entry in logs}
    assert [line["remote"] for line in lines(tmp_path / "audit") if line["type"] == "decision"]
