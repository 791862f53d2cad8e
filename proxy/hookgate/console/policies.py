"""Policies: which rules fired, how often, for whom; which never did; what does not fit together; how the PDP is doing."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import msgspec
from aiohttp import web

from hookgate.audit.error import UNREADABLE
from hookgate.audit.store.columns import JOINT
from hookgate.audit.store.question import Active, Store
from hookgate.console.overview import PERIODS
from hookgate.console.shown import page
from hookgate.console.surroundings import around, remote_of, visitor_of
from hookgate.moments import moment
from hookgate.policies.source import policies_in

_MOST_USERS = 5
_ADMIN_SECONDS = 2.0
_READINESS_BYTES = 256 * 1024


class Rule(NamedTuple):
    """One rule, as outputs name it. `users`: for whom it fired most."""

    policy: str
    name: str
    active: Active | None
    users: list[tuple[str, int]]
    file: str = ""
    line: int = 0
    #: Whether it can be seen to fire: only a rule with an output says so.
    tells: bool = True


class _Counted(NamedTuple):
    policies: dict[str, Active]
    rules: dict[str, Active]
    users: dict[str, Active]
    findings: dict[str, Active]


async def show(request: web.Request) -> web.Response:
    """The page."""
    now = datetime.now(UTC)
    since_text = request.query.get("since", "")
    since_text = since_text if since_text in PERIODS else "7d"
    since = moment(since_text, now)
    surroundings = around(request)

    def ask(store: Store) -> _Counted:
        return _Counted(*(store.active(kind, since, now) for kind in ("policy", "rule", "rule_user", "finding")))

    counted, (written, fault), readiness = await asyncio.gather(
        surroundings.ask(ask), _written(surroundings.config.policies), _readiness(surroundings.admin)
    )
    await surroundings.looks.viewed(visitor_of(request), remote_of(request), "policies", {"since": since_text}, 0)
    rules = _rules(counted, written)
    return page(
        request,
        "policies.html.j2",
        since=since_text,
        periods={name: text for name, text in PERIODS.items() if name != "1h"},
        policies=sorted(counted.policies.items(), key=lambda pair: (-pair[1].count, pair[0])),
        fired=[rule for rule in rules if rule.active is not None],
        never=[rule for rule in rules if rule.active is None and rule.tells],
        silent=[rule for rule in rules if rule.active is None and not rule.tells],
        findings=_findings(counted.findings),
        directory=surroundings.config.policies,
        fault=fault,
        readiness=readiness,
        admin=surroundings.admin,
    )


def _rules(counted: _Counted, written: Mapping[str, Rule]) -> list[Rule]:
    users: dict[str, list[tuple[str, int]]] = {}
    for name, found in counted.users.items():
        source, _, user = name.partition(JOINT)
        users.setdefault(source, []).append((user, found.count))
    fired = []
    for source, active in sorted(counted.rules.items(), key=lambda pair: (-pair[1].count, pair[0])):
        policy, _, name = source.partition("#")
        most = sorted(users.get(source, []), key=lambda pair: (-pair[1], pair[0]))[:_MOST_USERS]
        known = written.get(source)
        fired.append(Rule(policy, name, active, most, known.file if known else "", known.line if known else 0))
    return [*fired, *(rule for source, rule in sorted(written.items()) if source not in counted.rules)]


def _findings(found: dict[str, Active]) -> dict[str, list[tuple[str, int]]]:
    """Gives what does not fit together, by kind."""
    kinds: dict[str, list[tuple[str, int]]] = {}
    for name, active in sorted(found.items(), key=lambda pair: (-pair[1].count, pair[0])):
        kind, _, what = name.partition(JOINT)
        kinds.setdefault(kind, []).append((what.replace(JOINT, " · "), active.count))
    return kinds


async def _written(directory: str) -> tuple[dict[str, Rule], str]:
    """Gives the rules of a directory by the names that outputs give them, and what was wrong with reading it."""
    if not directory:
        return {}, ""
    try:
        return await asyncio.to_thread(_read, Path(directory)), ""
    except OSError as error:
        return {}, f"{error.filename or directory}: {error.strerror}"


def _read(directory: Path) -> dict[str, Rule]:
    found: dict[str, Rule] = {}
    for policy in policies_in(directory):
        scope = f"/{policy.scope}" if policy.scope else ""
        name = f"resource.{policy.kind}.v{policy.version}{scope}"
        for rule in policy.rules:
            tells = bool(rule.outputs or rule.outputs_unmet)
            found[f"{name}#{rule.title}"] = Rule(name, rule.title, None, [], policy.file, rule.line, tells)
    return found


async def _readiness(admin: str) -> dict[str, Any]:
    """Gives what the service says of itself, PDP and canary included; empty where it does not answer."""
    if not admin:
        return {}
    try:
        async with (
            asyncio.timeout(_ADMIN_SECONDS),
            aiohttp.ClientSession() as session,
            session.get(f"http://{admin}/readyz", allow_redirects=False) as response,
        ):
            found = msgspec.json.decode(await response.content.read(_READINESS_BYTES))
    except (aiohttp.ClientError, OSError, TimeoutError, *UNREADABLE):
        return {}
    return found if isinstance(found, dict) else {}
