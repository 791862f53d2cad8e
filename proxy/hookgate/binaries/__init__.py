"""Finds the programs that Hookgate runs or is tested with: the Cerbos PDP, the Claude Code client, and PostgreSQL.

The first two are of one exact version. What is fetched is checked against a digest in this package before it is unpacked, and
kept in a cache folder, so that a second start needs no network.
"""

from hookgate.binaries.error import BinaryError
from hookgate.binaries.find import Binary, Source, find_cerbos, find_claude, find_postgres
from hookgate.binaries.pins import CERBOS_VERSION, CLAUDE_VERSION, CLAUDE_VERSIONS, POSTGRES_VERSION

__all__ = [
    "CERBOS_VERSION",
    "CLAUDE_VERSION",
    "CLAUDE_VERSIONS",
    "POSTGRES_VERSION",
    "Binary",
    "BinaryError",
    "Source",
    "find_cerbos",
    "find_claude",
    "find_postgres",
]
