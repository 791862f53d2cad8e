"""The pages over the audit trail: where they are served, and who may see them."""

import ipaddress
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from msgspec import Meta

from hookgate.config.audit import Audit
from hookgate.config.section import Section
from hookgate.config.shippers import PostgresShipper, Secret, SqliteShipper
from hookgate.config.tls import ServerTls, tls_faults
from hookgate.config.url import http_fault, postgres_fault

_STORES = (SqliteShipper, PostgresShipper)


class Oidc(Section, frozen=True):
    """Login with an identity provider (OpenID Connect, authorization code with PKCE)."""

    issuer: Annotated[
        str,
        Meta(
            pattern="^(|https?://.+)$",
            description="The provider, as it names itself; https, or http on loopback. Empty: no such login.",
        ),
    ] = ""
    client_id: Annotated[str, Meta(description="What the console is called there; also the audience of ID tokens.")] = (
        ""
    )
    client_secret: Annotated[Secret, Meta(description="Its secret; empty for a public client.")] = ""
    scopes: Annotated[tuple[str, ...], Meta(description="What is asked for beside `openid`.")] = ("profile",)
    user_claim: Annotated[str, Meta(min_length=1, description="Path of the claim that names the person.")] = "sub"
    roles_claim: Annotated[
        str, Meta(min_length=1, description="Path of the claim whose values make somebody a viewer or an auditor.")
    ] = "groups"
    viewers: Annotated[tuple[str, ...], Meta(description="Values of it that let somebody look at records.")] = ()
    auditors: Annotated[
        tuple[str, ...],
        Meta(
            description="Values of it that also let them take records out, have the journal verified, and make reports."
        ),
    ] = ()
    ca: Annotated[
        str, Meta(description="PEM file of the authorities that vouch for the provider; else the system's.")
    ] = ""


class Console(Section, frozen=True):
    """The pages over the audit trail, which `hookgate ship` serves."""

    enabled: Annotated[bool, Meta(description="Whether they are served; `hookgate dev` does so by itself.")] = False
    host: Annotated[str, Meta(min_length=1, description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="Port to listen on; 0 picks a free one.")] = 3595
    allowed_hosts: Annotated[
        tuple[str, ...], Meta(description="As server.allowed_hosts, for browsers that know it by a name.")
    ] = ()
    public_url: Annotated[
        str,
        Meta(
            pattern="^(|https?://.+)$",
            description="What browsers call it, where that is not the address that it listens on: `https://audit.example.com`. The "
            "identity provider sends people back there.",
        ),
    ] = ""
    tls: ServerTls = ServerTls()
    oidc: Oidc = Oidc()
    tokens: Annotated[
        str,
        Meta(
            description="File with bearer tokens (`hookgate token create`) whose roles `viewer` or `auditor` let somebody in; "
            "empty for none."
        ),
    ] = ""
    store: Annotated[
        Secret,
        Meta(
            description="The store that is asked, as `--store` names it, for example with a reader's account; empty: that of the "
            "first shipper `sqlite` or `postgres`."
        ),
    ] = ""
    policies: Annotated[
        str,
        Meta(description="Directory with the policies, so that rules that never fired can be named; empty: unknown."),
    ] = ""
    expected: Annotated[
        str,
        Meta(
            description="File with the machines that there should be (CSV, JSON or YAML), for the page of the fleet; as "
            "`hookgate fleet --expected`."
        ),
    ] = ""
    session_seconds: Annotated[
        float,
        Meta(ge=60, le=86400, description="How long somebody stays logged in without doing anything; 12 hours in all."),
    ] = 3600.0
    question_seconds: Annotated[
        float, Meta(gt=0, le=300, description="How long the store may take for a question before it is given up.")
    ] = 10.0

    @property
    def by_link(self) -> bool:
        """Whether people come in by a link that is good for once: nothing else lets them in."""
        return not self.oidc.issuer and not self.tokens


def store_of(console: Console, audit: Audit) -> tuple[str, str]:
    """Gives the store that is asked and PostgreSQL's schema; an empty name where there is none."""
    shipper = next((one for one in audit.shippers if isinstance(one, _STORES)), None)
    schema = shipper.schema if isinstance(shipper, PostgresShipper) else "hookgate"
    if console.store:
        return console.store, schema
    if isinstance(shipper, PostgresShipper):
        return shipper.url, schema
    if isinstance(shipper, SqliteShipper):
        return shipper.path or str(Path(audit.directory) / "store.sqlite"), schema
    return "", schema


def console_faults(console: Console, audit: Audit) -> Iterator[str]:
    """Gives one line a fault, each beginning with the key's path."""
    yield from tls_faults(console.tls, "console.tls")
    if not console.enabled:
        return
    where, _ = store_of(console, audit)
    if not where:
        yield "console.enabled: there is no store to look into: add a shipper of type sqlite or postgres, or set console.store"
    if console.store.startswith("postgres") and (fault := postgres_fault(console.store)):
        yield f"console.store: {fault}"
    local = _is_loopback(console.host)
    if not local and console.by_link:
        yield (
            f"console.host: {console.host} is not loopback, and nothing says who may come in: set console.oidc or console.tokens"
        )
    if not local and not console.tls.certificate and not console.public_url.startswith("https:"):
        yield (
            f"console.host: {console.host} is not loopback: set console.tls, or console.public_url to the https URL of what "
            "stands before it"
        )
    if console.tokens and not Path(console.tokens).is_file():
        yield f"console.tokens: no such file: {console.tokens}"
    if console.expected and not Path(console.expected).is_file():
        yield f"console.expected: no such file: {console.expected}"
    if console.policies and not Path(console.policies).is_dir():
        yield f"console.policies: no such directory: {console.policies}"
    if console.public_url and (fault := http_fault(console.public_url)):
        yield f"console.public_url: {fault}"
    yield from _oidc_faults(console)


def _oidc_faults(console: Console) -> Iterator[str]:
    oidc = console.oidc
    if not oidc.issuer:
        if oidc.client_id:
            yield "console.oidc.client_id: has no effect without console.oidc.issuer"
        return
    if fault := http_fault(oidc.issuer):
        yield f"console.oidc.issuer: {fault}"
    elif oidc.issuer.startswith("http:") and not _is_loopback(urlsplit(oidc.issuer).hostname or ""):
        yield "console.oidc.issuer: expected https, as whoever answers there decides who comes in"
    if not oidc.client_id:
        yield "console.oidc.client_id: is missing"
    if not (oidc.viewers or oidc.auditors):
        yield "console.oidc: lets nobody in: name values of roles_claim in viewers or auditors"
    if oidc.ca and not Path(oidc.ca).is_file():
        yield f"console.oidc.ca: no such file: {oidc.ca}"


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
