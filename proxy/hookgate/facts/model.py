"""The facts about a call, as policies read them at `R.attr.facts`: always complete, with empty lists where nothing is known."""

from enum import StrEnum
from typing import Any

import msgspec

#: Raised when the meaning of a fact changes, so that a policy can tell.
VERSION = 2
#: Entries of a list of facts: nested `exists` over longer ones would hold up the PDP. What is beyond makes the call opaque.
MAX_ENTRIES = 256


class Access(StrEnum):
    """What is done with a path."""

    READ = "read"
    WRITE = "write"
    #: Names or lines of what lies below it are listed.
    SEARCH = "search"
    DELETE = "delete"
    EXECUTE = "execute"
    #: Owner, mode, attributes or capabilities are changed.
    RIGHTS = "rights"
    #: Named on the line of a program of which is not known what it does with it.
    NAMED = "named"


class PathFact(msgspec.Struct, frozen=True, gc=False):
    """A path that the call names."""

    #: Absolute and normalised: no `.`, `..` or doubled slash. The disk is not asked, so links are not followed.
    path: str
    #: As the tool's input has it, quotes taken off.
    written: str
    #: `path` in Unicode's compatibility form and lower case, for file systems that fold.
    folded: str
    #: `~/x` if the path lies in a home directory, else empty.
    home: str
    #: `read`, `write`, `search` (what lies below it is listed), `delete`, `execute`, `rights`, or `named` by a program of which is
    #: not known what it does with it.
    access: Access
    #: Below the session's working directory.
    inside_project: bool
    #: Everything below it is meant, too.
    recursive: bool
    #: The program that a command line runs on it; empty for other tools.
    program: str = ""
    #: It leads elsewhere than it says: `/proc/*/root`, `/proc/*/cwd`, `/proc/*/fd`.
    indirect: bool = False
    #: A part of it is known only when the command runs.
    dynamic: bool = False


class HostFact(msgspec.Struct, frozen=True, gc=False):
    """A host that the call would reach."""

    #: In lower case, without port.
    name: str
    #: The address, if one was written.
    url: str = ""
    #: The program that reaches it; empty for other tools.
    program: str = ""


class CommandFact(msgspec.Struct, frozen=True, gc=False):
    """A command that could run, at whatever depth."""

    #: The program's base name in lower case, without `.exe`.
    program: str
    #: The program as written.
    path: str
    #: All words behind the program, quotes taken off, each at most 4,096 characters.
    args: tuple[str, ...] = ()
    #: Options without their values: short ones one by one, long ones without `=…`; both forms where they are known to be one.
    flags: tuple[str, ...] = ()
    #: Words that are neither options nor values of known ones.
    operands: tuple[str, ...] = ()
    #: The first operand of programs that have sub-commands, in lower case.
    subcommand: str = ""
    #: Programs that run this one, from the outside in: `sudo`, `env`, `xargs`, `bash`, `ssh`, `python`.
    wrappers: tuple[str, ...] = ()
    #: What is assigned for it alone, as `NAME=value`.
    assignments: tuple[str, ...] = ()
    #: The working directory, as far as `cd` tells.
    cwd: str = ""
    #: It reads what another one writes.
    piped: bool = False
    #: A word is known only when it runs.
    dynamic: bool = False


class Facts(msgspec.Struct, frozen=True):
    """What a call would touch, as far as its input tells. A list has at most 256 entries."""

    #: Raised when the meaning of a fact changes.
    version: int = VERSION
    #: The paths that the call names.
    paths: tuple[PathFact, ...] = ()
    #: Hosts that the call would reach.
    hosts: tuple[HostFact, ...] = ()
    #: Commands that the call would run.
    commands: tuple[CommandFact, ...] = ()
    #: What commands do together, in words such as `network_to_interpreter`.
    shapes: tuple[str, ...] = ()
    #: The MCP server whose tool is called; empty for other tools.
    server: str = ""
    #: The tool of that server.
    tool: str = ""
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
