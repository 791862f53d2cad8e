"""A console over a journal of made-up records: `hookgate ship` as a process of its own, with its store."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from bench.records import BEGIN, Company
from hookgate.audit.journal import Journal
from hookgate.audit.store.opening import open_store
from hookgate.audit.store.question import Filter, StoreError
from hookgate.ids import uuid7
from tests.support.service import merged
from tests.support.wait import free_port, until

ROOT = Path(__file__).resolve().parents[2]
#: What an attacker may put into a call: markup, a script, an override of direction, a terminal code, a zero-width space.
MARKUP = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
HOSTILE = f"echo {MARKUP} \u202egnp.exe\u202c \x1b[31mred\x1b[0m a\u200bb ' \" {{{{7*7}}}}"
SESSION = "5f0c8a1e-52a0-4e5f-9d52-0c6f63a5a8f7"
RULE = "resource.PreToolUse.vdefault#secrets"
DAYS = 10


def records(count: int) -> list[dict[str, Any]]:
    """Gives about so many records of a company's last ten days, the newest a moment ago, with one session to look at closely."""
    company = Company(users=60)
    now = datetime.now(UTC)
    found: list[dict[str, Any]] = []
    for day in range(DAYS):
        shift = (now - timedelta(days=DAYS)).replace(hour=0, minute=0, second=0, microsecond=0) - BEGIN
        for one in company.day(day, count // DAYS):
            made = datetime.fromisoformat(one["time"]) + shift
            changes: dict[str, Any] = {"time": written(made), "host": "hookgate-1"}
            if one["outcome"] == "deny" and one["event"] == "PreToolUse":
                changes["outputs"] = [{"source": RULE, "value": {"reason": one["reason"]}}]
                changes["dropped"] = (
                    [{"source": RULE, "field": "colour", "why": "unknown_field"}] if day == DAYS - 2 else []
                )
            found.append(one | changes)
    return [*found, *session(now - timedelta(minutes=9))]


def session(begin: datetime) -> list[dict[str, Any]]:
    """Gives a session with prompts, a subagent, a denial, a question that a person answered, and hostile text."""
    steps: list[tuple[str, str, dict[str, Any], str, dict[str, Any]]] = [
        ("UserPromptSubmit", "", {}, "allow", {"content_bytes": {"prompt": 214}}),
        ("PreToolUse", "Read", {"file_path": "/home/alex/shop/README.md"}, "allow", {}),
        ("PreToolUse", "Bash", {"command": "pytest -q tests/checkout", "description": "Run the tests"}, "allow", {}),
        ("PreToolUse", "Agent", {"subagent_type": "Explore", "description": "Find the cart's schema"}, "allow", {}),
        ("PreToolUse", "Grep", {"pattern": "class Cart", "path": "src"}, "allow", {"agent_id": "explore-1"}),
        ("PreToolUse", "Read", {"file_path": "/home/alex/shop/src/cart/models.py"}, "allow", {"agent_id": "explore-1"}),
        (
            "PreToolUse",
            "Read",
            {"file_path": "/home/alex/shop/.env.production"},
            "deny",
            {"agent_id": "explore-1", "reason": "Files with secrets are not read: .env.production"},
        ),
        ("PreToolUse", "Bash", {"command": "git push origin cart"}, "ask", {"reason": "A person decides about this."}),
        ("UserPromptSubmit", "", {}, "allow", {"content_bytes": {"prompt": 88}}),
        ("PreToolUse", "Bash", {"command": HOSTILE, "description": "<b>bold</b>"}, "deny", {"reason": HOSTILE}),
        ("PreToolUse", "mcp__tracker__get_issue", {"id": "SHOP-7"}, "no_match", {}),
    ]
    found = []
    for number, (event, tool, given, outcome, more) in enumerate(steps):
        at = begin + timedelta(seconds=31 * number)
        one = decision(at, event=event, tool=tool, input=given, outcome=outcome, **more)
        found.append(one)
        if tool and outcome in ("allow", "ask"):
            end = {"failed": tool == "Bash" and outcome == "allow", "ran_seconds": 0.8 + number}
            named = "PostToolUseFailure" if end["failed"] else "PostToolUse"
            same = {name: one[name] for name in ("tool_use_id", "input")} | (
                {"agent_id": one["agent_id"]} if "agent_id" in one else {}
            )
            found.append(decision(at + timedelta(seconds=9), event=named, tool=tool, outcome="allow", **same, **end))
    return found


def decision(at: datetime, **changes: Any) -> dict[str, Any]:
    """Gives a decision's record."""
    name = uuid7()
    policy = (
        "NO_MATCH"
        if changes.get("outcome") == "no_match"
        else f"resource.{changes.get('event', 'PreToolUse')}.vdefault"
    )
    outputs = [{"source": RULE, "value": {"reason": "…"}}] if changes.get("outcome") == "deny" else []
    return {
        "version": 1,
        "type": "decision",
        "id": name,
        "time": written(at),
        "host": "hookgate-1",
        "outcome": "allow",
        "mode": "enforce",
        "user": "alex",
        "roles": ["engineer"],
        "source": "peer",
        "verified": True,
        "remote": "127.0.0.1",
        "labels": {"Client": "2.1.330"},
        "event": "PreToolUse",
        "tool": "Bash",
        "session_id": SESSION,
        "tool_use_id": f"toolu_{name[-20:]}",
        "input": {},
        "policy": policy,
        "outputs": outputs,
        "reason": "",
        "pdp_seconds": 0.0011,
        "total_seconds": 0.0024,
        **changes,
    }


def written(at: datetime) -> str:
    """Gives a time as records have it."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def journal(directory: Path, found: Iterable[dict[str, Any]]) -> None:
    """Appends records to a journal, and signs what is there."""

    async def write() -> None:
        opened = Journal(directory)
        opened.open()
        await asyncio.gather(*(opened.append(json.dumps(one).encode() + b"\n") for one in found))
        await opened.close(timeout_seconds=10)

    # On a thread of its own: in this one the browser's driver may have an event loop running.
    thread = threading.Thread(target=lambda: asyncio.run(write()))
    thread.start()
    thread.join()


class ConsoleProcess:
    """One `hookgate ship` with the pages."""

    def __init__(self, directory: Path | None = None, console: dict[str, Any] | None = None, **settings: Any) -> None:
        self.directory = directory or Path(tempfile.mkdtemp(prefix="console-"))
        self.port = free_port()
        self.settings = merged(
            {
                "pdp": {"address": "unix:none"},
                "admin": {"enabled": False},
                "audit": {"directory": str(self.audit), "shippers": [{"type": "sqlite"}]},
                "console": {"enabled": True, "port": self.port, **(console or {})},
                "log": {"format": "json"},
            },
            settings,
        )
        scheme = "https" if self.settings["console"].get("tls") else "http"
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def audit(self) -> Path:
        """The journal's directory."""
        return self.directory / "audit"

    def start(self, *, waits: bool = True) -> "ConsoleProcess":
        """Starts it, and waits until it answers."""
        (self.directory / "hookgate.yaml").write_text(yaml.safe_dump(self.settings))
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "hookgate", "ship", "--config", str(self.directory / "hookgate.yaml")],
                env={**os.environ, "PYTHONPATH": str(ROOT / "proxy")},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        if waits:
            until(self._answers, seconds=30, what="the console to answer")
        return self

    def stored(self, count: int) -> None:
        """Waits until the store has so many decisions."""
        until(lambda: self._count() >= count, seconds=60, what=f"{count} decisions in the store")

    def link(self) -> str:
        """Gives the link that counts now."""
        return (self.audit / "console.url").read_text().strip()

    def log(self) -> str:
        """What it has logged."""
        return (self.directory / "log").read_text()

    def notes(self) -> list[dict[str, Any]]:
        """Gives the looks that wait for a service to record them, oldest first."""
        return [json.loads(path.read_bytes()) for path in sorted((self.audit / "notes").glob("*.json"))]

    def stop(self) -> None:
        """Ends it."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log()[-3000:]
        return re.search(r'"event": ?"console_listening"', self.log()) is not None

    def _count(self) -> int:
        try:
            store = open_store(self.audit / "store.sqlite")
        except StoreError:
            return 0
        try:
            return store.stats(Filter(), top=1, buckets=1, closely=False).total
        finally:
            store.close()


def get(url: str, **headers: str) -> tuple[int, dict[str, str], str]:
    """Asks without following redirects; gives status, headers and text."""
    request = urllib.request.Request(url, headers=headers)

    class Still(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *args: Any) -> None:
            return None

    try:
        with urllib.request.build_opener(Still).open(request, timeout=20) as answer:
            return answer.status, dict(answer.headers), answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers), error.read().decode()
