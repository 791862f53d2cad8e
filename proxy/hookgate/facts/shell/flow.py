"""What flows from one command to the next."""

import msgspec


class Flow(msgspec.Struct, frozen=True, gc=False):
    """What comes out of a command: where it is from (`network`, `decoded`, `archive`, `file`), and its text where that is known."""

    tags: frozenset[str] = frozenset()
    text: str | None = None
    #: Whether anything comes at all: from a pipe, a here-document, a file.
    present: bool = False


NOTHING = Flow()
