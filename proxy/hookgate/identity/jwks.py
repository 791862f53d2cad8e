"""An issuer's keys: fetched off the decision's way, looked for again at a pace that no caller sets, and used while it is down."""

import asyncio
import ssl
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from hookgate.config.identity import JwtIssuer
from hookgate.errors import ErrorKind, GateError
from hookgate.identity.watched import IdentityError, Watch, WatchedFile

Key = RSAKey | ECKey | OKPKey

#: A key that is not known is looked for this often at the most.
LEAST_SECONDS = 30.0
_FIRST_RETRY_SECONDS = 1.0
_MAX_BYTES = 512 * 1024
_MAX_KEYS = 100
_LEAST_RSA_BITS = 2048
_KINDS: dict[str, type[Key]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
#: What stands in a public key, by kind; private parts are not kept.
_PUBLIC = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}
_ABOUT = ("kty", "kid", "alg", "use")


def parse_keys(raw: bytes) -> tuple[Key, ...]:
    """Gives the public keys of a JWK set that can sign tokens. Raises ValueError where there is none: keys of other kinds, weak
    ones and such as are for encryption don't count."""
    try:
        entries = msgspec.json.decode(raw)["keys"]
    except (msgspec.DecodeError, KeyError, TypeError, RecursionError):
        raise ValueError("is no JWK set") from None
    if not isinstance(entries, list):
        raise ValueError("is no JWK set")  # noqa: TRY004 (what is wrong is the file)
    keys = tuple(key for entry in entries[:_MAX_KEYS] if (key := _key(entry)) is not None)
    if not keys:
        raise ValueError("holds no key that can be used (RSA of 2048 bits or more, EC, Ed25519)")
    return keys


def _key(entry: Any) -> Key | None:
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
        return None
    kind = _KINDS.get(str(entry.get("kty")))
    if kind is None:
        return None
    try:
        parts = {name: entry[name] for name in (*_ABOUT, *_PUBLIC[entry["kty"]]) if name in entry}
        key: Key = kind.import_key(parts)
        if isinstance(key, RSAKey) and key.raw_value.key_size < _LEAST_RSA_BITS:
            return None
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    return key


class Keys:
    """The keys of one issuer."""

    def __init__(self, issuer: JwtIssuer, watch: Watch) -> None:
        self._issuer = issuer
        self._watch = watch
        self._file = WatchedFile(issuer.jwks_file, parse_keys, watch) if issuer.jwks_file else None
        self._fetched: tuple[Key, ...] = ()
        self._fetched_at = self._tried_at = float("-inf")
        self._fetches = 0
        self._fetching: asyncio.Task[None] | None = None
        try:
            self._tls = ssl.create_default_context(cafile=issuer.ca or None)
        except ssl.SSLError as error:
            raise IdentityError(f"{issuer.ca}: is no PEM file of authorities: {error.reason}") from None

    @property
    def generation(self) -> int:
        """Grows whenever other keys may count."""
        return self._file.generation if self._file else self._fetches

    @property
    def is_fresh(self) -> bool:
        """Whether there are keys that still count."""
        return self._file is not None or time.monotonic() < self._fetched_at + self._issuer.stale_seconds

    def _known(self) -> Sequence[Key]:
        if self._file is not None:
            return self._file.value
        return self._fetched if self.is_fresh else ()

    async def find(self, kid: str | None, kind: str) -> list[Key]:
        """Gives the keys that may have signed; looks for one that is not known, if that was not done just now.

        Raises GateError: identity_unavailable, where no keys can be had at all.
        """
        found = _matching(self._known(), kid, kind)
        if not found and self._file is None and (self._fetching or self._may_try()):
            await self._fetch()
            found = _matching(self._known(), kid, kind)
        if not found and not self._known():
            raise GateError(
                ErrorKind.IDENTITY_UNAVAILABLE,
                "the issuer's keys can't be had; the log event keys_failed says why",
                hint="The identity provider that has to vouch for your token can't be reached.",
            )
        return found

    def _may_try(self) -> bool:
        return time.monotonic() >= self._tried_at + LEAST_SECONDS

    async def run(self) -> None:
        """Fetches again and again; sooner where it fails."""
        if self._file is not None:
            await self._file.run()
            return
        pause = _FIRST_RETRY_SECONDS
        while True:
            before = self._fetched_at
            await self._fetch()
            failed = self._fetched_at == before
            pause = min(pause * 2, LEAST_SECONDS) if failed else _FIRST_RETRY_SECONDS
            await asyncio.sleep(pause if failed else self._issuer.refresh_seconds)

    async def _fetch(self) -> None:
        """One at a time; who waits for it may go, it goes on."""
        if self._fetching is None or self._fetching.done():
            self._tried_at = time.monotonic()
            self._fetching = asyncio.create_task(self._try())
            self._fetching.add_done_callback(lambda _: setattr(self, "_fetching", None))
        await asyncio.shield(self._fetching)

    async def _try(self) -> None:
        try:
            async with asyncio.timeout(self._issuer.timeout_seconds):
                keys = parse_keys(await self._get())
        except Exception as error:  # noqa: BLE001 (the keys that are there still count, and the next fetch comes)
            why = str(error) if type(error) is ValueError else type(error).__name__
            self._watch.keys_failed(self._issuer.issuer, why)
            return
        if [key.as_dict() for key in keys] != [key.as_dict() for key in self._fetched]:
            self._fetches += 1
        self._fetched, self._fetched_at = keys, time.monotonic()
        self._watch.keys_fetched(self._issuer.issuer, len(keys))

    async def _get(self) -> bytes:
        headers = {"Accept": "application/json"}
        if self._issuer.token_file:
            token = await asyncio.to_thread(Path(self._issuer.token_file).read_text, encoding="ascii")
            headers["Authorization"] = f"Bearer {token.strip()}"
        async with (
            aiohttp.ClientSession() as session,
            session.get(self._issuer.jwks_url, headers=headers, allow_redirects=False, ssl=self._tls) as response,
        ):
            if response.status != 200:
                raise ValueError(f"answered {response.status}")
            body = bytearray()
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > _MAX_BYTES:
                    raise ValueError(f"answered more than {_MAX_BYTES} bytes")
            return bytes(body)


def _matching(keys: Sequence[Key], kid: str | None, kind: str) -> list[Key]:
    return [key for key in keys if key.key_type == kind and (kid is None or key.kid == kid)]
