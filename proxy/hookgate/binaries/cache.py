"""The folder where fetched programs are kept, each with a note of what it is and where it comes from."""

import hashlib
import os
from pathlib import Path

import msgspec


class Note(msgspec.Struct, frozen=True):
    """Kept beside a program as JSON. `origin` is the package and its digest, or the image, that it was taken from.

    Size and time of change tell cheaply that the program is still the one that was checked; its digest decides where
    the time alone differs, as after a copy of the folder.
    """

    origin: str
    version: str
    sha256: str
    size_bytes: int
    changed_ns: int


def cache_folder() -> Path:
    """Give the folder: `HOOKGATE_CACHE`, else `.cache` of the checkout that this code runs from, else the user's."""
    if chosen := os.environ.get("HOOKGATE_CACHE"):
        return Path(chosen).expanduser().absolute()
    source_root = Path(__file__).resolve().parents[2]
    if source_root.name == "proxy" and (source_root.parent / "pyproject.toml").is_file():
        return source_root.parent / ".cache"
    user_caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(user_caches).expanduser() / "hookgate"


def sha256_of(program: Path) -> str:
    """Give the hexadecimal SHA-256 of a file."""
    with program.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_note(program: Path, *, origin: str, version: str, sha256: str) -> None:
    """Note what a program is, atomically. OSError where the folder cannot be written."""
    status = program.stat()
    note = Note(origin, version, sha256, status.st_size, status.st_mtime_ns)
    partial = _note_path(program).with_suffix(f".{os.getpid()}.partial")
    partial.write_bytes(msgspec.json.encode(note) + b"\n")
    partial.replace(_note_path(program))


def kept(program: Path, *, origin: str) -> Note | None:
    """Give the note of a kept program of that origin; None if it is not there, of another origin, or has changed."""
    try:
        note = msgspec.json.decode(_note_path(program).read_bytes(), type=Note)
        status = program.stat()
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None
    if note.origin != origin or note.size_bytes != status.st_size or not os.access(program, os.X_OK):
        return None
    if note.changed_ns != status.st_mtime_ns:
        if sha256_of(program) != note.sha256:
            return None
        _refresh(program, note)
    return note


def _refresh(program: Path, note: Note) -> None:
    # Saves the digest of hundreds of megabytes at the next start; a folder that is read-only must still do.
    try:
        write_note(program, origin=note.origin, version=note.version, sha256=note.sha256)
    except OSError:
        return


def _note_path(program: Path) -> Path:
    return program.with_name(program.name + ".json")
