"""Tokens of identity providers: good ones are read, and all that can be forged is refused."""

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import time_machine
from hypothesis import given
from hypothesis import strategies as st

from hookgate.config.identity import DefaultSource, HeadersSource, Identity, JwtIssuer, JwtSource, Roles
from hookgate.errors import ErrorKind, GateError
from hookgate.identity import jwks
from hookgate.identity.chain import Chain
from hookgate.identity.connection import UNKNOWN
from hookgate.identity.jwks import parse_keys
from hookgate.identity.jwt import claim_at
from hookgate.identity.principal import Principal, Source
from hookgate.identity.watched import Unwatched
from tests.support.issuer import AUDIENCE, ISSUER, JwksServer, Key, claims, encoded, hs256

KEY = Key()
RSA = Key("rsa", "RS256")
ED = Key("ed", "EdDSA")
OTHERS = Key()


@pytest.fixture
def server() -> Iterator[JwksServer]:
    made = JwksServer(KEY, RSA, ED)
    yield made
    made.close()


@pytest.fixture
def keys(tmp_path: Path) -> str:
    file = tmp_path / "jwks.json"
    write(file, KEY, RSA, ED)
    return str(file)


def write(file: Path, *keys: Key) -> None:
    file.write_text(json.dumps({"keys": [key.public for key in keys]}))


def issuer(keys: str = "", **settings: Any) -> JwtIssuer:
    where = {"jwks_url": keys} if keys.startswith("http") else {"jwks_file": keys}
    return JwtIssuer(
        **{
            "issuer": ISSUER,
            "audiences": (AUDIENCE,),
            "algorithms": ("RS256", "ES256", "EdDSA"),
            "groups_claim": "groups",
            **where,
            **settings,
        }
    )


def chain(*issuers: JwtIssuer) -> Chain:
    return Chain(Identity(sources=(JwtSource(issuers=issuers), HeadersSource(), DefaultSource())))


async def asked(who: Chain, token: str, **headers: str) -> Principal:
    return await who.principal({"Authorization": f"Bearer {token}", **headers}, UNKNOWN)


async def refused(who: Chain, token: str, kind: ErrorKind = ErrorKind.IDENTITY_INVALID) -> str:
    """Also beside headers that would name somebody, a bad token names nobody. Gives why."""
    with pytest.raises(GateError) as caught:
        await asked(who, token, **{"X-Claude-User": "root", "X-Claude-User-Roles": "admin"})
    assert caught.value.kind is kind
    # Neither a token nor what it claims is ever told.
    assert not any(len(part) > 8 and part in caught.value.detail for part in token.split("."))
    assert "alex" not in caught.value.detail
    return caught.value.detail


@pytest.mark.parametrize("key", [KEY, RSA, ED], ids=["ES256", "RS256", "EdDSA"])
async def test_a_good_token_names_its_user(keys: str, key: Key) -> None:
    found = await asked(chain(issuer(keys)), key.sign(claims()))
    assert (found.id, found.source, found.verified, found.groups) == ("alex", Source.JWT, True, ("eng",))
    # No group is a role unless it is configured so.
    assert found.roles == ("claude_user",)


