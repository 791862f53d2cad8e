"""Fifty agents at work while the PDP and Hookgate are killed, frozen and restarted under them.

`make soak` runs it for HOOKGATE_SOAK_SECONDS (180 unless set), `make test` for ten seconds. HOOKGATE_SOAK_SEED repeats a run.
"""

import asyncio
import json
import os
import random
import re
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bench.usage import memory
from tests.conftest import ROOT
from tests.soak.agents import Agents, Answered, Ledger
from tests.soak.calls import FURTHER_GOVERNED, Call, calls_as_answered_by
from tests.soak.trouble import Trouble
from tests.support.client_schema import Strength, problems, strength
from tests.support.pdp import Pdp
from tests.support.service import ServiceProcess

AGENTS = 50
#: What a PDP that is away or does not answer leads to, and nothing else may happen.
ERRORS = {"pdp_unavailable", "pdp_timeout", "deadline_exceeded"}
KINDS = {"pdp_frozen", "pdp_killed", "pdp_restarted", "hookgate_restarted"}
SETTINGS = {
    "decision": {"deadline_seconds": 1.0},
    "on_error_events": FURTHER_GOVERNED,
    # As shipped: a connection is closed only when it has been quiet for so long.
    "server": {"linger_seconds": 1.0, "grace_seconds": 10.0},
}
_DECISION_ID = re.compile(r"\[hookgate ([0-9a-f-]{36})\]")


