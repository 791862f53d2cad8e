"""What goes wrong during a soak: the PDP freezes, is killed, restarts; Hookgate is restarted behind its listener."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable

from tests.support.pdp import Pdp
from tests.support.service import ServiceProcess


class Trouble:
    """Makes trouble at random, one kind after the other, each as often as the others. `made` counts it."""

    def __init__(self, pdp: Pdp, restarted: ServiceProcess, *, calm_seconds: tuple[float, float], seed: int) -> None:
        self._pdp = pdp
        self._restarted = restarted
        self._calm_seconds = calm_seconds
        self._chance = random.Random(f"{seed} trouble")
        self.made: Counter[str] = Counter()
        #: Set once each kind was made.
        self.each = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Makes trouble until told to stop; the PDP and Hookgate then run again."""
        kinds: list[Callable[[], Awaitable[None]]] = [
            self._pdp_frozen,
            self._pdp_killed,
            self._pdp_restarted,
            self._hookgate_restarted,
        ]
        while not stop.is_set():
            self._chance.shuffle(kinds)
            for kind in kinds:
                try:
                    await asyncio.wait_for(stop.wait(), self._chance.uniform(*self._calm_seconds))
                except TimeoutError:
                    await kind()
                    self.made[kind.__name__.strip("_")] += 1
                    if len(self.made) == len(kinds):
                        self.each.set()

    async def _pdp_frozen(self) -> None:
        """Shorter than the deadline, and longer."""
        self._pdp.freeze()
        await asyncio.sleep(self._chance.uniform(0.2, 1.8))
        self._pdp.thaw()

    async def _pdp_killed(self) -> None:
        self._pdp.kill()
        await asyncio.sleep(self._chance.uniform(0.2, 1.5))
        await asyncio.to_thread(self._pdp.start)

    async def _pdp_restarted(self) -> None:
        self._pdp.kill()
        await asyncio.to_thread(self._pdp.start)

    async def _hookgate_restarted(self) -> None:
        code = await asyncio.to_thread(self._restarted.stop)
        assert code == 0, f"Hookgate ended with {code}: {self._restarted.log()[-2000:]}"
        await asyncio.to_thread(self._restarted.start)
