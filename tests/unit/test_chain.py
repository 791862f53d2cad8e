"""The sources of identity in their order, and what is made of what they find."""

import asyncio
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hookgate.config import ConfigError, parse
from hookgate.config.identity import (
    DefaultSource,
    Directory,
    HeadersSource,
    Identity,
    PeerSource,
    Roles,
    TokenSource,
)
from hookgate.errors import ErrorKind, GateError
from hookgate.identity import peer
from hookgate.identity.chain import Chain
from hookgate.identity.connection import UNKNOWN, Connection
from hookgate.identity.directory import directory_parser
from hookgate.identity.names import name_fault
from hookgate.identity.principal import Principal, Source
from hookgate.identity.tokens import TokenFile, parse_tokens
from hookgate.identity.watched import IdentityError

LOCAL = Connection("127.0.0.1", is_local=True, uid=1000)
DEFAULT = DefaultSource()


@pytest.fixture(autouse=True)
def accounts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with two users."""
    known = {1000: peer.Account("alex", ("dev", "staff")), 1001: peer.Account("sam", ("staff",))}
    monkeypatch.setattr(peer, "_account", lambda uid: known.get(uid, peer.Account(str(uid), ())))


async def who(identity: Identity, connection: Connection = UNKNOWN, **headers: str) -> Principal:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await Chain(identity).principal(named, connection)


async def fault(identity: Identity, connection: Connection = UNKNOWN, **headers: str) -> GateError:
    with pytest.raises(GateError) as caught:
        await who(identity, connection, **headers)
    return caught.value


@pytest.fixture
def tokens(tmp_path: Path) -> TokenFile:
    file = TokenFile(tmp_path / "tokens.json")
    file.create("first", (), None)
    return file


def with_tokens(tmp_path: Path, *more: Any, **settings: Any) -> Identity:
    return Identity(sources=(TokenSource(file=str(tmp_path / "tokens.json"), **settings), *more))


async def test_the_first_source_that_finds_somebody_counts() -> None:
    identity = Identity(sources=(PeerSource(), HeadersSource(), DEFAULT))
    found = await who(identity, LOCAL, X_Claude_User="alex")
    assert (found.id, found.source, found.verified, found.groups) == ("alex", Source.PEER, True, ("dev", "staff"))
    found = await who(identity, Connection("10.0.0.9"), X_Claude_User="sam")
    assert (found.id, found.source, found.verified) == ("sam", Source.HEADER, False)
    found = await who(identity, Connection("10.0.0.9"))
    assert (found.id, found.roles, found.source) == ("claude_user", ("claude_user",), Source.DEFAULT)


async def test_a_local_connection_whose_owner_hides_is_refused_and_not_left_to_a_header() -> None:
    identity = Identity(sources=(PeerSource(), HeadersSource(), DEFAULT))
    found = await fault(identity, Connection("127.0.0.1", is_local=True), X_Claude_User="root")
    assert found.kind is ErrorKind.IDENTITY_INVALID


async def test_users_of_the_machine_are_mapped_by_name_or_number_and_roles_by_their_groups() -> None:
    rules = Roles(static=("laptop",), map={"dev": ("engineer",)})
    source = PeerSource(users={"alex": "alex@example.com", "1001": "sam@example.com"}, mapped_only=True, roles=rules)
    identity = Identity(sources=(source, DEFAULT))
    first, second = await who(identity, LOCAL), await who(identity, Connection("::1", is_local=True, uid=1001))
    assert (first.id, first.roles) == ("alex@example.com", ("engineer", "laptop"))
    assert (second.id, second.roles) == ("sam@example.com", ("laptop",))
    found = await fault(identity, Connection("::1", is_local=True, uid=1002))
    assert found.kind is ErrorKind.IDENTITY_INVALID


@pytest.mark.parametrize(
    ("claimed", "recorded"),
    [("", ""), ("${USER}", ""), ("alex@example.com", ""), ("alex", ""), ("root", "root"), ("Alex", "Alex")],
)
async def test_a_header_that_contradicts_the_verified_user_changes_nothing_and_is_kept(
    claimed: str, recorded: str
) -> None:
    identity = Identity(sources=(PeerSource(users={"alex": "alex@example.com"}), HeadersSource(), DEFAULT))
    found = await who(identity, LOCAL, X_Claude_User=claimed, X_Claude_User_Roles="admin")
    assert (found.id, found.roles, found.claimed_user) == ("alex@example.com", ("claude_user",), recorded)


async def test_roles_of_a_header_join_those_of_a_verified_user_only_where_they_may() -> None:
    identity = Identity(sources=(PeerSource(roles=Roles(from_header=True)), DEFAULT))
    assert (await who(identity, LOCAL, X_Claude_User_Roles="b, a")).roles == ("a", "b")


@pytest.mark.parametrize(
    ("remote", "source"),
    [
        ("10.1.2.3", Source.HEADER),
        ("::ffff:10.1.2.3", Source.DEFAULT),
        ("11.1.2.3", Source.DEFAULT),
        ("", Source.DEFAULT),
        ("fd00::1%eth0", Source.HEADER),
    ],
)
async def test_headers_are_taken_from_trusted_networks_only(remote: str, source: Source) -> None:
    headers = HeadersSource(trusted_networks=("10.0.0.0/8", "fd00::/8"))
    found = await who(Identity(sources=(headers, DEFAULT)), Connection(remote), X_Claude_User="alex")
    assert found.source is source


async def test_without_a_default_somebody_must_be_named_and_is_told_how(tmp_path: Path, tokens: TokenFile) -> None:
    found = await fault(with_tokens(tmp_path, HeadersSource()))
    assert found.kind is ErrorKind.IDENTITY_REQUIRED
    assert "token" in found.hint
    assert "allowedEnvVars" in found.hint


async def test_only_the_verified_may_ask_where_that_is_required() -> None:
    identity = Identity(sources=(PeerSource(), HeadersSource(), DEFAULT), require_verified=True)
    chain = Chain(identity)
    chain.demand(await chain.principal({}, LOCAL))
    for headers in ({}, {"X-Claude-User": "root"}):
        with pytest.raises(GateError) as caught:
            chain.demand(await chain.principal(headers, Connection("10.0.0.9")))
        assert caught.value.kind is ErrorKind.IDENTITY_REQUIRED
        assert "loopback" in caught.value.hint


async def test_nobody_in_particular_is_suspect_where_somebody_could_be_verified() -> None:
    for sources, suspects in (((PeerSource(), DEFAULT), True), ((HeadersSource(), DEFAULT), False)):
        chain = Chain(Identity(sources=sources))
        assert chain.suspects(await chain.principal({}, UNKNOWN)) is suspects
        assert not chain.suspects(await chain.principal({}, LOCAL)) or sources[0] == HeadersSource()


@pytest.mark.parametrize("header", ["X-Claude-User", "X-Claude-User-Roles"])
async def test_a_header_that_is_there_twice_is_refused(header: str) -> None:
    with pytest.raises(GateError) as caught:
        await Chain(Identity()).principal({header: "alex", header.lower(): "alex"}, UNKNOWN)
    assert caught.value.kind is ErrorKind.IDENTITY_INVALID


@pytest.mark.parametrize(
    "name",
    [
        "al\u200bex",
        "\u202exela",
        "аlex",  # noqa: RUF001
        "αlex",  # noqa: RUF001
        "ａlex",  # noqa: RUF001
        "𝐚lex",  # noqa: RUF001
        "al\x00ex",
        "al\tex",
        "al\r\nex",
        "x" * 257,
        "al\ue000ex",
    ],
)
async def test_a_name_that_shows_as_another_is_refused_for_users_and_roles(name: str) -> None:
    assert name_fault(name)
    assert (await fault(Identity(), X_Claude_User=name)).kind is ErrorKind.IDENTITY_INVALID
    assert (await fault(Identity(), X_Claude_User_Roles=f"a,{name}")).kind is ErrorKind.IDENTITY_INVALID


@pytest.mark.parametrize("name", ["alex", "alëx-日本", "Иван Петров", "Ελένη", "ab:c/d@e.f", "O'Brien", "José"])
def test_a_name_of_one_script_is_a_name(name: str) -> None:
    assert name_fault(name) == ""


async def test_a_static_token_names_its_user_and_roles(tmp_path: Path, tokens: TokenFile) -> None:
    text, token = tokens.create("ci", ("builder",), None)
    found = await who(with_tokens(tmp_path, DEFAULT), Authorization=f"Bearer {text}", X_Claude_User="root")
    assert (found.id, found.roles, found.source, found.verified) == ("ci", ("builder",), Source.TOKEN, True)
    assert found.claims == {"token_id": token.id}
    assert len(text.split("_", 2)[2]) >= 43
    content = (tmp_path / "tokens.json").read_text()
    assert text not in content
    assert text.split("_", 2)[2] not in content


async def test_tokens_that_are_not_known_revoked_or_over_name_nobody(tmp_path: Path, tokens: TokenFile) -> None:
    text, token = tokens.create("ci", ("builder",), None)
    over, _ = tokens.create("old", (), datetime.now(UTC) - timedelta(seconds=1))
    secret = text.split("_", 2)[2]
    forged = [
        f"hgt_{token.id}_{secret[:-1]}",
        f"hgt_{token.id}_{secret}x",
        f"hgt_000000000000_{secret}",
        f"hgt_{token.id}",
        f"HGT_{token.id}_{secret}",
        f"hgt__{token.id}_{secret}",
        token.sha256,
        f"hgt_{token.id}_{token.sha256}",
        f"hgt＿{token.id}_{secret}",  # noqa: RUF001
        f"{text} {text}",
        f"{text}{'x' * 20_000}",
        over,
        "a.b.c",
    ]
    identity = with_tokens(tmp_path, HeadersSource(), DEFAULT)
    for one in forged:
        found = await fault(identity, Authorization=f"Bearer {one}", X_Claude_User="root")
        assert found.kind is ErrorKind.IDENTITY_INVALID, one
        assert secret not in str(found)
    assert tokens.revoke(token.id) == token
    assert tokens.revoke(token.id) is None
    assert (await fault(identity, Authorization=f"Bearer {text}")).kind is ErrorKind.IDENTITY_INVALID


async def test_a_token_counts_and_counts_no_more_while_the_service_runs(tmp_path: Path, tokens: TokenFile) -> None:
    chain = Chain(with_tokens(tmp_path, DEFAULT))
    running = asyncio.create_task(chain.run())
    text, token = tokens.create("ci", (), None)

    async def turns(valid: bool) -> None:
        async with asyncio.timeout(20):
            while True:
                try:
                    found = await chain.principal({"Authorization": f"Bearer {text}"}, UNKNOWN)
                except GateError:
                    if not valid:
                        return
                else:
                    assert found.id == "ci"
                    if valid:
                        return
                await asyncio.sleep(0.02)

    await turns(valid=True)
    tokens.revoke(token.id)
    await turns(valid=False)
    running.cancel()


def test_a_token_file_keeps_its_mode_and_what_is_none_is_refused(tmp_path: Path, tokens: TokenFile) -> None:
    file = tmp_path / "tokens.json"
    assert file.stat().st_mode & 0o777 == 0o600
    file.chmod(0o640)
    tokens.create("ci", (), None)
    assert file.stat().st_mode & 0o777 == 0o640
    assert file.stat().st_uid == os.getuid()
    for raw in (b"[]", b'{"tokens":5}', b'{"tokens":[{"id":"x"}]}', b"\xff"):
        with pytest.raises(ValueError, match="is no token file"):
            parse_tokens(raw)
    file.write_bytes(b"[]")
    with pytest.raises(IdentityError, match=r"tokens\.json: is no token file"):
        Chain(with_tokens(tmp_path, DEFAULT))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "d.yaml",
            "alex: {roles: [engineer], groups: [oncall], attributes: {team: core, since: 2026-01-02}}\nsam: {}\n",
        ),
        (
            "d.json",
            '{"alex":{"roles":["engineer"],"groups":["oncall"],"attributes":{"team":"core","since":"2026-01-02"}}}',
        ),
        ("d.csv", "user,roles,groups,team,since\nalex,engineer; ,oncall,core,2026-01-02\n"),
    ],
)
async def test_the_directory_adds_roles_groups_and_attributes(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    directory = Directory(file=str(tmp_path / name))
    identity = Identity(sources=(PeerSource(), HeadersSource(), DEFAULT), directory=directory)
    found = await who(identity, LOCAL)
    assert (found.roles, found.groups) == (("engineer",), ("dev", "oncall", "staff"))
    assert found.attributes()["attributes"] == {"team": "core", "since": "2026-01-02"}
    # Who only says so is nobody the directory knows, unless it is told otherwise.
    assert (await who(identity, X_Claude_User="alex")).roles == ("claude_user",)
    directory = Directory(file=str(tmp_path / name), allow_unverified=True)
    identity = Identity(directory=directory)
    assert (await who(identity, X_Claude_User="alex")).roles == ("engineer",)


@pytest.mark.parametrize(
    ("name", "raw", "why"),
    [
        ("d.yaml", b"[alex]", "expected a mapping of users"),
        ("d.yaml", b"alex: [engineer]", "alex: expected roles"),
        ("d.yaml", b"alex: {role: x}", "alex: expected roles"),
        ("d.yaml", b"alex: {roles: engineer}", "alex.roles: expected a list"),
        ("d.yaml", b"alex: {attributes: 5}", "alex.attributes: expected a mapping"),
        ("d.yaml", b"a: {", "expected"),
        ("d.csv", b"name,roles\nalex,x\n", "no column `user`"),
        ("d.csv", b"user,roles\nalex,x,y\n", "line 2: has another number of columns"),
        ("d.csv", b"user,roles\nalex,x\nalex,y\n", "line 3: the user is there twice"),
        ("d.csv", b"user,roles\n,x\n", "line 2: the user is empty"),
        ("d.csv", b"\xff", "is no UTF-8"),
    ],
)
def test_a_directory_that_is_none_is_a_clear_fault(name: str, raw: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        directory_parser(name)(raw)


@pytest.mark.parametrize(
    ("identity", "says"),
    [
        ({"require_verified": True}, "identity.require_verified: denies every call"),
        ({"sources": [{"type": "default"}, {"type": "headers"}]}, "identity.sources[1]: is never reached"),
        ({"sources": [{"type": "headers"}, {"type": "headers"}]}, "identity.sources[1]: is the second of its type"),
        ({"sources": [{"type": "mtls"}]}, "identity.sources[0]: needs server.tls.client_ca"),
        ({"sources": [{"type": "token", "file": "/none"}]}, "make it with `hookgate token create --file /none"),
        ({"sources": [{"type": "headers", "trusted_networks": ["10.0.0.1/8"]}]}, "trusted_networks[0]: 10.0.0.1/8 has"),
        ({"sources": [{"type": "jwt", "issuers": [{"issuer": "a", "audiences": ["b"]}]}]}, "either jwks_url or"),
        (
            {"sources": [{"type": "jwt", "issuers": [{"issuer": "a", "audiences": [], "jwks_url": "https://x/"}]}]},
            "identity.sources[0].issuers[0].audiences",
        ),
        (
            {"sources": [{"type": "jwt", "issuers": [{"issuer": "a", "audiences": ["b"], "jwks_url": "http://x/"}]}]},
            "jwks_url: whoever stands on the way",
        ),
        (
            {
                "sources": [
                    {
                        "type": "jwt",
                        "issuers": [
                            {"issuer": "a", "audiences": ["b"], "jwks_url": "https://x/", "algorithms": ["HS256"]}
                        ],
                    }
                ]
            },
            "algorithms[0]",
        ),
        ({"directory": {"file": "/none"}}, "identity.directory.file: no such file"),
    ],
)
def test_sources_that_cannot_work_are_faults_of_the_configuration(identity: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse({"pdp": {"address": "unix:/x"}, "identity": identity}, {})
    assert says in str(caught.value)


def test_peers_are_a_fault_of_the_configuration_where_the_system_does_not_tell_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hookgate.config.check_identity.sys.platform", "darwin")
    with pytest.raises(ConfigError, match="peer needs Linux"):
        parse({"pdp": {"address": "unix:/x"}, "identity": {"sources": [{"type": "peer"}, {"type": "default"}]}}, {})
