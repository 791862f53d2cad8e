"""`python -m hookgate.console.trying`: a what-if about uploaded policies, with a line of JSON now and then that says how
far it is, and the result in the last one."""

import asyncio
import json
import os
import shutil
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

import msgspec

from hookgate.audit.store.opening import open_store
from hookgate.audit.store.question import Filter, StoreError
from hookgate.binaries import BinaryError, find_cerbos
from hookgate.console.job import ASKED
from hookgate.pdp.process import CerbosError
from hookgate.whatif.archive import ArchiveError, unpack
from hookgate.whatif.model import Result
from hookgate.whatif.trying import Trial, Trying

_EVERY_SECONDS = 0.3


class Arguments(msgspec.Struct, frozen=True):
    """What is tried, as JSON in the variable `ASKED`. The store is named by `HOOKGATE_STORE`, since it may hold a password."""

    archive: str
    name: str
    schema: str
    against: str
    wanted: Filter


def main(arguments: Arguments) -> int:
    """Tries; gives the exit code. The archive is removed, whatever becomes of it."""
    archive = Path(arguments.archive)
    into = archive.with_suffix(".policies")
    try:
        content = archive.read_bytes()
        archive.unlink()
        into.mkdir(mode=0o700)
        policies = unpack(content, into)
        result = _tried(arguments, policies)
    except (ArchiveError, BinaryError, CerbosError, StoreError) as error:
        # Where it was unpacked says nothing to whoever sent it.
        sys.stderr.write(f"{error}\n".replace(str(into), arguments.name or "the archive"))
        return 1
    except OSError as error:
        sys.stderr.write(f"{error.strerror}\n")
        return 1
    finally:
        shutil.rmtree(into, ignore_errors=True)
    named = msgspec.structs.replace(result, policies=arguments.name)
    _say({"done": result.total, "total": result.total, "result": msgspec.to_builtins(named)})
    return 0


def _tried(arguments: Arguments, policies: Path) -> Result:
    cerbos = find_cerbos(fetch=False, say=lambda _: None).path
    against = Path(arguments.against) if arguments.against else None
    trying = Trying(Trial(cerbos=cerbos, policies=policies, wanted=arguments.wanted, against=against))
    done, total, told = 0, 0, 0.0

    def progress(more: int) -> None:
        nonlocal done, told
        done += more
        if time.monotonic() - told >= _EVERY_SECONDS:
            told = time.monotonic()
            _say({"done": done, "total": max(done, total)})

    with closing(open_store(os.environ["HOOKGATE_STORE"], schema=arguments.schema)) as store:
        with suppress(StoreError):
            total = store.stats(trying.period, top=1, buckets=1, closely=False).total
        return asyncio.run(trying.run(store, progress))


def _say(told: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(msgspec.json.decode(os.environ[ASKED], type=Arguments)))
