"""Records as a company's developers leave them: users, sessions, tools, commands, files, what was denied and why.

The same seed gives the same records; only the fields that Hookgate itself has added since differ.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec

from bench.work import DENIED, TOOLS, WEIGHTS, WORDS, facts_of, input_of, path_in
from hookgate.audit.chain import BEGINNING, Link, linked
from hookgate.audit.record import Record
from hookgate.audit.segments import DIRECTORY, segment_path
from hookgate.audit.shipping.shipment import Shipment

#: The quarter that the records are of.
BEGIN = datetime(2026, 7, 1, tzinfo=UTC)
DAYS = 90
SEGMENT_BYTES = 64 * 1024 * 1024
#: On how many calls a session has, most are two records: asked and ran.
_CALLS = 24
_WEEKEND = 0.15

_BASE = msgspec.to_builtins(
    Record(id="", time="", outcome="allow", mode="enforce", source="header", remote="10.20.30.40")
)


@dataclass(frozen=True)
class Company:
    """Who works there."""

    users: int = 1000
    instance: str = "01a1e8a0-0000-7000-8000-000000000001"
    seed: int = 1

    def day(self, number: int, count: int) -> list[dict[str, Any]]:
        """Gives about so many records of a day of the quarter, in the order of their time."""
        chance = random.Random(f"{self.seed} {number}")
        records: list[tuple[datetime, dict[str, Any]]] = []
        while len(records) < count:
            records += self._session(chance, BEGIN + timedelta(days=number))
        records.sort(key=lambda pair: pair[0])
        return [record for _, record in records[:count]]

    def days(self, count: int) -> list[int]:
        """Gives how many of so many records each day has: few on weekends."""
        weights = [_WEEKEND if (BEGIN + timedelta(days=day)).weekday() >= 5 else 1.0 for day in range(DAYS)]
        found = [int(count * weight / sum(weights)) for weight in weights]
        found[0] += count - sum(found)
        return found

    def _session(self, chance: random.Random, day: datetime) -> Iterator[tuple[datetime, dict[str, Any]]]:
        # A few work much, many little.
        user = f"user{min(int(chance.paretovariate(0.7)), self.users) if chance.random() < 0.3 else chance.randrange(self.users):04d}"
        session_id, prompt_id = _uuid(chance, day), _uuid(chance, day)
        at = day + timedelta(hours=min(23.0, max(0.0, chance.gauss(13, 3))), seconds=chance.random() * 60)
        home = f"/home/{user}/{chance.choice(WORDS)}"
        roles = ["engineer", "admin"] if user.endswith("7") else ["engineer"]
        shared = {
            "user": user,
            "roles": roles,
            "verified": not user.endswith("3"),
            "session_id": session_id,
            "permission_mode": "default",
            "cwd": home,
        }
        for _ in range(max(1, int(chance.expovariate(1 / _CALLS)))):
            if chance.random() < 0.15:
                prompt_id = _uuid(chance, at)
            at += timedelta(seconds=chance.expovariate(1 / 12), microseconds=chance.randrange(1000))
            if at.date() != day.date():
                return
            yield from self._call(chance, at, {**shared, "prompt_id": prompt_id}, home)

    def _call(
        self, chance: random.Random, at: datetime, shared: dict[str, Any], home: str
    ) -> Iterator[tuple[datetime, dict[str, Any]]]:
        luck = chance.random()
        reason, outcome, error, policy = "", "allow", "", "resource.PreToolUse.vdefault"
        if luck < 0.03:
            outcome = "deny"
            tool, member, pattern, reason = chance.choice(DENIED)
            path, words = path_in(chance, home), {"user": shared["user"], "home": home, "word": chance.choice(WORDS)}
            given: dict[str, Any] = {member: pattern.format(path=path, **words)}
            reason = reason.format(**words)
        else:
            (tool,) = chance.choices(TOOLS, WEIGHTS)
            given = input_of(chance, tool, home)
            if luck < 0.035:
                outcome, error, policy = (
                    "error",
                    chance.choice(("pdp_timeout", "pdp_unavailable", "deadline_exceeded")),
                    "",
                )
            elif luck < 0.05 or tool.startswith("mcp__"):
                outcome, policy = "no_match", "NO_MATCH"
            elif luck < 0.07:
                outcome, reason = "ask", "A person decides about this."
        call = {
            **_BASE,
            **shared,
            "id": _uuid(chance, at),
            "time": _text(at),
            "outcome": outcome,
            "event": "PreToolUse",
            "tool": tool,
            "tool_use_id": f"toolu_01{_letters(chance, 22)}",
            "input": given,
            "facts": facts_of(given, home),
            "body_bytes": 500 + chance.randrange(900),
            "effect": "EFFECT_DENY" if outcome == "deny" else "EFFECT_ALLOW" if outcome in ("allow", "ask") else "",
            "policy": policy,
            "reason": reason,
            "error": error,
            "call_id": _letters(chance, 26),
            "answer": {} if outcome in ("allow", "no_match") else _answer(outcome, reason),
            "pdp_seconds": round(0.0004 + chance.expovariate(2000), 6),
            "total_seconds": round(0.001 + chance.expovariate(1500), 6),
            **_digests(chance),
        }
        yield at, call
        if outcome in ("allow", "no_match", "ask") and chance.random() < 0.95:
            seconds = chance.expovariate(1 / 2.0)
            failed = chance.random() < 0.06
            after = at + timedelta(seconds=seconds)
            if after.date() == at.date():
                event = "PostToolUseFailure" if failed else "PostToolUse"
                yield (
                    after,
                    {
                        **call,
                        "id": _uuid(chance, after),
                        "time": _text(after),
                        "outcome": "allow",
                        "event": event,
                        "policy": "resource.PostToolUse.vdefault",
                        "effect": "EFFECT_ALLOW",
                        "reason": "",
                        "answer": {},
                        "call_id": _letters(chance, 26),
                        "failed": failed,
                        "interrupted": False,
                        "ran_seconds": round(seconds, 3),
                        "response_bytes": chance.randrange(20_000),
                    },
                )


def shipments(records: list[dict[str, Any]], instance: str, end: Link = BEGINNING) -> tuple[list[Shipment], Link]:
    """Gives records as lines of a chain that go on behind `end`, and the new end."""
    found = []
    for record in records:
        line, end = linked(end, msgspec.json.encode(record) + b"\n")
        found.append(Shipment(line[:-1], end.seq, end.hash.decode(), instance))
    return found, end


def write(count: int, directory: Path, company: Company) -> int:
    """Writes records as a journal's segments, without checkpoints; gives the bytes. They are read as they come: memory holds
    one day."""
    (directory / DIRECTORY).mkdir(parents=True, exist_ok=True)
    end, size, whole = BEGINNING, 0, 0
    stream = segment_path(directory, 1).open("xb")
    try:
        for day, number in enumerate(company.days(count)):
            for record in company.day(day, number):
                line, end = linked(end, msgspec.json.encode(record) + b"\n")
                if size + len(line) > SEGMENT_BYTES:
                    stream.close()
                    stream, size = segment_path(directory, end.seq).open("xb"), 0
                size += stream.write(line)
                whole += len(line)
    finally:
        stream.close()
    return whole


def _answer(outcome: str, reason: str) -> dict[str, Any]:
    decision = "ask" if outcome == "ask" else "deny"
    return {
        "hookSpecificOutput": {
            "hookEventName": "PreToolUse",
            "permissionDecision": decision,
            "permissionDecisionReason": reason or "No decision could be made.",
        }
    }


def _digests(chance: random.Random) -> dict[str, str]:
    return {name: blake2b(chance.randbytes(8), digest_size=32).hexdigest() for name in ("body_digest", "input_digest")}


def _uuid(chance: random.Random, at: datetime) -> str:
    head, tail = f"{int(at.timestamp() * 1000):012x}", f"{chance.getrandbits(74):019x}"
    return f"{head[:8]}-{head[8:]}-7{tail[:3]}-8{tail[3:6]}-{tail[6:18]}"


def _letters(chance: random.Random, count: int) -> str:
    return f"{chance.getrandbits(5 * count):0{count}x}"[-count:].upper()


def _text(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
