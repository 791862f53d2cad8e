"""What a process has used, as Linux tells it in /proc; elsewhere nothing is known of processor time."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes in memory now, and the most there ever were (0 where the system does not tell)."""

    resident_bytes: int
    peak_bytes: int


def cpu_seconds(pid: int) -> float:
    """Gives the processor time of all threads so far, in steps of a clock tick (10 ms as a rule); 0 without /proc."""
    try:
        # The command's name, in brackets, may itself hold spaces and brackets.
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


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
