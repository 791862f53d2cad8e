"""What a verification of the journal tells: what is wrong, what is worth knowing, and what was looked through."""

from enum import StrEnum

import msgspec

from hookgate.meaning import Meaningful


class FindingKind(Meaningful):
    """What is wrong with a journal."""

    CHANGED = "changed", "A line is not what it was when it was written."
    REMOVED = "removed", "Lines are missing."
    INSERTED = "inserted", "A line is there that the chain does not know."
    SWAPPED = "swapped", "A line stands in another place."
    REMOVED_SEGMENT = "removed_segment", "A whole segment is missing."
    FORGED_RETENTION = "forged_retention", "A record of removed segments was not signed by a key of the chain."
    WRONG_NAME = "wrong_name", "A segment's name is not the number of its first line."
    CUT_TAIL = "cut_tail", "The end of the journal is missing."
    FORGED_CHECKPOINT = "forged_checkpoint", "A checkpoint's signature does not hold."
    MISSING_CHECKPOINT = "missing_checkpoint", "Lines that no checkpoint vouches for where there should be one."
    WRONG_KEY = "wrong_key", "A checkpoint was signed by another key than the chain's, or by none that is trusted."
    NEW_KEY = "new_key", "The chain goes on with a key that the one before has not announced."
    CLOCK_BACKWARDS = "clock_backwards", "The time went backwards between two checkpoints."
    OTHER_JOURNAL = "other_journal", "The checkpoint that was kept elsewhere is not of this journal."


class NoticeKind(StrEnum):
    """What is worth knowing of a journal that holds."""

    GAP = "gap"
    REPAIR = "repair"
    RETENTION = "retention"
    SILENCE = "silence"
    UNSIGNED_TAIL = "unsigned_tail"
    NEW_CHAIN = "new_chain"
    KEY_CHANGED = "key_changed"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is wrong, and where: the number that the line has or should have, its segment and line (from 1)."""

    kind: FindingKind
    seq: int
    segment: str
    line: int
    detail: str


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is worth knowing."""

    kind: NoticeKind
    seq: int
    detail: str


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """The result. `findings` holds at most the first hundreds; `found` counts all of them."""

    intact: bool
    found: int
    findings: tuple[Finding, ...]
    notices: tuple[Notice, ...]
    segments: int
    lines: int
    size_bytes: int
    first_seq: int
    last_seq: int
    first_time: str
    last_time: str
    checkpoints: int
    #: The number of the last line that a signature vouches for.
    signed_seq: int
    signed_time: str
    #: Ids of the keys that signed, in order.
    keys: tuple[str, ...]
