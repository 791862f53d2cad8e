"""Everything that can be said about a directory of policies."""

import asyncio
from pathlib import Path

import msgspec

from hookgate.policies.check import findings_in
from hookgate.policies.compiling import Compilation, compiled
from hookgate.policies.finding import Finding
from hookgate.policies.source import policies_in
from hookgate.policies.strictness import Comparison, compared


class Report(msgspec.Struct, frozen=True):
    """What the compiler said, what bites, and which recorded calls strict evaluation changes.

    Where the policies do not compile there is neither a finding nor a comparison.
    """

    directory: str
    compilation: Compilation
    findings: tuple[Finding, ...] = ()
    comparison: Comparison | None = None

    @property
    def usable(self) -> bool:
        """Whether the policies compile and their tests pass."""
        return self.compilation.passes

    @property
    def warnings(self) -> int:
        """How many things there are to look at."""
        return len(self.findings) + (len(self.comparison.differences) if self.comparison else 0)


def report_on(cerbos: Path, directory: Path) -> Report:
    """Checks a directory. Raises CerbosError and GateError where the PDPs can't be started or asked."""
    compilation = compiled(cerbos, directory)
    if not compilation.compiles:
        return Report(str(directory), compilation)
    policies = policies_in(directory)
    comparison = asyncio.run(compared(cerbos, directory, policies))
    return Report(str(directory), compilation, findings_in(policies), comparison)
