"""Whose a request is: by the token in it, or by the certificate of its connection."""

import asyncio
import time
from collections import OrderedDict
from datetime import UTC, datetime
from itertools import islice
from typing import NamedTuple

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID

from hookgate.collect.enrolment import TOKEN_PREFIX, Holder, digest_of, holders
from hookgate.collect.session import Database
from hookgate.identity.certificate import Revocations
from hookgate.identity.connection import connection_of

#: How long a credential that was looked up counts. What is appended is checked again where it is stored.
_SECONDS, _MOST = 2.0, 20_000
#: Credentials that are looked up together.
_TOGETHER = 500


class Named(NamedTuple):
    """What a client's certificate says: the machine's name, and the certificate's SHA-256 in hexadecimal."""

    name: str
    fingerprint: str


class Who:
    """Tells whose requests are. `certificates`: what of a certificate names a machine; empty for nothing.

    What is asked about at the same time is looked up together, with one question at a time: who tries credentials that nobody
    has takes no more of the store than that, and nobody else has to wait longer than for the question before.
    """

    def __init__(self, database: Database, certificates: str, revocations: Revocations) -> None:
        self._database = database
        self._certificates = certificates
        self._revocations = revocations
        #: By what holds it: whether that is a token (its digest) or a certificate's name.
        self._known: OrderedDict[tuple[bool, str], tuple[Holder, float]] = OrderedDict()
        self._wanted: dict[tuple[bool, str], asyncio.Future[Holder | None]] = {}
        self._asking: asyncio.Task[None] | None = None

    async def find(self, request: web.Request) -> Holder | None:
        """Gives whose a request is, None where nothing says it. Raises DatabaseError."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and token.startswith(TOKEN_PREFIX):
            return await self._looked_up((True, digest_of(token)))
        named = self.named(request)
        return await self._looked_up((False, named.name)) if named is not None else None

    def named(self, request: web.Request) -> Named | None:
        """Gives what a request's certificate says; None without one that counts."""
        if not self._certificates or request.transport is None:
            return None
        certificate = connection_of(request.transport).certificate
        if (
            certificate is None
            or self._revocations.holds(certificate)
            or datetime.now(UTC) > certificate.not_valid_after_utc
        ):
            return None
        names = _names(certificate, self._certificates)
        if len(names) != 1 or not names[0].strip():
            return None
        return Named(names[0].strip(), certificate.fingerprint(SHA256()).hex())

    async def _looked_up(self, key: tuple[bool, str]) -> Holder | None:
        known = self._known.get(key)
        if known is not None and time.monotonic() - known[1] < _SECONDS:
            return known[0]
        wanted = self._wanted.get(key)
        if wanted is None:
            wanted = self._wanted[key] = asyncio.get_running_loop().create_future()
            # Where nobody waits any longer, nobody wants to hear of a fault either.
            wanted.add_done_callback(lambda over: over.cancelled() or over.exception())
            if self._asking is None or self._asking.done():
                self._asking = asyncio.create_task(self._ask())
        return await asyncio.shield(wanted)

    async def _ask(self) -> None:
        while self._wanted:
            asked = dict(islice(self._wanted.items(), _TOGETHER))
            try:
                found = await holders(
                    self._database,
                    [what for is_token, what in asked if is_token],
                    [what for is_token, what in asked if not is_token],
                )
            except Exception as error:  # noqa: BLE001 (raised where it is waited for)
                for key, wanted in asked.items():
                    del self._wanted[key]
                    wanted.set_exception(error)
                continue
            for key, wanted in asked.items():
                del self._wanted[key]
                holder = found[0 if key[0] else 1].get(key[1])
                if holder is not None:
                    self._keep(key, holder)
                wanted.set_result(holder)

    def _keep(self, key: tuple[bool, str], holder: Holder) -> None:
        self._known[key] = holder, time.monotonic()
        self._known.move_to_end(key)
        while len(self._known) > _MOST:
            self._known.popitem(last=False)


def _names(certificate: x509.Certificate, kind: str) -> list[str]:
    if kind == "cn":
        return [str(one.value) for one in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    if kind == "dns":
        return [str(name) for name in names.get_values_for_type(x509.DNSName)]
    return [str(name) for name in names.get_values_for_type(x509.UniformResourceIdentifier)]
