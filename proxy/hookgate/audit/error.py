"""What the audit trail fails with."""


class JournalError(Exception):
    """A record could not be written, or the journal can't be opened or read; says where and why."""
