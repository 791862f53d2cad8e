"""The one way in which finding a program fails."""


class BinaryError(Exception):
    """A program is not to be had. The message is one line: what is wrong, and what to do about it."""
