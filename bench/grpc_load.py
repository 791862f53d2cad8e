"""Load over gRPC: the PDP asked through grpcio's asyncio client, which is the one that Hookgate uses, and through h2load
(nghttp2), which costs next to nothing, where it is installed."""

import asyncio
import struct
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc.aio

from bench.window import Window, WrongAnswerError
from hookgate.pdp.transport import METHOD


@dataclass(frozen=True, slots=True)
class GrpcTarget:
    """Where to send what. `is_right` judges a response's bytes."""

    address: str
    request: bytes
    is_right: Callable[[bytes], bool]


async def run(target: GrpcTarget, callers: int, window: Window) -> int:
    """Lets so many callers ask over one channel until the window ends; gives how many requests were answered in all.

    Raises WrongAnswerError.
    """
    async with grpc.aio.insecure_channel(target.address) as channel:
        call: Any = channel.unary_unary(METHOD)

        async def caller() -> int:
            answered = 0
            while True:
                begun = time.perf_counter()
                response: bytes = await call(target.request, timeout=60)
                ended = time.perf_counter()
                answered += 1
                if not target.is_right(response):
                    raise WrongAnswerError(f"gRPC: {response[:500]!r}")
                if not window.took(begun, ended):
                    return answered

        try:
            return sum(await asyncio.gather(*(caller() for _ in range(callers))))
        except grpc.aio.AioRpcError as error:
            raise WrongAnswerError(f"gRPC: {error.code().name}: {error.details()}") from None


@dataclass(frozen=True, slots=True)
class H2loadSample:
    """What h2load saw: how long each request took, and over which time. It knows nothing of gRPC's status."""

    taken_seconds: list[float]
    elapsed_seconds: float


async def run_h2load(program: str, target: GrpcTarget, callers: int, seconds: float) -> H2loadSample:
    """Lets h2load ask so many at once over one connection to a unix socket. Raises WrongAnswerError."""
    with tempfile.TemporaryDirectory(prefix="h2load-") as directory:
        data, log = Path(directory) / "request", Path(directory) / "log"
        data.write_bytes(struct.pack(">?I", False, len(target.request)) + target.request)
        process = await asyncio.create_subprocess_exec(
            program,
            f"--base-uri={target.address}",
            "--clients=1",
            f"--max-concurrent-streams={callers}",
            f"--duration={max(1, round(seconds * 1000))}ms",
            f"--data={data}",
            "--header=content-type: application/grpc",
            "--header=te: trailers",
            f"--log-file={log}",
            f"http://localhost{METHOD}",
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        told = (await process.communicate())[0].decode(errors="replace")
        return sample_of(log.read_text() if log.exists() else "", told, process.returncode or 0)


def sample_of(log: str, told: str, returncode: int) -> H2loadSample:
    """Reads h2load's log: for each request when it began, its status and how long it took, in microseconds. Raises
    WrongAnswerError, with what h2load told."""
    rows = [tuple(map(int, line.split()[:3])) for line in log.splitlines()]
    if returncode != 0 or any(status != 200 for _, status, _ in rows):
        raise WrongAnswerError(f"h2load: {told[-500:]}")
    taken = [microseconds / 1e6 for _, _, microseconds in rows]
    last = max((start + took for start, _, took in rows), default=0)
    return H2loadSample(taken, (last - min((start for start, _, _ in rows), default=0)) / 1e6)
