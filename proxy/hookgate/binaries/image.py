"""Takes the Cerbos binary out of a container image, with the docker or podman that is on this machine."""

import shutil
import subprocess
import tempfile
from pathlib import Path

from hookgate.binaries.cache import sha256_of, write_note
from hookgate.binaries.error import BinaryError
from hookgate.binaries.run import version_of

_PATH_IN_IMAGE = "/cerbos"


def take_out(image: str, program: Path) -> str:
    """Put the image's Cerbos at that path, note its origin, and give its version.

    No container is started: one is created, copied from and removed. BinaryError says what stood in the way.
    """
    engine = shutil.which("docker") or shutil.which("podman")
    if engine is None:
        raise BinaryError(f"CERBOS_IMAGE={image}: neither docker nor podman is on PATH: install one, or set CERBOS_BIN")
    try:
        program.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=program.parent) as scratch:
            partial = Path(scratch) / program.name
            _copy_out(engine, image, partial)
            partial.chmod(0o755)
            version = version_of(partial, name=f"CERBOS_IMAGE={image}: {_PATH_IN_IMAGE}")
            sha256 = sha256_of(partial)
            partial.replace(program)
        write_note(program, origin=origin_of(image), version=version, sha256=sha256)
    except OSError as fault:
        raise BinaryError(
            f"{program.parent}: cannot keep the binary of {image} there: {fault.strerror or fault}:"
            " set HOOKGATE_CACHE to a folder with room that you may write"
        ) from fault
    return version


def origin_of(image: str) -> str:
    """Give what the note of a program taken out of an image says of its origin."""
    return f"image:{image}"


def _copy_out(engine: str, image: str, target: Path) -> None:
    container = _run([engine, "create", image], image).splitlines()[-1].strip()
    try:
        _run([engine, "cp", f"{container}:{_PATH_IN_IMAGE}", str(target)], image)
    finally:
        _run([engine, "rm", "--force", container], image)


def _run(command: list[str], image: str) -> str:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False
    )
    if done.returncode != 0 or (command[1] == "create" and not done.stdout.strip()):
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        what = f"`{Path(command[0]).name} {command[1]}` failed"
        raise BinaryError(f"CERBOS_IMAGE={image}: {what}: {lines[-1] if lines else 'it gave no reason'}")
    return done.stdout
