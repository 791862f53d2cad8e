"""Command lines to syntax trees, within bounds: tree-sitter holds the interpreter's lock, and some inputs take it quadratic time."""

import re
import time

import tree_sitter_bash
from tree_sitter import Language, Node, Parser

#: Longer commands are not read. Everyday scripts have a few kilobytes.
MAX_BYTES = 65_536
#: CPU time for the reading of one call's commands, nested ones included; within the 50 ms that no synchronous work may exceed.
SECONDS = 0.03
#: Of it for the parser, which takes a while to stop.
_PARSE_SECONDS = 0.012
#: A text gets some milliseconds, and four times what everyday scripts of its length take.
_LEAST_PARSE_SECONDS = 0.003
_PARSE_BYTES_PER_SECOND = 2_000_000
#: Levels of the syntax tree that are visited; Python's own stack bears many more.
MAX_DEPTH = 60
_MAX_HERE_DOCUMENTS = 32
#: Where none of them makes sense, the parser keeps many readings of each in memory.
_MAX_PIPES = 1000
#: Of one kind of bracket, or of quotes, in a row: nothing that is meant to be read nests so deep.
_DENSE = re.compile(rb"(?:[(){}\[\]`$<>&|;]\s*){400}")
_CHUNK_BYTES = 4096
_LONG_WORD_BYTES = 8192
#: What words and encoded texts are made of.
_PLAIN = re.compile(rb"[A-Za-z0-9+/=_.-]+")
_LANGUAGE = Language(tree_sitter_bash.language())


class Unreadable(Exception):  # noqa: N818 (a finding, not a fault)
    """A command line that is not parsed; the text is the reason, a word for `opaque_reasons`."""


class Budget:
    """The CPU time and the syntax nodes that a call's commands may take."""

    def __init__(self, seconds: float = SECONDS, nodes: int = 20_000) -> None:
        now = time.thread_time()
        self._end, self._parse_end = now + seconds, now + min(seconds, _PARSE_SECONDS)
        self._nodes = nodes

    def in_time(self) -> bool:
        """Whether time is left."""
        return time.thread_time() < self._end

    def parse_end(self, size_bytes: int) -> float:
        """Gives the moment at which the parser of a text is stopped. Some short texts take it long, and tens of megabytes."""
        return min(self._parse_end, time.thread_time() + _LEAST_PARSE_SECONDS + size_bytes / _PARSE_BYTES_PER_SECOND)

    def spend(self, nodes: int = 1) -> None:
        """Counts nodes, or words. Raises Unreadable when the budget is used up."""
        self._nodes -= nodes
        if self._nodes < 0 or ((nodes > 8 or self._nodes & 63 == 0) and not self.in_time()):
            raise Unreadable("too_complex")


def _is_dense(source: bytes) -> bool:
    """Whether the parser would take long between two looks at the clock: it reads to the end of a word again at each sign in it."""
    if _DENSE.search(source):
        return True
    if len(source) < _LONG_WORD_BYTES:
        return False
    return any(
        len(word) > _LONG_WORD_BYTES and len(_PLAIN.sub(b"", word)) > _LONG_WORD_BYTES // 4 for word in source.split()
    )


def parse(source: bytes, budget: Budget) -> Node:
    """Gives the root of a command line's syntax tree. Raises Unreadable: too_long, too_complex."""
    if len(source) > MAX_BYTES:
        raise Unreadable("too_long")
    if source.count(b"<<") > _MAX_HERE_DOCUMENTS or source.count(b"|") > _MAX_PIPES:
        raise Unreadable("too_complex")
    if not budget.in_time() or (len(source) > _CHUNK_BYTES and _is_dense(source)):
        raise Unreadable("too_complex")
    parser = Parser(_LANGUAGE)
    if len(source) <= _CHUNK_BYTES // 4:
        return parser.parse(source).root_node

    end = budget.parse_end(len(source))

    # True ends the parse.
    def chunk(offset: int, _point: object) -> bytes:
        return source[offset : offset + _CHUNK_BYTES]

    try:
        tree = parser.parse(chunk, progress_callback=lambda _offset, _error: time.thread_time() > end)
    except ValueError as error:
        raise Unreadable("too_complex") from error
    return tree.root_node
