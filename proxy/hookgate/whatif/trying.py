"""A what-if from its question to its result: the programs that run while it is made, and the state that is kept."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from hookgate.audit.store.question import Filter, Store
from hookgate.pdp.process import CerbosError
from hookgate.whatif.judge import Judge, digest_of
from hookgate.whatif.model import Result
from hookgate.whatif.run import WhatIf, result_of
from hookgate.whatif.state import State, keep, kept, key_of
from hookgate.whatif.tally import Tally


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """What is tried: candidate policies, on which records, against what. `written` names the question as its user gave it."""

    cerbos: Path
    policies: Path
    wanted: Filter
    against: Path | None = None
    stricter_than_effect: str = "deny"
    written: tuple[str, ...] = ()
    #: Where it is kept how far it is; nowhere for None.
    states: Path | None = None
    fresh: bool = False


class Trying:
    """One what-if under way."""

    def __init__(self, trial: Trial) -> None:
        """Looks for what an earlier one has left. Raises OSError where the policies can't be read."""
        self._trial = trial
        self._digest = digest_of(trial.policies)
        self._against_digest = digest_of(trial.against) if trial.against is not None else ""
        written = (*trial.written, trial.stricter_than_effect)
        key = key_of((self._digest, self._against_digest), trial.wanted, written)
        self._path = trial.states / f"{key}.json" if trial.states is not None else None
        left = kept(self._path, key) if self._path is not None and not trial.fresh else None
        #: How many requests had been asked before.
        self.done = left.tally.total if left is not None else 0
        now = datetime.now(UTC)
        until = min(trial.wanted.until or now, now)
        self.state = left or State(key=key, begun=now, since=trial.wanted.since, until=until, tally=Tally())

    @property
    def period(self) -> Filter:
        """Which records are asked about; an earlier one's, where it goes on."""
        return msgspec.structs.replace(self._trial.wanted, since=self.state.since, until=self.state.until)

    async def run(self, store: Store, progress: Callable[[int], None]) -> Result:
        """Asks all that is left. Raises StoreError, CerbosError; then, and when it is cancelled, the next one goes on here."""
        trial = self._trial
        async with AsyncExitStack() as stack:
            judge = await stack.enter_async_context(self._judge(trial.policies))
            other = None
            if trial.against is not None:
                other = await stack.enter_async_context(self._judge(trial.against))
            run = WhatIf(self.state, judge, other, keep=self._keep, progress=progress)
            try:
                await run.run(store, trial.wanted)
            except BaseException:
                self._keep(self.state)
                raise
        if self._path is not None:
            await asyncio.to_thread(self._path.unlink, missing_ok=True)
        await asyncio.to_thread(self._unchanged)
        return result_of(
            self.state,
            trial.wanted,
            policies=str(trial.policies),
            digest=self._digest,
            against=str(trial.against or ""),
            against_digest=self._against_digest,
        )

    def _unchanged(self) -> None:
        """A PDP follows its files: what it said is about those that were there at the beginning only if they still are."""
        trial = self._trial
        for policies, digest in ((trial.policies, self._digest), (trial.against, self._against_digest)):
            if policies is not None and digest_of(policies) != digest:
                raise CerbosError(f"{policies}: the policies were changed while they were tried: try them again")

    def _judge(self, policies: Path) -> Judge:
        return Judge(self._trial.cerbos, policies, stricter_than_effect=self._trial.stricter_than_effect)

    def _keep(self, state: State) -> None:
        if self._path is not None and state.tally.total:
            # Where nothing can be kept, an interrupted one begins anew; this one need not end for it.
            with suppress(OSError):
                keep(self._path, state)
