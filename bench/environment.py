"""On what a benchmark ran."""

import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from bench.servers import GOGC
from hookgate import __version__
from hookgate.binaries import find_cerbos

_LIBRARIES = ("aiohttp", "grpcio", "protobuf", "msgspec", "uvloop")


@dataclass(frozen=True, slots=True)
class Environment:
    """Date, machine and versions. `load` is the machine's load average of the minute before the run."""

    date: str
    system: str
    processor: str
    cores: int
    load: float
    python: str
    hookgate: str
    cerbos: str
    gogc: str
    libraries: dict[str, str]

    def line(self) -> str:
        """Gives it in one line, when the run is over."""
        libraries = ", ".join(f"{name} {found}" for name, found in self.libraries.items())
        return (
            f"{self.date}: Hookgate {self.hookgate}, Cerbos {self.cerbos} (GOGC={self.gogc}), Python {self.python}, {libraries}; "
            f"{self.system}, {self.cores} cores ({self.processor}) shared by load, proxy and PDP. "
            f"Load average before: {self.load:.1f}, after: {os.getloadavg()[0]:.1f} (about 3 is the benchmark's own)."
        )


def environment() -> Environment:
    """Gives what is here."""
    return Environment(
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        system=f"{platform.system()} {platform.machine()}",
        processor=_processor(),
        cores=os.cpu_count() or 0,
        load=os.getloadavg()[0],
        python=platform.python_version(),
        hookgate=__version__,
        cerbos=find_cerbos(fetch=False, say=print).version,
        gogc=os.environ.get("GOGC", GOGC),
        libraries={name: version(name) for name in _LIBRARIES},
    )


def _processor() -> str:
    described = Path("/proc/cpuinfo")
    if not described.exists():
        return platform.processor() or "unknown"
    names = (
        line.partition(":")[2].strip() for line in described.read_text().splitlines() if line.startswith("model name")
    )
    return next(names, "unknown")
