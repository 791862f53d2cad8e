"""Identity by a token (JWT, RFC 7519) that an identity provider has signed."""

import asyncio
import base64
import hashlib
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwt import JWTClaimsRegistry

from hookgate.config.identity import JwtIssuer, JwtSource
from hookgate.errors import ErrorKind, GateError
from hookgate.identity.connection import Connection
from hookgate.identity.fields import MAX_TOKEN_CHARACTERS, bearer, field, is_unfilled
from hookgate.identity.found import Found
from hookgate.identity.jwks import Keys
from hookgate.identity.principal import Source
from hookgate.identity.tokens import PREFIX
from hookgate.identity.watched import Watch

#: Tokens whose signature need not be looked at again.
_MOST_KNOWN = 4096
#: How many keys are tried for a token that does not name its key.
_MOST_TRIED = 8
_KIND = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}
#: Integers beyond it are no JSON numbers to most who read them, the PDP among them.
_SAFE_INTEGER = 2**53


class _Registry(jws.JWSRegistry):
    """Takes header fields that say nothing here (`x5t`, `nonce`), but no unknown critical one."""

    max_header_length = 4096
    max_payload_length = MAX_TOKEN_CHARACTERS

    def __init__(self, algorithm: str) -> None:
        super().__init__(algorithms=[algorithm], strict_check_header=False)

    def get_alg(self, name: str) -> Any:
        """RFC 9864 calls EdDSA by its curve; issuers still don't."""
        if self.allowed is None or name not in self.allowed:
            raise ValueError(name)
        return self.algorithms["Ed25519" if name == "EdDSA" else name]


@dataclass(frozen=True, slots=True)
class _Known:
    found: Found
    until: float
    issuer: str
    generation: int


class Jwts:
    """The tokens of the issuers that are believed."""

    def __init__(self, config: JwtSource, watch: Watch, *, leaves_static: bool) -> None:
        self._config = config
        self._watch = watch
        self._leaves_static = leaves_static
        self._issuers = {issuer.issuer: (issuer, Keys(issuer, watch)) for issuer in config.issuers}
        self._known: OrderedDict[bytes, _Known] = OrderedDict()

    async def find(self, headers: Mapping[str, str], connection: Connection) -> Found | None:
        """Gives whose token it is."""
        token = bearer(headers, self._config.header)
        if token is None and is_unfilled(field(headers, self._config.header)):
            self._watch.unfilled(self._config.header)
        if token is None or (self._leaves_static and token.startswith(PREFIX)):
            return None
        digest = hashlib.sha256(token.encode()).digest()
        if (known := self._remembered(digest)) is not None:
            return known
        header, claimed = peek(token)
        issuer, keys = self._issuers.get(str(claimed.get("iss")), (None, None))
        if issuer is None or keys is None:
            raise _invalid("its issuer is not among those believed")
        claims = await verified(token, header, issuer, keys)
        found = _found(token, claims, issuer)
        self._known[digest] = _Known(
            found, min(claims["exp"], _SAFE_INTEGER) + issuer.leeway_seconds, issuer.issuer, keys.generation
        )
        if len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)
        return found

    async def run(self) -> None:
        """Keeps the issuers' keys fresh."""
        await asyncio.gather(*(keys.run() for _, keys in self._issuers.values()))

    def _remembered(self, digest: bytes) -> Found | None:
        """Gives what a token was found to be; not beyond its time, nor beyond that of the keys."""
        known = self._known.get(digest)
        if known is None:
            return None
        keys = self._issuers[known.issuer][1]
        if time.time() >= known.until or known.generation != keys.generation or not keys.is_fresh:
            del self._known[digest]
            return None
        self._known.move_to_end(digest)
        return known.found


def _invalid(why: str) -> GateError:
    return GateError(ErrorKind.IDENTITY_INVALID, f"the token is not valid: {why}")


