"""Identity by the client's certificate, which the handshake has verified."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from cryptography import x509
from cryptography.x509.oid import NameOID

from hookgate.config.identity import MtlsSource
from hookgate.errors import ErrorKind, GateError
from hookgate.identity.connection import Connection
from hookgate.identity.found import Found
from hookgate.identity.principal import Source


@dataclass(slots=True)
class Revocations:
    """Certificates that count no longer, by issuer and serial number. The handshake looks at the same list, but a connection
    may be older than an entry."""

    revoked: frozenset[tuple[bytes, int]] = field(default_factory=frozenset)

    def read(self, pem: bytes) -> None:
        """Takes over revocation lists. Raises ValueError for what is none."""
        found: set[tuple[bytes, int]] = set()
        marker = b"-----BEGIN X509 CRL-----"
        for part in pem.split(marker)[1:]:
            crl = x509.load_pem_x509_crl(marker + part)
            found |= {(crl.issuer.public_bytes(), entry.serial_number) for entry in crl}
        if marker not in pem:
            raise ValueError("holds no revocation list (PEM)")
        self.revoked = frozenset(found)

    def holds(self, certificate: x509.Certificate) -> bool:
        """Whether a certificate is revoked."""
        return (certificate.issuer.public_bytes(), certificate.serial_number) in self.revoked if self.revoked else False


class Certificates:
    """The subject of the client's certificate: the user from its name, groups from its organizational units."""

    def __init__(self, config: MtlsSource, revocations: Revocations) -> None:
        self._config = config
        self._revocations = revocations

    async def find(self, headers: Mapping[str, str], connection: Connection) -> Found | None:
        """Gives the certificate's subject, or None for a client that has presented none."""
        certificate = connection.certificate
        if certificate is None:
            return None
        if self._revocations.holds(certificate):
            raise GateError(ErrorKind.IDENTITY_INVALID, "the certificate was revoked while its connection was open")
        if datetime.now(UTC) > certificate.not_valid_after_utc:
            raise GateError(ErrorKind.IDENTITY_INVALID, "the certificate ran out while its connection was open")
        users = _users(certificate, self._config.user_from)
        if len(users) != 1 or not users[0].strip():
            where = {"cn": "common name", "email": "e-mail address", "uri": "URI"}[self._config.user_from]
            raise GateError(
                ErrorKind.IDENTITY_INVALID, f"the certificate has {len(users)} of what names the user: {where}"
            )
        units = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
        return Found(
            users[0].strip(),
            Source.MTLS,
            self._config.roles,
            tuple(str(unit.value) for unit in units),
            claims={"serial_number": f"{certificate.serial_number:x}"},
        )

    async def run(self) -> None:
        """Needs nothing: the listener reads the files."""
        await asyncio.Event().wait()


def _users(certificate: x509.Certificate, source: str) -> list[str]:
    if source == "cn":
        return [str(one.value) for one in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    kind = x509.RFC822Name if source == "email" else x509.UniformResourceIdentifier
    return [str(name) for name in names.get_values_for_type(kind)]
