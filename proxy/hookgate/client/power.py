"""What the user that runs the client could do to the guard: change its files, stop its processes."""

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from hookgate.client.finding import Finding, Kind

#: Where the guard's files are as it is shipped. What is elsewhere is to be named.
GUARD_FILES = tuple(
    map(
        Path,
        (
            "/etc/hookgate",
            "/etc/hookgate/hookgate.yaml",
            "/etc/hookgate/hook.json",
            "/var/lib/hookgate",
            "/var/lib/hookgate/audit",
            "/opt/hookgate",
            "/opt/hookgate/bin/hookgate",
            "/etc/systemd/system/hookgate.service",
            "/etc/systemd/system/hookgate.socket",
            "/etc/systemd/system/cerbos.service",
            "/etc/cerbos",
            "/etc/cerbos/pdp.yaml",
            "/var/lib/cerbos",
            "/run/cerbos",
        ),
    )
)
_PROC = Path("/proc")


def power_over(files: Iterable[Path], *, proc: Path = _PROC) -> Iterator[Finding]:
    """Gives what this user could change or stop. Root could change all; that is said once instead."""
    if os.geteuid() == 0:
        yield Finding(Kind.RUN_AS_ROOT, "uid 0")
        return
    for path in dict.fromkeys(files):
        if way := way_in(path):
            yield Finding(Kind.WRITABLE, str(path), "" if way == path else f"by way of {way}")
    for pid, command in guard_processes(os.geteuid(), proc):
        yield Finding(Kind.SIGNALABLE, f"process {pid}", command)


def way_in(path: Path) -> Path | None:
    """Gives what this user can write to have another content at a path: the path itself, or a directory above it."""
    if not _is_there(path):
        return None
    real = Path(os.path.realpath(path))
    if os.access(real, os.W_OK):
        return path
    below = real
    for parent in real.parents:
        if os.access(parent, os.W_OK) and not _is_kept(parent, below):
            return parent
        below = parent
    return None


def guard_processes(uid: int, proc: Path = _PROC) -> Iterator[tuple[int, str]]:
    """Gives Hookgate's and the PDP's processes that run as a user."""
    for entry in proc.iterdir() if proc.is_dir() else ():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            owner = entry.stat().st_uid
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if owner == uid and (command := _guard_command(words)):
            yield int(entry.name), command


def _guard_command(words: list[str]) -> str:
    names = [word.rpartition("/")[2] for word in words]
    for name, commands in (("hookgate", ("serve", "ship")), ("cerbos", ("server",))):
        if name in names[:4] and (found := next((word for word in words if word in commands), "")):
            return f"{name} {found}"
    return ""


def _is_kept(directory: Path, entry: Path) -> bool:
    """Whether a directory lets only an entry's owner exchange it (the sticky bit)."""
    try:
        return bool(directory.stat().st_mode & stat.S_ISVTX) and entry.lstat().st_uid != os.geteuid()
    except OSError:
        return False


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return True
