"""Records of requests as the service leaves them: with the facts, levels, marks and cuts that its own code makes."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from hookgate.audit.redact import Redactor
from hookgate.audit.scribe import Scribe
from hookgate.case import Case, record_of
from hookgate.config.audit import Level
from hookgate.errors import ErrorKind
from hookgate.facts import facts_of
from hookgate.hooks.answer import EMPTY
from hookgate.hooks.decode import Read
from hookgate.hooks.event import event_from
from hookgate.hooks.opinion import Opinion
from hookgate.hooks.verdict import Verdict
from hookgate.identity.principal import Principal, Source
from hookgate.outcome import Outcome
from hookgate.pdp.decision import Decision, Effect, Output

BEGIN = datetime(2026, 11, 16, 8, tzinfo=UTC)
_SCRIBE = Scribe(Redactor(b"k" * 32))


def asked(
    number: int,
    tool: str = "Bash",
    tool_input: dict[str, Any] | str | None = None,
    *,
    outcome: str = "allow",
    event: str = "PreToolUse",
    user: str = "alex",
    roles: tuple[str, ...] = ("engineer",),
    level: Level = Level.REDACTED,
    scope: str = "",
    rule: str = "",
    more: dict[str, Any] | None = None,
    claims: dict[str, Any] | None = None,
    changes: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Gives the record of a request; of Bash the input may be its command."""
    given = {"command": tool_input} if isinstance(tool_input, str) else tool_input or {}
    payload: dict[str, Any] = {
        "hook_event_name": event,
        "session_id": f"session-{user}",
        "cwd": "/home/dev/project",
        "permission_mode": "default",
    }
    if tool:
        payload |= {"tool_name": tool, "tool_input": given, "tool_use_id": f"toolu_{number}"}
    found = event_from(Read(payload | (more or {}), altered=False, truncated=()))
    case = Case(id=f"decision-{number:06d}", remote="127.0.0.1", body_bytes=len(json.dumps(payload)), level=level)
    case.event, case.spec, case.facts = found, found.spec, facts_of(found)
    case.principal = Principal(user, tuple(sorted(roles)), Source.HEADER, claims=claims or {})
    case.policy_version, case.asked_scope = "default", scope
    if outcome == "error":
        case.fail(ErrorKind.PDP_UNAVAILABLE, "")
    else:
        denied = outcome == "deny"
        value = {"hookSpecificOutput": {"permissionDecision": outcome, "permissionDecisionReason": "So it was."}}
        case.decision = Decision(
            Effect.DENY if denied else Effect.ALLOW,
            policy="NO_MATCH" if outcome == "no_match" else f"resource.{event}.vdefault",
            no_match=outcome == "no_match",
            outputs=(Output(rule, value),) if rule else (),
        )
        case.verdict = Verdict(Outcome(outcome), Opinion.DENY if denied else Opinion.NONE)
    line, _ = _SCRIBE.decision(record_of(case, EMPTY, EMPTY))
    at = BEGIN + timedelta(seconds=number)
    record: dict[str, Any] = json.loads(line)
    return record | {"time": at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")} | (changes or {})
