"""What a store lacks of a journal: the newest decisions, until they are shipped."""

from dataclasses import dataclass
from pathlib import Path

import msgspec

from hookgate.audit.error import UNREADABLE, JournalError
from hookgate.audit.recovery import lines_from_end, newest_checkpoint
from hookgate.audit.segments import segment_paths
from hookgate.audit.store.question import Store

#: Newer decisions that are counted; beyond it there are just more.
_MAX_RECORDS = 100_000


@dataclass(frozen=True, slots=True)
class Lag:
    """Decisions of the journal that are newer than all that the store was given of it."""

    records: int
    #: Whether there are still more than that.
    is_more: bool = False
    #: The time of the oldest of them.
    since: str = ""


class _Head(msgspec.Struct, frozen=True):
    seq: int
    type: str
    time: str


def lag_of(directory: Path, store: Store, *, most: int = _MAX_RECORDS) -> Lag:
    """Gives the lag. Raises JournalError where there is no journal that can be read, and StoreError."""
    try:
        paths = segment_paths(directory)
        if not paths:
            raise JournalError(f"{directory}: no journal there")
        _, checkpoint = newest_checkpoint(directory)
        instance = checkpoint.detail.instance if checkpoint is not None else ""
        delivered = max((span.last for span in store.spans() if span.instance == instance), default=0)
        records, since = 0, ""
        for line in lines_from_end(paths):
            try:
                head = msgspec.json.decode(line, type=_Head)
            except UNREADABLE:
                continue
            if head.seq <= delivered:
                break
            if head.type == "decision":
                if records == most:
                    return Lag(records, is_more=True, since=since)
                records, since = records + 1, head.time
        return Lag(records, since=since)
    except OSError as error:
        raise JournalError(f"{error.filename or directory}: {error.strerror}") from None
