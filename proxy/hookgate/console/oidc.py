"""Login with an identity provider: OpenID Connect Core 1.0, authorization code flow, with PKCE (RFC 7636, S256)."""

import asyncio
import base64
import hashlib
import hmac
import secrets
import ssl
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import aiohttp
import msgspec

from hookgate.audit.error import UNREADABLE
from hookgate.config.console import Oidc
from hookgate.config.identity import JwtIssuer
from hookgate.console.visitor import Role
from hookgate.errors import GateError
from hookgate.identity.jwks import Keys
from hookgate.identity.jwt import claim_at, peek, verified
from hookgate.identity.watched import IdentityError, Watch

#: How long somebody may take to log in, and how many may be at it.
_LOGIN_SECONDS, _MOST_LOGINS = 600.0, 1024
_KNOWN_SECONDS = 3600.0
_TIMEOUT_SECONDS = 10.0
_MOST_BYTES = 256 * 1024
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
#: Signatures of ID tokens that are believed; all are of public keys.
_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519", "EdDSA")


class LoginError(Exception):
    """Somebody can't be let in; says why, without secrets."""


class _Found(msgspec.Struct, frozen=True):
    """What a provider says of itself (OpenID Connect Discovery 1.0)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)


class _Tokens(msgspec.Struct, frozen=True):
    id_token: str


@dataclass(frozen=True, slots=True)
class _Begun:
    """A login under way: what its end must bear, and the browser that began it."""

    nonce: str
    verifier: str
    browser: str
    back: str
    redirect: str
    until: float


@dataclass(frozen=True, slots=True)
class Person:
    """Who has logged in."""

    user: str
    role: Role | None
    back: str


class Provider:
    """The identity provider."""

    def __init__(self, config: Oidc, watch: Watch) -> None:
        self._config = config
        self._watch = watch
        self._begun: OrderedDict[str, _Begun] = OrderedDict()
        self._found: _Found | None = None
        self._found_until = 0.0
        self._keys: Keys | None = None
        self._finding = asyncio.Lock()
        try:
            self._tls = ssl.create_default_context(cafile=config.ca or None)
        except ssl.SSLError as error:
            raise IdentityError(f"{config.ca}: is no PEM file of authorities: {error.reason}") from None

    async def begin(self, browser: str, redirect: str, back: str) -> str:
        """Gives the address that a browser is sent to. `browser` is what tells this browser from others. Raises LoginError."""
        found = await self._provider()
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        self._begun[state] = _Begun(nonce, verifier, browser, back, redirect, time.monotonic() + _LOGIN_SECONDS)
        if len(self._begun) > _MOST_LOGINS:
            self._begun.popitem(last=False)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = urlencode(
            {
                "response_type": "code",
                "client_id": self._config.client_id,
                "redirect_uri": redirect,
                "scope": " ".join(dict.fromkeys(("openid", *self._config.scopes))),
                "state": state,
                "nonce": nonce,
                "code_challenge": challenge,
                "code_challenge_method": "S256",
            }
        )
        joint = "&" if urlsplit(found.authorization_endpoint).query else "?"
        return f"{found.authorization_endpoint}{joint}{query}"

    async def end(self, browser: str, state: str, code: str, issuer: str) -> Person:
        """Gives who has come back. A login ends once, in the browser that began it. `issuer` is what the address names (RFC
        9207), if it does. Raises LoginError."""
        begun = self._begun.pop(state, None)
        if begun is None or time.monotonic() > begun.until:
            raise LoginError("this login was not begun here, or has taken too long")
        if not hmac.compare_digest(begun.browser.encode(), browser.encode("utf-8", "surrogatepass")):
            raise LoginError("this login was begun in another browser")
        if issuer and issuer != self._config.issuer:
            raise LoginError("another provider has answered")
        found = await self._provider()
        token = await self._redeemed(found, code, begun)
        claims = await self._claims(token)
        if not hmac.compare_digest(str(claims.get("nonce", "")).encode("utf-8", "surrogatepass"), begun.nonce.encode()):
            raise LoginError("the ID token is another login's")
        authorized = claims.get("azp")
        audience = claims.get("aud")
        if (authorized or (isinstance(audience, list) and len(audience) > 1)) and authorized != self._config.client_id:
            raise LoginError("the ID token was issued to another client")
        return self._person(claims, begun.back)

    def _person(self, claims: dict[str, Any], back: str) -> Person:
        user = claim_at(claims, self._config.user_claim)
        if not isinstance(user, str) or not user.strip():
            raise LoginError(f"the ID token has no {self._config.user_claim}")
        named = claim_at(claims, self._config.roles_claim)
        names = (
            {named} if isinstance(named, str) else set(filter(_is_text, named)) if isinstance(named, list) else set()
        )
        role = (
            Role.AUDITOR
            if names & set(self._config.auditors)
            else Role.VIEWER
            if names & set(self._config.viewers)
            else None
        )
        return Person(user.strip(), role, back)

    async def _claims(self, token: str) -> dict[str, Any]:
        if self._keys is None:
            raise LoginError("the provider's keys are not known")
        try:
            header, _ = peek(token)
            return await verified(token, header, self._issuer(), self._keys)
        except GateError as error:
            raise LoginError(f"the ID token is not valid: {error.detail}") from None

    def _issuer(self, keys: str = "") -> JwtIssuer:
        config = self._config
        return JwtIssuer(
            issuer=config.issuer, audiences=(config.client_id,), jwks_url=keys, ca=config.ca, algorithms=_ALGORITHMS
        )

    async def _redeemed(self, found: _Found, code: str, begun: _Begun) -> str:
        """Gives the ID token for a code."""
        config = self._config
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": begun.redirect,
            "code_verifier": begun.verifier,
        }
        login: aiohttp.BasicAuth | None = None
        if not config.client_secret:
            form["client_id"] = config.client_id
        elif "client_secret_basic" in found.token_endpoint_auth_methods_supported:
            login = aiohttp.BasicAuth(_escaped(config.client_id), _escaped(config.client_secret))
        else:
            form |= {"client_id": config.client_id, "client_secret": config.client_secret}
        try:
            return msgspec.json.decode(
                await self._fetched("POST", found.token_endpoint, data=form, auth=login), type=_Tokens
            ).id_token
        except UNREADABLE:
            raise LoginError("the provider gave no ID token") from None

    async def _provider(self) -> _Found:
        async with self._finding:
            if self._found is not None and time.monotonic() < self._found_until:
                return self._found
            url = self._config.issuer.rstrip("/") + "/.well-known/openid-configuration"
            try:
                found = msgspec.json.decode(await self._fetched("GET", url), type=_Found)
            except UNREADABLE:
                raise LoginError("the provider's description of itself can't be read") from None
            if found.issuer != self._config.issuer:
                raise LoginError("the provider calls itself by another name than console.oidc.issuer")
            if not all(map(_is_safe, (found.authorization_endpoint, found.token_endpoint, found.jwks_uri))):
                raise LoginError("the provider names addresses without https")
            if self._keys is None or self._found is None or self._found.jwks_uri != found.jwks_uri:
                self._keys = Keys(self._issuer(found.jwks_uri), self._watch)
            self._found, self._found_until = found, time.monotonic() + _KNOWN_SECONDS
            return found

    async def _fetched(self, method: str, url: str, **options: Any) -> bytes:
        try:
            async with (
                asyncio.timeout(_TIMEOUT_SECONDS),
                aiohttp.ClientSession(headers={"Accept": "application/json"}) as session,
                session.request(method, url, allow_redirects=False, ssl=self._tls, **options) as response,
            ):
                body = bytearray()
                async for chunk in response.content.iter_any():
                    body += chunk
                    if len(body) > _MOST_BYTES:
                        raise LoginError("the provider answers at too great length")
                if response.status != 200:
                    raise LoginError(f"the provider answered {response.status}")
                return bytes(body)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise LoginError(f"the provider can't be reached: {type(error).__name__}") from None


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_safe(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)


def _escaped(text: str) -> str:
    """As RFC 6749, 2.3.1, has it."""
    return urlencode({"": text})[1:]
