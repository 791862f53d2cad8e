"""Whose a request is: by the token in it, or by the certificate of its connection."""

import time
from collections import OrderedDict
from datetime import UTC, datetime
from typing import NamedTuple

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID

from hookgate.collect.enrolment import TOKEN_PREFIX, digest_of, instance_of_name, instance_of_token
from hookgate.collect.session import Database
from hookgate.identity.certificate import Revocations
from hookgate.identity.connection import connection_of

#: How long a credential that was looked up counts. What is appended is checked again where it is stored.
_SECONDS, _MOST = 2.0, 20_000


class Named(NamedTuple):
    """What a client's certificate says: the machine's name, and the certificate's SHA-256 in hexadecimal."""

    name: str
    fingerprint: str


class Who:
    """Tells whose requests are. `certificates`: what of a certificate names a machine; empty for nothing."""

    def __init__(self, database: Database, certificates: str, revocations: Revocations) -> None:
        self._database = database
        self._certificates = certificates
        self._revocations = revocations
        self._known: OrderedDict[str, tuple[str | None, float]] = OrderedDict()

    async def find(self, request: web.Request) -> str | None:
        """Gives the id of the journal that a request is for, None where nothing says it. Raises DatabaseError."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and token.startswith(TOKEN_PREFIX):
            return await self._looked_up(f"token {digest_of(token)}", token)
        named = self.named(request)
        return await self._looked_up(f"name {named.name}", named.name) if named is not None else None

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

    async def _looked_up(self, key: str, value: str) -> str | None:
        known = self._known.get(key)
        if known is not None and time.monotonic() - known[1] < _SECONDS:
            return known[0]
        find = instance_of_token if key.startswith("token") else instance_of_name
        found = await find(self._database, value)
        self._known[key] = found, time.monotonic()
        self._known.move_to_end(key)
        while len(self._known) > _MOST:
            self._known.popitem(last=False)
        return found


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