NOW = int(time.time())
FORGED: dict[str, Any] = {
    "signed by somebody else": lambda: OTHERS.sign(claims()),
    "signed by somebody else, without a key id": lambda: OTHERS.sign(claims(), {"kid": None}),
    "signed with a key that it brings along": lambda: OTHERS.sign(claims(), {"jwk": OTHERS.public}),
    "with a key id that leads elsewhere": lambda: OTHERS.sign(claims(), {"kid": "../../dev/null"}),
    "with a key id that is no text": lambda: KEY.sign(claims(), {"kid": ["k1"]}),
    "with an address of keys of its own": lambda: OTHERS.sign(claims(), {"jku": "http://127.0.0.1:1/"}),
    "with claims exchanged": lambda: _exchanged(KEY.sign(claims()), claims(sub="root")),
    "with its signature cut off": lambda: KEY.sign(claims()).rpartition(".")[0] + ".",
    "with a bit of its signature changed": lambda: _flipped(KEY.sign(claims())),
    "expired": lambda: KEY.sign(claims(exp=NOW - 3600)),
    "without an end": lambda: KEY.sign(claims(exp=None)),
    "with an end that is text": lambda: KEY.sign(claims(exp="never")),
    "with an end that is true": lambda: KEY.sign(claims(exp=True)),
    "not yet valid": lambda: KEY.sign(claims(nbf=NOW + 3600)),
    "made in the future": lambda: KEY.sign(claims(iat=NOW + 3600)),
    "for another audience": lambda: KEY.sign(claims(aud="other")),
    "for other audiences": lambda: KEY.sign(claims(aud=["other", "hookgate2"])),
    "for no audience": lambda: KEY.sign(claims(aud=None)),
    "for an audience that looks alike": lambda: KEY.sign(claims(aud="hооkgate")),  # noqa: RUF001
    "of another issuer": lambda: KEY.sign(claims(iss="https://evil.example.com/")),
    "of an issuer that looks alike": lambda: KEY.sign(claims(iss="https://lоgin.example.com/")),  # noqa: RUF001
    "of an issuer that begins alike": lambda: KEY.sign(claims(iss=ISSUER + "evil")),
    "of no issuer": lambda: KEY.sign(claims(iss=None)),
    "of several issuers": lambda: KEY.sign(claims(iss=[ISSUER])),
    "alg none": lambda: _unsigned(b'{"alg":"none"}'),
    "alg None": lambda: _unsigned(b'{"alg":"None"}'),
    "without an algorithm": lambda: _unsigned(b"{}"),
    "HS256 with the public key as JSON": lambda: hs256(
        {"alg": "HS256", "kid": "k1"}, claims(), json.dumps(KEY.public).encode()
    ),
    "HS256 with the public key as PEM": lambda: hs256(
        {"alg": "HS256", "kid": "rsa"}, claims(), RSA.private.as_pem(private=False)
    ),
    "an algorithm that is not believed": lambda: RSA.sign(claims(), {"alg": "RS512"}),
    "RS256 under the id of an EC key": lambda: RSA.sign(claims(), {"kid": "k1"}),
    "ES256 under the name of RS256": lambda: KEY.sign(claims(), {"alg": "RS256"}),
    "with a critical field that nobody knows": lambda: KEY.sign(claims(), {"crit": ["exp2"], "exp2": 1}),
    "without a user": lambda: KEY.sign(claims(sub=None)),
    "with a blank user": lambda: KEY.sign(claims(sub=" ")),
    "with a user that is no text": lambda: KEY.sign(claims(email={"a": 1}, sub="")),
    "with a user whose letters nobody sees": lambda: KEY.sign(claims(sub="al\u200bex")),
    "with a user whose letters look alike": lambda: KEY.sign(claims(sub="аlex")),  # noqa: RUF001
    "with a user of full-width letters": lambda: KEY.sign(claims(sub="ａlex")),  # noqa: RUF001
    "with a user over two lines": lambda: KEY.sign(claims(sub="alex\r\nX-Claude-User: root")),
    "with a giant user": lambda: KEY.sign(claims(sub="x" * 1000)),
    "with groups that are no list": lambda: KEY.sign(claims(groups={"a": 1})),
    "giant": lambda: KEY.sign(claims(more="x" * 20_000)),
    "claims that are a list": lambda: KEY.sign(b"[]"),
    "claims that are no JSON": lambda: KEY.sign(b"\xff"),
    "claims nested too deeply": lambda: KEY.sign(b"[" * 5000),
    "NaN": lambda: KEY.sign(b'{"exp":NaN}'),
    "two parts": lambda: "a.b",
    "five parts, as an encrypted one has": lambda: "a.b.c.d.e",
    "one word": lambda: "token",
    "a static token": lambda: "hgt_0123456789ab_secret",
    "several words": lambda: f"{KEY.sign(claims())} {KEY.sign(claims())}",
    "letters beyond ASCII": lambda: KEY.sign(claims()) + "é",
}


def _unsigned(header: bytes) -> str:
    return f"{encoded(header)}.{encoded(json.dumps(claims()).encode())}."


def _exchanged(token: str, body: dict[str, Any]) -> str:
    head, _, signature = token.split(".")
    return f"{head}.{encoded(json.dumps(body).encode())}.{signature}"


def _flipped(token: str) -> str:
    return token[:-4] + ("A" if token[-4] != "A" else "B") + token[-3:]


@pytest.mark.parametrize("name", FORGED)
async def test_no_token_names_anybody_that_is(name: str, keys: str) -> None:
    await refused(chain(issuer(keys)), FORGED[name]())


@given(st.text(max_size=60), st.binary(max_size=60))
def test_whatever_stands_in_the_header_names_nobody_or_is_refused(text: str, raw: bytes) -> None:
    who = _offline()
    for value in (text, f"Bearer {text}", f"Bearer {encoded(raw)}.{encoded(raw)}.{encoded(raw)}"):
        try:
            found = asyncio.run(who.principal({"authorization": value}, UNKNOWN))
        except GateError as error:
            assert error.kind is ErrorKind.IDENTITY_INVALID  # noqa: PT017 (either is right)
        else:
            assert found.source is Source.DEFAULT
            assert value.strip().lower() in ("", "bearer")


