"""TLS on a listener."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from hookgate.config.section import Section


class ServerTls(Section, frozen=True):
    """TLS, from version 1.2 on. Every file is read again when it changes, and no connection is dropped for it."""

    certificate: Annotated[
        str, Meta(description="File with the certificate and those between it and the authority (PEM); empty: no TLS.")
    ] = ""
    key: Annotated[str, Meta(description="File with its key (PEM, without a passphrase).")] = ""
    client_ca: Annotated[
        str, Meta(description="File with the authorities of clients' certificates (PEM); empty: none is asked for.")
    ] = ""
    client_crl: Annotated[
        str,
        Meta(description="File with those authorities' revocation lists (PEM). One that has run out lets nobody in."),
    ] = ""
    client_required: Annotated[
        bool, Meta(description="Whether a client without a certificate is turned away before it can ask anything.")
    ] = False


def tls_faults(tls: ServerTls, where: str = "server.tls") -> Iterator[str]:
    """Gives one line a fault, each beginning with the key's path."""
    if bool(tls.certificate) != bool(tls.key):
        yield f"{where}: certificate and key go together"
    if tls.client_ca and not tls.certificate:
        yield f"{where}.client_ca: has no effect without {where}.certificate"
    for key in ("client_crl", "client_required"):
        if getattr(tls, key) and not tls.client_ca:
            yield f"{where}.{key}: has no effect without {where}.client_ca"
    for key in ("certificate", "key", "client_ca", "client_crl"):
        name = getattr(tls, key)
        if name and not Path(name).is_file():
            yield f"{where}.{key}: no such file: {name}"
