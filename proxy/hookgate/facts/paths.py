"""Paths as text: made absolute and normalised without asking the disk, which is the client's and not ours."""

import ntpath
import posixpath
import re
import unicodedata
from functools import lru_cache

from hookgate.facts.model import Access, PathFact

#: What JavaScript's String.trim() removes (ECMA-262, 22.1.3.32): the client trims search paths with it after the hook.
_JS_SPACE = "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
_HOME = re.compile(r"^(?:/home/[^/]+|/Users/[^/]+|/root|/var/root|[A-Za-z]:/Users/[^/]+)(?=/|$)")
#: Links of the system that lead out of the path that is written.
_INDIRECT = re.compile(r"^/proc/[^/]+/(?:task/[^/]+/)?(?:root|cwd|fd|exe|map_files)(?:/|$)|^/dev/fd/\d")
_DRIVE = re.compile(r"^[A-Za-z]:[\\/]")


def trimmed(written: str) -> str:
    """Trims as the client does."""
    return written.strip(_JS_SPACE)


#: Another's home, as shells read it: `~root`, `~alex/x`.
_USER = re.compile(r"^~([a-z_][a-z0-9_-]*)(?=/|$)")


def resolved(written: str, cwd: str, *, homes: bool = True) -> str:
    """Gives the absolute, normalised path. `~` is the home directory that the working directory lies in, and stays symbolic
    where it lies in none: the service's own home is not the client's. With `homes`, `~name` is another's.

    A relative path without a known working directory stays relative. A Windows path is told by its drive letter, or by that
    of the working directory, and given with forward slashes.
    """
    if (written[1:2] == ":" and _DRIVE.match(written)) or (
        cwd[1:2] == ":" and _DRIVE.match(cwd) and not written.startswith(("/", "~"))
    ):
        return ntpath.normpath(ntpath.join(cwd, written)).replace("\\", "/")
    if written[:1] == "~" and (written == "~" or written[1] == "/"):
        home = home_of(cwd)
        return posixpath.normpath(f"{home}/{written[2:]}" if home else written)
    if homes and written[:1] == "~" and (user := _USER.match(written)):
        name = user[1]
        written = f"{'' if name == 'root' else '/home'}/{name}{written[user.end() :]}"
    path = written if written[:1] == "/" or not cwd else f"{cwd}{'' if cwd[-1] == '/' else '/'}{written}"
    if path[:1] == "/" and "//" not in path and "/." not in path and path[-1] != "/":
        return path  # Normal already, as most are.
    if not path:
        return ""
    # normpath keeps two leading slashes, which POSIX leaves to the system; Linux and macOS take them as one.
    path = posixpath.normpath(path)
    return path[1:] if path.startswith("//") else path


def is_absolute(path: str) -> bool:
    """Whether a path starts at a root, POSIX's or a drive's."""
    return path.startswith("/") or _DRIVE.match(path) is not None


def home_of(path: str) -> str:
    """Gives the home directory that a path lies in, by its name; empty if none."""
    match = _HOME.match(path)
    return match.group(0) if match else ""


def folded_home(path: str) -> str:
    """Gives `~/x` for a path in a home directory, else the empty string."""
    if path == "~" or path.startswith("~/"):
        return path
    match = _HOME.match(path)
    return f"~{path[match.end() :]}" if match else ""


def folded(path: str) -> str:
    """Gives the form in which two names of one file compare equal on folding file systems."""
    return path.lower() if path.isascii() else unicodedata.normalize("NFKC", path).casefold()


def is_below(path: str, directory: str) -> bool:
    """Whether a normalised path is the directory or lies below it."""
    root = _root(directory) if directory else None
    return root is not None and (path.startswith(root + "/") or path == root or not root)


@lru_cache(maxsize=64)
def _root(directory: str) -> str | None:
    """Gives a directory without a slash at its end; None where it is relative."""
    return resolved(directory, "").rstrip("/") if is_absolute(directory) else None


def fact(
    written: str,
    cwd: str,
    access: Access,
    *,
    project: str,
    program: str = "",
    recursive: bool = False,
    dynamic: bool = False,
    trim: bool = False,
) -> PathFact:
    """Gives what is known of a path as written in a directory."""
    # The client knows no homes but the user's own.
    path = resolved((trimmed(written) if trim else written) or ".", cwd, homes=not trim)
    indirect = path.startswith(("/proc/", "/dev/fd/")) and _INDIRECT.match(path) is not None
    return PathFact(
        path,
        written,
        folded(path),
        folded_home(path),
        access,
        is_below(path, project),
        recursive,
        program,
        indirect,
        dynamic,
    )
