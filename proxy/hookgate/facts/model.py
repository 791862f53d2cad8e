"""The facts about a call, as policies read them at `R.attr.facts`: always complete, with empty lists where nothing is known."""

from enum import StrEnum
from typing import Any

import msgspec

#: Raised when the meaning of a fact changes, so that a policy can tell.
VERSION = 1


class Access(StrEnum):
    """What is done with a path."""

    READ = "read"
    WRITE = "write"
    #: Names or lines of what lies below it are listed.
    SEARCH = "search"


class PathFact(msgspec.Struct, frozen=True):
    """A path that the call names."""

    #: Absolute and normalised: no `.`, `..` or doubled slash. The disk is not asked, so links are not followed.
    path: str
    #: As the tool's input has it.
    written: str
    #: `path` in Unicode's compatibility form and lower case, for file systems that fold.
    folded: str
    #: `~/x` if the path lies in a home directory, else empty.
    home: str
    #: `read`, `write`, or `search`: names or lines of what lies below it are listed.
    access: Access
    #: Below the session's working directory.
    inside_project: bool
    #: Everything below it is meant, too.
    recursive: bool


class Facts(msgspec.Struct, frozen=True):
    """What a call would touch, as far as its input tells."""

    #: Raised when the meaning of a fact changes.
    version: int = VERSION
    #: The paths that the call names.
    paths: tuple[PathFact, ...] = ()
    #: Hosts that the call would reach. Not filled yet.
    hosts: tuple[dict[str, Any], ...] = ()
    #: Commands that the call would run. Not filled yet.
    commands: tuple[dict[str, Any], ...] = ()
    #: Whether every path lies below the session's working directory; true where there is none.
    inside_project: bool = True
    #: Whether it could not be told what the call touches.
    opaque: bool = False
    #: Why, in words such as `path_missing` or `cwd_missing`.
    opaque_reasons: tuple[str, ...] = ()
    #: Whether a lone surrogate or a number that a double can't hold was replaced in the payload.
    altered: bool = False
    #: Keys of the payload that were dropped, being ours.
    dropped: tuple[str, ...] = ()
    #: Attributes that were left out for their size.
    truncated: tuple[str, ...] = ()

    def attributes(self) -> dict[str, Any]:
        """Gives `R.attr.facts`."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found
