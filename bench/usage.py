"""What a process has used, as the system tells it; where it is not Linux nothing is known of another's processor time."""

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
#: clock_getcpuclockid(3) on Linux: the clock of the time that all threads of a process have run.
_CPUCLOCK_SCHED = 2


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes in memory now, and the most there ever were (0 where the system does not tell)."""

    resident_bytes: int
    peak_bytes: int


def cpu_seconds(pid: int) -> float:
    """Gives the processor time of all threads so far; 0 where it can't be known, or when the process has ended."""
    if sys.platform != "linux":
        return 0.0
    try:
        return time.clock_gettime((~pid << 3) | _CPUCLOCK_SCHED)
    except OSError:
        return 0.0


def children(pid: int) -> tuple[int, ...]:
    """Gives the processes that a process has started and that run; none without /proc."""
    found: list[int] = []
    for task in _PROC.glob(f"{pid}/task/*/children"):
        try:
            found += map(int, task.read_text().split())
        except OSError:
            # A thread that ended meanwhile.
            continue
    return tuple(found)


def memory(pid: int) -> Memory:
    """Gives the memory of a process."""
    if not (_PROC / "self" / "status").exists():
        told = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=True)
        return Memory(int(told.stdout) * 1024, 0)
    lines = (_PROC / str(pid) / "status").read_text().splitlines()
    found = {key: value for key, _, value in (line.partition(":") for line in lines)}
    return Memory(_kilobytes(found["VmRSS"]), _kilobytes(found["VmHWM"]))


def _kilobytes(value: str) -> int:
    return int(value.split(maxsplit=1)[0]) * 1024
