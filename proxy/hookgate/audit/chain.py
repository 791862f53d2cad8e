"""The chain: each line carries its number, the hash of the line before, and its own.

A line is `{"seq":N,"prev":"HEX","hash":"HEX",` and the rest of the record's JSON object. `hash` is the SHA-256 of `prev`, a
line end, `seq` in decimal, a line end, and the record's JSON object as written, without those three members.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import NamedTuple

#: What the first line of all names as the hash before it.
ZEROS = b"0" * 64
_LINE = re.compile(rb'\{"seq":([1-9][0-9]{0,17}),"prev":"([0-9a-f]{64})","hash":"([0-9a-f]{64})",(.*\})\n?', re.DOTALL)


class Link(NamedTuple):
    """The end of a chain: the last line's number and hash."""

    seq: int
    hash: bytes


#: The end of a chain without lines.
BEGINNING = Link(0, ZEROS)


@dataclass(frozen=True, slots=True)
class Line:
    """One line taken apart. `body` is the record's JSON object without its place in the chain."""

    seq: int
    prev: bytes
    hash: bytes
    body: bytes

    @property
    def holds(self) -> bool:
        """Whether number, predecessor and record are those that the hash was made of."""
        return self.hash == digest(self.prev, self.seq, self.body)


def digest(prev: bytes, seq: int, body: bytes) -> bytes:
    """Gives the hash of a line, in hexadecimal."""
    return hashlib.sha256(b"%b\n%d\n%b" % (prev, seq, body)).hexdigest().encode()


def linked(end: Link, record: bytes) -> tuple[bytes, Link]:
    """Gives the line of a record (a JSON object that is not empty, with its line end) behind `end`, and the new end."""
    seq = end.seq + 1
    found = digest(end.hash, seq, record[:-1])
    return b'{"seq":%d,"prev":"%b","hash":"%b",%b' % (seq, end.hash, found, record[1:]), Link(seq, found)


def taken_apart(line: bytes) -> Line | None:
    """Gives a line's parts, or None where it does not have a line's form. Whether its hash holds is another question."""
    match = _LINE.fullmatch(line)
    if match is None:
        return None
    return Line(int(match[1]), match[2], match[3], b"{" + match[4])