def _offline() -> Chain:
    return chain(issuer("http://127.0.0.1:1/"))


@pytest.mark.parametrize("value", ["", " ", "Bearer", "Bearer ", "bearer  "])
async def test_an_empty_token_is_none_and_somebody_is_told(keys: str, value: str) -> None:
    told: list[str] = []

    class Watch(Unwatched):
        def unfilled(self, header: str) -> None:
            told.append(header)

    config = Identity(sources=(JwtSource(issuers=(issuer(keys),)), DefaultSource()))
    found = await Chain(config, watch=Watch()).principal({"Authorization": value}, UNKNOWN)
    assert found.source is Source.DEFAULT
    assert told == ["Authorization"]


async def test_two_tokens_are_none(keys: str) -> None:
    token = KEY.sign(claims())
    with pytest.raises(GateError) as caught:
        await chain(issuer(keys)).principal(
            {"Authorization": f"Bearer {token}", "authorization": f"Bearer {token}"}, UNKNOWN
        )
    assert caught.value.kind is ErrorKind.IDENTITY_INVALID


@pytest.mark.parametrize("value", ["Basic YTpi", "Bearer\u00a0x.y.z", "Token x", "Bearer\tx.y.z"])
async def test_another_scheme_is_refused(keys: str, value: str) -> None:
    with pytest.raises(GateError) as caught:
        await chain(issuer(keys)).principal({"Authorization": value, "X-Claude-User": "root"}, UNKNOWN)
    assert caught.value.kind is ErrorKind.IDENTITY_INVALID


async def test_roles_come_from_groups_by_the_map_and_others_only_where_they_may_pass(keys: str) -> None:
    token = KEY.sign(claims(groups=["eng", "sales", "all staff"], roles="payload"))
    rules = Roles(static=("staff",), map={"eng": ("engineer", "reviewer")})
    found = await asked(chain(issuer(keys, roles=rules)), token, **{"X-Claude-User-Roles": "admin"})
    assert found.roles == ("engineer", "reviewer", "staff")
    rules = msgspec.structs.replace(rules, pass_unmapped=True, from_header=True)
    found = await asked(chain(issuer(keys, roles=rules)), token, **{"X-Claude-User-Roles": "admin"})
    assert found.roles == ("admin", "all staff", "engineer", "reviewer", "sales", "staff")


async def test_claims_are_passed_by_path_and_no_others(keys: str) -> None:
    token = KEY.sign(
        claims(**{"kubernetes.io": {"namespace": "ci", "pod": {"name": "p"}}, "email": "a@example.com", "n": 2**70})
    )
    paths = ("kubernetes.io.namespace", "kubernetes.io.pod.name", "email", "missing", "n")
    found = await asked(chain(issuer(keys, claims=paths, user_claim="kubernetes.io.pod.name")), token)
    assert found.id == "p"
    assert found.claims == {
        "kubernetes.io.namespace": "ci",
        "kubernetes.io.pod.name": "p",
        "email": "a@example.com",
        "n": float(2**70),
    }


def test_a_path_finds_the_longest_name_that_fits() -> None:
    tree = {"a": {"b": 1, "b.c": 2}, "a.b": {"d": 3}}
    assert [claim_at(tree, path) for path in ("a.b.d", "a.b.c", "a", "x", "a.b.d.e")] == [
        3,
        None,
        tree["a"],
        None,
        None,
    ]
    assert claim_at({"https://example.com/roles": ["r"]}, "https://example.com/roles") == ["r"]


async def test_several_issuers_are_told_apart_each_by_its_own_keys(keys: str, tmp_path: Path) -> None:
    write(tmp_path / "other.json", OTHERS)
    other = issuer(str(tmp_path / "other.json"), issuer="https://ci.example.com/", user_claim="job")
    who = chain(issuer(keys), other)
    assert (await asked(who, OTHERS.sign(claims(iss="https://ci.example.com/", job="build")))).id == "build"
    await refused(who, KEY.sign(claims(iss="https://ci.example.com/", job="build")))
    await refused(who, OTHERS.sign(claims()))


async def test_the_issuers_clock_may_be_off_by_the_leeway(keys: str) -> None:
    who = chain(issuer(keys, leeway_seconds=60))
    now = int(time.time())
    assert (await asked(who, KEY.sign(claims(exp=now - 30, nbf=now + 30, iat=now + 30)))).id == "alex"


