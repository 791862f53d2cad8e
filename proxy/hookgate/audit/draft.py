"""A file that is there whole, or not at all: written beside its place under another name, and moved there at the end."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from hookgate.audit.segments import sync_directory


@contextmanager
def drafted(path: Path) -> Iterator[BinaryIO]:
    """Gives where the content is written to; the file replaces what was there once the block ends well, readable by its
    owner only, and nothing is left of it otherwise. Raises OSError."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.new")
    file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(file, "wb", buffering=1 << 20) as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise


def write_whole(path: Path, content: bytes) -> None:
    """Makes or replaces a small file of one writer, readable by its owner only, on the disk when it returns. Raises OSError."""
    draft = path.with_name(path.name + ".new")
    file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(file, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(file)
    draft.replace(path)
    sync_directory(path.parent)
