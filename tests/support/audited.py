"""An audit trail as it would be: a real journal with everyday and odd records, and a store that was filled from it."""

import asyncio
import json
import random
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from hookgate.audit.chain import BEGINNING, linked
from hookgate.audit.journal import Journal
from hookgate.audit.shipping.shipment import Shipment
from hookgate.audit.store.file import StoreFile
from hookgate.ids import uuid7
from tests.support.journals import segments

#: When the records of a trail begin.
BEGIN = datetime(2026, 3, 2, 8, tzinfo=UTC)
_READS = ("src/app.py", "README.md", "docs/guide.md", "tests/test_app.py")


def stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def id_at(at: datetime) -> str:
    """Gives a UUIDv7 that was made then."""
    made = f"{int(at.timestamp() * 1000):012x}"
    return f"{made[:8]}-{made[8:]}{uuid7()[13:]}"


def decision(**fields: Any) -> dict[str, Any]:
    """Gives a decision's record, as the service writes it where nothing else is said."""
    plain: dict[str, Any] = {
        "version": 1,
        "type": "decision",
        "id": uuid7(),
        "time": stamp(BEGIN),
        "outcome": "allow",
        "mode": "enforce",
        "user": "alex",
        "roles": ["engineer"],
        "source": "header",
        "verified": False,
        "remote": "127.0.0.1",
        "event": "PreToolUse",
        "tool": "Read",
        "session_id": "s-1",
        "prompt_id": "p-1",
        "tool_use_id": "",
        "agent_id": "",
        "permission_mode": "default",
        "cwd": "/home/alex/project",
        "input": {"file_path": "/home/alex/project/README.md"},
        "facts": {"version": 1, "paths": []},
        "effect": "EFFECT_ALLOW",
        "policy": "resource.PreToolUse.vdefault",
        "scope": "",
        "reason": "",
        "error": "",
        "answer": {},
        "pdp_seconds": 0.001,
        "total_seconds": 0.0021,
        "host": "build-1",
    }
    return plain | fields


def service(kind: str, at: datetime, **detail: Any) -> dict[str, Any]:
    """Gives a record about the service."""
    return {"version": 1, "type": kind, "id": uuid7(), "time": stamp(at), "detail": detail, "host": "build-1"}


def everyday(count: int = 60, seed: int = 7) -> Iterator[dict[str, Any]]:
    """Gives a start, so many calls with their ends, now and then denied, asked about, failed or undecided, and a stop."""
    chance = random.Random(seed)
    at = BEGIN
    yield service("start", at, version="0.1.0", mode="enforce")
    for number in range(count):
        at += timedelta(seconds=chance.uniform(20, 240))
        user = chance.choice(("alex", "kim", "sam"))
        call = {
            "user": user,
            "session_id": f"s-{user}-{number // 20}",
            "tool_use_id": f"toolu_{number}",
            "verified": user == "kim",
            "cwd": f"/home/{user}/project",
        }
        what: dict[str, Any] = {"input": {"file_path": f"/home/{user}/project/{chance.choice(_READS)}"}}
        match number % 10:
            case 3:
                what = {
                    "input": {"file_path": f"/home/{user}/project/secrets/prod.key"},
                    "outcome": "deny",
                    "effect": "EFFECT_DENY",
                    "reason": "Files with secrets are not for agents.",
                }
            case 5:
                what = {"tool": "Bash", "input": {"command": "git push --force origin main"}, "outcome": "ask"}
            case 7:
                what = {
                    "tool": "Bash",
                    "input": {"command": f"ls -l src/{number}"},
                    "outcome": "no_match",
                    "policy": "NO_MATCH",
                }
            case 8:
                what = {"outcome": "error", "error": "pdp_timeout", "policy": ""}
            case 9:
                what = {
                    "mode": "observe",
                    "outcome": "deny",
                    "reason": "Observed.",
                    "would_answer": {"decision": "block"},
                }
        asked = decision(**(call | {"time": stamp(at), "id": id_at(at)} | what))
        yield asked
        if asked["outcome"] in ("allow", "no_match", "ask") or asked["mode"] == "observe":
            at += timedelta(seconds=1.5)
            failed = number % 20 == 7
            ended = {
                "time": stamp(at),
                "id": id_at(at),
                "event": "PostToolUseFailure" if failed else "PostToolUse",
                "outcome": "no_match",
                "mode": "enforce",
                "reason": "",
                "failed": failed,
                "interrupted": False,
                "ran_seconds": 1.5,
            }
            yield asked | ended
    yield service("stop", at + timedelta(seconds=30), unanswered=0)


def written(directory: Path, records: Iterable[dict[str, Any]]) -> Path:
    """Makes a journal of these records. Gives its directory."""

    async def write() -> None:
        journal = Journal(directory)
        journal.open()
        for record in records:
            await journal.append(msgspec.json.encode(record) + b"\n")
        await journal.close(timeout_seconds=10)

    asyncio.run(write())
    return directory


def shipments(directory: Path) -> list[Shipment]:
    """Gives a journal's lines as a shipper reads them."""
    found = b"".join(path.read_bytes() for path in segments(directory)).splitlines()
    records = [json.loads(line) for line in found]
    instance = records[0]["detail"]["instance"]
    return [
        Shipment(line=line, seq=record["seq"], hash=record["hash"], instance=instance)
        for line, record in zip(found, records, strict=True)
    ]


def chained(records: Iterable[dict[str, Any]], instance: str = "chain-1") -> list[Shipment]:
    """Gives records as lines of a chain that no journal holds."""
    end, found = BEGINNING, []
    for record in records:
        line, end = linked(end, msgspec.json.encode(record) + b"\n")
        found.append(Shipment(line=line[:-1], seq=end.seq, hash=end.hash.decode(), instance=instance))
    return found


def stored(directory: Path, found: Iterable[Shipment] | None = None) -> Path:
    """Makes a directory's store, of some lines or all of its journal. Gives its path."""
    path = directory / "store.sqlite"
    store = StoreFile(path)
    store.write(list(shipments(directory) if found is None else found))
    store.close()
    return path