def peek(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Gives header and claims as they stand, which nothing vouches for yet."""
    parts = token.split(".")
    if len(parts) != 3:
        raise _invalid("it does not have three parts")
    return _object(parts[0]), _object(parts[1])


def _object(part: str) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True))
    except (ValueError, RecursionError):
        raise _invalid("a part of it is no JSON") from None
    if not isinstance(found, dict):
        raise _invalid("a part of it is no JSON object")
    return found


async def verified(token: str, header: dict[str, Any], issuer: JwtIssuer, keys: Keys) -> dict[str, Any]:
    """Gives the claims, signed by one of the issuer's keys, in their time and for us."""
    algorithm, kid = header.get("alg"), header.get("kid")
    # Only what is configured, and that is all of public keys: neither `none`, nor a public key taken for a shared secret.
    if not isinstance(algorithm, str) or algorithm not in issuer.algorithms:
        raise _invalid("its algorithm is not among those believed")
    if kid is not None and not isinstance(kid, str):
        raise _invalid("its key id is no text")
    candidates = await keys.find(kid, _KIND[algorithm[:2]])
    if not candidates:
        raise _invalid("it is signed with a key that the issuer does not have")
    for key in candidates[:_MOST_TRIED]:
        try:
            signed = jws.deserialize_compact(token, key, algorithms=[algorithm], registry=_Registry(algorithm))
        except (JoseError, ValueError, TypeError):
            continue
        break
    else:
        raise _invalid("its signature does not hold")
    claims = _claims(signed.payload)
    _in_force(claims, issuer)
    return claims


def _claims(payload: bytes) -> dict[str, Any]:
    try:
        claims = msgspec.json.decode(payload)
    except (ValueError, RecursionError):
        raise _invalid("its claims are no JSON") from None
    if not isinstance(claims, dict):
        raise _invalid("its claims are no JSON object")
    return claims


def _in_force(claims: dict[str, Any], issuer: JwtIssuer) -> None:
    registry = JWTClaimsRegistry(
        now=lambda: int(time.time()),
        leeway=int(issuer.leeway_seconds),
        iss={"essential": True, "value": issuer.issuer},
        aud={"essential": True, "values": list(issuer.audiences)},
        exp={"essential": True},
    )
    try:
        registry.validate(claims)
    except JoseError as error:
        # The library's words name the claim, never its value.
        raise _invalid(f"{error.error}: {error.description}".replace("\n", " ")) from None


def _found(token: str, claims: dict[str, Any], issuer: JwtIssuer) -> Found:
    user = claim_at(claims, issuer.user_claim)
    if not isinstance(user, str) or not user.strip():
        raise _invalid(f"it has no {issuer.user_claim}")
    groups = claim_at(claims, issuer.groups_claim) if issuer.groups_claim else []
    if isinstance(groups, str):
        groups = [groups]
    if groups is None:
        groups = []
    if not isinstance(groups, list) or not all(isinstance(group, str) for group in groups):
        raise _invalid(f"its {issuer.groups_claim} is no list of texts")
    told = {path: _plain(value) for path in issuer.claims if (value := claim_at(claims, path)) is not None}
    return Found(
        user.strip(),
        Source.JWT,
        issuer.roles,
        tuple(group for one in groups if (group := one.strip())),
        claims=told,
        token=token if issuer.send_to_pdp else "",
        key_set=issuer.key_set if issuer.send_to_pdp else "",
    )


def claim_at(claims: Any, path: str) -> Any:
    """Gives the claim at a path whose parts are separated by dots, or None. A name may hold dots itself (`kubernetes.io`,
    `https://example.com/roles`): the longest name that fits counts."""
    if not path:
        return claims
    if not isinstance(claims, dict):
        return None
    parts = path.split(".")
    for count in range(len(parts), 0, -1):
        name = ".".join(parts[:count])
        if name in claims:
            return claim_at(claims[name], ".".join(parts[count:]))
    return None


def _plain(value: Any) -> Any:
    """Numbers as the PDP knows them."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _SAFE_INTEGER:
        try:
            return float(value)
        except OverflowError:
            raise _invalid("it has a number beyond all bounds") from None
    return value
