"""Asks two PDPs, a strict and a lenient one, about the recorded calls: where they differ, a rule's condition fails."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

import msgspec

from hookgate.config.tree import Pdp
from hookgate.facts import facts_of
from hookgate.hooks.catalog import EVENTS
from hookgate.hooks.decode import Read
from hookgate.hooks.event import event_from
from hookgate.hooks.verdict import verdict_of
from hookgate.identity.principal import Principal, Source
from hookgate.pdp.channel import GrpcTransport
from hookgate.pdp.client import PdpClient
from hookgate.pdp.process import CerbosProcess
from hookgate.pdp.question import question_for
from hookgate.policies.expression import Call, Literal, Name, Select
from hookgate.policies.model import ANYONE, Policy
from hookgate.policies.reading import conditions, nodes
from hookgate.recorded import Recorded, recorded

#: The role of somebody of whom nothing is known.
DEFAULT_ROLE = "claude_user"

_SECONDS = 30.0
_AT_ONCE = 16


class Difference(msgspec.Struct, frozen=True):
    """A recorded call that comes out otherwise under strict evaluation, for these roles."""

    request: str
    roles: tuple[str, ...]
    lenient: str
    strict: str


class Comparison(msgspec.Struct, frozen=True):
    """How many questions were asked of each PDP, as whom, and where the answers differ."""

    asked: int
    roles: tuple[str, ...]
    differences: tuple[Difference, ...]


async def compared(cerbos: Path, directory: Path, policies: Sequence[Policy]) -> Comparison:
    """Asks about every recorded call that has a policy, as every role that the policies name and as the default one.

    Raises CerbosError where a PDP can't be started, GateError where one does not answer.
    """
    kinds = {policy.kind for policy in policies} & set(EVENTS)
    roles = roles_in(policies)
    requests = [request for request in recorded() if request.event in kinds]
    asked = list(product(requests, roles))
    if not asked:
        return Comparison(0, roles, ())
    strict, lenient = await asyncio.gather(
        _outcomes(cerbos, directory, asked, strict=True), _outcomes(cerbos, directory, asked, strict=False)
    )
    found: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for (request, role), one, other in zip(asked, strict, lenient, strict=True):
        if one != other:
            found[request.name, other, one].append(role)
    return Comparison(
        len(asked), roles, tuple(Difference(name, tuple(who), other, one) for (name, other, one), who in found.items())
    )


def roles_in(policies: Sequence[Policy]) -> tuple[str, ...]:
    """Gives the roles that rules name, that derived roles stand on, and that conditions look for in P.roles."""
    found = {DEFAULT_ROLE}
    for policy in policies:
        if policy.kind in EVENTS:
            for role in policy.derived_roles.values():
                found.update(role.parent_roles)
            for rule in policy.rules:
                found.update(rule.roles)
                for expression in conditions(policy, rule):
                    for node in nodes(policy, expression):
                        match node:
                            case Call(
                                name="in",
                                arguments=(Literal(value=str(role_name)), Select(of=Name(name="P"), field="roles")),
                            ):
                                found.add(role_name)
    return tuple(sorted(found - {ANYONE, ""}))


async def _outcomes(cerbos: Path, directory: Path, asked: Sequence[tuple[Recorded, str]], *, strict: bool) -> list[str]:
    process = CerbosProcess(cerbos, directory, strict=strict)
    try:
        await process.start()
        config = Pdp(address=process.address)
        transport = GrpcTransport(config)
        client = PdpClient(transport, max_request_bytes=config.max_request_bytes)
        try:
            outcomes: list[str] = []
            for some in _chunks(asked):
                outcomes += await asyncio.gather(*(_outcome(client, config, *one) for one in some))
            return outcomes
        finally:
            await transport.close()
    finally:
        await process.stop()


async def _outcome(client: PdpClient, config: Pdp, request: Recorded, role: str) -> str:
    event = event_from(Read(dict(request.body), altered=False, truncated=()))
    principal = Principal(DEFAULT_ROLE, (role,), Source.HEADER)
    question = question_for(event, principal, facts_of(event), config, scope="", decision_id="policies-check")
    decision = await client.check(question, asyncio.get_running_loop().time() + _SECONDS)
    return "no_match" if decision.no_match else verdict_of(decision, event.spec).outcome.value


def _chunks(asked: Sequence[tuple[Recorded, str]]) -> Iterator[Sequence[tuple[Recorded, str]]]:
    for start in range(0, len(asked), _AT_ONCE):
        yield asked[start : start + _AT_ONCE]
