"""How far a what-if is, so that one that was interrupted goes on where it was."""

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from hookgate import __version__
from hookgate.audit.draft import write_whole
from hookgate.audit.store.question import Entry, Filter
from hookgate.whatif.tally import Tally

#: An interrupted one that is older is begun anew.
_KEPT = timedelta(days=1)
_VERSION = 1


class State(msgspec.Struct):
    """What has been asked: all up to a time, and of that time these lines."""

    key: str
    begun: datetime
    since: datetime | None
    until: datetime
    tally: Tally
    at: str = ""
    lines: list[tuple[str, int]] = []
    seconds: float = 0.0
    version: int = _VERSION

    def passed(self, entry: Entry) -> None:
        """Notes that one more was asked; they come in the order of their times."""
        time = str(entry.record.get("time", ""))
        if time != self.at:
            self.at, self.lines = time, []
        self.lines.append((entry.instance, entry.seq))


def key_of(digests: tuple[str, ...], wanted: Filter, written: tuple[str, ...]) -> str:
    """Gives what names a question: this Hookgate, the policies, and the filter but for its times, which move; `written` is what they were
    given as, and which store is asked."""
    timeless = msgspec.structs.replace(wanted, since=None, until=None)
    told = msgspec.json.encode((_VERSION, __version__, digests, written, timeless))
    return hashlib.sha256(told).hexdigest()[:32]


def kept(path: Path, key: str) -> State | None:
    """Gives what was kept of the same question; None where there is nothing, or it is too old."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=State)
    except (OSError, msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError):
        return None
    is_fresh = found.version == _VERSION and datetime.now(UTC) - found.begun < _KEPT
    return found if found.key == key and is_fresh else None


def keep(path: Path, state: State) -> None:
    """Keeps it, readable by its owner only. Raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_whole(path, msgspec.json.encode(state))
