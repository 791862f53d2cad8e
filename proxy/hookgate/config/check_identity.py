"""Faults in the sources of identity that show only when several settings are looked at together."""

import ipaddress
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from hookgate.config.identity import (
    AnySource,
    DefaultSource,
    HeadersSource,
    Identity,
    JwtIssuer,
    JwtSource,
    MtlsSource,
    PeerSource,
    TokenSource,
    is_verified,
)


def identity_faults(identity: Identity, *, client_ca: str) -> list[str]:
    """Gives one line a fault, each beginning with the key's path."""
    faults: list[str] = []
    seen: set[type[AnySource]] = set()
    if not identity.sources:
        faults.append("identity.sources: is empty: nobody could ask anything")
    for i, source in enumerate(identity.sources):
        here = f"identity.sources[{i}]"
        if type(source) in seen:
            faults.append(f"{here}: is the second of its type; give one, with all that it shall know")
        seen.add(type(source))
        if DefaultSource in seen and not isinstance(source, DefaultSource):
            faults.append(f"{here}: is never reached: `default` before it always finds somebody; put that last")
        faults += _source(source, here, client_ca)
    if identity.require_verified and not any(is_verified(source) for source in identity.sources):
        faults.append(
            "identity.require_verified: denies every call, for no source verifies anybody; add one to identity.sources: "
            "peer, mtls, jwt or token"
        )
    if identity.directory.file and not Path(identity.directory.file).is_file():
        faults.append(f"identity.directory.file: no such file: {identity.directory.file}")
    return faults


def _source(source: AnySource, here: str, client_ca: str) -> Iterator[str]:
    match source:
        case PeerSource() if sys.platform != "linux":
            yield f"{here}.type: peer needs Linux, which alone tells whose a connection is; use mtls, jwt or token here"
        case MtlsSource() if not client_ca:
            yield f"{here}: needs server.tls.client_ca, the authorities that vouch for clients' certificates"
        case TokenSource(file=file) if not Path(file).is_file():
            yield f"{here}.file: no such file: {file}; make it with `hookgate token create --file {file} --user NAME`"
        case JwtSource(issuers=issuers):
            if not issuers:
                yield f"{here}.issuers: is empty: no token could be believed"
            names = [one.issuer for one in issuers]
            for j, issuer in enumerate(issuers):
                if issuer.issuer in names[:j]:
                    yield f"{here}.issuers[{j}].issuer: is given twice"
                yield from _issuer(issuer, f"{here}.issuers[{j}]")
        case HeadersSource(trusted_networks=networks):
            for j, network in enumerate(networks):
                try:
                    ipaddress.ip_network(network)
                except ValueError as error:
                    yield f"{here}.trusted_networks[{j}]: {error}"
        case _:
            pass


def _issuer(issuer: JwtIssuer, here: str) -> Iterator[str]:
    if not issuer.audiences:
        yield f"{here}.audiences: is empty: a token made for any other service would do; name ours"
    if not issuer.algorithms:
        yield f"{here}.algorithms: is empty: no token could be believed"
    if bool(issuer.jwks_url) == bool(issuer.jwks_file):
        yield f"{here}: give either jwks_url or jwks_file: where the issuer's keys are"
    url = urlsplit(issuer.jwks_url)
    if url.scheme == "http" and not _is_loopback(url.hostname or ""):
        yield f"{here}.jwks_url: whoever stands on the way could send keys of its own: use https"
    for key in ("jwks_file", "ca"):
        name = getattr(issuer, key)
        if name and not Path(name).is_file():
            yield f"{here}.{key}: no such file: {name}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
