"""Posting a hook and finding the one record that belongs to it."""

import json
import re
import uuid
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from tests.conftest import payload
from tests.support.service import ServiceProcess

_DECISION = re.compile(r"\[hookgate ([0-9a-f-]{36})\]")


@dataclass(frozen=True)
class Decided:
    """An answer and its record."""

    answer: dict[str, Any]
    record: dict[str, Any]

    @property
    def permission(self) -> str:
        """`allow`, `deny`, `ask` or `defer`, as PreToolUse is told; empty where it is told nothing."""
        found: str = self.answer.get("hookSpecificOutput", {}).get("permissionDecision", "")
        return found

    @property
    def reason(self) -> str:
        """The reason beside it."""
        found: str = self.answer.get("hookSpecificOutput", {}).get("permissionDecisionReason", "")
        return found


def decide(
    service: ServiceProcess,
    body: Mapping[str, Any] | None = None,
    headers: dict[str, str] | None = None,
    **changes: Any,
) -> Decided:
    """Posts a payload (a Bash call before it runs, unless another is given) under a session id of its own."""
    session = str(uuid.uuid4())
    answer = service.post({**(body or payload("PreToolUse.Bash")), **changes, "session_id": session}, headers)
    return Decided(answer, record_of(service, session, answer))


def record_of(service: ServiceProcess, session: str, answer: dict[str, Any]) -> dict[str, Any]:
    """Gives the one record of a session; where the payload could not be read, the one that the answer's reason leads to."""
    named = _DECISION.search(json.dumps(answer))
    found = [
        record
        for record in service.records()
        if record["session_id"] == session or (named and record["id"] == named.group(1))
    ]
    assert len(found) == 1, found
    return found[0]


def decide_by(services: Mapping[str, ServiceProcess], body: Mapping[str, Any] | None = None) -> dict[str, Decided]:
    """Posts the same payload to several services at once; gives what each of them said by its name."""
    with ThreadPoolExecutor(len(services)) as pool:
        found: Iterable[Decided] = pool.map(lambda service: decide(service, body), services.values())
        return dict(zip(services, found, strict=True))