@dataclass(slots=True)
class Run:
    """One soak: two services before one PDP. `steady` runs through, so that its memory and its metrics can be looked at;
    `restarted` is ended and started again behind a listening socket that stays open."""

    seconds: float
    seed: int
    pdp: Pdp
    steady: ServiceProcess
    restarted: ServiceProcess
    calls: list[Call] = field(default_factory=list)
    ledgers: dict[str, Ledger] = field(default_factory=dict)
    trouble: Counter[str] = field(default_factory=Counter)
    #: Resident bytes of `steady` after a quarter of the time, and at the end.
    resident_bytes: list[int] = field(default_factory=list)

    async def go(self) -> None:
        """Runs everything for its time."""
        stop = asyncio.Event()
        groups = [
            Agents(service.url, self.calls, AGENTS // 2, name=name, seed=self.seed)
            for name, service in (("steady", self.steady), ("restarted", self.restarted))
        ]
        calm_seconds = (0.1, 0.6) if self.seconds < 30 else (0.5, 3.0)
        trouble = Trouble(self.pdp, self.restarted, calm_seconds=calm_seconds, seed=self.seed)
        async with asyncio.TaskGroup() as running:
            for task in (*(agents.run(stop) for agents in groups), trouble.run(stop)):
                running.create_task(task)
            for part in (0.25, 0.75):
                await asyncio.sleep(self.seconds * part)
                assert self.steady.process is not None
                self.resident_bytes.append(memory(self.steady.process.pid).resident_bytes)
            # Each kind of trouble takes longer on a busy machine.
            async with asyncio.timeout(60):
                await trouble.each.wait()
            stop.set()
        self.ledgers = {"steady": groups[0].ledger, "restarted": groups[1].ledger}
        self.trouble = trouble.made

    def service(self, name: str) -> ServiceProcess:
        """Gives the service that a ledger is of."""
        return {"steady": self.steady, "restarted": self.restarted}[name]

    def told(self) -> str:
        """Gives the figures of the run."""
        answered = [one for ledger in self.ledgers.values() for one in ledger.answered]
        taken = sorted(one.seconds for one in answered)
        records = self.steady.records() + self.restarted.records()
        lines = [
            f"{self.seconds:g} s, seed {self.seed}, {AGENTS} agents",
            f"answers: {len(answered)}, to calls that are denied: {sum(one.call.calm == 'deny' for one in answered)}",
            f"trouble: {dict(sorted(self.trouble.items()))}",
            f"outcomes: {dict(Counter(record['outcome'] for record in records))}",
            f"errors: {dict(Counter(record['error'] for record in records if record['error']))}",
            f"seconds: p50 {taken[len(taken) // 2]:.4f}, p99 {taken[len(taken) * 99 // 100]:.3f}, slowest {taken[-1]:.2f}",
            f"resident: {self.resident_bytes[0] / 1e6:.1f} MB after a quarter, {self.resident_bytes[1] / 1e6:.1f} MB at the end",
        ]
        return "\n".join(lines)


@pytest.fixture(scope="module", params=["short", pytest.param("long", marks=pytest.mark.soak)])
def run(request: pytest.FixtureRequest, cerbos: Path) -> Iterator[Run]:
    """A soak that is over; its services still run."""
    seconds = 10.0 if request.param == "short" else float(os.environ.get("HOOKGATE_SOAK_SECONDS", "180"))
    seed = int(os.environ.get("HOOKGATE_SOAK_SEED", random.randrange(1_000_000)))
    pdp = Pdp(ROOT / "policies").start()
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        steady = ServiceProcess(pdp.address, SETTINGS)
        restarted = ServiceProcess(pdp.address, SETTINGS, listener=listener)
        made = Run(seconds, seed, pdp, steady, restarted)
        try:
            steady.start()
            restarted.start()
            made.calls = calls_as_answered_by(steady)
            asyncio.run(made.go())
            _tell(request, made.told())
            yield made
        finally:
            for service in (steady, restarted):
                service.remove()
            pdp.stop()


def _tell(request: pytest.FixtureRequest, text: str) -> None:
    """The figures are what a long run is for: shown past pytest's capturing; a short one shows them if it fails."""
    capturing = request.config.pluginmanager.get_plugin("capturemanager")
    shown = capturing.global_and_fixture_disabled() if capturing and request.param == "long" else nullcontext()
    with shown:
        print(f"\n{text}")


@pytest.mark.parametrize("name", ["steady", "restarted"])
class TestAnswers:
    def test_come_to_every_request_in_a_form_that_the_client_accepts(self, run: Run, name: str) -> None:
        ledger = run.ledgers[name]
        assert ledger.failed == []
        assert len(ledger.answered) > AGENTS
        wrong = [(one.mark, found) for one in ledger.answered if (found := problems(one.call.event, one.answer))]
        assert wrong == []

    def test_deny_what_is_denied_whatever_goes_wrong(self, run: Run, name: str) -> None:
        denied = [one for one in run.ledgers[name].answered if one.call.calm == "deny"]
        assert len(denied) > AGENTS
        assert [one for one in denied if _strength(one) != "deny"] == []

    def test_are_the_usual_ones_but_for_errors_and_errors_come_from_the_trouble_alone(
        self, run: Run, name: str
    ) -> None:
        records = _by_mark(run.service(name))
        errors = {mark for mark, record in records.items() if record["outcome"] == "error"}
        assert errors, "the trouble troubled nobody"
        assert {records[mark]["error"] for mark in errors} <= ERRORS
        calm = [one for one in run.ledgers[name].answered if one.mark not in errors]
        assert len(calm) > AGENTS
        assert [one for one in calm if _strength(one) != one.call.calm] == []
        assert [one for one in calm if records[one.mark]["outcome"] != one.call.outcome] == []

    def test_have_one_record_each_that_says_the_same(self, run: Run, name: str) -> None:
        records = _by_mark(run.service(name))
        answered = run.ledgers[name].answered
        assert {one.mark for one in answered} == {mark for mark in records if not mark.startswith("calm-")}
        for one in answered:
            record = records[one.mark]
            assert strength(one.call.event, record["answer"]) == _strength(one), record
            said = _DECISION_ID.search(json.dumps(one.answer))
            assert said is None or said[1] == record["id"]
            assert said is not None or _strength(one) not in ("deny", "ask")


class TestTheServices:
    def test_met_every_kind_of_trouble(self, run: Run) -> None:
        assert set(run.trouble) == KINDS
        assert len(run.restarted.log_events("started")) == run.trouble["hookgate_restarted"] + 1
        assert len(run.steady.log_events("started")) == 1

    def test_count_as_they_record(self, run: Run) -> None:
        records = run.steady.records()
        for outcome, number in Counter(record["outcome"] for record in records).items():
            assert run.steady.metric("hookgate_decisions_total", outcome=outcome) == number
        assert run.steady.metric("hookgate_decisions_total") == len(records)
        for error, number in Counter(record["error"] for record in records if record["error"]).items():
            # A record that took longer to write than its answer could wait is in the journal, and the answer says so.
            late = run.steady.metric("hookgate_errors_total", kind="audit_unavailable")
            assert number - late <= run.steady.metric("hookgate_errors_total", kind=error) <= number

    def test_keep_their_memory_flat(self, run: Run) -> None:
        early, late = run.resident_bytes
        assert abs(late - early) < 0.2 * early, f"{early / 1e6:.1f} MB after a quarter, {late / 1e6:.1f} MB at the end"

    def test_end_with_nothing_unanswered_and_no_fault_of_their_own(self, run: Run) -> None:
        for service in (run.steady, run.restarted):
            assert service.stop() == 0
            stops = [record["detail"] for record in service.records("stop")]
            assert stops == [{"unanswered": 0}] * len(service.log_events("started"))
            assert service.records("undelivered") == []
            assert service.log_events("internal") == service.log_events("library") == []


def _strength(one: Answered) -> Strength:
    return strength(one.call.event, one.answer)


def _by_mark(service: ServiceProcess) -> dict[str, dict[str, Any]]:
    """Gives the records by the session id that each request had for itself."""
    records = service.records()
    found = {record["session_id"]: record for record in records}
    assert len(found) == len(records), "a request has two records"
    return found