async def test_a_token_that_was_good_is_refused_once_it_has_run_out(keys: str) -> None:
    who = chain(issuer(keys, leeway_seconds=0))
    with time_machine.travel(NOW, tick=False) as clock:
        token = KEY.sign(claims(exp=NOW + 100))
        assert (await asked(who, token)).id == "alex"
        clock.shift(99)
        assert (await asked(who, token)).id == "alex"
        clock.shift(2)
        await refused(who, token)


async def test_a_signature_is_looked_at_once(keys: str, monkeypatch: pytest.MonkeyPatch) -> None:
    who = chain(issuer(keys))
    token = KEY.sign(claims())
    first = await asked(who, token)
    monkeypatch.setattr("hookgate.identity.jwt.jws", None)
    assert await asked(who, token) == first


async def test_keys_are_fetched_and_a_new_one_is_looked_for_at_no_callers_pace(
    server: JwksServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    who = chain(issuer(server.url))
    assert (await asked(who, KEY.sign(claims()))).id == "alex"
    assert len(server.asked) == 1
    new = Key("k2")
    server.keys = [new]
    for _ in range(20):
        await refused(who, new.sign(claims()))
    assert len(server.asked) == 1
    monkeypatch.setattr(jwks, "LEAST_SECONDS", 0.0)
    assert (await asked(who, new.sign(claims()))).id == "alex"
    # The key that was replaced counts no more, nor what was signed with it and known already.
    await refused(who, KEY.sign(claims()))


async def test_many_who_ask_at_once_make_one_fetch(server: JwksServer) -> None:
    who = chain(issuer(server.url))
    tokens = [KEY.sign(claims(sub=f"user{number}")) for number in range(20)]
    found = await asyncio.gather(*(asked(who, token) for token in tokens))
    assert [one.id for one in found] == [f"user{number}" for number in range(20)]
    assert len(server.asked) == 1


async def test_a_token_that_was_known_is_refused_when_its_key_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    write(file, KEY)
    who = chain(issuer(str(file)))
    running = asyncio.create_task(who.run())
    token = KEY.sign(claims())
    assert (await asked(who, token)).id == "alex"
    write(file, OTHERS, Key("more"))
    async with asyncio.timeout(20):
        while True:
            try:
                await asked(who, token)
            except GateError as error:
                assert error.kind is ErrorKind.IDENTITY_INVALID  # noqa: PT017 (before, it is good)
                break
            await asyncio.sleep(0.02)
    running.cancel()


async def test_while_the_issuer_is_down_its_keys_count_for_so_long_and_nobody_is_known_after(
    server: JwksServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jwks, "LEAST_SECONDS", 0.0)
    who = chain(issuer(server.url, stale_seconds=3600))
    token, another = KEY.sign(claims()), KEY.sign(claims(sub="sam"))
    assert (await asked(who, token)).id == "alex"
    server.fault = 503
    assert (await asked(who, another)).id == "sam"
    clock = time.monotonic
    monkeypatch.setattr("hookgate.identity.jwks.time.monotonic", lambda: clock() + 4000)
    await refused(who, token, ErrorKind.IDENTITY_UNAVAILABLE)
    server.fault = 0
    assert (await asked(who, token)).id == "alex"


async def test_an_issuer_that_cannot_be_reached_vouches_for_nobody() -> None:
    await refused(_offline(), KEY.sign(claims()), ErrorKind.IDENTITY_UNAVAILABLE)


async def test_a_fetch_may_need_a_token_of_its_own(server: JwksServer, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("service\n")
    who = chain(issuer(server.url, token_file=str(tmp_path / "token")))
    assert (await asked(who, KEY.sign(claims()))).id == "alex"
    assert server.asked == ["Bearer service"]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"{}",
        b'{"keys":{}}',
        b'{"keys":[]}',
        b'{"keys":[{"kty":"oct","k":"c2VjcmV0c2VjcmV0c2VjcmV0"}]}',
        b'{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"},{"kty":"EC"},5]}',
        b'{"keys":' + b"[" * 100_000,
    ],
)
def test_what_holds_no_public_key_is_no_key_set(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"no JWK set|no key"):
        parse_keys(raw)


def test_private_parts_and_keys_for_encryption_are_not_kept() -> None:
    raw = {"keys": [KEY.private.as_dict(private=True), {**RSA.public, "use": "enc"}]}
    (found,) = parse_keys(json.dumps(raw).encode())
    assert "d" not in found.as_dict()


async def test_the_pdp_is_handed_the_token_only_where_it_is_configured(keys: str) -> None:
    token = KEY.sign(claims())
    assert (await asked(chain(issuer(keys)), token)).token == ""
    found = await asked(chain(issuer(keys, send_to_pdp=True, key_set="idp")), token)
    assert (found.token, found.key_set) == (token, "idp")
    assert token not in repr(found)
