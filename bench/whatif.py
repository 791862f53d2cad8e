"""How many recorded requests a second are asked again, of the policies that ship."""

import asyncio
import random
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from bench.grid import Grid
from bench.records import BEGIN
from hookgate.audit.chain import BEGINNING, linked
from hookgate.audit.redact import Redactor
from hookgate.audit.scribe import Scribe
from hookgate.audit.shipping.shipment import Shipment
from hookgate.audit.store.file import StoreFile
from hookgate.audit.store.opening import open_store
from hookgate.audit.store.question import Filter
from hookgate.binaries import find_cerbos
from hookgate.case import Case, record_of
from hookgate.facts import facts_of
from hookgate.hooks.answer import EMPTY
from hookgate.hooks.decode import Read
from hookgate.hooks.event import event_from
from hookgate.hooks.opinion import Opinion
from hookgate.hooks.verdict import Verdict
from hookgate.identity.principal import Principal, Source
from hookgate.outcome import Outcome
from hookgate.recorded import recorded
from hookgate.whatif.trying import Trial, Trying

POLICIES = Path(__file__).parents[1] / "policies"
#: What is asked about: calls before and after they run, of so many people.
_EVENTS = ("PreToolUse", "PostToolUse", "PermissionRequest")
_USERS = 100


@dataclass(frozen=True, slots=True)
class Result:
    """One run. `seconds` is what asking took; what the PDP took to start is not in it."""

    requests: int
    seconds: float
    unsure: int
    compared: str


def run(count: int) -> tuple[Result, ...]:
    """Fills a store with that many requests of the real client, and asks the shipped policies about them."""
    cerbos = find_cerbos(say=print).path
    found: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="bench-whatif-") as folder:
        path = Path(folder) / "store.sqlite"
        with closing(StoreFile(path)) as store:
            store.write(list(_shipments(count)))
        for against in (None, POLICIES):

            async def ask(against: Path | None = against) -> Result:
                with closing(open_store(path)) as opened:
                    trial = Trial(cerbos=cerbos, policies=POLICIES, wanted=Filter(), against=against)
                    told = await Trying(trial).run(opened, lambda _: None)
                compared = "what was recorded" if against is None else "the same policies"
                return Result(told.total, told.seconds, told.unsure, compared)

            found.append(asyncio.run(ask()))
    return tuple(found)


def _shipments(count: int) -> Iterator[Shipment]:
    """Gives records as the service writes them, of everybody's calls in turn."""
    chance, end, at = random.Random(1), BEGINNING, BEGIN
    scribe = Scribe(Redactor(b"k" * 32))
    bodies: list[dict[str, Any]] = [one.body for one in recorded() if one.event in _EVENTS]
    for number in range(count):
        event = event_from(Read(chance.choice(bodies), altered=False, truncated=()))
        case = Case(id=f"{number:012d}", remote="127.0.0.1", body_bytes=1)
        case.event, case.spec, case.facts = event, event.spec, facts_of(event)
        case.principal = Principal(f"user{chance.randrange(_USERS)}", ("engineer",), Source.HEADER)
        case.policy_version, case.verdict = "default", Verdict(Outcome.ALLOW, Opinion.NONE)
        line, _ = scribe.decision(msgspec.structs.replace(record_of(case, EMPTY, EMPTY), time=_written(at)))
        at += timedelta(seconds=1)
        whole, end = linked(end, line)
        yield Shipment(whole[:-1], end.seq, end.hash.decode(), "bench")


def _written(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def grid(found: tuple[Result, ...]) -> Grid:
    """Gives the table."""
    rows: list[tuple[str, ...]] = [
        (one.compared, f"{one.requests:,}", f"{one.requests / one.seconds:,.0f}", f"{one.unsure:,}") for one in found
    ]
    return Grid("What-if", ("compared with", "requests", "a second", "unsure"), 1, [rows])


def notes() -> list[str]:
    """Gives what is to be known of the table."""
    return [
        "The policies that ship, asked about requests recorded from the real client; without the start of the PDP.",
    ]
