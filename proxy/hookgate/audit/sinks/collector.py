"""To a collector, which takes the journals of many Hookgates and knows how far it has each."""

import asyncio
import ssl
import zlib
from collections.abc import Sequence
from email.utils import formatdate
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from hookgate import __version__
from hookgate.audit.shipping.shipment import Shipment, SinkError, SinkRefusedError
from hookgate.audit.sinks.tls import context
from hookgate.audit.sinks.unreached import unreached
from hookgate.config.shippers import CollectorShipper
from hookgate.harmless import harmless
from hookgate.streams import first_of

_ANSWER_BYTES = 64 * 1024
_SAID_CHARACTERS = 200
#: The content is at fault: the batch is halved until the line is found.
_REFUSED = frozenset({400, 413, 422})
_GZIP = 31
_MOST_WAIT_SECONDS, _WAIT_DIGITS = 60.0, 6


class _Answer(msgspec.Struct, frozen=True):
    seq: int = -1
    hash: str = ""
    error: str = ""


class CollectorSink:
    """Posts lines as they stand in the journal, checkpoints included. Where the collector has less than was acknowledged (its
    store was brought back from a copy), it says that it has nothing of the chain, so that all comes again."""

    def __init__(self, config: CollectorShipper) -> None:
        self._config = config
        self._url = config.url.rstrip("/")
        self._session: aiohttp.ClientSession | None = None
        self._headers: dict[str, str] = {}
        #: The first line of a batch before which the collector misses some.
        self._missed = 0
        self._seq = 0
        self._is_behind = False

    async def open(self) -> None:
        """Makes ready, and asks how far the collector is. Raises SinkError."""
        await self.close()
        token = await asyncio.to_thread(self._token)
        tls: ssl.SSLContext | bool = True
        if self._url.startswith("https:"):
            tls = await asyncio.to_thread(self._context)
        self._headers = {"User-Agent": f"hookgate/{__version__}", "Accept-Encoding": "identity"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=1, ssl=tls),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=self._config.timeout_seconds),
            trust_env=False,
            auto_decompress=False,
        )
        self._seq = (await self._asked("GET", "/v1/position")).seq

    async def holds(self, instance: str) -> bool:
        """Whether it has what was acknowledged of this journal."""
        is_behind, self._is_behind = self._is_behind, False
        return self._seq > 0 and not is_behind

    async def send(self, batch: Sequence[Shipment]) -> None:
        """Posts a batch. Raises SinkError or SinkRefusedError."""
        if not batch:
            return
        body = await asyncio.to_thread(_gzipped, b"".join(one.line + b"\n" for one in batch))
        headers = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip", "Date": formatdate(usegmt=True)}
        first = batch[0].seq
        if first == self._missed:
            # It comes again, although all was asked for: what was before it is gone.
            headers["Hookgate-Gap"] = "known"
        answer = await self._asked("POST", "/v1/records", body, headers, first=first)
        if answer.seq < batch[-1].seq:
            raise SinkError(f"{self._place} has taken lines up to {answer.seq} only")
        self._seq, self._missed = answer.seq, 0

    async def close(self) -> None:
        """Lets the connection go."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    @property
    def _place(self) -> str:
        return self._url.partition("://")[2].partition("/")[0].rpartition("@")[2]

    async def _asked(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        *,
        first: int = 0,
    ) -> _Answer:
        session = self._session
        if session is None:
            raise SinkError(f"{self._place}: not open")
        try:
            async with session.request(
                method, self._url + path, data=body, headers={**self._headers, **(headers or {})}, allow_redirects=False
            ) as response:
                content = await first_of(response.content, _ANSWER_BYTES)
                status, wait = response.status, response.headers.get("Retry-After", "")
        except TimeoutError:
            raise SinkError(f"{self._place} gave no answer within {self._config.timeout_seconds:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as fault:
            raise SinkError(f"{self._place}: {unreached(fault, '`ca`')}") from None
        try:
            answer = msgspec.json.decode(content, type=_Answer)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise SinkError(f"{self._place} answers {status}, and is no collector") from None
        if status == 200:
            if answer.seq < 0:
                raise SinkError(f"{self._place} answers 200, and is no collector")
            return answer
        said = harmless(answer.error, _SAID_CHARACTERS)
        if status in _REFUSED:
            raise SinkRefusedError(f"{self._place} answers {status}: {said}")
        if status == 409:
            self._missed, self._is_behind = first, True
        if status in (429, 503) and wait.isascii() and wait.isdigit() and len(wait) <= _WAIT_DIGITS:
            # It is asked for at once otherwise; the courier's own time for a batch goes on meanwhile.
            await asyncio.sleep(min(int(wait), _MOST_WAIT_SECONDS, self._config.timeout_seconds / 2))
        raise SinkError(f"{self._place} answers {status}: {said}")

    def _token(self) -> str:
        if not self._config.token_file:
            return ""
        try:
            return Path(self._config.token_file).read_text(encoding="ascii").strip()
        except (OSError, ValueError) as fault:
            why = getattr(fault, "strerror", None) or "is no token"
            raise SinkError(f"token_file: {self._config.token_file}: {why}; `hookgate enroll` writes it") from None

    def _context(self) -> ssl.SSLContext:
        made = context(self._config.ca)
        if self._config.certificate:
            try:
                made.load_cert_chain(self._config.certificate, self._config.key, password=_no_passphrase)
            except (OSError, ValueError) as fault:
                why = getattr(fault, "strerror", None) or "can't be used"
                raise SinkError(f"certificate: {self._config.certificate}: {why}") from None
        return made


def _no_passphrase() -> Any:
    raise ValueError("the key has a passphrase")


def _gzipped(body: bytes) -> bytes:
    squeezer = zlib.compressobj(6, zlib.DEFLATED, _GZIP)
    return squeezer.compress(body) + squeezer.flush()
