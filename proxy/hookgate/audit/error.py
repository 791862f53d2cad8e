"""What can be wrong with a journal."""

import msgspec

#: What decoding a line raises that is no record: one that is nested too deeply included.
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class JournalError(Exception):
    """A record could not be written, or the journal can't be opened or read; says where and why."""
