"""Simulated agents: each asks, thinks, and asks again, over a connection that it keeps, as the client does."""

import asyncio
import contextlib
import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.soak.calls import Call

_THINK_SECONDS = (0.05, 0.4)
#: Longer than the deadline and a restart together: what takes longer has failed.
_TIMEOUT_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Answered:
    """A request with the mark that its record has, and its answer."""

    mark: str
    call: Call
    answer: Any
    seconds: float


@dataclass(slots=True)
class Ledger:
    """All that agents sent to one service. `failed` holds what the client would have taken for no answer."""

    answered: list[Answered] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


class Agents:
    """So many agents who share the calls among them; `seed` decides who asks what when."""

    def __init__(self, url: str, calls: Sequence[Call], number: int, *, name: str, seed: int) -> None:
        self._url = url
        self._calls = calls
        self._denied = [call for call in calls if call.calm == "deny"]
        self._number = number
        self._name = name
        self._seed = seed
        self.ledger = Ledger()

    async def run(self, stop: asyncio.Event) -> None:
        """Runs until told to stop; each agent then still waits for the answer that it asked for."""
        async with asyncio.TaskGroup() as group:
            for index in range(self._number):
                group.create_task(
                    self._agent(f"{self._name}-{index}", random.Random(f"{self._seed} {self._name} {index}"), stop)
                )

    async def _agent(self, name: str, chance: random.Random, stop: asyncio.Event) -> None:
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            asked = 0
            while not stop.is_set():
                # The recorded calls are mostly allowed: every fourth is one that must never be.
                call = chance.choice(self._denied if chance.random() < 0.25 else self._calls)
                asked += 1
                await self._ask(session, call, f"{name}-{asked}")
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), chance.uniform(*_THINK_SECONDS))

    async def _ask(self, session: aiohttp.ClientSession, call: Call, mark: str) -> None:
        begun = time.perf_counter()
        data = json.dumps(call.marked(mark)).encode()
        headers = {"Content-Type": "application/json", **call.headers}
        try:
            async with session.post(self._url, data=data, headers=headers) as response:
                body = await response.read()
                if response.status != 200:
                    raise ValueError(f"{response.status} {body!r}")
                answer = json.loads(body)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            self.ledger.failed.append(f"{mark} {call.name}: {error!r}")
        else:
            self.ledger.answered.append(Answered(mark, call, answer, time.perf_counter() - begun))
