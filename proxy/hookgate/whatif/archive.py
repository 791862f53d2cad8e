"""Candidate policies that come as an archive, from somebody who may mean harm: bounded, without links, below one directory."""

import gzip
import io
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

#: What is taken: of the archive, of all that is in it, of one name; and how many entries, and folders in each other.
ARCHIVE_BYTES, MOST_BYTES, _NAME_CHARACTERS = 4 * 1024 * 1024, 16 * 1024 * 1024, 255
_MOST_ENTRIES, _MOST_FOLDERS = 2000, 12
_SUFFIXES = {".yaml", ".yml", ".json"}
#: Whatever packs tighter needs memory as its archive says, and its own faults.
_PACKED = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_BROKEN = (
    *(zipfile.BadZipFile, gzip.BadGzipFile, tarfile.TarError, zlib.error),
    *(EOFError, NotImplementedError, RuntimeError, ValueError),
)


class ArchiveError(Exception):
    """The archive is not taken; one line that says why."""


def unpack(archive: bytes, into: Path) -> Path:
    """Writes an archive's policies (.zip, .tar or .tar.gz; files of other kinds are left out) below an empty directory. Gives the
    directory that they are in: the one folder that the archive has, if it has one. Raises ArchiveError, OSError."""
    if len(archive) > ARCHIVE_BYTES:
        raise ArchiveError(f"the archive is larger than {ARCHIVE_BYTES // 2**20} MiB")
    try:
        found = dict(_entries(archive))
    except _BROKEN:
        raise ArchiveError("it is no .zip, .tar or .tar.gz archive that can be read") from None
    kept = {name: content for name, content in found.items() if name.suffix.lower() in _SUFFIXES}
    if not kept:
        raise ArchiveError("there is no policy (.yaml, .yml or .json) in it")
    for name, content in kept.items():
        file = into.joinpath(*name.parts)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("xb") as stream:
                stream.write(content)
        except (FileExistsError, NotADirectoryError):
            raise ArchiveError(f"two entries are called {_shown(name)}") from None
    tops = {name.parts[0] for name in kept}
    return into / tops.pop() if len(tops) == 1 and all(len(name.parts) > 1 for name in kept) else into


def _entries(archive: bytes) -> Iterator[tuple[PurePosixPath, bytes]]:
    """Gives the files; each name once."""
    seen: set[PurePosixPath] = set()
    left = MOST_BYTES
    for name, content in _of_zip(archive) if archive[:2] == b"PK" else _of_tar(archive):
        left -= len(content)
        if left < 0:
            raise _too_large()
        if name in seen:
            raise ArchiveError(f"two entries are called {_shown(name)}")
        seen.add(name)
        yield name, content


def _of_zip(archive: bytes) -> Iterator[tuple[PurePosixPath, bytes]]:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        members = opened.infolist()
        _few(len(members))
        left = MOST_BYTES
        for member in members:
            name = _name(member.filename)
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise ArchiveError(f"{_shown(name)} is neither a file nor a folder")
            if member.flag_bits & 1:
                raise ArchiveError(f"{_shown(name)} is encrypted")
            if member.compress_type not in _PACKED:
                raise ArchiveError(f"{_shown(name)} is packed otherwise than by deflate")
            if member.is_dir():
                continue
            # What the archive says of the size may be false: it is read no further than there is room.
            with opened.open(member) as stream:
                content = stream.read(left + 1)
            left -= len(content)
            if left < 0:
                raise _too_large()
            yield name, content


def _of_tar(archive: bytes) -> Iterator[tuple[PurePosixPath, bytes]]:
    if archive[:2] == b"\x1f\x8b":
        with gzip.GzipFile(fileobj=io.BytesIO(archive)) as stream:
            archive = stream.read(2 * MOST_BYTES + 1)
        if len(archive) > 2 * MOST_BYTES:
            raise _too_large()
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as opened:
        for number, member in enumerate(opened, start=1):
            _few(number)
            name = _name(member.name)
            if member.isdir():
                continue
            # A sparse file's size is more than what the archive holds.
            if not member.isreg() or member.issparse():
                raise ArchiveError(f"{_shown(name)} is neither a file nor a folder")
            stream_of = opened.extractfile(member)
            yield name, stream_of.read() if stream_of is not None else b""


def _name(text: str) -> PurePosixPath:
    """Gives an entry's name, where it is one below the archive's own folder."""
    name = PurePosixPath(text)
    parts = name.parts
    is_plain = parts and not name.is_absolute() and ".." not in parts and not set(text) & set("\\:\0")
    if not is_plain or not text.isprintable() or any(len(part.encode()) > _NAME_CHARACTERS for part in parts):
        raise ArchiveError(f"{_shown(name)} is no name of a file below the archive's folder")
    if len(parts) > _MOST_FOLDERS:
        raise ArchiveError(f"{_shown(name)} lies in more than {_MOST_FOLDERS - 1} folders")
    return name


def _few(entries: int) -> None:
    if entries > _MOST_ENTRIES:
        raise ArchiveError(f"it has more than {_MOST_ENTRIES} entries")


def _too_large() -> ArchiveError:
    return ArchiveError(f"what is in it is larger than {MOST_BYTES // 2**20} MiB")


def _shown(name: PurePosixPath) -> str:
    return ascii(str(name)[:100])
