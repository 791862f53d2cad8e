"""How long things have been so, by a clock that setting the time does not move."""

import os
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from hookgate.audit.draft import write_whole

FILE_NAME = "retention.json"
#: Of the time between two runs at most so much counts: only the wall clock tells of it, and anybody may have set that.
MAX_PAUSE_SECONDS = 7 * 86400.0
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
#: Where the system does not tell one start from another, one process is told from another.
_PROCESS_ID = os.urandom(16).hex()


def _running_seconds() -> float:
    """Also counts while the machine sleeps, where the system can tell."""
    boot_time: int | None = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot_time is None else time.clock_gettime(boot_time)


def _boot_id() -> str:
    with suppress(OSError):
        return _BOOT_ID.read_text().strip()
    return _PROCESS_ID


@dataclass(frozen=True, slots=True)
class Clocks:
    """What the machine tells of the time: seconds since it was started, what tells one start from another, and the wall
    clock in seconds since the epoch."""

    running_seconds: float = field(default_factory=_running_seconds)
    boot_id: str = field(default_factory=_boot_id)
    wall_seconds: float = field(default_factory=time.time)


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """Segments are about to be removed: all up to the line `last_seq`, if a record says so behind the line `behind_seq`."""

    last_seq: int
    behind_seq: int


class Ages(msgspec.Struct, kw_only=True):
    """What is kept from one run to the next. `age_seconds` counts on and on; `since` is what it showed when each segment
    became one that may go once it is old enough."""

    instance: str = ""
    age_seconds: float = 0.0
    running_seconds: float = 0.0
    boot_id: str = ""
    wall_seconds: float = 0.0
    since: dict[str, float] = {}
    intent: Intent | None = None

    def advance(self, now: Clocks) -> None:
        """Counts the time since it was last told."""
        if self.boot_id and self.boot_id == now.boot_id:
            passed = now.running_seconds - self.running_seconds
        elif self.wall_seconds:
            passed = min(now.wall_seconds - self.wall_seconds, MAX_PAUSE_SECONDS)
        else:
            passed = 0.0
        self.age_seconds += max(0.0, passed)
        self.running_seconds, self.boot_id, self.wall_seconds = now.running_seconds, now.boot_id, now.wall_seconds


def load_ages(directory: Path, instance: str) -> Ages:
    """Gives what an earlier run has kept in the journal's directory. What is missing, damaged or of another chain counts
    from now. Raises OSError."""
    try:
        found = msgspec.json.decode((directory / FILE_NAME).read_bytes(), type=Ages)
    except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError):
        return Ages(instance=instance)
    return found if found.instance == instance else Ages(instance=instance)


def save_ages(directory: Path, ages: Ages) -> None:
    """Keeps it, on the disk when it returns. Raises OSError."""
    write_whole(directory / FILE_NAME, msgspec.json.encode(ages) + b"\n")
