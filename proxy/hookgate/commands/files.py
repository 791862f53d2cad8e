"""How many files a command that serves may have open."""

import contextlib
import resource


def raise_file_limit() -> None:
    """Silent connections must not use up the files that new requests need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
