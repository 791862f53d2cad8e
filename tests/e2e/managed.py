"""Managed settings for one client alone: an /etc of its own, in a private mount namespace."""

import os
import shutil

from tests.e2e.client import Workspace

# /etc becomes links to what was there, so that the one folder can be put beside them; the machine's own stays as it is.
_MOUNT = """
set -e
mkdir -p "$1/etc"
mount --rbind /etc "$1/etc"
mount -t tmpfs none /etc
ln -s "$1"/etc/* /etc/
rm -f /etc/claude-code
cp -R "$1/claude-code" /etc/claude-code
shift
exec "$@"
"""


def manage(space: Workspace, files: dict[str, bytes]) -> None:
    """Has the workspace's clients find these files from now on, by their names in /etc/claude-code, and no others there."""
    directory = space.root / "managed"
    shutil.rmtree(directory / "claude-code", ignore_errors=True)
    for name, content in files.items():
        path = directory / "claude-code" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    # Who is not root becomes it in a namespace of users.
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    space.starter = [
        "unshare",
        "--mount",
        "--propagation",
        "private",
        *as_root,
        "sh",
        "-c",
        _MOUNT,
        "sh",
        str(directory),
    ]
