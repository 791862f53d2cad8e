"""POST requests with records in them, and what their answers mean for the records.

No redirect is followed and no proxy of the environment is used: records and credentials go to the address that is configured,
or nowhere. Errors name its host only: the rest of an address may be a secret, as headers are.
"""

import asyncio
import base64
import gzip
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import aiohttp
import msgspec
from multidict import CIMultiDict
from yarl import URL

from hookgate import __version__
from hookgate.audit.shipping.shipment import SinkError, SinkRefusedError
from hookgate.audit.sinks.tls import context
from hookgate.harmless import harmless

#: The most that goes into one body, before it is compressed, unless one record is larger.
BODY_BYTES = 4 * 1024 * 1024
#: The most that is read of an answer.
_ANSWER_BYTES = 8 * 1024 * 1024
_SAID_CHARACTERS = 200
#: Compressing fast: most of what can be saved, in a fraction of the time.
_GZIP_LEVEL = 1
#: The content is at fault, and would be again.
_REFUSED = frozenset((400, 413, 422))
_MENDS = {
    401: "mend its `headers`",
    403: "mend its `headers`, or the rights of whom they name",
    404: "mend its `url`",
    405: "mend its `url`",
    415: "mend its `body`",
    429: "it is overloaded",
}
_Item = TypeVar("_Item")


class Answer(NamedTuple):
    """What came back. `body` is cut at a bound."""

    status: int
    body: bytes

    @property
    def members(self) -> dict[str, Any]:
        """The body's JSON object; empty where it is something else."""
        try:
            found = msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}


@dataclass(frozen=True, slots=True)
class Target:
    """Where to post to, and how."""

    url: str
    headers: Mapping[str, str]
    ca: str | None
    timeout_seconds: float
    gzip: bool = True


class Poster:
    """Posts bodies to one address, one at a time, over a connection that is kept."""

    def __init__(self, target: Target) -> None:
        self._target = target
        try:
            self._url = URL(target.url)
        except ValueError:
            self._url = URL()
        self._session: aiohttp.ClientSession | None = None
        #: What is told of the address.
        self.place = self._url.host or "the sink"
        if self._url.explicit_port:
            self.place += f":{self._url.explicit_port}"

    def open(self) -> None:
        """Makes ready; connects to nothing. Raises SinkError where the address is none, or the authorities can't be read."""
        if self._session is None:
            self._session = self._made()

    async def close(self) -> None:
        """Lets the connection go."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def post(self, body: bytes, *, content_type: str, headers: Mapping[str, str] | None = None) -> Answer:
        """Posts a body and gives the answer, of whatever status. Raises SinkError where none comes."""
        session = self._session = self._session or self._made()
        given = CIMultiDict({"Accept-Encoding": "identity", "User-Agent": f"hookgate/{__version__}", **(headers or {})})
        given.update(self._target.headers)
        given["Content-Type"] = content_type
        if self._target.gzip:
            body = await asyncio.to_thread(gzip.compress, body, _GZIP_LEVEL)
            given["Content-Encoding"] = "gzip"
        try:
            async with session.post(self._url, data=body, headers=given, allow_redirects=False) as response:
                return Answer(response.status, await _bounded(response))
        except TimeoutError:
            raise SinkError(f"{self.place} gave no answer within {self._target.timeout_seconds:g} s") from None
        except aiohttp.ClientSSLError as fault:
            raise SinkError(f"{self.place}: TLS: {_reason(fault)}; is `ca` the right file?") from None
        except aiohttp.ClientConnectorError as fault:
            raise SinkError(f"{self.place} can't be reached: {_reason(fault)}") from None
        except (aiohttp.ClientError, OSError) as fault:
            raise SinkError(f"{self.place}: {type(fault).__name__}") from None
        except ValueError:
            # aiohttp quotes the header or the address.
            raise SinkError(f"{self.place}: `url` or a value in `headers` can't be sent: look for a line end") from None

    def check(self, answer: Answer) -> None:
        """Returns where the answer is a success. Raises SinkRefusedError where the content is at fault, else SinkError."""
        status = answer.status
        if 200 <= status < 300:
            return
        said = self.said(answer.body)
        words = f"{self.place} answers {status}" + (f": {said}" if said else "")
        if status in _REFUSED:
            raise SinkRefusedError(words)
        if 300 <= status < 400:
            raise SinkError(f"{self.place} answers {status}: redirects are not followed; set `url` to where it leads")
        raise SinkError(words + (f" ({_MENDS[status]})" if status in _MENDS else ""))

    def said(self, text: bytes | str) -> str:
        """Gives the beginning of what a sink says, safe to show, without the secrets that it may repeat."""
        plain = text.decode(errors="replace") if isinstance(text, bytes) else text
        for secret in self._secrets():
            plain = plain.replace(secret, "***")
        return harmless(" ".join(plain[: 4 * _SAID_CHARACTERS].split()), _SAID_CHARACTERS)

    def _made(self) -> aiohttp.ClientSession:
        if not self._url.host:
            raise SinkError("`url` is no address: https://HOST:PORT/PATH")
        verified = context(self._target.ca) if self._url.scheme == "https" else True
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=1, ssl=verified),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=self._target.timeout_seconds),
            trust_env=False,
            # An answer is read up to a bound, which a compressed one would get around.
            auto_decompress=False,
        )

    def _secrets(self) -> list[str]:
        """What an answer may repeat: values of headers with and without their scheme, and whatever follows the host."""
        url = self._url
        found = {word for value in self._target.headers.values() for word in (value, *value.split()[-1:])}
        found |= {part for part in (url.path_qs, url.raw_path_qs, url.path, url.raw_path) if len(part) > 1}
        found |= {value for value in url.query.values() if value}
        if url.password:
            basic = base64.b64encode(f"{url.user or ''}:{url.password}".encode()).decode()
            found |= {url.password, basic}
        return sorted(found - {""}, key=len, reverse=True)


def pieces(items: Iterable[tuple[_Item, bytes]], limit: int = BODY_BYTES) -> Iterator[list[tuple[_Item, bytes]]]:
    """Gives items and what they are encoded as, in pieces of so many bytes; what is larger by itself stands alone."""
    piece: list[tuple[_Item, bytes]] = []
    size = 0
    for item, encoded in items:
        if piece and size + len(encoded) > limit:
            yield piece
            piece, size = [], 0
        piece.append((item, encoded))
        size += len(encoded)
    if piece:
        yield piece


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    found = bytearray()
    async for chunk in response.content.iter_any():
        found += chunk
        if len(found) > _ANSWER_BYTES:
            response.close()
            return bytes(found[:_ANSWER_BYTES])
    return bytes(found)


def _reason(fault: aiohttp.ClientConnectorError) -> str:
    if isinstance(fault, aiohttp.ClientConnectorCertificateError):
        return getattr(fault.certificate_error, "verify_message", "") or "its certificate is not trusted"
    return fault.os_error.strerror or type(fault.os_error).__name__
